//! Means, variances and standard errors: plain, clustered and crossed (seeds x items).

/// Arithmetic mean; NaN for no values.
pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Unbiased sample variance; 0 for fewer than two values.
pub fn variance(x: &[f64]) -> f64 {
    if x.len() < 2 {
        return 0.0;
    }
    let centre = mean(x);
    x.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

/// Quantile `p` in [0, 1] by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996).
///
/// # Panics
/// If `x` is empty.
pub fn quantile(x: &[f64], p: f64) -> f64 {
    assert!(!x.is_empty(), "no quantile of no values");
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - below as f64;
    // Equal neighbours are returned as they are: infinities may be among the values.
    if share == 0.0 || sorted[below] == sorted[above] {
        return sorted[below];
    }
    sorted[below] + share * (sorted[above] - sorted[below])
}

/// Standard error of a mean, with how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandardError {
    /// The standard error, in the unit of the scores.
    pub value: f64,
    /// Degrees of freedom for Student's t: clusters - 1 if they are equal in size, fewer if not.
    pub dof: f64,
    /// Kish's effective number of clusters, n^2 / sum_c m_c^2: the number of clusters if they are equal in size, of scores
    /// if each stands alone.
    pub units: f64,
}

/// Standard error of the mean of `scores`; `clusters[i]` says with which others score i shares its error (a passage, a
/// parent), `None` that each stands alone. `None` for fewer than two clusters: nothing shows their spread.
///
/// It is sqrt(sum_c S_c^2 / (1 - m_c/n)) / n with S_c the sum of deviations from the mean in a cluster of m_c scores: for
/// equal clusters that of Miller (2024, arXiv 2411.00640, equation 4) with its factor C/(C-1), for unequal ones the
/// bias-reduced form of Bell & McCaffrey (2002), with their degrees of freedom. A clustered error below the plain one is
/// not believed: with few clusters that is mostly luck, so the greater of the two is given.
///
/// # Panics
/// If the lengths differ or a score is not finite.
pub fn standard_error(scores: &[f64], clusters: Option<&[u32]>) -> Option<StandardError> {
    assert!(scores.iter().all(|s| s.is_finite()), "a missing score is to be left out, not to be averaged");
    let n = scores.len() as f64;
    let sums = cluster_sums(scores, clusters);
    if sums.len() < 2 {
        return None;
    }
    let (mut total, mut squares, mut tails, mut tail_squares) = (0.0, 0.0, 0.0, 0.0);
    for &(sum, size) in &sums {
        let share = size / n;
        let tail = share * share / (1.0 - share);
        total += sum * sum / (1.0 - share);
        squares += share * share;
        tails += tail;
        tail_squares += tail * tail;
    }
    let plain = (variance(scores) / n).sqrt();
    let value = if sums.len() < scores.len() { plain.max(total.sqrt() / n) } else { plain };
    let dof = 1.0 / (squares + tails * tails - tail_squares);
    Some(StandardError { value, dof, units: 1.0 / squares })
}

/// Sum of deviations from the overall mean and number of scores of each cluster, by rising label.
fn cluster_sums(scores: &[f64], clusters: Option<&[u32]>) -> Vec<(f64, f64)> {
    let centre = mean(scores);
    let Some(clusters) = clusters else {
        return scores.iter().map(|s| (s - centre, 1.0)).collect();
    };
    assert_eq!(scores.len(), clusters.len(), "one cluster for each score");
    let mut labelled: Vec<(u32, f64)> = clusters.iter().copied().zip(scores.iter().map(|s| s - centre)).collect();
    labelled.sort_by_key(|l| l.0);
    let sum = |cluster: &[(u32, f64)]| (cluster.iter().map(|l| l.1).sum(), cluster.len() as f64);
    labelled.chunk_by(|a, b| a.0 == b.0).map(sum).collect()
}

/// Spread of a table of scores, seeds x items, in which every seed answers the same items.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    /// Mean of each seed over the items it answered.
    pub seed_means: Vec<f64>,
    /// Mean number of answered items for each seed.
    pub items: f64,
    /// Variance of the mean over seeds that comes from drawing the items: what one would see with the same seeds and
    /// fresh items. Items are shared by the seeds, so it does not fall as 1/seeds unless the seeds err independently.
    pub item_variance: f64,
    /// Expected variance of a single seed's mean from item noise that is its own (the interaction, over items).
    pub noise: f64,
}

/// Splits the spread of `scores[seed][item]` into what seeds and items contribute. NaN marks a score that is missing.
///
/// # Panics
/// If the rows differ in length, or a seed has no score.
pub fn crossed(scores: &[&[f64]]) -> Crossed {
    let width = scores.first().map_or(0, |row| row.len());
    let mut item_sums = vec![(0.0, 0usize); width];
    let mut seed_means = Vec::with_capacity(scores.len());
    let mut answered = 0;
    for row in scores {
        assert_eq!(row.len(), width, "every seed answers the same items");
        let (mut sum, mut count) = (0.0, 0);
        for (x, item) in row.iter().zip(&mut item_sums).filter(|(x, _)| x.is_finite()) {
            (sum, count) = (sum + x, count + 1);
            *item = (item.0 + x, item.1 + 1);
        }
        assert!(count > 0, "a seed without any score");
        seed_means.push(sum / count as f64);
        answered += count;
    }
    let item_means: Vec<f64> = item_sums.iter().filter(|i| i.1 > 0).map(|i| i.0 / i.1 as f64).collect();
    let items = answered as f64 / scores.len() as f64;
    let item_variance = variance(&item_means) / item_means.len() as f64;
    let centre = mean(&seed_means);
    let mut residual = 0.0;
    for (row, seed) in scores.iter().zip(&seed_means) {
        for (x, item) in row.iter().zip(&item_sums).filter(|(x, _)| x.is_finite()) {
            residual += (x - seed - item.0 / item.1 as f64 + centre).powi(2);
        }
    }
    let dof = (answered as f64 - item_means.len() as f64 - scores.len() as f64 + 1.0).max(1.0);
    let noise = if scores.len() > 1 { residual / dof / items } else { item_variance };
    Crossed { seed_means, items, item_variance, noise }
}

/// The widest gap between neighbours of `x` in order: (its lower edge, its upper edge); `None` for fewer than two.
///
/// With a handful of seeds this is all that can be said about bimodality; Hartigan's dip needs dozens.
pub fn largest_gap(x: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.windows(2).map(|w| (w[0], w[1])).max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let x = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((quantile(&x, 0.0), quantile(&x, 0.5), quantile(&x, 1.0)), (1.0, 2.5, 4.0));
        assert_eq!(quantile(&[1.0, f64::INFINITY, f64::INFINITY], 0.9), f64::INFINITY);
    }

    #[test]
    fn clustering_by_pairs_of_twins_halves_the_information() {
        let scores = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        let plain = standard_error(&scores, None).expect("eight scores");
        assert!((plain.value - (variance(&scores) / 8.0).sqrt()).abs() < 1e-12);
        assert!((plain.dof - 7.0).abs() < 1e-9 && (plain.units - 8.0).abs() < 1e-9);
        let twins: Vec<f64> = scores.iter().flat_map(|s| [*s, *s]).collect();
        // Labels are names, not indices.
        let pairs: Vec<u32> = (0..16).map(|i| 900 - 7 * (i / 2)).collect();
        let clustered = standard_error(&twins, Some(&pairs)).expect("eight pairs");
        assert!((clustered.value - plain.value).abs() < 1e-12);
        assert!((clustered.dof - 7.0).abs() < 1e-9 && (clustered.units - 8.0).abs() < 1e-9);
    }

    #[test]
    fn a_cluster_that_holds_most_leaves_few_degrees_of_freedom() {
        let scores: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        let unequal: Vec<u32> = (0..100).map(|i| if i < 90 { 0 } else { i }).collect();
        let found = standard_error(&scores, Some(&unequal)).expect("eleven clusters");
        assert!(found.dof < 1.5 && found.units < 1.5, "{found:?}");
        assert_eq!(standard_error(&scores, Some(&[5; 100])), None);
        assert_eq!(standard_error(&[1.0], None), None);
    }

    #[test]
    fn clusters_that_happen_to_agree_do_not_make_the_error_vanish() {
        let scores = [0.0, 1.0, 0.0, 1.0];
        let found = standard_error(&scores, Some(&[0, 0, 1, 1])).expect("two clusters");
        assert!((found.value - (variance(&scores) / 4.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn crossed_sees_where_the_spread_comes_from() {
        // Hard and easy items, seeds in agreement: three seeds tell no more about the items than one.
        let row = [0.0, 1.0, 1.0, 0.0, 1.0];
        let agreed = crossed(&[&row, &row, &row]);
        assert!((agreed.item_variance - variance(&row) / 5.0).abs() < 1e-12 && agreed.noise < 1e-12);
        // Seeds that differ by a constant: all spread is theirs.
        let shifted = crossed(&[&[0.0, 0.0], &[1.0, 1.0]]);
        assert_eq!((shifted.seed_means, shifted.item_variance, shifted.noise), (vec![0.0, 1.0], 0.0, 0.0));
        // A missing score is left out, not counted as zero.
        let holes = crossed(&[&[1.0, f64::NAN, 1.0], &[1.0, 1.0, 1.0]]);
        assert_eq!((holes.seed_means, holes.items), (vec![1.0, 1.0], 2.5));
    }

    #[test]
    fn the_widest_gap_is_found() {
        assert_eq!(largest_gap(&[0.9, 0.0, 1.0, 0.1]), Some((0.1, 0.9)));
        assert_eq!(largest_gap(&[0.9]), None);
    }
}
