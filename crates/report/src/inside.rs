//! What was found inside models, as the page shows it.

use crate::html::{escape, json_block};
use crate::page::{assemble_with, write_sections};
use crate::section::inside as section;
use serde::{Deserialize, Serialize};

pub(crate) const BROWSER: &str = include_str!("../assets/inside.js");

/// Looks at one or more models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looks {
    /// Version of Saltus that computed this.
    pub saltus: String,
    /// The heading.
    pub title: String,
    /// One for each model that was looked into, smallest first.
    pub models: Vec<Looked>,
}

/// What was found in one model, or in several that differ in their seed alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// The model's name.
    pub model: String,
    /// The ladder that it belongs to; empty where there is none.
    pub family: String,
    /// Parameters without embedding and head.
    pub params_non_embedding: u64,
    /// Layers.
    pub layers: u32,
    /// Training tokens that it had seen, where that is known.
    pub tokens: Option<u64>,
    /// Models that the numbers are means over.
    pub seeds: u32,
    /// The numbers.
    pub numbers: Vec<Number>,
    /// What stands beside them.
    pub details: Vec<Detail>,
}

/// One number, see `saltus_record::Observation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// What was looked at.
    pub look: String,
    /// How.
    pub method: String,
    /// The part that it is about; empty: all together.
    pub group: String,
    /// What it is.
    pub metric: String,
    /// Layer, from 1; 0 is the embedding; none: the whole model.
    pub layer: Option<u32>,
    /// Head or hidden unit.
    pub unit: Option<u32>,
    /// The number.
    pub value: f64,
    /// Its 95% interval; over seeds the least and the greatest.
    pub interval: Option<(f64, f64)>,
    /// Items.
    pub n: u64,
    /// The same of a model that knows nothing.
    pub chance: Option<f64>,
}

/// The page as HTML. The same looks give the same bytes.
pub fn page(looks: &Looks) -> String {
    let mut figures = Vec::new();
    let sections = section::sections(&looks.models, &mut figures);
    let mut main = format!(
        "<header><p class=\"kicker\">Saltus <span>Inside models</span></p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n</header>\n",
        escape(&looks.title),
        escape(&lead(&looks.models)),
    );
    main.push_str(&write_sections(&sections));
    let data = json_block("figures", &figures) + &json_block("looks", looks);
    assemble_with(&looks.title, &looks.saltus, (&main, &data), BROWSER)
}

fn lead(models: &[Looked]) -> String {
    let names: Vec<&str> = section::last(models).iter().map(|m| m.model.as_str()).collect();
    match names.as_slice() {
        [one] => format!("One model, {one}, of {} layers.", models[0].layers),
        [first, .., last] => format!("{} models, from {first} to {last}.", names.len()),
        [] => "No model has been looked into.".to_owned(),
    }
}

/// Everything that one look at one model found beside its numbers, which are observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "look", rename_all = "kebab-case")]
pub enum Detail {
    /// Facts asked at every layer.
    Knowledge(Knowledge),
    /// Feed-forward memories.
    Memories(MemoryBook),
    /// One prediction taken apart.
    Prompt(PromptPicture),
    /// Scores of heads.
    Heads(HeadScores),
    /// What restoring or removing parts does to facts.
    Causal(Causal),
}

/// Facts asked at every layer by one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    /// `logit-lens`, `tuned-lens`, `masked-head`, `next-token-head`.
    pub method: String,
    /// The layers at which they were asked, ascending, 0 being the embedding.
    pub layers: Vec<u32>,
    /// Every fact that was asked.
    pub facts: Vec<Fact>,
    /// Facts that could not be asked: the reason, and how many.
    pub left_out: Vec<(String, u64)>,
}

/// One fact at every layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its relation.
    pub relation: String,
    /// The text, up to the place that is asked.
    pub text: String,
    /// What should stand there.
    pub object: String,
    /// The object's rank, from 1, at each of [`Knowledge::layers`].
    pub ranks: Vec<u32>,
    /// What the last layer says instead, or just so.
    pub said: String,
}

/// A token with a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// The token's text.
    pub token: String,
    /// Logit, probability or score.
    pub score: f64,
}

/// Some of a model's feed-forward memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryBook {
    /// Layers of the model.
    pub layers: u32,
    /// Hidden units in each.
    pub units: u32,
    /// How a coefficient is defined, in words.
    pub definition: String,
    /// The memories kept, by layer and unit.
    pub memories: Vec<Memory>,
}

/// One hidden unit as a memory: what triggers its key, what its value votes for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub unit: u32,
    /// The prefixes with the greatest coefficients, greatest first.
    pub triggers: Vec<Trigger>,
    /// What the value votes for most.
    pub top: Vec<Vote>,
    /// What it votes against most: what a negative coefficient favours.
    pub bottom: Vec<Vote>,
    /// The value's first choice is the token that follows the first trigger.
    pub agrees: bool,
}

/// A prefix that a key reacts to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The coefficient.
    pub coefficient: f64,
    /// The prefix's last tokens.
    pub tokens: Vec<String>,
    /// The token that follows in the text.
    pub next: Option<String>,
}

/// One prediction taken apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptPicture {
    /// The prompt's tokens.
    pub tokens: Vec<String>,
    /// The token that is explained.
    pub target: String,
    /// Its logit, of which everything below is a part.
    pub logit: f64,
    /// What is said, with probabilities.
    pub said: Vec<Vote>,
    /// What each layer says through the lens, from layer 0 on, with probabilities.
    pub lens: Vec<Vec<Vote>>,
    /// The parts that add up to the logit: name, layer (0: embedding) and amount; none where it is no sum.
    pub parts: Vec<Part>,
    /// The memories that contribute most, either way.
    pub memories: Vec<PromptMemory>,
    /// The heads that contribute most, either way.
    pub heads: Vec<PromptHead>,
    /// The definition of all this, in words.
    pub definition: String,
}

/// What one place adds to the logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `embedding`, `attention`, `mlp`, `bias`.
    pub name: String,
    /// Layer, from 1; 0 for what stands before all.
    pub layer: u32,
    /// What it adds.
    pub amount: f64,
}

/// A memory at work in one prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptMemory {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub unit: u32,
    /// Its coefficient here.
    pub coefficient: f64,
    /// What it adds to the target's logit; none where that is no sum of what is written, as in BERT.
    pub amount: Option<f64>,
    /// What it votes for here: the top tokens of its value times the coefficient's sign.
    pub votes: Vec<String>,
}

/// A head at work in one prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptHead {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub head: u32,
    /// What it adds to the target's logit.
    pub amount: f64,
    /// Its attention from the last token to each token of the prompt.
    pub attention: Vec<f64>,
}

/// Scores of every head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadScores {
    /// What each score is, in words: (name, definition).
    pub definitions: Vec<(String, String)>,
    /// One for each head and score.
    pub scores: Vec<HeadScore>,
    /// Mean loss at each position of the texts, nats, from the first scored token on.
    pub loss_by_position: Vec<f64>,
}

/// A head's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadScore {
    /// From 1.
    pub layer: u32,
    /// From 0.
    pub head: u32,
    /// `previous_token`, `duplicate_token`, `induction`.
    pub score: String,
    /// In [0, 1].
    pub value: f64,
}

/// Causal effects beside what a probe says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Causal {
    /// How it was done, in words.
    pub definition: String,
    /// One for each kind of part, layer and place.
    pub effects: Vec<Effect>,
    /// Where probe and intervention differ, in sentences.
    pub disagreements: Vec<String>,
}

/// What an intervention does to the right answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// `restore` or `remove`.
    pub intervention: String,
    /// `mlp`, `attention`, `residual`.
    pub part: String,
    /// Where in the text: `subject`, `last`.
    pub place: String,
    /// From 1.
    pub layer: u32,
    /// Mean change of the object's log-probability, nats.
    pub effect: f64,
    /// Its 95% interval; none where nothing shows how facts differ.
    pub interval: Option<(f64, f64)>,
}
