//! Where abilities have been seen (arXiv 2206.07682, table 1): between two sizes of one family, never at a size.

/// A model of a family that was tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// Parameters, as the family names its sizes.
    pub params: f64,
    /// Training FLOPs, where they are known.
    pub flops: Option<f64>,
}

/// An ability that the smaller models of a family lack and a larger one has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// What was asked.
    pub ability: &'static str,
    /// `few-shot`, or how the asking was augmented.
    pub asked: &'static str,
    /// The family of models.
    pub family: &'static str,
    /// The first size tested that has it.
    pub seen: Tested,
    /// The next smaller size of the family, which lacks it; `None` where the table's sources give none.
    pub below: Option<Tested>,
}

/// Where a budget stands to an ability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The family had it with this much training compute, or less.
    Seen,
    /// The budget lies between a model without and the first with it: nobody has looked.
    Between,
    /// The family did not have it with this much.
    NotSeen,
}

impl Sighting {
    /// By training FLOPs, the one scale that all families share. A family of another recipe may differ.
    pub fn standing(&self, flops: f64) -> Standing {
        let lacking = self.below.and_then(|below| below.flops);
        match (self.seen.flops, lacking) {
            (Some(seen), _) if flops >= seen => Standing::Seen,
            (Some(_), Some(lacking)) if flops > lacking => Standing::Between,
            // Where the smaller model's compute is not known, a budget below the first success may lie on either side.
            (Some(seen), None) if flops > seen / 10.0 => Standing::Between,
            _ => Standing::NotSeen,
        }
    }
}

const fn tested(params: f64, flops: f64) -> Tested {
    Tested { params, flops: Some(flops) }
}

// Sizes and training FLOPs of the families: GPT-3 from arXiv 2005.14165, table D.1; Gopher (300B tokens) and PaLM (780B
// tokens) as 6 N D; where only the size is known, no FLOPs.
const GPT3_6_7B: Tested = tested(6.7e9, 1.20e22);
const GPT3_13B: Tested = tested(13e9, 2.3e22);
const GPT3_175B: Tested = tested(175e9, 3.1e23);
const GOPHER_1_4B: Tested = tested(1.4e9, 2.5e21);
const GOPHER_7_1B: Tested = tested(7.1e9, 1.3e22);
const GOPHER_280B: Tested = tested(280e9, 5.0e23);
const PALM_8B: Tested = tested(8e9, 3.7e22);
const PALM_62B: Tested = tested(62e9, 2.9e23);
const PALM_540B: Tested = tested(540e9, 2.5e24);
const LAMDA_8B: Tested = Tested { params: 8e9, flops: None };
const LAMDA_68B: Tested = tested(68e9, 1.3e23);

const fn sighting(
    ability: &'static str,
    asked: &'static str,
    family: &'static str,
    seen: Tested,
    below: Option<Tested>,
) -> Sighting {
    Sighting { ability, asked, family, seen, below }
}

const FEW: &str = "few-shot";

/// All rows of the table that name a model.
pub const SIGHTINGS: [Sighting; 22] = [
    sighting("addition and subtraction, 3 digits", FEW, "GPT-3", GPT3_13B, Some(GPT3_6_7B)),
    sighting("addition and subtraction, 4 to 5 digits", FEW, "GPT-3", GPT3_175B, Some(GPT3_13B)),
    sighting("MMLU, mean of 57 topics", FEW, "GPT-3", GPT3_175B, Some(GPT3_13B)),
    sighting("toxicity classification (CivilComments)", FEW, "Gopher", GOPHER_7_1B, Some(GOPHER_1_4B)),
    sighting("truthfulness (TruthfulQA)", FEW, "Gopher", GOPHER_280B, Some(GOPHER_7_1B)),
    sighting("MMLU, 26 topics", FEW, "Gopher", GOPHER_280B, Some(GOPHER_7_1B)),
    sighting("grounded conceptual mappings", FEW, "GPT-3", GPT3_175B, Some(GPT3_13B)),
    sighting("MMLU, 30 topics", FEW, "Chinchilla", tested(70e9, 5.0e23), Some(Tested { params: 7e9, flops: None })),
    sighting("word in context (WiC)", FEW, "PaLM", PALM_540B, Some(PALM_62B)),
    sighting("following instructions", "fine-tuned", "FLAN", LAMDA_68B, Some(LAMDA_8B)),
    sighting("addition, 8 digits", "scratchpad, fine-tuned", "LaMDA", tested(40e6, 8.9e19), None),
    sighting("fact checking with an open book", "augmented", "Gopher", GOPHER_7_1B, Some(GOPHER_1_4B)),
    sighting("mathematical word problems", "chain of thought", "LaMDA", LAMDA_68B, Some(LAMDA_8B)),
    sighting("StrategyQA", "chain of thought", "PaLM", PALM_62B, Some(PALM_8B)),
    sighting(
        "differentiable search index",
        "fine-tuned",
        "T5",
        tested(11e9, 3.3e22),
        Some(Tested { params: 3e9, flops: None }),
    ),
    sighting("gain from self-consistency", "chains of thought", "LaMDA", LAMDA_68B, Some(LAMDA_8B)),
    sighting("gain from explanations in the prompt", "explanations", "Gopher", GOPHER_280B, Some(GOPHER_7_1B)),
    sighting("gain from least-to-most prompting", "least-to-most", "GPT-3", GPT3_175B, None),
    sighting("reasoning without examples", "zero-shot chain of thought", "GPT-3", GPT3_175B, Some(GPT3_13B)),
    sighting(
        "calibration, P(True)",
        "asked for its confidence",
        "Anthropic",
        tested(52e9, 2.6e23),
        Some(Tested { params: 12e9, flops: None }),
    ),
    sighting("multilingual reasoning", "chain of thought", "PaLM", PALM_62B, Some(PALM_8B)),
    sighting("gain from ask-me-anything prompting", "several prompts", "EleutherAI", tested(6e9, 1.4e22), None),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The first size that works is above the size that does not, in parameters and in compute.
    #[test]
    fn sightings_are_censored_between_two_sizes() {
        for s in SIGHTINGS {
            let below = s.below.map_or(0.0, |below| below.params);
            assert!(below < s.seen.params, "{}", s.ability);
            let (low, seen) = (s.below.and_then(|b| b.flops).unwrap_or(0.0), s.seen.flops.unwrap());
            assert!(low < seen, "{}", s.ability);
            assert_eq!(s.standing(seen), Standing::Seen);
            assert_eq!(s.standing(seen * 0.999), Standing::Between);
            assert!(low == 0.0 || s.standing(low) == Standing::NotSeen);
            assert_eq!(s.standing(low.min(seen / 1e3)), Standing::NotSeen);
        }
        let addition = SIGHTINGS[0];
        assert_eq!((addition.seen.params, addition.seen.flops), (13e9, Some(2.3e22)));
        assert_eq!(addition.standing(1.2e22), Standing::NotSeen);
    }
}
