//! Items as the questions that a model is asked.

use super::{Ask, Gold, Item, Items, Request};
use crate::{
    Candidate, Generate, Question, QuestionSet, Role, Style,
    lm_eval::{FAMILY, Output, Task, value::is_space},
};

impl Items {
    /// What is asked of a model for these items of `task`, whose shots were drawn by `seed`. The right answers to open
    /// questions are scored too, behind the delimiter that shots have.
    pub fn question_set(self, task: &Task, seed: u64) -> QuestionSet {
        let questions: Vec<Question> =
            self.items.into_iter().zip(self.clusters).map(|(item, cluster)| item.question(cluster, task)).collect();
        let chance = |question: &Question| {
            let scores = question.candidates.iter().filter(|c| c.role == Role::Choice).map(|c| c.score);
            // Of no choices the sum would be -0.
            scores.clone().fold(0.0, |sum, x| sum + x) / scores.count().max(1) as f64
        };
        QuestionSet {
            family: FAMILY.into(),
            task: task.name().into(),
            subtask: String::new(),
            style: Style::Direct,
            shots: self.shots,
            shot_mode: self.mode,
            shot_seed: seed,
            chance: questions.iter().map(chance).fold(0.0, |sum, x| sum + x) / questions.len().max(1) as f64,
            questions,
        }
    }
}

impl Item {
    fn question(self, cluster: u32, task: &Task) -> Question {
        let number = self.document as u32;
        let (prompt, candidates) = match self.ask {
            Ask::Choices { requests, choices, unconditional } => {
                let prompt = requests.first().map_or_else(|| "".into(), |request| request.context.clone());
                let right = |place: usize| match &self.gold {
                    Gold::Choice(right) => *right == Some(place),
                    Gold::Choices(right) => right.contains(&Some(place)),
                    _ => false,
                };
                let candidate = |role, place, request: Request, answer: String| Candidate {
                    role,
                    context: Some(request.context).filter(|context| *context != prompt),
                    answer: Some(answer).filter(|answer| *answer != request.continuation),
                    text: request.continuation,
                    score: f64::from(u8::from(right(place))),
                };
                let numbered = |requests: Vec<Request>| requests.into_iter().zip(choices.clone()).enumerate();
                let asked = numbered(requests).map(|(i, (r, answer))| candidate(Role::Choice, i, r, answer));
                let alone =
                    numbered(unconditional).map(|(i, (r, answer))| candidate(Role::Unconditional, i, r, answer));
                let candidates = asked.chain(alone).collect();
                (prompt, candidates)
            }
            Ask::Loglikelihood(request) => (request.context, vec![Candidate::target(request.continuation)]),
            Ask::Rolling(text) => ("".into(), vec![Candidate { role: Role::Text, ..Candidate::target(text) }]),
            Ask::Generate(context) => {
                let targets = match self.gold {
                    Gold::Text(text) => vec![text],
                    Gold::Texts(texts) => texts,
                    _ => Vec::new(),
                };
                let delimiter = if context.ends_with(is_space) { "" } else { &*task.target_delimiter };
                let target = |text: String| Candidate {
                    text: format!("{delimiter}{text}"),
                    answer: Some(text).filter(|_| !delimiter.is_empty()),
                    ..Candidate::target("")
                };
                let candidates = targets.into_iter().map(target).collect();
                (context, candidates)
            }
        };
        let generate = match &task.output {
            Output::Generate(how) => Some(Generate {
                max_tokens: how.max_tokens,
                stop: how.until.clone(),
                keep_stop: false,
                temperature: how.temperature,
            }),
            _ => None,
        };
        Question { number, cluster, prompt, candidates, generate }
    }
}
