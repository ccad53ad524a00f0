//! Coverage, level and power on simulated scores of known truth. The whole table: `--example coverage`.

mod common;

use common::{CLUSTERINGS, Clustering, LEVEL, Truth, UNIT};
use common::{coverage, grades_coverage, naive_coverage, power_at_the_detectable, rejections, unequal_coverage};
use saltus_stats::mcnemar;

const SIZES: [usize; 4] = [10, 50, 200, 1000];

/// With 600 samples a cell, three standard errors of a coverage of .95 are .027.
const TRIALS: u64 = 600;

#[test]
fn intervals_of_proportions_cover() {
    let mut ordinary = Vec::new();
    for clustering in CLUSTERINGS {
        for (p, n) in [0.0, 0.02, 0.3, 0.5, 0.98].into_iter().flat_map(|p| SIZES.map(|n| (p, n))) {
            let Some(found) = coverage(p, n, clustering, TRIALS) else {
                assert!(n <= clustering.size, "no interval for {n} items in {clustering:?}");
                continue;
            };
            // Rare hits that come in clumps: the known failure, held in view from both sides.
            let clumps = clustering.size == 20 && clustering.rho > 0.0 && !(0.1..0.9).contains(&p) && n == 1000;
            if clumps && p > 0.0 {
                assert!((0.8..0.92).contains(&found), "{clustering:?} p {p} n {n}: {found}");
                continue;
            }
            assert!(found >= 0.89, "{clustering:?} p {p} n {n}: {found}");
            if n == 1000 && p > 0.0 {
                assert!((0.92..=0.985).contains(&found), "{clustering:?} p {p} n {n}: {found}");
                ordinary.push(found);
            }
        }
    }
    let average = saltus_stats::mean(&ordinary);
    assert!((average - LEVEL).abs() < 0.012, "average coverage at 1,000 items: {average}");
}

#[test]
fn grades_and_unequal_clusters_cover() {
    for (some, n) in [(0.02, 50), (0.02, 200), (0.1, 10), (0.1, 200), (0.5, 50)] {
        let (bounded, plain) = (grades_coverage(some, n, UNIT, 2000), grades_coverage(some, n, None, 2000));
        assert!((0.905..0.98).contains(&bounded), "{some} {n}: {bounded}");
        assert!(some > 0.1 || bounded > plain, "what the range is for: {some} {n}: {bounded} {plain}");
    }
    let doubling: Vec<usize> = (0..10).map(|i| 1 << i).collect();
    let one_great = [vec![100], vec![10; 10]].concat();
    for sizes in [doubling, one_great, (10..=40).collect()] {
        for rho in [0.3, 1.0] {
            let found = unequal_coverage(&sizes, rho, 2000);
            assert!((0.925..0.975).contains(&found), "{sizes:?} rho {rho}: {found}");
        }
    }
}

#[test]
fn equal_models_are_told_apart_as_often_as_the_level_says() {
    for clustering in CLUSTERINGS {
        for (differ, n) in [0.02, 0.1, 0.3].into_iter().flat_map(|d| SIZES.map(|n| (d, n))) {
            let Some((found, held)) = rejections(Truth { differ, better: 0.5 }, n, clustering, TRIALS) else {
                assert!(n <= clustering.size, "no comparison of {n} items in {clustering:?}");
                continue;
            };
            assert!(found <= 0.077 && held >= 0.923, "{clustering:?} differ {differ} n {n}: {found} {held}");
            // Where there is something to see the test is not idle.
            assert!(differ < 0.3 || n < 1000 || found > 0.023, "{clustering:?} differ {differ} n {n}: {found}");
        }
    }
}

/// By enumeration, not by lot: the chance that n items, of which each differs with chance q, give a mid-p-value below .05.
/// Given the number that differ it may be as high as .077 (16 of them); over the numbers that occur it evens out, unless
/// nearly all items differ, so that their number hardly varies.
#[test]
fn the_mid_p_value_keeps_its_level() {
    let ln_choose = |n: usize, k: usize| {
        let f = |x: usize| saltus_stats::ln_gamma(x as f64 + 1.0);
        f(n) - f(k) - f(n - k)
    };
    let chance =
        |n: usize, k: usize, p: f64| (ln_choose(n, k) + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp();
    let of_differing: Vec<f64> =
        (0..=300).map(|m| (0..=m).filter(|&k| mcnemar(k, m - k) < 0.05).map(|k| chance(m, k, 0.5)).sum()).collect();
    let (mut usual, mut greatest) = (0.0f64, 0.0f64);
    for n in [5, 10, 16, 20, 30, 50, 100, 200, 300] {
        for q in (1..50).map(|q| f64::from(q) / 50.0) {
            let size: f64 = (0..=n).map(|m| chance(n, m, q) * of_differing[m]).sum();
            assert!(n as f64 * q < 20.0 || size > 0.035, "idle at n {n} q {q}: {size}");
            greatest = greatest.max(size);
            if q <= 0.5 {
                usual = usual.max(size);
            }
        }
    }
    println!("McNemar's mid-p test at .05 rejects at most {usual:.4}, or {greatest:.4} if most items differ");
    assert!(usual < 0.051 && greatest < 0.077, "{usual} {greatest}");
}

#[test]
fn the_detectable_effect_is_detected_with_the_power_asked_for() {
    let clumps = Clustering { size: 20, rho: 0.3 };
    for (differ, n, clustering) in [(0.3, 200, CLUSTERINGS[0]), (0.1, 1000, CLUSTERINGS[0]), (0.3, 1000, clumps)] {
        let (effect, power) = power_at_the_detectable(differ, n, clustering, 1500);
        assert!((0.76..0.86).contains(&power), "{clustering:?} differ {differ} n {n}: {effect} found with {power}");
    }
}

#[test]
fn without_clusters_the_intervals_would_be_far_too_narrow() {
    let clumps = Clustering { size: 20, rho: 0.3 };
    let aware = coverage(0.5, 1000, clumps, TRIALS).expect("fifty clusters");
    let naive = naive_coverage(0.5, 1000, clumps, TRIALS).expect("a thousand items");
    assert!(aware > 0.92 && naive < 0.7, "{aware} {naive}");
}
