//! Starts by variable projection: for given exponents E and the coefficients are a non-negative linear least-squares
//! problem, so the search is over the exponents alone (Golub & Pereyra 1973).
//!
//! The five-variable problem has a condition number around 3.5e11 on the data of arXiv 2404.10102; projected onto the
//! two exponents it is about 11.

use crate::objective::{Problem, solve};
use saltus_stats::minimise::{Stop, nelder_mead};

/// Exponents of the grid: 16 values between these, evenly in their logarithm.
const EXPONENTS: (f64, f64) = (0.02, 2.0);
const GRID: usize = 16;
/// How many of the grid's best local minima are taken further.
const STARTS: usize = 6;
/// No search starts with E or a term below this share of the least loss.
const FLOOR: f64 = 1e-3;

/// Starting points theta for [`Problem::polish`], best first.
pub(crate) fn starts<const K: usize>(problem: &Problem<K>, weights: &[f64]) -> Vec<Vec<f64>> {
    let step = (EXPONENTS.1 / EXPONENTS.0).ln() / (GRID - 1) as f64;
    let exponents = |cell: usize| -> [f64; K] {
        std::array::from_fn(|k| EXPONENTS.0.ln() + step * ((cell / GRID.pow(k as u32)) % GRID) as f64)
    };
    let squares: Vec<f64> = (0..GRID.pow(K as u32)).map(|cell| project(problem, weights, &exponents(cell)).0).collect();
    let mut cells: Vec<usize> = (0..squares.len()).filter(|&cell| is_local_minimum::<K>(&squares, cell)).collect();
    cells.sort_by(|&a, &b| squares[a].total_cmp(&squares[b]));
    cells.truncate(STARTS);
    let stop = Stop { relative: 1e-9, absolute: 1e-300, evaluations: 300 };
    let mut found: Vec<(f64, Vec<f64>)> = cells
        .into_iter()
        .map(|cell| {
            let squares = |g: &[f64]| project(problem, weights, &std::array::from_fn(|k| g[k])).0;
            let best = nelder_mead(squares, &exponents(cell), &[0.5 * step; K], stop);
            (best.value, theta(problem, weights, &std::array::from_fn(|k| best.x[k])))
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, theta)| theta).collect()
}

/// Whether no neighbour along an axis of the grid is better; on a plateau the first cell counts.
fn is_local_minimum<const K: usize>(squares: &[f64], cell: usize) -> bool {
    (0..K).all(|k| {
        let stride = GRID.pow(k as u32);
        let at = (cell / stride) % GRID;
        (at == 0 || squares[cell - stride] > squares[cell])
            && (at == GRID - 1 || squares[cell + stride] >= squares[cell])
    })
}

fn theta<const K: usize>(problem: &Problem<K>, weights: &[f64], log_exponents: &[f64; K]) -> Vec<f64> {
    let (_, coefficients) = project(problem, weights, log_exponents);
    let mut theta = vec![coefficients[0].ln()];
    for k in 0..K {
        theta.extend([coefficients[1 + k].ln(), log_exponents[k]]);
    }
    off_the_boundary(problem, theta)
}

/// Raises E and the coefficients to a thousandth of the least loss: at zero their logarithms have no gradient, and a
/// search that starts there could never leave.
pub(crate) fn off_the_boundary<const K: usize>(problem: &Problem<K>, mut theta: Vec<f64>) -> Vec<f64> {
    let floor = problem.y.iter().copied().fold(f64::INFINITY, f64::min) + FLOOR.ln();
    theta[0] = theta[0].max(floor);
    for k in 0..K {
        theta[1 + 2 * k] = theta[1 + 2 * k].max(floor);
    }
    theta
}

/// Least sum of squared *relative* residuals over E >= 0 and coefficients >= 0 (of the centred terms) at these
/// exponents, with the coefficients. Relative residuals are log residuals to first order.
fn project<const K: usize>(problem: &Problem<K>, weights: &[f64], log_exponents: &[f64; K]) -> (f64, Vec<f64>) {
    let n = 1 + K;
    let (mut gram, mut target, mut total) = (vec![0.0; n * n], vec![0.0; n], 0.0);
    let mut row = vec![0.0; n];
    for (i, (&w, y)) in weights.iter().zip(&problem.y).enumerate().filter(|(_, (w, _))| **w > 0.0) {
        row[0] = (-y).exp();
        for k in 0..K {
            row[1 + k] = (-y - log_exponents[k].exp() * problem.x[k][i]).exp();
        }
        total += w;
        for j in 0..n {
            target[j] += w * row[j];
            for k in 0..n {
                gram[j * n + k] += w * row[j] * row[k];
            }
        }
    }
    non_negative(&gram, &target, total)
}

/// min over c >= 0 of c'Gc - 2 c't + total, exactly: with at most three variables every set of those that are not zero
/// can be tried.
fn non_negative(gram: &[f64], target: &[f64], total: f64) -> (f64, Vec<f64>) {
    let n = target.len();
    let mut best = (total, vec![0.0; n]);
    for set in 1..1usize << n {
        let chosen: Vec<usize> = (0..n).filter(|j| set >> j & 1 == 1).collect();
        let matrix = chosen.iter().flat_map(|&j| chosen.iter().map(move |&k| gram[j * n + k])).collect();
        let solution = solve(matrix, chosen.iter().map(|&j| target[j]).collect());
        if !solution.iter().all(|c| c.is_finite() && *c > 0.0) {
            continue;
        }
        // At the solution c'Gc = c't.
        let value = total - chosen.iter().zip(&solution).map(|(&j, c)| c * target[j]).sum::<f64>();
        if value < best.0 {
            let mut full = vec![0.0; n];
            chosen.iter().zip(&solution).for_each(|(&j, c)| full[j] = *c);
            best = (value, full);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Karush-Kuhn-Tucker: where c > 0 the gradient vanishes, where c = 0 it does not point inwards.
        #[test]
        fn the_projection_is_optimal(columns in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 8), 3),
                                     y in prop::collection::vec(-1.0..1.0f64, 8)) {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let gram: Vec<f64> = columns.iter().flat_map(|a| columns.iter().map(|b| dot(a, b))).collect();
            let target: Vec<f64> = columns.iter().map(|a| dot(a, &y)).collect();
            let (value, c) = non_negative(&gram, &target, dot(&y, &y));
            for j in 0..3 {
                let gradient = dot(&gram[3 * j..3 * j + 3], &c) - target[j];
                prop_assert!(if c[j] > 0.0 { gradient.abs() < 1e-9 } else { gradient > -1e-9 }, "{c:?} {gradient}");
            }
            prop_assert!(value >= -1e-9 && value <= dot(&y, &y));
        }
    }
}
