//! Simonsohn's two-lines test of a U-shape (2018, doi 10.1177/2515245918805755).

use crate::t_two_sided;

/// A slope with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The slope.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
    /// Two-sided p-value against zero.
    pub p: f64,
}

/// Slopes on both sides of a break.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoLines {
    /// Where the line was broken.
    pub at: f64,
    /// Slope up to the break.
    pub before: Slope,
    /// Slope from the break on.
    pub after: Slope,
}

/// Fits `y` by two unconnected lines, up to and from `at` on, with heteroskedasticity-consistent errors (HC3). What lies at
/// the break belongs to both, as in Simonsohn's own code: with few positions it would weaken either side to lack it.
///
/// Each side needs at least three points over two positions; `None` otherwise. It is a U if the slopes have opposite
/// signs and both p-values are small. A quadratic would not do: on a log axis it finds a U in saturating growth.
///
/// # Panics
/// If the lengths differ.
pub fn two_lines(x: &[f64], y: &[f64], at: f64) -> Option<TwoLines> {
    assert_eq!(x.len(), y.len(), "as many positions as values");
    let side = |below: bool| -> (Vec<f64>, Vec<f64>) {
        x.iter().zip(y).filter(|(x, _)| if below { **x <= at } else { **x >= at }).map(|(x, y)| (*x, *y)).unzip()
    };
    let ((x0, y0), (x1, y1)) = (side(true), side(false));
    Some(TwoLines { at, before: slope(&x0, &y0)?, after: slope(&x1, &y1)? })
}

/// Least-squares slope of `y` over `x` with its HC3 error (MacKinnon & White 1985), t with n - 2 degrees of freedom.
///
/// `None` for fewer than three points or a single position.
///
/// # Panics
/// If the lengths differ.
pub fn slope(x: &[f64], y: &[f64]) -> Option<Slope> {
    assert_eq!(x.len(), y.len(), "as many positions as values");
    let n = x.len() as f64;
    let (mx, my) = (crate::mean(x), crate::mean(y));
    let sxx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    if x.len() < 3 || sxx <= 1e-12 * n {
        return None;
    }
    let b = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / sxx;
    let mut meat = 0.0;
    for (x, y) in x.iter().zip(y) {
        let leverage = 1.0 / n + (x - mx).powi(2) / sxx;
        let residual = (y - my - b * (x - mx)) / (1.0 - leverage).max(1e-6);
        meat += ((x - mx) * residual).powi(2);
    }
    let se = meat.sqrt() / sxx;
    let p = if se > 0.0 { t_two_sided(b / se, n - 2.0) } else { f64::from(b == 0.0) };
    Some(Slope { value: b, se, p })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, Normal};
    use saltus_random::Key;

    #[test]
    fn a_v_is_found_and_a_line_is_not() {
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let v: Vec<f64> = x.iter().map(|x| (x - 6.0).abs() + 0.1 * (x * 7.0).sin()).collect();
        let found = two_lines(&x, &v, 6.0).expect("enough points");
        assert!(found.before.value < -0.9 && found.after.value > 0.9 && found.before.p < 0.01 && found.after.p < 0.01);
        let line = two_lines(&x, &x, 6.0).expect("enough points");
        assert!(line.before.value > 0.0 && line.after.value > 0.0);
        assert!(two_lines(&x, &v, 1.0).is_none(), "two points are too few");
    }

    /// Under flat truth each slope is rejected about 5% of the time, whatever the noise at each end.
    #[test]
    fn the_slope_test_has_its_level() {
        let x: Vec<f64> = (0..12).map(|i| f64::from(i / 3)).collect();
        let noise = Normal::new(0.0, 1.0).expect("a valid normal");
        let trials = 4000;
        let hits = (0..trials)
            .filter(|&t| {
                let mut rng = Key::new(9).index(t).rng();
                let y: Vec<f64> = x.iter().map(|x| (0.5 + x) * noise.sample(&mut rng)).collect();
                slope(&x, &y).expect("enough points").p < 0.05
            })
            .count();
        let rate = hits as f64 / trials as f64;
        println!("HC3 slope test, 4 sizes x 3 seeds, unequal noise: rejects a flat truth {rate:.3} of the time (.05)");
        assert!((0.01..0.08).contains(&rate), "{rate}");
    }
}
