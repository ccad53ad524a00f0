//! Facts in words, and how they become questions in tokens.

use super::Cloze;
use crate::{causal::Case, lens::Frame};
use saltus_lm::{TokenId, Tokenizer};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

/// A sentence with a gap, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its relation.
    pub relation: String,
    /// What it is about; facts about the same share their error.
    pub subject: String,
    /// The text before the gap.
    pub before: String,
    /// Where in it the subject stands, in bytes; none where no slot says so, or more than one does.
    pub subject_at: Option<Range<usize>>,
    /// The text behind it.
    pub behind: String,
    /// What stands in the gap.
    pub object: String,
}

/// Facts read, and those that have no gap to ask: the reason, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// In the order of the lines.
    pub facts: Vec<Fact>,
    /// By reason.
    pub left_out: BTreeMap<String, u64>,
}

/// A line that is no fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// A line as LAMA (arXiv 1909.01066) and others write it.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "predicate_id")]
    relation: Option<String>,
    #[serde(alias = "sub_label")]
    subject: Option<String>,
    template: Option<String>,
    #[serde(alias = "obj_label", alias = "target")]
    object: Option<String>,
    prompt: Option<String>,
}

/// Reads JSON lines: `relation` (or `predicate_id`), `subject` (`sub_label`), `template` with `[X]` for the subject and
/// `[Y]` for the object, `object` (`obj_label`); or `relation`, `prompt`, `target`, the target standing at the prompt's
/// `[Y]`, or behind it after a space. Other fields are not looked at. Empty lines are no facts.
///
/// # Errors
/// The first line that is no JSON or lacks a field.
pub fn parse(text: &str) -> Result<Facts, BadLine> {
    let mut all = Facts::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |problem: String| BadLine { line: number, problem };
        let line: Line = serde_json::from_str(line).map_err(|e| bad(without_line(&e)))?;
        match line.fact().map_err(bad)? {
            Ok(fact) => all.facts.push(fact),
            Err(reason) => *all.left_out.entry(reason.to_owned()).or_default() += 1,
        }
    }
    Ok(all)
}

/// What is wrong with a line's JSON. It says "line 1" of every line, which is not that of the file.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    format!("{} (column {})", text.split(" at line ").next().unwrap_or(&text), error.column())
}

/// The slot of the object.
const OBJECT: &str = "[Y]";
/// The slot of the subject.
const SUBJECT: &str = "[X]";

impl Line {
    /// The fact, or why it is none that can be asked.
    fn fact(self) -> Result<Result<Fact, &'static str>, String> {
        let needed = |field: Option<String>, name: &str| field.ok_or_else(|| format!("no `{name}`"));
        let relation = needed(self.relation, "relation")?;
        let object = needed(self.object, "object")?.trim().to_owned();
        if relation.is_empty() || object.is_empty() {
            return Err(format!("an empty `{}`", if object.is_empty() { "object" } else { "relation" }));
        }
        let (subject, sentence, subject_at) = match (self.template, self.prompt) {
            (Some(template), _) => {
                let subject = needed(self.subject, "subject")?;
                if !template.contains(SUBJECT) {
                    return Ok(Err("the template has no slot [X] for the subject"));
                }
                if !template.contains(OBJECT) {
                    return Ok(Err("the template has no slot [Y] for the object"));
                }
                let slots: Vec<usize> = template.match_indices(SUBJECT).map(|(at, _)| at).collect();
                let only = if let [at] = slots[..] { Some(at..at + subject.len()) } else { None };
                let before_gap = only.filter(|_| template.find(SUBJECT) < template.find(OBJECT));
                (subject.clone(), template.replace(SUBJECT, &subject), before_gap)
            }
            (None, Some(prompt)) if prompt.contains(OBJECT) => (prompt.clone(), prompt, None),
            (None, Some(prompt)) => (prompt.clone(), format!("{} {OBJECT}", prompt.trim_end()), None),
            (None, None) => return Err("neither `template` nor `prompt`".into()),
        };
        match sentence.split(OBJECT).collect::<Vec<_>>()[..] {
            [before, behind] => {
                let (before, behind) = (before.to_owned(), behind.to_owned());
                Ok(Ok(Fact { relation, subject, before, subject_at, behind, object }))
            }
            _ => Ok(Err("the slot [Y] stands in it more than once")),
        }
    }
}

/// How a model spells facts.
pub struct Speller<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// What stands around a text; with a mask, the model sees both sides of the gap.
    pub frame: &'a Frame,
    /// The token for what has none.
    pub unknown: Option<TokenId>,
    /// Tokens that the model can read.
    pub context: usize,
}

impl Speller<'_> {
    /// The facts that this model can be asked, with their numbers among `facts`, and why the others are left out.
    ///
    /// The object must be one token, as it is spelled behind the text before it. A causal model reads what stands before the
    /// gap: where words follow, the fact is left out.
    pub fn spell(&self, facts: &[Fact]) -> (Vec<(usize, Cloze)>, BTreeMap<String, u64>) {
        let (mut clozes, mut left_out) = (Vec::new(), BTreeMap::new());
        let mut clusters = HashMap::new();
        for (number, fact) in facts.iter().enumerate() {
            let next = clusters.len() as u32;
            let cluster = *clusters.entry((&fact.relation, &fact.subject)).or_insert(next);
            match self.cloze(fact, cluster) {
                Ok(cloze) => clozes.push((number, cloze)),
                Err(reason) => *left_out.entry(reason).or_default() += 1,
            }
        }
        (clozes, left_out)
    }

    /// The facts whose subject can be traced in this model, each relation a cluster, and why the others are left out: what
    /// [`Speller::spell`] leaves out, and those without a subject of their own tokens before the gap.
    pub fn cases(&self, facts: &[Fact]) -> (Vec<Case>, BTreeMap<String, u64>) {
        let (mut cases, mut left_out) = (Vec::new(), BTreeMap::new());
        let mut relations = HashMap::new();
        for fact in facts {
            let next = relations.len() as u32;
            let cluster = *relations.entry(&fact.relation).or_insert(next);
            match self.case(fact, cluster) {
                Ok(case) => cases.push(case),
                Err(reason) => *left_out.entry(reason).or_default() += 1,
            }
        }
        (cases, left_out)
    }

    fn case(&self, fact: &Fact, cluster: u32) -> Result<Case, String> {
        let Cloze { tokens, second, at, target, .. } = self.cloze(fact, cluster)?;
        let Some(subject) = fact.subject_at.clone() else {
            return Err("no single slot [X] for the subject before [Y]".into());
        };
        if fact.before[subject.clone()].trim().is_empty() {
            return Err("the subject is empty".into());
        }
        let encode = |text: &str| self.tokenizer.encode(text).map_err(|e| e.to_string());
        let (head, named) = (encode(fact.before[..subject.start].trim_end())?, encode(&fact.before[..subject.end])?);
        let begin = self.frame.before.len();
        if !(tokens[begin..].starts_with(&named) && named.starts_with(&head) && head.len() < named.len()) {
            return Err("the subject and its neighbours share tokens".into());
        }
        Ok(Case { tokens, second, subject: begin + head.len()..begin + named.len(), at, target, cluster })
    }

    fn cloze(&self, fact: &Fact, cluster: u32) -> Result<Cloze, String> {
        let Frame { before, behind, mask } = self.frame;
        if mask.is_none() && fact.behind.chars().any(char::is_alphanumeric) {
            return Err("words follow the gap, which a causal model does not see".into());
        }
        let encode = |text: &str| self.tokenizer.encode(text).map_err(|e| e.to_string());
        let text = fact.before.trim_end();
        if mask.is_none() && text.is_empty() && before.is_empty() {
            return Err("nothing stands before the gap".into());
        }
        let whole = encode(&format!("{}{}", fact.before, fact.object))?;
        // A space goes over to the object where the vocabulary has both as one token, and else stays with the text.
        let (trimmed, kept) = (encode(text)?, encode(&fact.before)?);
        let behind_text = |read: &[TokenId]| whole.strip_prefix(read).map(<[TokenId]>::to_vec);
        let (read, rest) = match (behind_text(&trimmed), behind_text(&kept)) {
            (Some(rest), _) if rest.len() == 1 => (trimmed, rest),
            (_, Some(rest)) => (kept, rest),
            (Some(rest), None) => (trimmed, rest),
            (None, None) => return Err("the object runs into the text before it".into()),
        };
        let target = match rest[..] {
            [token] if Some(token) == self.unknown => Err("the object is not in the vocabulary"),
            [token] => Ok(token),
            _ => Err("the object is of several tokens"),
        }?;
        let mut tokens = [&before[..], &read].concat();
        if let Some(mask) = mask {
            tokens.push(*mask);
        }
        let at = tokens.len() - 1;
        if mask.is_some() {
            tokens.extend(encode(&fact.behind)?);
            tokens.extend(behind);
        }
        if tokens.len() > self.context {
            return Err("the text is longer than the model's context".into());
        }
        let second = tokens.len();
        Ok(Cloze { tokens, second, at, target, relation: fact.relation.clone(), cluster })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words, each with the space before it.
    struct Words;

    const WORDS: [&str; 8] = ["The", " capital", " of", " France", " is", " Paris", ".", " a"];

    impl Tokenizer for Words {
        fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
            let (mut rest, mut tokens) = (text, Vec::new());
            while !rest.is_empty() {
                let word = (0..).zip(WORDS).find(|(_, word)| rest.starts_with(word));
                let end = rest.char_indices().nth(1).map_or(rest.len(), |(end, _)| end);
                tokens.push(word.map_or(99, |(number, _)| number));
                rest = &rest[word.map_or(end, |(_, word)| word.len())..];
            }
            Ok(tokens)
        }
        fn decode(&self, _: &[TokenId]) -> String {
            String::new()
        }
        fn vocabulary(&self) -> usize {
            100
        }
        fn identity(&self) -> String {
            String::new()
        }
    }

    const CAPITAL: &str = r#"{"predicate_id":"P36","sub_label":"France","template":"The capital of [X] is [Y].","obj_label":"Paris","uuid":7}"#;

    fn spell(lines: &str, frame: &Frame, context: usize) -> (Vec<Cloze>, Vec<(String, u64)>) {
        let facts = parse(lines).unwrap().facts;
        let speller = Speller { tokenizer: &Words, frame, unknown: Some(99), context };
        let (clozes, left_out) = speller.spell(&facts);
        (clozes.into_iter().map(|(_, cloze)| cloze).collect(), left_out.into_iter().collect())
    }

    #[test]
    fn lamas_lines_and_prompts_are_the_same_fact() {
        let prompt = r#"{"relation":"P36","prompt":"The capital of France is","target":" Paris"}"#;
        let both = parse(&format!("{CAPITAL}\n\n{prompt}\n")).unwrap().facts;
        assert_eq!(both[0].before, "The capital of France is ");
        assert_eq!((both[0].behind.as_str(), both[1].behind.as_str()), (".", ""));
        let (clozes, _) = spell(&format!("{CAPITAL}\n{prompt}"), &Frame::default(), 64);
        assert_eq!(clozes[0].tokens, [0, 1, 2, 3, 4]);
        assert_eq!((clozes[0].at, clozes[0].target, clozes[0].second), (4, 5, 5));
        assert_eq!(clozes[0].tokens, clozes[1].tokens);
    }

    /// A byte for each token.
    struct Bytes;

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
            Ok(text.bytes().map(TokenId::from).collect())
        }
        fn decode(&self, _: &[TokenId]) -> String {
            String::new()
        }
        fn vocabulary(&self) -> usize {
            256
        }
        fn identity(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_space_without_a_token_in_common_with_the_object_stays_with_the_text() {
        let facts = parse(r#"{"relation":"r","prompt":"1 and 1 is","target":"2"}"#).unwrap().facts;
        let speller = Speller { tokenizer: &Bytes, frame: &Frame::default(), unknown: None, context: 64 };
        let (clozes, _) = speller.spell(&facts);
        assert_eq!(clozes[0].1.tokens.len(), "1 and 1 is ".len());
        assert_eq!((clozes[0].1.at, clozes[0].1.target), (10, TokenId::from(b'2')));
    }

    #[test]
    fn the_subject_of_a_case_is_its_tokens() {
        let cases = |lines: &str, frame: &Frame| {
            let facts = parse(lines).unwrap().facts;
            Speller { tokenizer: &Words, frame, unknown: Some(99), context: 64 }.cases(&facts)
        };
        let masked = Frame { before: vec![10], behind: vec![11], mask: Some(12) };
        for (frame, subject) in [(Frame::default(), 3..4), (masked, 4..5)] {
            let (found, left) = cases(CAPITAL, &frame);
            let (Cloze { tokens, second, at, target, .. }, _) = {
                let (clozes, left) = spell(CAPITAL, &frame, 64);
                (clozes[0].clone(), left)
            };
            assert_eq!(found, [Case { tokens, second, subject, at, target, cluster: 0 }]);
            assert!(left.is_empty());
        }
        let line = |template: &str, subject: &str| {
            format!(r#"{{"relation":"r","subject":"{subject}","template":"{template}","object":"Paris"}}"#) + "\n"
        };
        let lines = line("The capital of [X] is [Y]", " ")
            + &line("[X] of [X] is [Y]", "a")
            + &line("The [Y] of [X]", "France")
            + r#"{"relation":"r","prompt":"The capital of France is","target":"Paris"}"#;
        let (found, left) = cases(&lines, &Frame::default());
        assert_eq!(found, []);
        assert_eq!(left.values().sum::<u64>(), 4, "{left:?}");
        assert_eq!(left.get("no single slot [X] for the subject before [Y]"), Some(&2), "{left:?}");
    }

    #[test]
    fn a_masked_model_reads_both_sides() {
        let frame = Frame { before: vec![10], behind: vec![11], mask: Some(12) };
        let (clozes, _) = spell(CAPITAL, &frame, 64);
        assert_eq!(clozes[0].tokens, [10, 0, 1, 2, 3, 4, 12, 6, 11]);
        assert_eq!((clozes[0].at, clozes[0].target, clozes[0].second), (6, 5, 9));
    }

    #[test]
    fn what_cannot_be_asked_is_counted() {
        let line = |template: &str, object: &str| {
            format!(r#"{{"relation":"r","subject":"France","template":"{template}","object":"{object}"}}"#) + "\n"
        };
        let lines = line("[X] of [Y] is", "Paris")
            + &line("The capital of [X]", "Paris")
            + &line("The capital is [Y]", "Paris")
            + &line("[X] [Y] [Y]", "Paris")
            + &line("The capital of [X] is [Y]", "of Paris")
            + &line("The capital of [X] is [Y]", "Rome")
            + &line("The capital of [X] is [Y]", "?")
            + &line("[Y] [X]", "a")
            + &line("[Y], [X]", "a");
        let facts = parse(&lines).unwrap();
        let left: Vec<_> = facts.left_out.into_iter().collect();
        let said = |text: &str, count| (text.to_owned(), count);
        assert_eq!(
            left,
            [
                said("the slot [Y] stands in it more than once", 1),
                said("the template has no slot [X] for the subject", 1),
                said("the template has no slot [Y] for the object", 1),
            ]
        );
        let (clozes, left) = spell(&lines, &Frame::default(), 64);
        assert_eq!(clozes, []);
        assert_eq!(left.iter().map(|(_, count)| count).sum::<u64>(), 6);
        assert!(left.contains(&said("words follow the gap, which a causal model does not see", 3)), "{left:?}");
        assert!(left.contains(&said("the object is of several tokens", 2)), "{left:?}");
        assert!(left.contains(&said("the object is not in the vocabulary", 1)), "{left:?}");
        let (_, left) = spell(CAPITAL, &Frame::default(), 4);
        assert_eq!(left, [said("the text is longer than the model's context", 1)]);
    }

    #[test]
    fn broken_lines_are_named() {
        let problem = |lines: &str| {
            let bad = parse(lines).unwrap_err();
            format!("{}: {}", bad.line, bad.problem)
        };
        assert!(problem(&format!("{CAPITAL}\nnot json")).starts_with("2: expected"));
        assert_eq!(problem(r#"{"relation":"r","template":"[X] [Y]","object":"a"}"#), "1: no `subject`");
        assert_eq!(problem(r#"{"relation":"r","object":"a"}"#), "1: neither `template` nor `prompt`");
        assert_eq!(problem(r#"{"relation":"r","prompt":"a","target":" "}"#), "1: an empty `object`");
        assert!(problem(r#"{"relation":7,"prompt":"a","target":"b"}"#).starts_with("1: invalid type"));
    }
}
