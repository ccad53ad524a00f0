//! Content addresses: everything that determines a measurement's questions, as a hash.

use crate::{Candidate, Generate, Question, QuestionSet};

/// The hash of a prompt's text: 32 hex digits.
pub fn prompt_identity(prompt: &str) -> String {
    hex(&blake3::hash(prompt.as_bytes()))
}

impl QuestionSet {
    /// The hash of everything in the set: 32 hex digits. Equal sets have equal identities whatever made them.
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 question set");
        let QuestionSet { family, task, subtask, style, shots, shot_mode, shot_seed, chance, questions } = self;
        for part in [family, task, subtask, &style.to_string(), &shot_mode.to_string()] {
            text(&mut hasher, part);
        }
        hasher.update(&shots.to_le_bytes());
        hasher.update(&shot_seed.to_le_bytes());
        hasher.update(&chance.to_bits().to_le_bytes());
        number(&mut hasher, questions.len());
        questions.iter().for_each(|q| question(&mut hasher, q));
        hex(&hasher.finalize())
    }
}

/// The hash of everything in these questions: 32 hex digits.
pub fn questions_identity(questions: &[Question]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("saltus 2026 questions");
    questions.iter().for_each(|q| question(&mut hasher, q));
    hex(&hasher.finalize())
}

fn question(hasher: &mut blake3::Hasher, question: &Question) {
    hasher.update(&question.number.to_le_bytes());
    hasher.update(&question.cluster.to_le_bytes());
    text(hasher, &question.prompt);
    number(hasher, question.candidates.len());
    for Candidate { role, context, text: scored, answer, score } in &question.candidates {
        hasher.update(&[*role as u8]);
        optional(hasher, context.as_deref());
        text(hasher, scored);
        optional(hasher, answer.as_deref());
        hasher.update(&score.to_bits().to_le_bytes());
    }
    match &question.generate {
        None => number(hasher, usize::MAX),
        Some(Generate { max_tokens, stop, keep_stop, temperature }) => {
            number(hasher, *max_tokens);
            number(hasher, stop.len());
            stop.iter().for_each(|stop| text(hasher, stop));
            hasher.update(&[u8::from(*keep_stop)]);
            hasher.update(&temperature.unwrap_or(-1.0).to_bits().to_le_bytes());
        }
    }
}

fn optional(hasher: &mut blake3::Hasher, value: Option<&str>) {
    number(hasher, usize::from(value.is_some()));
    text(hasher, value.unwrap_or_default());
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
    use crate::{Role, ShotMode, Style};

    fn generate() -> Generate {
        Generate { max_tokens: 4, stop: vec![";".into()], keep_stop: false, temperature: None }
    }

    fn set() -> QuestionSet {
        QuestionSet {
            family: "addition".into(),
            task: "3-digit plain".into(),
            subtask: String::new(),
            style: Style::Direct,
            shots: 0,
            shot_mode: ShotMode::Fixed,
            shot_seed: 0,
            chance: 0.0,
            questions: vec![Question {
                number: 0,
                cluster: 0,
                prompt: "P438+253=".into(),
                candidates: vec![Candidate::target("0691")],
                generate: Some(generate()),
            }],
        }
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut QuestionSet); 20] = [
            |s| s.family.push('x'),
            |s| s.task.push('x'),
            |s| s.style = Style::StepByStep,
            |s| s.shots = 1,
            |s| s.chance = 0.1,
            |s| s.questions.push(s.questions[0].clone()),
            |s| s.subtask.push('x'),
            |s| s.shot_mode = ShotMode::Fresh,
            |s| s.shot_seed = 1,
            |s| s.questions[0].number = 1,
            |s| s.questions[0].cluster = 1,
            |s| s.questions[0].prompt = "P438+253=x".into(),
            |s| s.questions[0].candidates[0].role = Role::Choice,
            |s| s.questions[0].candidates[0].context = Some("".into()),
            |s| s.questions[0].candidates[0].answer = Some("691".into()),
            |s| s.questions[0].candidates[0].text.push('x'),
            |s| s.questions[0].candidates[0].score = 0.5,
            |s| s.questions[0].generate = None,
            |s| s.questions[0].generate = Some(Generate { stop: vec![], ..generate() }),
            |s| s.questions[0].generate = Some(Generate { keep_stop: true, ..generate() }),
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
