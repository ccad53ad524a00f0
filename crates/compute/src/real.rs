//! The two number types of the core and their vectors: f32 to work with, f64 to check gradients with.

use crate::transpose;
use pulp::{Simd, bytemuck::Pod};
use std::cell::Cell;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`. Every operation of this crate is written once, for both.
pub trait Real:
    sealed::Sealed
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Pod
    + 'static
{
    /// One register of the instruction set `S`.
    #[doc(hidden)]
    type Vector<S: Simd>: Pod;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The value in double precision.
    fn to_f64(self) -> f64;
    #[doc(hidden)]
    fn lanes<S: Simd>(s: S, x: &[Self]) -> &[Self::Vector<S>];
    #[doc(hidden)]
    fn lanes_mut<S: Simd>(s: S, x: &mut [Self]) -> &mut [Self::Vector<S>];
    #[doc(hidden)]
    fn splat<S: Simd>(s: S, x: Self) -> Self::Vector<S>;
    #[doc(hidden)]
    fn add<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn sub<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn mul<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn div<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn max<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn sqrt<S: Simd>(s: S, a: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn fma<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn sum<S: Simd>(s: S, a: Self::Vector<S>) -> Self;
    #[doc(hidden)]
    fn exp<S: Simd>(s: S, a: Self::Vector<S>) -> Self::Vector<S>;
    #[doc(hidden)]
    fn transpose_tile<S: Simd>(s: S, from: (&[Self], usize), to: (&mut [Self], usize));
    /// The thread's scratch, empty if it is in use.
    #[doc(hidden)]
    fn take_scratch() -> Vec<Self>;
    /// Gives it back.
    #[doc(hidden)]
    fn give_scratch(scratch: Vec<Self>);
    /// Where `x` is at most `y`: `a`; elsewhere `b`.
    #[doc(hidden)]
    fn where_at_most<S: Simd>(
        s: S,
        x: Self::Vector<S>,
        y: Self::Vector<S>,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// Runs `single` for f32, which is the same in every crate, and `general` for f64.
    #[doc(hidden)]
    fn run<'a, O: Operation>(
        on: O::On<'a, Self>,
        single: fn(O::On<'a, f32>) -> O::Result<f32>,
        general: impl FnOnce(O::On<'a, Self>) -> O::Result<Self>,
    ) -> O::Result<Self>;
    /// Where `keep` is 0: 0; elsewhere `a`.
    #[doc(hidden)]
    fn where_not_zero<S: Simd>(s: S, keep: Self::Vector<S>, a: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! real {
    ($t:ident, $vector:ident, [$as_simd:ident $as_mut_simd:ident $splat:ident $add:ident $sub:ident $mul:ident $div:ident
      $max:ident $sqrt:ident $fma:ident $sum:ident $equal:ident $at_most:ident $select:ident],
     $exp:ident, $tile:path, $scratch:ident, $which:tt) => {
        thread_local!(static $scratch: Cell<Vec<$t>> = const { Cell::new(Vec::new()) });
        impl Real for $t {
            type Vector<S: Simd> = S::$vector;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn lanes<S: Simd>(_: S, x: &[Self]) -> &[Self::Vector<S>] {
                S::$as_simd(x).0
            }
            #[inline(always)]
            fn lanes_mut<S: Simd>(_: S, x: &mut [Self]) -> &mut [Self::Vector<S>] {
                S::$as_mut_simd(x).0
            }
            #[inline(always)]
            fn splat<S: Simd>(s: S, x: Self) -> Self::Vector<S> {
                s.$splat(x)
            }
            #[inline(always)]
            fn add<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                s.$add(a, b)
            }
            #[inline(always)]
            fn sub<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                s.$sub(a, b)
            }
            #[inline(always)]
            fn mul<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                s.$mul(a, b)
            }
            #[inline(always)]
            fn div<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                s.$div(a, b)
            }
            #[inline(always)]
            fn max<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                s.$max(a, b)
            }
            #[inline(always)]
            fn sqrt<S: Simd>(s: S, a: Self::Vector<S>) -> Self::Vector<S> {
                s.$sqrt(a)
            }
            #[inline(always)]
            fn fma<S: Simd>(s: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S> {
                s.$fma(a, b, c)
            }
            #[inline(always)]
            fn sum<S: Simd>(s: S, a: Self::Vector<S>) -> Self {
                s.$sum(a)
            }
            #[inline(always)]
            fn exp<S: Simd>(s: S, a: Self::Vector<S>) -> Self::Vector<S> {
                $exp(s, a)
            }
            #[inline(always)]
            fn transpose_tile<S: Simd>(s: S, from: (&[Self], usize), to: (&mut [Self], usize)) {
                $tile(s, from, to);
            }
            #[inline(always)]
            fn where_at_most<S: Simd>(
                s: S,
                x: Self::Vector<S>,
                y: Self::Vector<S>,
                a: Self::Vector<S>,
                b: Self::Vector<S>,
            ) -> Self::Vector<S> {
                s.$select(s.$at_most(x, y), a, b)
            }
            fn take_scratch() -> Vec<Self> {
                $scratch.take()
            }
            fn give_scratch(scratch: Vec<Self>) {
                $scratch.set(scratch);
            }
            fn run<'a, O: Operation>(
                on: O::On<'a, Self>,
                single: fn(O::On<'a, f32>) -> O::Result<f32>,
                general: impl FnOnce(O::On<'a, Self>) -> O::Result<Self>,
            ) -> O::Result<Self> {
                ((single, general).$which)(on)
            }
            #[inline(always)]
            fn where_not_zero<S: Simd>(s: S, keep: Self::Vector<S>, a: Self::Vector<S>) -> Self::Vector<S> {
                let zero = s.$splat(0.0);
                s.$select(s.$equal(keep, zero), zero, a)
            }
        }
    };
}
real!(
    f32,
    f32s,
    [as_simd_f32s as_mut_simd_f32s splat_f32s add_f32s sub_f32s mul_f32s div_f32s max_f32s sqrt_f32s
     mul_add_e_f32s reduce_sum_f32s equal_f32s less_than_or_equal_f32s
     select_f32s],
    exp_f32,
    transpose::tile_f32,
    SCRATCH_F32,
    0
);
real!(
    f64,
    f64s,
    [as_simd_f64s as_mut_simd_f64s splat_f64s add_f64s sub_f64s mul_f64s div_f64s max_f64s sqrt_f64s
     mul_add_e_f64s reduce_sum_f64s equal_f64s less_than_or_equal_f64s
     select_f64s],
    exp_f64,
    transpose::tile,
    SCRATCH_F64,
    1
);

/// e^x = 2^n 2^r with n whole and |r| <= 1/2: a minimax polynomial in r, and n added to the exponent bits. The relative
/// error is below 2.2e-7 for |x| <= 4 and grows with x to 1.4e-6 at 87, so that a softmax or a logistic function is off by
/// at most 2.2e-7. x is held within [-87, 88], where e^x is a normal number.
#[inline(always)]
fn exp_f32<S: Simd>(s: S, x: S::f32s) -> S::f32s {
    let c = |v: f32| s.splat_f32s(v);
    // The second operand counts where one is no number: what is no number stays none.
    let x = s.max_f32s(c(-87.0), s.min_f32s(c(88.0), x));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the mantissa.
    let shifted = s.mul_add_e_f32s(x, c(std::f32::consts::LOG2_E), c(12_582_912.0));
    let minus_n = s.sub_f32s(c(12_582_912.0), shifted);
    let r = s.mul_add_e_f32s(x, c(std::f32::consts::LOG2_E), minus_n);
    let mut p = c(1.330_060_7e-3);
    for k in [9.669_691e-3, 5.550_558_5e-2, 0.240_222_83, std::f32::consts::LN_2, 1.0] {
        p = s.mul_add_e_f32s(p, r, c(k));
    }
    let exponent = s.wrapping_dyn_shl_u32s(s.transmute_u32s_f32s(shifted), s.splat_u32s(23));
    s.transmute_f32s_u32s(s.add_u32s(s.transmute_u32s_f32s(p), exponent))
}

/// e^x lane by lane with the standard library: f64 is for checks, where exactness matters more than time.
#[inline(always)]
fn exp_f64<S: Simd>(_: S, mut x: S::f64s) -> S::f64s {
    for lane in pulp::bytemuck::cast_slice_mut::<S::f64s, f64>(std::slice::from_mut(&mut x)) {
        *lane = lane.exp();
    }
    x
}

/// One register with arithmetic.
#[derive(Clone, Copy)]
pub(crate) struct V<S: Simd, T: Real> {
    simd: S,
    pub(crate) value: T::Vector<S>,
}

impl<S: Simd, T: Real> V<S, T> {
    /// Numbers in one register.
    pub(crate) const LANES: usize = size_of::<T::Vector<S>>() / size_of::<T>();

    #[inline(always)]
    pub(crate) fn new(simd: S, value: T::Vector<S>) -> Self {
        V { simd, value }
    }
    #[inline(always)]
    pub(crate) fn splat(simd: S, x: T) -> Self {
        V { simd, value: T::splat(simd, x) }
    }
    #[inline(always)]
    pub(crate) fn zero(simd: S) -> Self {
        Self::splat(simd, T::ZERO)
    }
    /// `self * b + c`, rounded once where the machine can.
    #[inline(always)]
    pub(crate) fn fma(self, b: Self, c: Self) -> Self {
        V { simd: self.simd, value: T::fma(self.simd, self.value, b.value, c.value) }
    }
    #[inline(always)]
    pub(crate) fn max(self, b: Self) -> Self {
        V { simd: self.simd, value: T::max(self.simd, self.value, b.value) }
    }
    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        V { simd: self.simd, value: T::sqrt(self.simd, self.value) }
    }
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        V { simd: self.simd, value: T::exp(self.simd, self.value) }
    }
    /// `self` where `x` is at most `y`, `other` elsewhere.
    #[inline(always)]
    pub(crate) fn where_at_most(self, x: Self, y: Self, other: Self) -> Self {
        V { simd: self.simd, value: T::where_at_most(self.simd, x.value, y.value, self.value, other.value) }
    }
    /// 0 where `keep` is 0, `self` elsewhere.
    #[inline(always)]
    pub(crate) fn where_not_zero(self, keep: Self) -> Self {
        V { simd: self.simd, value: T::where_not_zero(self.simd, keep.value, self.value) }
    }
    /// The first lane.
    #[inline(always)]
    pub(crate) fn first(self) -> T {
        pulp::bytemuck::cast_slice::<T::Vector<S>, T>(std::slice::from_ref(&self.value))[0]
    }
    /// The largest lane.
    #[inline(always)]
    pub(crate) fn largest(self) -> T {
        let lanes = pulp::bytemuck::cast_slice::<T::Vector<S>, T>(std::slice::from_ref(&self.value));
        lanes.iter().fold(lanes[0], |most, x| if *x > most { *x } else { most })
    }
    #[inline(always)]
    pub(crate) fn sum(self) -> T {
        T::sum(self.simd, self.value)
    }
}

macro_rules! operator {
    ($trait:ident $method:ident) => {
        impl<S: Simd, T: Real> $trait for V<S, T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, b: Self) -> Self {
                V { simd: self.simd, value: <T as Real>::$method(self.simd, self.value, b.value) }
            }
        }
    };
}
operator!(Add add);
operator!(Sub sub);
operator!(Mul mul);
operator!(Div div);

/// An operation with its arguments, for either number type.
#[doc(hidden)]
pub trait Operation {
    type On<'a, T: Real>;
    type Result<T: Real>;
}

/// Defines an operation whose body is compiled once for each instruction set and chosen at run time: inside, `$simd`
/// is the instruction set. In f32 it is compiled here and in no crate that calls it.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$t:ident>($simd:ident, $($arg:ident: $ty:ty),* $(,)?) -> $out:ty $body:block) => {
        $(#[$meta])*
        $vis fn $name<'a, $t: $crate::real::Real>($($arg: $ty),*) -> $out {
            struct On<'a, $t> { marker: std::marker::PhantomData<&'a $t>, $($arg: $ty),* }
            impl<'a, $t: $crate::real::Real> pulp::WithSimd for On<'a, $t> {
                type Output = $out;
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, $simd: S) -> $out {
                    let Self { marker: _, $($arg),* } = self;
                    $body
                }
            }
            struct Operation;
            impl $crate::real::Operation for Operation {
                type On<'a, $t: $crate::real::Real> = On<'a, $t>;
                type Result<$t: $crate::real::Real> = $out;
            }
            fn single(on: On<'_, f32>) -> <Operation as $crate::real::Operation>::Result<f32> {
                pulp::Arch::new().dispatch(on)
            }
            let on = On { marker: std::marker::PhantomData, $($arg),* };
            $t::run::<Operation>(on, single, |on| pulp::Arch::new().dispatch(on))
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$t:ident>($simd:ident, $($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $crate::real::vectorized! { $(#[$meta])* $vis fn $name<$t>($simd, $($arg: $ty),*) -> () $body }
    };
}
pub(crate) use vectorized;

#[cfg(test)]
mod tests {
    use super::*;

    vectorized! {
        fn exponentials<T>(simd, x: &'a mut [T]) {
            for x in T::lanes_mut(simd, x) {
                *x = V::<S, T>::new(simd, *x).exp().value;
            }
        }
    }

    /// Without the right features of the library, a CPU gets single numbers and multiply-adds by software.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_widest_registers_of_the_cpu_are_used() {
        struct Lanes;
        impl pulp::WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        let lanes = pulp::Arch::new().dispatch(Lanes);
        let widest = pulp::x86::V4::try_new().map(|_| 16).or(pulp::x86::V3::try_new().map(|_| 8));
        assert!(widest.is_none_or(|widest| lanes == widest), "{lanes} of {widest:?}");
    }

    #[test]
    fn what_is_no_number_has_no_exponential() {
        let mut x = vec![0.5f32; 64];
        x[7] = f32::NAN;
        exponentials(&mut x);
        assert!(x.iter().enumerate().all(|(i, x)| x.is_nan() == (i == 7)), "{x:?}");
    }

    #[test]
    fn exponential_is_as_exact_as_documented() {
        for (most, error) in [(4.0, 2.2e-7), (87.0, 1.4e-6)] {
            let x: Vec<f32> = (0..1 << 20).map(|i| most * (i as f32 / (1 << 19) as f32 - 1.0)).collect();
            let mut y = x.clone();
            exponentials(&mut y);
            for (x, y) in x.iter().zip(&y) {
                assert!((f64::from(*y) / f64::from(*x).exp() - 1.0).abs() < error, "e^{x} is not {y}");
            }
        }
    }
}
