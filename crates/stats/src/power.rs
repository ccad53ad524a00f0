//! What a comparison could have seen: the minimum detectable effect, and the items that a smaller one would need.

use crate::{StandardError, t_quantile};

/// The true difference that a two-sided test at confidence `level` (0.95) finds with probability `power` (0.8), given the
/// standard error of the difference: (t(1 - (1 - level)/2) + t(power)) se.
///
/// Miller 2024, arXiv 2411.00640, section 5, with t for the normal; Card et al. 2020, arXiv 2010.06595, on why to print
/// it: a difference below it that was not found has not been refuted.
///
/// Measured (`--example coverage`): for power .8 the effect is found in .77-.82 of comparisons of 1,000 items, .77-.88 of
/// 200, but .69 with ten clusters of 20 and correlation .3, whose spread so few clusters show badly.
///
/// # Panics
/// If `level` or `power` is not in (0, 1).
pub fn minimum_detectable_effect(se: StandardError, level: f64, power: f64) -> f64 {
    assert!(0.0 < level && level < 1.0 && 0.0 < power && power < 1.0, "level {level}, power {power}: not in (0, 1)");
    (t_quantile(0.5 + level / 2.0, se.dof) + t_quantile(power, se.dof)) * se.value
}

/// How many items such as the `items` seen, in clusters such as theirs, would make `effect` > 0 the minimum detectable one.
///
/// Spread and clustering are taken to stay as seen. Infinite if no number would do.
///
/// # Panics
/// If `level` or `power` is not in (0, 1).
pub fn items_needed(se: StandardError, items: usize, effect: f64, level: f64, power: f64) -> f64 {
    let detectable = |ratio: f64| {
        let more = StandardError { value: se.value / ratio.sqrt(), dof: (se.dof * ratio).max(1.0), ..se };
        minimum_detectable_effect(more, level, power)
    };
    // Bisection on the logarithm of the ratio to the items seen: the effect falls as it grows.
    let (mut low, mut high) = (-30.0f64, 60.0f64);
    if detectable(high.exp()) > effect {
        return f64::INFINITY;
    }
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if detectable(middle.exp()) > effect { low = middle } else { high = middle }
    }
    // Rounding must not ask for one more than was found.
    (items as f64 * high.exp() - 1e-6).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_textbook() {
        // Normal: (1.95996 + 0.84162) = 2.80159 standard errors.
        let se = StandardError { value: 0.01, dof: f64::INFINITY, units: 1000.0 };
        assert!((minimum_detectable_effect(se, 0.95, 0.8) - 0.028_015_9).abs() < 1e-6);
        // Half the effect takes four times the items.
        assert_eq!(items_needed(se, 1000, 0.028_015_9 / 2.0, 0.95, 0.8), 4000.0);
        assert_eq!(items_needed(se, 1000, 0.0, 0.95, 0.8), f64::INFINITY);
        // Few clusters: t(.975, 4) = 2.7764, t(.8, 4) = 0.9410.
        let few = StandardError { value: 0.01, dof: 4.0, units: 5.0 };
        let effect = minimum_detectable_effect(few, 0.95, 0.8);
        assert!((effect - 0.037_174).abs() < 1e-5, "{effect}");
        assert_eq!(items_needed(few, 100, effect, 0.95, 0.8), 100.0);
    }
}
