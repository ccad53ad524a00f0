//! What is odd in a leaf, and what the reference, and so Saltus, makes of it.

use super::leaf::Choice;
use super::leaf::{Example, Leaf};
use super::metric::{Kind, Metric};

/// Something odd, harmless or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// What it is, in a word or two.
    pub name: &'static str,
    /// How many examples or keys have it.
    pub count: usize,
    /// What it means.
    pub meaning: String,
}

impl Leaf {
    /// Everything odd in the leaf, for a person to read.
    pub fn quirks(&self) -> Vec<Quirk> {
        let mut quirks = self.quirks_of_keys();
        quirks.extend(self.quirks_of_choices());
        quirks.extend(self.quirks_of_targets());
        quirks.retain(|quirk| quirk.count > 0);
        quirks
    }

    fn quirks_of_keys(&self) -> Vec<Quirk> {
        let notes = &self.notes;
        let mut quirks = vec![
            quirk("duplicate examples", notes.duplicate_examples, "each is asked once"),
            quirk(
                "equal examples",
                self.equal_examples(),
                "written differently, the same to the reference: none is a shot for another",
            ),
            quirk(
                "duplicate keys",
                notes.duplicate_keys.len(),
                format!("the last value counts: {}", some(&notes.duplicate_keys)),
            ),
            quirk(
                "unknown keys",
                notes.unknown_keys.len(),
                format!("nobody reads them: {}", some(&notes.unknown_keys)),
            ),
            quirk("canary is a list", notes.canary_list.into(), "the reference does not look at it"),
            quirk("name is not ASCII", (!notes.ascii_name).into(), format!("it becomes {:?}", self.grading.name)),
            quirk(
                "no extraction",
                notes.empty_extraction.into(),
                "output_regex or stop_string is empty, which switches the default off: the whole text counts",
            ),
        ];
        for (key, text) in &notes.truthy_texts {
            let switched = if text.is_empty() { "an empty text switches off" } else { "any text switches on" };
            quirks.push(quirk("text for a switch", 1, format!("{key} is the text {text:?}: {switched}")));
        }
        let skipped = self.grading.metrics.contains(&Metric::Bleurt);
        quirks.push(quirk("bleurt", skipped.into(), "a learned model, which is not computed here"));
        quirks
    }

    fn quirks_of_choices(&self) -> Vec<Quirk> {
        let graded = self.asks_for(Kind::Choices);
        let count = |odd: &dyn Fn(&[Choice]) -> bool| {
            self.examples.iter().filter(|e| graded && e.choices.as_deref().is_some_and(odd)).count()
        };
        let most = |choices: &[Choice]| choices.iter().map(|c| c.score).fold(f64::MIN, f64::max);
        vec![
            quirk("soft scores", count(&|c| c.iter().any(|c| c.score != 0.0 && c.score != 1.0)), "not all are 0 or 1"),
            quirk(
                "tied golds",
                count(&|c| c.iter().filter(|x| x.score == most(c)).count() > 1),
                "several choices are best; where the target is not named, the first is the answer of a shot",
            ),
            quirk("no gold", count(&|c| most(c) <= 0.0), "no choice scores above 0"),
            quirk(
                "empty choice",
                count(&|c| c.iter().any(|c| c.text.is_empty())),
                "it has no tokens: its log-probability is 0, the highest there is",
            ),
            quirk("one choice", count(&|c| c.len() == 1), "nothing to choose: always graded alike"),
            quirk(
                "trailing NUL",
                count(&|c| c.iter().any(|c| c.text.ends_with('\0'))),
                "cut off where choices are listed in a prompt",
            ),
        ]
    }

    fn quirks_of_targets(&self) -> Vec<Quirk> {
        let generated = self.asks_for(Kind::Generation) || self.asks_for(Kind::Targets);
        let count = |odd: &dyn Fn(&Example) -> bool| self.examples.iter().filter(|e| generated && odd(e)).count();
        let numeric = self.grading.metrics.contains(&Metric::NumericMatch);
        let negative = |e: &Example| numeric && e.targets[0].trim().parse::<f64>().is_ok_and(|x| x < 0.0);
        let labels = self.grading.metrics.contains(&Metric::SequenceF1);
        vec![
            quirk("empty target", count(&|e| e.targets.iter().any(String::is_empty)), "it asks for an empty answer"),
            quirk(
                "padded target",
                count(&|e| e.targets.iter().any(|t| t.trim() != t)),
                "white space at an end: exact_str_match wants it in the answer",
            ),
            quirk("negative target", count(&negative), "the error is divided by it, so any number is right"),
            quirk("targets not looked at", count(&|e| labels && e.targets.len() > 1), "only the first counts"),
        ]
    }

    /// Examples that equal an earlier one although they are written differently.
    fn equal_examples(&self) -> usize {
        let classes: std::collections::HashSet<u32> = self.examples.iter().map(|e| e.class).collect();
        self.examples.len() - classes.len()
    }
}

fn quirk(name: &'static str, count: usize, meaning: impl Into<String>) -> Quirk {
    Quirk { name, count, meaning: meaning.into() }
}

/// A few names of many.
fn some(names: &[String]) -> String {
    let few: Vec<String> = names.iter().take(5).map(|name| name.chars().take(40).collect()).collect();
    few.join(", ") + if names.len() > 5 { ", ..." } else { "" }
}
