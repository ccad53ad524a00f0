//! From findings to figures: what is drawn, in which layers. Computes nothing but positions.

pub(crate) mod ability;
pub(crate) mod budget;
pub(crate) mod effect;
pub(crate) mod fit;
pub(crate) mod inside;
pub(crate) mod law;

/// Distinct values in rising order.
pub(crate) fn distinct(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// At most `most` of `n` indices, denser at the start as a logarithmic axis is, the last one always among them.
pub(crate) fn thinned(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    let ratio = (n as f64).ln() / (most - 1) as f64;
    let mut kept: Vec<usize> = (0..most).map(|i| ((i as f64 * ratio).exp().round() as usize).clamp(1, n) - 1).collect();
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn thinning_keeps_both_ends() {
        for n in [1, 5, 160, 161, 4000] {
            let kept = thinned(n, 160);
            assert!(kept.len() <= 160 && kept.is_sorted_by(|a, b| a < b));
            assert_eq!((kept[0], kept[kept.len() - 1]), (0, n - 1));
        }
    }
}
