//! One prediction as observations.

use super::Prediction;
use saltus_record::{ModelKey, Observation};

impl Prediction {
    /// By layer `target_rank` and `target_logprob` of the lens, and `embedding`, `attention`, `mlp` and `bias`, what each
    /// adds to the `logit`. `group` says which prediction it is.
    pub fn observations(&self, model: &ModelKey, group: &str) -> Vec<Observation> {
        let of = |metric: &str, layer: Option<u32>, value: f64| Observation {
            group: group.into(),
            layer,
            ..Observation::new(model, "prompt", metric, value)
        };
        let mut all = Vec::new();
        for (layer, lens) in (0..).zip(&self.lens) {
            all.push(of("target_rank", Some(layer), f64::from(lens.rank)));
            all.push(of("target_logprob", Some(layer), lens.logprob));
        }
        if let Some(attribution) = &self.attribution {
            all.push(of("logit", None, attribution.logit));
            all.extend(attribution.parts.iter().map(|part| of(part.kind.name(), Some(part.layer), part.amount)));
        }
        all
    }
}
