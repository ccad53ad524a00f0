//! Two models, or two prompt styles, on the same items: the difference with its interval, and a test of equality.

use crate::{Interval, StandardError, mean, score_interval, standard_error, t_quantile, t_two_sided};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// How one list of scores compares with another on the same items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Mean of b - a, item by item.
    pub difference: Interval,
    /// Its standard error, never zero; what [`crate::minimum_detectable_effect`] takes.
    pub se: StandardError,
    /// Two-sided p-value of "no difference".
    pub p_value: f64,
    /// Items on which b scores higher.
    pub better: usize,
    /// Items on which b scores lower.
    pub worse: usize,
    /// Items on which both score the same.
    pub equal: usize,
}

/// Compares `b` with `a` item by item, at confidence `level` (0.95).
///
/// `clusters` and `range` are those of [`score_interval`]. Pairing takes out what is hard or easy for both (Miller 2024,
/// arXiv 2411.00640, section 4).
///
/// - Scores at one end or the other of the range (right or wrong): one item on which b is better and one on which it is
///   worse are added before the interval is taken (Bonett & Price 2012, whose interval this is, with t for the normal), so
///   that it has a width even where no pair differs. With clusters each is added as often as the design effect says that
///   a cluster repeats itself, or as a cluster has items if no pair differs. Without clusters the test is [`mcnemar`]'s,
///   else that of t; as the former and the interval are made differently they may disagree by a hair.
/// - Other scores: [`score_interval`] of the differences, and the t test. If all differ by the same amount, which
///   leaves no spread, the sign test over clusters.
///
/// Measured (`--example coverage`, 4,000 samples a cell, 10 to 1,000 items, of which .02, .1 or .3 differ, clusters as for
/// [`score_interval`]): equal models are told apart at .05 in at most .054 of samples, of 1,000 items with .3 differing in
/// .037-.052; with few clusters or few that differ hardly ever. The intervals cover .937 to 1 of true differences, but .87
/// in one of 90 cells: ten clusters of 20, correlation .3, one item in ten differing and nine of ten of these to one side.
///
/// `None` where nothing can be said: fewer than two items or clusters, or equal differences without a range.
///
/// # Panics
/// If the lengths differ, a score is not finite or outside the range, or `level` is not in (0, 1).
pub fn paired(a: &[f64], b: &[f64], clusters: Option<&[u32]>, range: Option<(f64, f64)>, level: f64) -> Option<Paired> {
    assert_eq!(a.len(), b.len(), "paired scores come in pairs");
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let better = differences.iter().filter(|d| **d > 0.0).count();
    let worse = differences.iter().filter(|d| **d < 0.0).count();
    let equal = differences.len() - better - worse;
    let at_an_end = |&s: &f64| range.is_some_and(|(low, high)| s == low || s == high);
    let (difference, se, p_value) = if a.iter().chain(b).all(at_an_end) {
        let (difference, se, t_test) = right_or_wrong(&differences, clusters, range?, level)?;
        let alone = se.units > differences.len() as f64 - 0.5;
        (difference, se, if alone { mcnemar(better, worse) } else { t_test })
    } else {
        graded(&differences, clusters, range, level)?
    };
    Some(Paired { difference, se, p_value, better, worse, equal })
}

/// Interval, standard error and p-value of t for differences of scores that are each at an end of the range.
fn right_or_wrong(
    differences: &[f64],
    clusters: Option<&[u32]>,
    (low, high): (f64, f64),
    level: f64,
) -> Option<(Interval, StandardError, f64)> {
    assert!(0.0 < level && level < 1.0, "a level in (0, 1), not {level}");
    let seen = standard_error(differences, clusters)?;
    let (n, width) = (differences.len(), high - low);
    let names = clusters.map_or_else(|| (0..n as u32).collect(), <[u32]>::to_vec);
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    // Relabelled from 2 on, so that 0 and 1 are free for what is added.
    let mut labels: Vec<u32> = names.iter().map(|l| 2 + sorted.partition_point(|x| x < l) as u32).collect();
    let plain = standard_error(differences, None)?.value;
    let whole = n as f64 / sorted.len() as f64;
    let copies = if plain > 0.0 { (seen.value / plain).powi(2).min(whole) } else { whole };
    let size = copies.round() as usize;
    let mut all = differences.to_vec();
    for (label, added) in [(0, width), (1, -width)] {
        all.extend(std::iter::repeat_n(added, size));
        labels.extend(std::iter::repeat_n(label, size));
    }
    let (value, centre) = (mean(differences), mean(&all));
    // The added items lend spread, not knowledge of it: the degrees of freedom stay.
    let se = StandardError { value: standard_error(&all, Some(&labels))?.value, ..seen };
    let half = t_quantile(0.5 + level / 2.0, se.dof) * se.value;
    let (low, high) = ((centre - half).max(-width).min(value), (centre + half).min(width).max(value));
    Some((Interval { value, low, high }, se, t_two_sided(centre / se.value, se.dof)))
}

/// Interval, standard error and p-value for differences of any other scores.
fn graded(
    differences: &[f64],
    clusters: Option<&[u32]>,
    range: Option<(f64, f64)>,
    level: f64,
) -> Option<(Interval, StandardError, f64)> {
    let se = standard_error(differences, clusters)?;
    let width = range.map(|(low, high)| (low - high, high - low));
    let interval = score_interval(differences, clusters, width, level)?;
    if differences.iter().any(|d| *d != differences[0]) {
        return Some((interval, se, t_two_sided(interval.value / se.value, se.dof)));
    }
    // No spread was seen: the standard error is what the interval stands for.
    let value = (interval.high - interval.low) / 2.0 / t_quantile(0.5 + level / 2.0, se.dof);
    let p_value = if interval.value == 0.0 { 1.0 } else { 2.0 * 0.5f64.powf(se.units) };
    Some((interval, StandardError { value, ..se }, p_value))
}

/// McNemar's test (1947) that as many items are `better` as `worse`, from the binomial distribution of the `better` among
/// those that differ: the two-sided mid-p-value, 1 where they are equal in number.
///
/// The exact p-value counts the outcome seen in full, the mid-p-value half. By enumeration over 5 to 300 items,
/// of which each differs with chance q up to .5, mid-p at .05 rejects equality in at most .0497 of cases, exact in .020 (16
/// items) to .041 (300): power thrown away. Where nearly all of a few items differ, mid-p may reject up to .077 (16 items).
pub fn mcnemar(better: usize, worse: usize) -> f64 {
    let fewer = better.min(worse) as u64;
    if better == worse {
        return 1.0;
    }
    Binomial::new(0.5, (better + worse) as u64)
        .map_or(f64::NAN, |b| if fewer > 0 { 2.0 * b.cdf(fewer - 1) + b.pmf(fewer) } else { b.pmf(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

    #[test]
    fn mcnemar_by_hand() {
        assert_eq!((mcnemar(0, 0), mcnemar(3, 3), mcnemar(0, 1)), (1.0, 1.0, 0.5));
        // Of 10: P(0) + P(1) / 2, both sides: (2 + 10) / 1024.
        assert!((mcnemar(1, 9) - 12.0 / 1024.0).abs() < 1e-12);
        assert!((mcnemar(9, 1) - mcnemar(1, 9)).abs() < 1e-15);
        // Far out it does not collapse to zero, and nears the normal's value: z = 200 / sqrt(10200).
        assert!((mcnemar(5200, 5000) / 0.047_66 - 1.0).abs() < 0.01, "{}", mcnemar(5200, 5000));
    }

    #[test]
    fn pairing_removes_what_is_shared() {
        let a = [1.0, 5.0, 9.0];
        let found = paired(&a, &[1.0, 4.0, 7.0], None, None, 0.95).expect("three pairs");
        assert!((found.difference.value + 1.0).abs() < 1e-12 && (found.se.value - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!((found.better, found.worse, found.equal), (0, 2, 1));
    }

    #[test]
    fn bonett_and_prices_interval_up_to_t() {
        // 30 better, 10 worse, 60 alike: (31 - 11) / 102 +- 1.96 sqrt((42/102 - (20/102)^2) / 102) is (.0775, .3146).
        let a: Vec<f64> = (0..100).map(|i| f64::from(i >= 30)).collect();
        let b: Vec<f64> = (0..100).map(|i| f64::from(!(30..40).contains(&i))).collect();
        let found = paired(&a, &b, None, UNIT, 0.95).expect("a hundred pairs");
        assert_eq!((found.better, found.worse, found.equal), (30, 10, 60));
        assert!((found.difference.value - 0.2).abs() < 1e-12 && found.p_value == mcnemar(30, 10));
        assert!((found.difference.low - 0.0775).abs() < 3e-3 && (found.difference.high - 0.3146).abs() < 3e-3);
    }

    #[test]
    fn models_that_never_differ_may_yet_differ() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
        let found = paired(&a, &a, None, UNIT, 0.95).expect("fifty pairs");
        assert!(found.p_value == 1.0 && found.difference.low < -0.03 && found.difference.high > 0.03, "{found:?}");
        assert!(found.se.value > 0.0 && found.equal == 50);
        let grades: Vec<f64> = (0..50).map(|i| f64::from(i) / 50.0).collect();
        let found = paired(&grades, &grades, None, UNIT, 0.95).expect("fifty pairs");
        assert!(found.p_value == 1.0 && found.difference.low < -0.03 && found.se.value > 0.0, "{found:?}");
        assert_eq!(paired(&grades, &grades, None, None, 0.95), None);
    }

    #[test]
    fn clusters_of_copies_prove_no_more_than_one_of_them() {
        let (a, b) = ([0.0; 8], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        let copies = |x: &[f64]| -> Vec<f64> { x.iter().flat_map(|s| [*s; 10]).collect() };
        let passages: Vec<u32> = (0..80).map(|i| i / 10).collect();
        let alone = paired(&a, &b, None, UNIT, 0.95).expect("eight pairs");
        let clustered = paired(&copies(&a), &copies(&b), Some(&passages), UNIT, 0.95).expect("eight passages");
        assert!((alone.difference.low - clustered.difference.low).abs() < 1e-9, "{alone:?} {clustered:?}");
        assert!(clustered.p_value > 1e-3, "{clustered:?}");
    }

    #[test]
    fn one_pair_or_one_passage_says_nothing() {
        assert_eq!(paired(&[0.0], &[1.0], None, UNIT, 0.95), None);
        assert_eq!(paired(&[0.0; 9], &[1.0; 9], Some(&[4; 9]), UNIT, 0.95), None);
    }

    proptest! {
        #[test]
        fn turned_round_it_is_the_same(
            pairs in prop::collection::vec((0..2u8, 0..2u8), 2..40),
            size in 1..4u32,
            grade in prop_oneof![Just(1.0), 0.1..0.9f64],
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|p| (f64::from(p.0), grade * f64::from(p.1))).unzip();
            let clusters: Vec<u32> = (0..a.len() as u32).map(|i| i / size).collect();
            let Some(found) = paired(&a, &b, Some(&clusters), UNIT, 0.95) else {
                prop_assert!(a.len() <= size as usize);
                return Ok(());
            };
            let other = paired(&b, &a, Some(&clusters), UNIT, 0.95).expect("as before");
            prop_assert!((found.difference.low + other.difference.high).abs() < 1e-9);
            prop_assert!((found.p_value - other.p_value).abs() < 1e-9 && (0.0..=1.0).contains(&found.p_value));
            prop_assert!(found.difference.low < found.difference.high && found.se.value > 0.0);
            prop_assert!(found.difference.contains(found.difference.value));
            prop_assert_eq!(found.better + found.worse + found.equal, a.len());
        }
    }
}
