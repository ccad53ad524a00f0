//! Content addresses: everything that determines a measurement's questions, as a hash.

use crate::{Question, QuestionSet};

/// The hash of a prompt's text: 32 hex digits.
pub fn prompt_identity(prompt: &str) -> String {
    hex(&blake3::hash(prompt.as_bytes()))
}

impl QuestionSet {
    /// The hash of everything in the set: 32 hex digits. Equal sets have equal identities whatever made them.
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 question set");
        text(&mut hasher, &self.family);
        text(&mut hasher, &self.task);
        text(&mut hasher, &self.style.to_string());
        hasher.update(&self.shots.to_le_bytes());
        hasher.update(&self.chance.to_bits().to_le_bytes());
        number(&mut hasher, self.questions.len());
        self.questions.iter().for_each(|q| question(&mut hasher, q));
        hex(&hasher.finalize())
    }
}

fn question(hasher: &mut blake3::Hasher, question: &Question) {
    text(hasher, &question.prompt);
    number(hasher, question.candidates.len());
    for candidate in &question.candidates {
        text(hasher, &candidate.text);
        hasher.update(&candidate.score.to_bits().to_le_bytes());
    }
    match &question.generate {
        None => number(hasher, usize::MAX),
        Some(generate) => {
            number(hasher, generate.max_tokens);
            text(hasher, &generate.stop.iter().collect::<String>());
        }
    }
}

/// Lengths come first, so that no two sequences of texts run together.
fn text(hasher: &mut blake3::Hasher, text: &str) {
    number(hasher, text.len());
    hasher.update(text.as_bytes());
}

fn number(hasher: &mut blake3::Hasher, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}

fn hex(hash: &blake3::Hash) -> String {
    hash.to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Candidate, Generate, Style};

    fn set() -> QuestionSet {
        QuestionSet {
            family: "addition".into(),
            task: "3-digit plain".into(),
            style: Style::Direct,
            shots: 0,
            chance: 0.0,
            questions: vec![Question {
                prompt: "P438+253=".into(),
                candidates: vec![Candidate { text: "0691".into(), score: 1.0 }],
                generate: Some(Generate { max_tokens: 4, stop: vec![';'] }),
            }],
        }
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut QuestionSet); 11] = [
            |s| s.family.push('x'),
            |s| s.task.push('x'),
            |s| s.style = Style::StepByStep,
            |s| s.shots = 1,
            |s| s.chance = 0.1,
            |s| s.questions.push(s.questions[0].clone()),
            |s| s.questions[0].prompt.push('x'),
            |s| s.questions[0].candidates[0].text.push('x'),
            |s| s.questions[0].candidates[0].score = 0.5,
            |s| s.questions[0].generate = None,
            |s| s.questions[0].generate = Some(Generate { max_tokens: 4, stop: vec![] }),
        ];
        let mut seen = vec![set().identity()];
        for change in changes {
            let mut changed = set();
            change(&mut changed);
            assert!(!seen.contains(&changed.identity()), "{changed:?}");
            seen.push(changed.identity());
        }
        assert_eq!(set().identity(), set().identity());
        // Moving a character over a boundary is a change too.
        let mut moved = set();
        moved.questions[0].prompt = "P438+253".into();
        moved.questions[0].candidates[0].text = "=0691".into();
        assert!(!seen.contains(&moved.identity()));
    }
}
