//! Scores of heads as observations.

use super::{ByPosition, SCORES, Scores};
use crate::Mean;
use saltus_record::{ModelKey, Observation};

impl Scores {
    /// One row for each head and score, and those of the whole model: `induction_max`, `induction_mean`, `icl_score` and
    /// `loss_by_position` (`item` is the position, from 0) of the method `repeated`.
    pub fn observations(&self, model: &ModelKey) -> Vec<Observation> {
        let mut all = Vec::new();
        for head in &self.heads {
            for ((metric, score), chance) in SCORES.into_iter().zip(head.scores).zip(self.chance) {
                let (layer, unit) = (Some(head.layer), Some(head.head));
                all.push(Observation { layer, unit, chance: Some(chance), ..observation(model, metric, score) });
            }
        }
        all.push(observation(model, "induction_max", self.induction_max));
        let chance = Some(self.chance[2]);
        all.push(Observation { chance, ..observation(model, "induction_mean", self.induction_mean) });
        all.extend(self.repeated.observations(model, "repeated"));
        all
    }
}

impl ByPosition {
    /// `icl_score`, and `loss_by_position` (`item` is the position, from 0) of `method`: `repeated` or `text`.
    pub fn observations(&self, model: &ModelKey, method: &str) -> Vec<Observation> {
        let of = |metric, mean| Observation { method: method.into(), ..observation(model, metric, mean) };
        let mut all = vec![of("icl_score", self.icl_score)];
        all.extend(
            (1..).zip(&self.loss).map(|(t, loss)| Observation { item: Some(t), ..of("loss_by_position", *loss) }),
        );
        all
    }
}

fn observation(model: &ModelKey, metric: &str, mean: Mean) -> Observation {
    mean.observation(model, "heads", metric)
}
