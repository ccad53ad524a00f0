//! BIG-bench's metrics by name, and the range of each score.

use serde::{Deserialize, Serialize};

/// What a leaf is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Metric {
    /// `bleu`: sacrebleu over the corpus, 0 to 100.
    Bleu,
    /// `bleurt`: a learned model; it is not computed here.
    Bleurt,
    /// `exact_str_match`.
    ExactMatch,
    /// `case_insensitive_str_match`.
    CaseInsensitiveMatch,
    /// `sequence_f1`: in fact the accuracy of labels, 0 to 100.
    SequenceF1,
    /// `numeric_match_with_0_1_relative_error`.
    NumericMatch,
    /// `rouge`: the scores `rouge1`, `rouge2` and `rougeLsum`, 0 to 100.
    Rouge,
    /// `log_likelihood` of the targets.
    LogLikelihood,
    /// `multiple_choice_grade`; the Brier score and the calibration error come with it.
    MultipleChoiceGrade,
    /// `calibration_multiple_choice_brier_score`.
    Brier,
    /// `expected_calibration_error`.
    CalibrationError,
    /// `weighted_log_probabilities`.
    WeightedLogProbabilities,
    /// `weighted_probabilities`.
    WeightedProbabilities,
    /// `macro_f1` over the texts of the choices.
    MacroF1,
}

/// What a metric asks a model for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A generated text.
    Generation,
    /// Log-probabilities of the targets.
    Targets,
    /// Log-probabilities of the choices.
    Choices,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Metric; 14] = [
        Metric::Bleu,
        Metric::Bleurt,
        Metric::ExactMatch,
        Metric::CaseInsensitiveMatch,
        Metric::SequenceF1,
        Metric::NumericMatch,
        Metric::Rouge,
        Metric::LogLikelihood,
        Metric::MultipleChoiceGrade,
        Metric::Brier,
        Metric::CalibrationError,
        Metric::WeightedLogProbabilities,
        Metric::WeightedProbabilities,
        Metric::MacroF1,
    ];

    /// The name in `task.json`.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Bleu => "bleu",
            Metric::Bleurt => "bleurt",
            Metric::ExactMatch => "exact_str_match",
            Metric::CaseInsensitiveMatch => "case_insensitive_str_match",
            Metric::SequenceF1 => "sequence_f1",
            Metric::NumericMatch => "numeric_match_with_0_1_relative_error",
            Metric::Rouge => "rouge",
            Metric::LogLikelihood => "log_likelihood",
            Metric::MultipleChoiceGrade => "multiple_choice_grade",
            Metric::Brier => "calibration_multiple_choice_brier_score",
            Metric::CalibrationError => "expected_calibration_error",
            Metric::WeightedLogProbabilities => "weighted_log_probabilities",
            Metric::WeightedProbabilities => "weighted_probabilities",
            Metric::MacroF1 => "macro_f1",
        }
    }

    /// The metric of a name in `task.json`.
    pub fn named(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// What the metric asks a model for.
    pub fn kind(self) -> Kind {
        match self {
            Metric::Bleu
            | Metric::Bleurt
            | Metric::ExactMatch
            | Metric::CaseInsensitiveMatch
            | Metric::SequenceF1
            | Metric::NumericMatch
            | Metric::Rouge => Kind::Generation,
            Metric::LogLikelihood => Kind::Targets,
            _ => Kind::Choices,
        }
    }
}

/// Lowest and highest value of a score that a leaf may prefer (the reference's `SCORE_RANGES`).
pub(super) fn range(score: &str) -> Option<(f64, f64)> {
    Some(match score {
        "bleu" | "sequence_f1" | "rouge1" | "rouge2" | "rougeLsum" => (0.0, 100.0),
        "bleurt" => (-0.1, 1.1),
        "log_likelihood" | "weighted_log_probabilities" => (-10.0, 0.0),
        "weighted_probabilities" => (-1.0, 1.0),
        "rouge" => return None,
        name => Metric::named(name).map(|_| (0.0, 1.0))?,
    })
}
