//! Local minimisation of smooth and nearly non-smooth functions of a few variables: BFGS with a gradient, Nelder-Mead without.
//!
//! Both are deterministic, allocate a handful of small vectors and never panic on a non-finite value: a point where the
//! function is not finite counts as "too far". Neither looks for a global minimum: give several starts.

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Stop when the expected decrease falls below this share of the function's value.
    pub relative: f64,
    /// Stop when the expected decrease falls below this. It decides when the minimum itself is zero.
    pub absolute: f64,
    /// Stop after this many evaluations of the function.
    pub evaluations: usize,
}

impl Stop {
    fn reached(&self, decrease: f64, value: f64) -> bool {
        decrease <= self.relative * value.abs() + self.absolute
    }
}

/// Where a minimisation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The point.
    pub x: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Evaluations of the function.
    pub evaluations: usize,
    /// Whether the expected decrease fell below the tolerance: false if the evaluations or the machine's precision ran
    /// out first.
    pub converged: bool,
}

/// Sufficient decrease and curvature of the weak Wolfe conditions.
const ARMIJO: f64 = 1e-4;
const CURVATURE: f64 = 0.5;

/// Minimises `f` from `start` by BFGS with a bisecting weak-Wolfe line search (Lewis & Overton 2013, doi
/// 10.1007/s10107-012-0514-2), which also works on functions that are smooth almost everywhere.
///
/// `f(x, gradient)` returns the value and overwrites `gradient`. `inverse_hessian` is the first guess, n x n by rows: a
/// good one (an inverse Gauss-Newton matrix) makes the search independent of the scaling of the variables. It must be
/// symmetric and positive definite; `None` is the identity. The expected decrease of [`Stop`] is half of g'Hg.
///
/// # Panics
/// If `inverse_hessian` is not `start.len()` squared long.
pub fn bfgs(
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: &[f64],
    inverse_hessian: Option<&[f64]>,
    stop: Stop,
) -> Minimum {
    let n = start.len();
    let identity = || (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
    let mut h = inverse_hessian.map_or_else(identity, <[f64]>::to_vec);
    assert_eq!(h.len(), n * n, "the inverse Hessian must have {n} x {n} elements");
    let mut here = Place { x: start.to_vec(), gradient: vec![0.0; n], value: 0.0 };
    here.value = f(&here.x, &mut here.gradient);
    let mut there = here.clone();
    let mut direction = vec![0.0; n];
    let (mut evaluations, mut converged) = (1, false);
    while evaluations < stop.evaluations && here.value.is_finite() {
        multiply(&h, &here.gradient, &mut direction);
        direction.iter_mut().for_each(|d| *d = -*d);
        let mut slope = dot(&here.gradient, &direction);
        if slope >= 0.0 || !slope.is_finite() {
            // Rounding has spoilt the matrix: begin again from steepest descent.
            h = identity();
            direction.iter_mut().zip(&here.gradient).for_each(|(d, g)| *d = -g);
            slope = dot(&here.gradient, &direction);
        }
        converged = stop.reached(-slope / 2.0, here.value);
        if converged || !line_search(&mut f, &here, &direction, slope, &mut there, &mut evaluations) {
            break;
        }
        update(&mut h, &here, &there);
        std::mem::swap(&mut here, &mut there);
    }
    Minimum { x: here.x, value: here.value, evaluations, converged }
}

#[derive(Clone)]
struct Place {
    x: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
}

/// Moves `there` to a point on the ray from `here` that satisfies the weak Wolfe conditions; false if there is none
/// within the machine's precision.
fn line_search(
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    here: &Place,
    direction: &[f64],
    slope: f64,
    there: &mut Place,
    evaluations: &mut usize,
) -> bool {
    let (mut low, mut high, mut t) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..60 {
        for ((new, old), d) in there.x.iter_mut().zip(&here.x).zip(direction) {
            *new = old + t * d;
        }
        there.value = f(&there.x, &mut there.gradient);
        *evaluations += 1;
        let enough = there.value <= here.value + ARMIJO * t * slope;
        if !enough || !there.value.is_finite() {
            high = t;
        } else if dot(&there.gradient, direction) < CURVATURE * slope {
            low = t;
        } else {
            return true;
        }
        t = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
    }
    false
}

/// The BFGS update of the inverse Hessian, H <- (I - r s y')H(I - r y s') + r s s' with r = 1 / s'y.
fn update(h: &mut [f64], here: &Place, there: &Place) {
    let n = here.x.len();
    let s: Vec<f64> = there.x.iter().zip(&here.x).map(|(a, b)| a - b).collect();
    let y: Vec<f64> = there.gradient.iter().zip(&here.gradient).map(|(a, b)| a - b).collect();
    let sy = dot(&s, &y);
    if sy <= f64::EPSILON * (dot(&s, &s) * dot(&y, &y)).sqrt() {
        return;
    }
    let mut hy = vec![0.0; n];
    multiply(h, &y, &mut hy);
    let scale = (1.0 + dot(&y, &hy) / sy) / sy;
    for i in 0..n {
        for j in 0..n {
            h[i * n + j] += scale * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy;
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn multiply(matrix: &[f64], vector: &[f64], out: &mut [f64]) {
    for (row, o) in matrix.chunks_exact(vector.len()).zip(out) {
        *o = dot(row, vector);
    }
}

/// Minimises `f` from `start` without a gradient, by Nelder & Mead's simplex (1965) with the coefficients that adapt to
/// the dimension of Gao & Han (2012, doi 10.1007/s10589-010-9329-3). `step` is the size of the first simplex along each
/// variable. For up to about ten variables; the expected decrease of [`Stop`] is the spread of values over the simplex.
///
/// # Panics
/// If `start` is empty, or `step` and `start` differ in length.
pub fn nelder_mead(f: impl FnMut(&[f64]) -> f64, start: &[f64], step: &[f64], stop: Stop) -> Minimum {
    let n = start.len();
    assert!(n > 0 && step.len() == n, "one step for each of at least one variable, not {} for {n}", step.len());
    let mut search = Simplex { f, vertices: Vec::with_capacity(n + 1), evaluations: 0 };
    for i in 0..=n {
        let x: Vec<f64> = (0..n).map(|j| start[j] + if i == j + 1 { step[j] } else { 0.0 }).collect();
        let vertex = search.at(x);
        search.vertices.push(vertex);
    }
    loop {
        search.vertices.sort_by(|a, b| a.value.total_cmp(&b.value));
        let (best, worst) = (search.vertices[0].value, search.vertices[n].value);
        let converged = stop.reached(worst - best, best);
        if converged || search.evaluations >= stop.evaluations {
            let Vertex { value, x } = search.vertices.swap_remove(0);
            return Minimum { x, value, evaluations: search.evaluations, converged };
        }
        search.step();
    }
}

struct Vertex {
    value: f64,
    x: Vec<f64>,
}

struct Simplex<F> {
    f: F,
    /// n + 1 vertices, best first.
    vertices: Vec<Vertex>,
    evaluations: usize,
}

impl<F: FnMut(&[f64]) -> f64> Simplex<F> {
    fn at(&mut self, x: Vec<f64>) -> Vertex {
        self.evaluations += 1;
        let value = (self.f)(&x);
        Vertex { value: if value.is_nan() { f64::INFINITY } else { value }, x }
    }

    /// The point at `t` on the line from the centre of all but the worst vertex (0) to the worst (1).
    fn along(&mut self, centre: &[f64], t: f64) -> Vertex {
        let worst = &self.vertices[centre.len()].x;
        let x = centre.iter().zip(worst).map(|(c, w)| c + t * (w - c)).collect();
        self.at(x)
    }

    /// Replaces the worst vertex by a better one, or shrinks the simplex towards the best.
    fn step(&mut self) {
        let n = self.vertices.len() - 1;
        let d = n.max(2) as f64;
        let (expand, contract, shrink) = (1.0 + 2.0 / d, 0.75 - 0.5 / d, 1.0 - 1.0 / d);
        let (best, second, worst) = (self.vertices[0].value, self.vertices[n - 1].value, self.vertices[n].value);
        let centre: Vec<f64> =
            (0..n).map(|j| self.vertices[..n].iter().map(|v| v.x[j]).sum::<f64>() / n as f64).collect();
        let reflected = self.along(&centre, -1.0);
        if reflected.value < best {
            let further = self.along(&centre, -expand);
            self.vertices[n] = if further.value < reflected.value { further } else { reflected };
        } else if reflected.value < second {
            self.vertices[n] = reflected;
        } else {
            let closer = self.along(&centre, if reflected.value < worst { -contract } else { contract });
            if closer.value < reflected.value.min(worst) {
                self.vertices[n] = closer;
            } else {
                self.shrink(shrink);
            }
        }
    }

    fn shrink(&mut self, share: f64) {
        for i in 1..self.vertices.len() {
            let corner = &self.vertices[0].x;
            let x = corner.iter().zip(&self.vertices[i].x).map(|(c, x)| c + share * (x - c)).collect();
            self.vertices[i] = self.at(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STOP: Stop = Stop { relative: 1e-14, absolute: 1e-22, evaluations: 5000 };

    /// Rosenbrock's valley in any dimension; minimum 0 at (1, ..., 1).
    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len() - 1 {
            let (valley, slope) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * valley * valley + slope * slope;
            gradient[i] += -400.0 * x[i] * valley - 2.0 * slope;
            gradient[i + 1] += 200.0 * valley;
        }
        value
    }

    fn distance_to_ones(x: &[f64]) -> f64 {
        x.iter().map(|x| (x - 1.0).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn both_find_the_end_of_rosenbrocks_valley() {
        let found = bfgs(rosenbrock, &[-1.2, 1.0, -0.5, 2.0, 0.3], None, STOP);
        assert!(found.converged && distance_to_ones(&found.x) < 1e-8 && found.evaluations < 200, "{found:?}");
        let found = nelder_mead(|x| rosenbrock(x, &mut [0.0; 2]), &[-1.2, 1.0], &[0.1, 0.1], STOP);
        assert!(found.converged && distance_to_ones(&found.x) < 1e-8 && found.evaluations < 500, "{found:?}");
    }

    /// sum_i c_i |x_i - 1| smoothed within 1e-3: the Huber objective of a median, all corners and no curvature.
    #[test]
    fn bfgs_crosses_the_corners_of_a_huber_sum() {
        let target: Vec<f64> = (0..41).map(|i| (f64::from(i) / 20.0 - 1.0).powi(3)).collect();
        let huber = |x: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            target
                .iter()
                .map(|t| {
                    let r = x[0] + 3.0 * x[1] * t - t;
                    let clipped = r.clamp(-1e-3, 1e-3);
                    gradient[0] += clipped;
                    gradient[1] += 3.0 * t * clipped;
                    clipped * (r - 0.5 * clipped)
                })
                .sum()
        };
        let found = bfgs(huber, &[5.0, -7.0], None, STOP);
        assert!(found.x[0].abs() < 1e-8 && (found.x[1] - 1.0 / 3.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn where_the_function_ends_is_too_far() {
        // x - ln x is NaN below zero; a full first step from 0.01 would land at 99.
        let f = |x: &[f64], g: &mut [f64]| {
            g[0] = 1.0 - 1.0 / x[0];
            x[0] - x[0].ln()
        };
        let found = bfgs(f, &[0.01], None, STOP);
        assert!((found.x[0] - 1.0).abs() < 1e-7, "{found:?}");
        let found = nelder_mead(|x| x[0] - x[0].ln(), &[0.01], &[-0.5], STOP);
        assert!((found.x[0] - 1.0).abs() < 1e-6, "{found:?}");
        let nowhere = bfgs(|_, _| f64::NAN, &[1.0], None, STOP);
        assert!(!nowhere.converged && nowhere.evaluations == 1);
    }

    #[test]
    fn too_few_evaluations_are_admitted() {
        let stop = Stop { evaluations: 10, ..STOP };
        assert!(!bfgs(rosenbrock, &[-1.2, 1.0], None, stop).converged);
        assert!(!nelder_mead(|x| rosenbrock(x, &mut [0.0; 2]), &[-1.2, 1.0], &[0.1, 0.1], stop).converged);
    }

    proptest! {
        /// With the true inverse Hessian, one step solves a quadratic however badly it is scaled.
        #[test]
        fn the_right_hessian_makes_scaling_harmless(scales in prop::collection::vec(-6.0..6.0f64, 1..6)) {
            let curvature: Vec<f64> = scales.iter().map(|s| 10f64.powf(*s)).collect();
            let n = curvature.len();
            let inverse: Vec<f64> =
                (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0 / curvature[i / n] } else { 0.0 }).collect();
            let f = |x: &[f64], g: &mut [f64]| {
                x.iter().zip(g).zip(&curvature).map(|((x, g), c)| {
                    *g = c * (x - 1.0);
                    0.5 * c * (x - 1.0).powi(2)
                }).sum()
            };
            let found = bfgs(f, &vec![-3.0; n], Some(&inverse), STOP);
            prop_assert!(found.converged && found.evaluations <= 4, "{:?}", found);
            prop_assert!(distance_to_ones(&found.x) < 1e-9);
        }
    }
}
