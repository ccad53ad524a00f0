//! What is usual over all questions: how large embeddings of subjects are, and what parts write in the mean.

use super::{Case, Place, Runs};
use crate::{Captured, Error};
use saltus_transformer::{Model, Site};
use std::{collections::BTreeMap, sync::Arc};

/// Over all questions.
pub(super) struct Moments {
    /// Standard deviation of what enters the first layer, over channels, subjects' tokens and questions.
    pub(super) sigma: f64,
    means: BTreeMap<(Site, Place), Arc<[f32]>>,
}

impl Moments {
    pub(super) fn of(model: &Model, cases: &[Case]) -> Result<Self, Error> {
        let layers = model.config().layers;
        let written: Vec<Site> =
            (0..layers).flat_map(|layer| [Site::MlpOutput(layer), Site::AttentionOutput(layer)]).collect();
        let mut sums: BTreeMap<(Site, Place), Vec<f64>> = BTreeMap::new();
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for case in cases {
            let sites = written.iter().copied().chain([Site::ResidualBefore(0)]).collect();
            let mut seen = Captured::new(sites, case.subject.clone().chain([case.at]).collect());
            Runs::begin(model, &case.tokens, case, Vec::new(), &mut seen)?;
            for position in case.subject.clone() {
                for x in seen.patch(Site::ResidualBefore(0), position).values.iter().map(|x| f64::from(*x)) {
                    (count, sum, squares) = (count + 1.0, sum + x, squares + x * x);
                }
            }
            for (site, place) in written.iter().flat_map(|site| [(*site, Place::Subject), (*site, Place::Last)]) {
                let values = seen.patch(site, case.token(place)).values;
                let sums = sums.entry((site, place)).or_insert_with(|| vec![0.0; values.len()]);
                sums.iter_mut().zip(values.iter()).for_each(|(sum, x)| *sum += f64::from(*x) / cases.len() as f64);
            }
        }
        let variance: f64 = squares / count - (sum / count).powi(2);
        let narrow = |sums: Vec<f64>| sums.into_iter().map(|x| x as f32).collect();
        let means = sums.into_iter().map(|(place, sums)| (place, narrow(sums))).collect();
        Ok(Moments { sigma: variance.max(0.0).sqrt(), means })
    }

    /// What is written there in the mean.
    pub(super) fn mean(&self, site: Site, place: Place) -> Arc<[f32]> {
        Arc::clone(&self.means[&(site, place)])
    }
}
