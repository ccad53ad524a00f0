//! Facts in a file, and the questions that they are to a model that reads from left to right.

use crate::{look::each::Opened, measured::Refused};
use miette::{IntoDiagnostic, Result};
use saltus_lens::causal::Case;
use saltus_lm::{TokenId, Tokenizer};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// A line of the file; its names or LAMA's.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Fact {
    #[serde(alias = "predicate_id")]
    relation: String,
    #[serde(alias = "sub_label")]
    subject: String,
    template: String,
    #[serde(alias = "obj_label")]
    object: String,
}

/// The facts of a file, or what is wrong with it.
pub(super) fn parse(path: &Path, text: &str) -> std::result::Result<Vec<Fact>, String> {
    const LIKE: &str = r#"write lines like {"relation": "capital", "subject": "France", "template": "The capital of [X] is [Y].", "object": "Paris"}"#;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let fact = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            // The parser counts lines within this one.
            let problem = e.to_string().replace(" at line 1", " at");
            format!("{}, line {number}: {problem}: {LIKE}", path.display())
        })
    };
    let facts: Vec<Fact> = lines.map(fact).collect::<std::result::Result<_, _>>()?;
    if facts.is_empty() { Err(format!("{}: no fact in it: {LIKE}", path.display())) } else { Ok(facts) }
}

/// Facts that cannot be asked: the reason, and how many.
pub(super) type LeftOut = Vec<(String, u64)>;

/// The questions, and why others are none.
pub(super) fn cases(facts: &[Fact], opened: &Opened) -> Result<(Vec<Case>, LeftOut)> {
    if !opened.model.config().architecture.attention.causal {
        let problem = format!("{} sees both ways", opened.key.name);
        return Err(Refused(format!("{problem}: give a model that reads from left to right")).into());
    }
    let mut relations: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut cases, mut left_out) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for fact in facts {
        let next = relations.len() as u32;
        let cluster = *relations.entry(&fact.relation).or_insert(next);
        match fact.ask(opened, cluster)? {
            Ok(case) => cases.push(case),
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    Ok((cases, left_out.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect()))
}

impl Fact {
    /// The text up to the gap, in tokens, or why it is no question.
    fn ask(&self, opened: &Opened, cluster: u32) -> Result<std::result::Result<Case, &'static str>> {
        let Some((before, _)) = self.template.split_once("[Y]") else { return Ok(Err("the template has no [Y]")) };
        let Some((head, tail)) = before.split_once("[X]") else {
            return Ok(Err("the template has no [X] before [Y]"));
        };
        if self.subject.trim().is_empty() {
            return Ok(Err("the subject is empty"));
        }
        let encode = |text: &str| opened.tokenizer.encode(text).into_diagnostic();
        let text = format!("{head}{}{tail}", self.subject);
        // Most tokenizers have the blank before a word in its token, those of characters have not.
        let mut asked = None;
        for (text, object) in [(text.trim_end(), format!(" {}", self.object)), (&text, self.object.clone())] {
            let (whole, more) = (encode(text)?, encode(&format!("{text}{object}"))?);
            if let (None, Some([target])) = (&asked, more.strip_prefix(&whole[..])) {
                asked = Some((whole, *target));
            }
        }
        let Some((whole, target)) = asked else { return Ok(Err("the object is not one token")) };
        let (start, end) = (encode(head.trim_end())?, encode(&format!("{head}{}", self.subject))?);
        if !(whole.starts_with(&end) && end.starts_with(&start) && start.len() < end.len()) {
            return Ok(Err("the subject and its neighbours share tokens"));
        }
        let prefix: Vec<TokenId> = opened.tokenizer.prefix().into_iter().collect();
        let tokens = [&prefix[..], &whole].concat();
        if tokens.len() > opened.model.config().context {
            return Ok(Err("the text is longer than the context"));
        }
        let (count, subject) = (tokens.len(), prefix.len() + start.len()..prefix.len() + end.len());
        Ok(Ok(Case { tokens, second: count, subject, at: count - 1, target, cluster }))
    }
}
