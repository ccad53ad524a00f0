//! Files of facts, and how a model is asked for them.

use super::each::Opened;
use crate::measured::Refused;
use saltus_checkpoint::FileTokenizer;
use saltus_lens::{
    Frame,
    knowledge::{Facts, Speller, parse},
};
use saltus_lm::{TokenId, Tokenizer};
use saltus_transformer::Model;
use std::{collections::BTreeMap, path::Path};

/// What a line is like.
const LIKE: &str = r#"write lines like {"relation": "capital", "subject": "France", "template": "The capital of [X] is [Y].", "object": "Paris"}"#;

/// The facts of a file, and the hash of its text.
pub(super) fn read(path: &Path) -> Result<(Facts, String), Refused> {
    let text = saltus_results::read_small(path)?;
    let facts = parse(&text)
        .map_err(|bad| Refused(format!("{}, line {}: {}: {LIKE}", path.display(), bad.line, bad.problem)))?;
    if facts.facts.is_empty() && facts.left_out.is_empty() {
        return Err(Refused(format!("{}: no fact in it: {LIKE}", path.display())));
    }
    Ok((facts, blake3::hash(text.as_bytes()).to_hex().to_string()))
}

/// What stands around a text, as the model expects it.
pub(super) fn frame(model: &Model, tokenizer: &FileTokenizer) -> Result<Frame, Refused> {
    if model.config().architecture.attention.causal {
        return Ok(Frame { before: tokenizer.prefix().into_iter().collect(), ..Frame::default() });
    }
    let special = |names: [&str; 2]| names.iter().find_map(|name| tokenizer.special(name));
    let Some(mask) = special(["[MASK]", "<mask>"]) else {
        let problem = format!("{} has no token [MASK]", tokenizer.path().display());
        return Err(Refused(format!("{problem}: use a model of BERT's kind, with its tokenizer")));
    };
    let (before, behind) = (special(["[CLS]", "<s>"]), special(["[SEP]", "</s>"]));
    let list = |token: Option<TokenId>| token.into_iter().collect();
    Ok(Frame { before: list(before), behind: list(behind), mask: Some(mask) })
}

/// How this model spells facts.
pub(super) fn speller<'a>(opened: &'a Opened, frame: &'a Frame) -> Speller<'a> {
    let Opened { model, tokenizer, .. } = opened;
    let unknown = ["[UNK]", "<unk>"].iter().find_map(|name| tokenizer.special(name));
    Speller { tokenizer, frame, unknown, context: model.config().context }
}

/// Counts of what is left out, together with others.
pub(super) fn left_out(facts: &Facts, more: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut all = facts.left_out.clone();
    more.into_iter().for_each(|(reason, count)| *all.entry(reason).or_default() += count);
    all
}

/// How many facts are left out for which reasons, in words.
pub(super) fn reasons<'a>(left_out: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let words = left_out.into_iter().map(|(reason, count)| format!("{count}: {reason}"));
    words.collect::<Vec<_>>().join("; ")
}
