//! Where abilities have been seen (arXiv 2206.07682, table 1): between two sizes of one family, never at a size.

/// A model of a family that was tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// Parameters, as the family names its sizes.
    pub params: f64,
    /// Training FLOPs.
    pub flops: f64,
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
    /// The next smaller size of the family, which lacks it; `None` where its compute is not known.
    pub below: Option<Tested>,
}

const fn tested(params: f64, flops: f64) -> Tested {
    Tested { params, flops }
}

// Training FLOPs of the smaller sizes: GPT-3 from arXiv 2005.14165, table D.1; Gopher (300B tokens) and PaLM (780B tokens)
// as 6 N D; LaMDA, T5 and Anthropic as those of the larger size, whose tokens they share, in proportion to N.
const GPT3_6_7B: Tested = tested(6.7e9, 1.20e22);
const GPT3_13B: Tested = tested(13e9, 2.3e22);
const GPT3_175B: Tested = tested(175e9, 3.1e23);
const GOPHER_1_4B: Tested = tested(1.4e9, 2.5e21);
const GOPHER_7_1B: Tested = tested(7.1e9, 1.3e22);
const GOPHER_280B: Tested = tested(280e9, 5.0e23);
const PALM_8B: Tested = tested(8e9, 3.7e22);
const PALM_62B: Tested = tested(62e9, 2.9e23);
const PALM_540B: Tested = tested(540e9, 2.5e24);
const LAMDA_8B: Tested = tested(8e9, 1.3e23 * 8.0 / 68.0);
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
    sighting("MMLU, 30 topics", FEW, "Chinchilla", tested(70e9, 5.0e23), None),
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
        Some(tested(3e9, 3.3e22 * 3.0 / 11.0)),
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
        Some(tested(12e9, 2.6e23 * 12.0 / 52.0)),
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
            let below = s.below.unwrap_or(Tested { params: 0.0, flops: 0.0 });
            assert!(below.params < s.seen.params && below.flops < s.seen.flops, "{}", s.ability);
        }
        assert_eq!(SIGHTINGS[0].seen, Tested { params: 13e9, flops: 2.3e22 });
        assert_eq!(SIGHTINGS[8].seen, Tested { params: 540e9, flops: 2.5e24 });
    }
}
