//! BIG-bench's JSON tasks (Srivastava et al., arXiv 2206.04615), prompt for prompt as its package `bigbench` 1.0.0.
//!
//! A [`Library`] is an unpacked tree or the package's archive; a [`Task`] of it has one or several leaves, and a
//! [`Leaf`] gives [`Questions`] with any number of shots. What the reference does by accident is done here too, and
//! [`Leaf::quirks`] tells of it. What it would stop at is an error here, as are texts that no UTF-8 holds, and targets,
//! prefixes and scores of other types than the benchmark has (the reference would fail on them later, or write them as
//! Python does).

mod examples;
mod json;
mod leaf;
mod library;
mod metric;
mod questions;
mod quirks;
mod random_state;

pub use leaf::{Choice, Extract, Grading, Leaf};
pub use library::{Library, Task};
pub use metric::{Kind, Metric};
pub use questions::{Question, Questions};
pub use quirks::Quirk;
pub use random_state::RandomState;

/// JSON nested deeper is refused.
const MAX_DEPTH: usize = 100;

/// The family of its question sets.
pub const FAMILY: &str = "bigbench";

/// The seed of the reference's prompts.
pub const REFERENCE_SEED: u32 = 42;

/// BIG-bench Lite, the 24 tasks that stand for the whole.
pub const LITE: [&str; 24] = [
    "auto_debugging",
    "bbq_lite_json",
    "code_line_description",
    "conceptual_combinations",
    "conlang_translation",
    "emoji_movie",
    "formal_fallacies_syllogisms_negation",
    "hindu_knowledge",
    "known_unknowns",
    "language_identification",
    "linguistics_puzzles",
    "logic_grid_puzzle",
    "logical_deduction",
    "misconceptions_russian",
    "novel_concepts",
    "operators",
    "parsinlu_reading_comprehension",
    "play_dialog_same_or_different",
    "repeat_copy_logic",
    "strange_stories",
    "strategyqa",
    "symbol_interpretation",
    "vitaminc_fact_verification",
    "winowhy",
];
