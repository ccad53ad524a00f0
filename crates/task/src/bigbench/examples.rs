//! The examples of a leaf: duplicates left out, and which of them the reference finds equal.

use super::json::{Text, Value, hash_text};
use super::leaf::Choice;
use super::leaf::{EXAMPLE, Example, Fail, checked, fail, text};
use crate::MAX_EXAMPLES;
use std::collections::{HashMap, HashSet};

/// Examples without duplicates.
#[derive(Default)]
pub(super) struct Examples {
    pub(super) examples: Vec<Example>,
    seen: HashSet<[u8; 32]>,
    classes: HashMap<[u8; 32], u32>,
    pub(super) duplicates: usize,
    /// Read, duplicates included.
    read: usize,
}

impl Examples {
    /// Adds an example, unless it is there already.
    pub(super) fn push(&mut self, value: Value) -> Result<(), Fail> {
        let place = format!("examples[{}]", self.read);
        self.read += 1;
        if self.read > MAX_EXAMPLES {
            return fail("examples", format!("more than {MAX_EXAMPLES}"), "split the task into subtasks");
        }
        let mut hasher = blake3::Hasher::new();
        value.hash(true, 0, &mut hasher);
        if !self.seen.insert(*hasher.finalize().as_bytes()) {
            self.duplicates += 1;
            return Ok(());
        }
        let Value::Object(members) = value else { return fail(place, value.kind(), EXAMPLE) };
        let mut example = example(&place, &members)?;
        let class = class(&members, &example, self.read as u64);
        let next = self.classes.len() as u32;
        example.class = *self.classes.entry(class).or_insert(next);
        self.examples.push(example);
        Ok(())
    }
}

fn example(place: &str, members: &[(Text, Value)]) -> Result<Example, Fail> {
    let get = |key: &str| members.iter().find(|(k, _)| k.text == key).map(|(_, value)| value);
    let Some(input) = get("input") else { return fail(place, "no `input`", EXAMPLE) };
    let input = text(&format!("{place}.input"), input)?;
    let choices = get("target_scores").map(|scores| choices(&format!("{place}.target_scores"), scores)).transpose()?;
    let target = get("target");
    let targets = match (target, &choices) {
        (Some(target), _) => targets(&format!("{place}.target"), target)?,
        (None, Some(choices)) => vec![best(place, choices)?.to_owned()],
        (None, None) => return fail(place, "neither `target` nor `target_scores`", EXAMPLE),
    };
    Ok(Example { input, choices, targets, named_target: target.is_some(), class: 0 })
}

fn choices(place: &str, scores: &Value) -> Result<Vec<Choice>, Fail> {
    let Value::Object(members) = scores else { return fail(place, scores.kind(), EXAMPLE) };
    if members.is_empty() {
        return fail(place, "no choices", EXAMPLE);
    }
    let mut choices = Vec::with_capacity(members.len());
    for (choice, score) in members {
        let text = checked(place, choice)?;
        let Some(score) = score.number().filter(|score| score.is_finite()) else {
            return fail(place, format!("{} for a score", score.kind()), "give each choice a number");
        };
        choices.push(Choice { text, score });
    }
    Ok(choices)
}

/// The first of the choices with the highest score.
fn best<'a>(place: &str, choices: &'a [Choice]) -> Result<&'a str, Fail> {
    let scores = || choices.iter().map(|c| c.score);
    let (most, least) = (scores().fold(f64::MIN, f64::max), scores().fold(f64::MAX, f64::min));
    match choices.iter().find(|c| c.score == most) {
        Some(best) if if choices.len() == 1 { most != 0.0 } else { most > least } => Ok(&best.text),
        _ => fail(place, "no choice scores higher than the others", "mark the right one with 1"),
    }
}

fn targets(place: &str, target: &Value) -> Result<Vec<String>, Fail> {
    let Value::List(targets) = target else { return Ok(vec![text(place, target)?]) };
    if targets.is_empty() {
        return fail(place, "an empty list", "give at least one right answer");
    }
    targets.iter().enumerate().map(|(i, target)| text(&format!("{place}[{i}]"), target)).collect()
}

/// The hash of the formatted example as Python's `==` sees it: key by key in order, targets as a list, the choices added.
fn class(members: &[(Text, Value)], example: &Example, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let texts = |texts: &mut dyn Iterator<Item = &String>, hasher: &mut blake3::Hasher| {
        let element = |text: &String| Value::Text(Text { text: text.clone(), broken: false });
        Value::List(texts.map(element).collect()).hash(false, number, hasher);
    };
    let named = |key: &str| Text { text: key.into(), broken: false };
    let mut write = |key: &Text, value: Option<&Value>| {
        hash_text(key, &mut hasher);
        match (key.text.as_str(), value, &example.choices) {
            ("target", ..) => texts(&mut example.targets.iter(), &mut hasher),
            ("choice", _, Some(choices)) => texts(&mut choices.iter().map(|c| &c.text), &mut hasher),
            (_, value, _) => value.unwrap_or(&Value::Null).hash(false, number, &mut hasher),
        }
    };
    members.iter().for_each(|(key, value)| write(key, Some(value)));
    let missing = |key: &str| !members.iter().any(|(k, _)| k.text == key);
    if missing("target") {
        write(&named("target"), None);
    }
    if example.choices.is_some() && missing("choice") {
        write(&named("choice"), None);
    }
    *hasher.finalize().as_bytes()
}
