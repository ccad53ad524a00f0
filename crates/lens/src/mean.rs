//! A mean with its interval.

use saltus_record::{ModelKey, Observation};
use saltus_stats::score_interval;

/// A mean over items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its two-sided 95% interval; none where nothing shows how items differ.
    pub interval: Option<(f64, f64)>,
    /// Items.
    pub n: u64,
}

/// The ends of a share.
pub(crate) const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

impl Mean {
    /// Of `values`, at least one, all finite; `clusters[i]` is what item i shares with others, `range` the ends between
    /// which a value lies (see [`score_interval`]): what rounding has pushed past them is brought back.
    pub(crate) fn of(values: &[f64], clusters: Option<&[u32]>, range: Option<(f64, f64)>) -> Self {
        let inside = |x: &f64| range.map_or(*x, |(low, high)| x.clamp(low, high));
        let values: Vec<f64> = values.iter().map(inside).collect();
        let interval = score_interval(&values, clusters, range, 0.95).map(|i| (i.low, i.high));
        Mean { value: saltus_stats::mean(&values), interval, n: values.len() as u64 }
    }

    /// As an observation of a whole model.
    pub(crate) fn observation(self, model: &ModelKey, look: &str, metric: &str) -> Observation {
        let Mean { value, interval, n } = self;
        Observation { interval, n, ..Observation::new(model, look, metric, value) }
    }
}
