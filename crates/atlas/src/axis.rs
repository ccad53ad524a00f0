//! The scale axes by name.

use saltus_emergence::Axis;
use saltus_results::{Scales, Scores};

/// What abilities are judged over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisName {
    /// The column `scale`, taken for numbers of parameters.
    Scale,
    /// All parameters.
    Params,
    /// Parameters without embeddings.
    ParamsNonEmbedding,
    /// Training FLOPs.
    Flops,
    /// Training tokens.
    Tokens,
    /// Loss on held-out text, nats per token.
    Loss,
}

impl AxisName {
    /// All, in the order in which they are looked for.
    pub const ALL: [AxisName; 6] = [
        AxisName::Scale,
        AxisName::Params,
        AxisName::ParamsNonEmbedding,
        AxisName::Flops,
        AxisName::Tokens,
        AxisName::Loss,
    ];

    /// The name of the column, and of the axis in findings.
    pub fn name(self) -> &'static str {
        match self {
            AxisName::Scale => "scale",
            AxisName::Params => "params",
            AxisName::ParamsNonEmbedding => "params_non_embedding",
            AxisName::Flops => "flops",
            AxisName::Tokens => "tokens",
            AxisName::Loss => "loss",
        }
    }

    /// The axis of this name.
    pub fn of_name(name: &str) -> Option<AxisName> {
        Self::ALL.into_iter().find(|axis| axis.name() == name)
    }

    /// The first axis that most scores have.
    pub fn of_scores(scores: &Scores) -> Option<AxisName> {
        let known = |axis: &AxisName| scores.rows.iter().filter(|row| !axis.of(&row.scales).is_nan()).count();
        Self::ALL.into_iter().find(|axis| 2 * known(axis) > scores.rows.len())
    }

    /// Where a model is on it; NaN if that is not told.
    pub fn of(self, scales: &Scales) -> f64 {
        match self {
            AxisName::Scale => scales.scale,
            AxisName::Params => scales.params,
            AxisName::ParamsNonEmbedding => scales.params_non_embedding,
            AxisName::Flops => scales.flops,
            AxisName::Tokens => scales.tokens,
            AxisName::Loss => scales.loss,
        }
    }

    /// What it is to the shapes.
    pub fn axis(self) -> Axis {
        match self {
            AxisName::Flops => Axis::Flops,
            AxisName::Loss => Axis::Loss,
            _ => Axis::Params,
        }
    }
}
