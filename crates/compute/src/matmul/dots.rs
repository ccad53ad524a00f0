//! Sums over lanes, for products of few columns whose factors both lie along the contracted index.

use super::{Matrix, MatrixMut, Size};
use crate::real::{Real, V};
use pulp::{Simd, WithSimd};

/// `c += a b^T` where the rows of both are contiguous along the contracted index, `k`, a multiple of the register
/// width.
pub(super) struct RowDots<'a, T> {
    pub(super) size: Size,
    pub(super) a: Matrix<'a, T>,
    pub(super) b: Matrix<'a, T>,
    pub(super) c: MatrixMut<'a, T>,
}

impl<T: Real> WithSimd for RowDots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.tiles::<S, 4, 4>(simd) } else { self.tiles::<S, 4, 2>(simd) }
    }
}

impl<T: Real> RowDots<'_, T> {
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const COLUMNS: usize>(&mut self, simd: S) {
        for i in (0..self.size.m).step_by(ROWS) {
            for j in (0..self.size.n).step_by(COLUMNS) {
                self.tile::<S, ROWS, COLUMNS>(simd, i, j);
            }
        }
    }

    /// The tile at row `i` and column `j`; where it reaches over the edge, the last row or column is computed again
    /// and dropped.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const COLUMNS: usize>(&mut self, simd: S, i: usize, j: usize) {
        let Size { m, n, k } = self.size;
        let steps = k / V::<S, T>::LANES;
        let left: [_; ROWS] = std::array::from_fn(|r| vectors(simd, self.a, (i + r).min(m - 1), k));
        let right: [_; COLUMNS] = std::array::from_fn(|r| vectors(simd, self.b, (j + r).min(n - 1), k));
        let mut sums = [[V::<S, T>::zero(simd); COLUMNS]; ROWS];
        for p in 0..steps {
            let right: [_; COLUMNS] = std::array::from_fn(|c| V::<S, T>::new(simd, right[c][p]));
            for (sums, left) in sums.iter_mut().zip(&left) {
                let left = V::new(simd, left[p]);
                for (sum, right) in sums.iter_mut().zip(&right) {
                    *sum = left.fma(*right, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate().take(m - i) {
            for (c, sum) in sums.iter().enumerate().take(n - j) {
                self.c.data[(i + r) * self.c.stride + j + c] += sum.sum();
            }
        }
    }
}

/// The first `k` numbers of row `r`, as registers.
#[inline(always)]
fn vectors<'a, S: Simd, T: Real>(simd: S, x: Matrix<'a, T>, r: usize, k: usize) -> &'a [T::Vector<S>] {
    &T::lanes(simd, &x.data[r * x.stride..][..k])[..k / V::<S, T>::LANES]
}
