//! What was found inside a model, in the words of its tokenizer: what a page shows beside the numbers.

mod causal;
mod prompt;

pub use causal::causal;
pub use prompt::prompt;

use saltus_lens::{
    knowledge::{Answers, Cloze},
    memories::{Corpus, Findings, Memory, Trigger, definition},
};
use saltus_lm::{TokenId, Tokenizer};
use saltus_record::Observation;
use saltus_report::inside::{self, Fact, Knowledge, MemoryBook, Number, Vote};
use saltus_transformer::Model;

/// Tokens of a trigger or a fact that are kept: its last ones.
const SHOWN: usize = 12;
/// Triggers of a memory that are kept.
const TRIGGERS: usize = 10;

/// A number that is not about a single item.
pub fn number(o: &Observation) -> Number {
    Number {
        look: o.look.clone(),
        method: o.method.clone(),
        group: o.group.clone(),
        metric: o.metric.clone(),
        layer: o.layer,
        unit: o.unit,
        value: o.value,
        interval: o.interval,
        n: o.n,
        chance: o.chance,
    }
}

/// What the page shows: the memories that were kept whole, in words.
pub fn memories(model: &Model, tokenizer: &dyn Tokenizer, corpus: &Corpus, findings: &Findings) -> MemoryBook {
    let read = format!(
        "{} sentences of {} tokens, {} of them cut to the context",
        corpus.sentences(),
        corpus.tokens(),
        corpus.cut()
    );
    let memories = findings.layers.iter().flat_map(|layer| {
        layer.values.kept.iter().map(|kept| {
            let next = layer.values.next[kept.unit as usize];
            let agrees = next.is_some_and(|(next, _)| next == layer.values.first[kept.unit as usize]);
            memory(tokenizer, corpus, layer.layer, kept, agrees)
        })
    });
    MemoryBook {
        layers: model.config().layers as u32,
        units: model.config().mlp_hidden as u32,
        definition: format!("{}; read: {read}", definition(model.config())),
        memories: memories.collect(),
    }
}

fn memory(tokenizer: &dyn Tokenizer, corpus: &Corpus, layer: u32, kept: &Memory, agrees: bool) -> inside::Memory {
    let word = |token: TokenId| tokenizer.decode(&[token]);
    let vote = |(token, score): &(TokenId, f32)| Vote { token: word(*token), score: rounded(*score) };
    let trigger = |Trigger { coefficient, sentence, position }: &Trigger| {
        let prefix = &corpus.sentence(*sentence as usize)[corpus.begin()..=*position as usize];
        inside::Trigger {
            coefficient: rounded(*coefficient),
            tokens: prefix[prefix.len().saturating_sub(SHOWN)..].iter().copied().map(word).collect(),
            next: corpus.next(*sentence, *position).map(word),
        }
    };
    inside::Memory {
        layer,
        unit: kept.unit,
        triggers: kept.triggers.iter().take(TRIGGERS).map(trigger).collect(),
        top: kept.top.iter().map(vote).collect(),
        bottom: kept.bottom.iter().map(vote).collect(),
        agrees,
    }
}

/// Four decimals: what a person reads.
fn rounded(x: f32) -> f64 {
    (f64::from(x) * 1e4).round() / 1e4
}

/// Facts in the order in which they were asked, with the object's rank at each layer.
pub fn knowledge(tokenizer: &dyn Tokenizer, method: &str, clozes: &[Cloze], answers: &Answers) -> Knowledge {
    let word = |token: TokenId| tokenizer.decode(&[token]);
    let fact = |(number, cloze): (usize, &Cloze)| Fact {
        relation: cloze.relation.clone(),
        text: tokenizer.decode(&cloze.tokens[(cloze.at + 1).saturating_sub(SHOWN)..=cloze.at]),
        object: word(cloze.target),
        ranks: answers.ranks.iter().map(|ranks| ranks[number]).collect(),
        said: word(answers.said[number]),
    };
    Knowledge {
        method: method.to_owned(),
        layers: answers.layers.iter().map(|layer| *layer as u32).collect(),
        facts: clozes.iter().enumerate().map(fact).collect(),
        left_out: Vec::new(),
    }
}
