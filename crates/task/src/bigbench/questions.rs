//! Prompts of a leaf with shots: the reference's draws in the reference's order.

use super::leaf::{Choice, Example, Leaf};
use super::metric::Kind;
use super::random_state::RandomState;
use crate::{Candidate, Error, Generate, QuestionSet, ShotMode, Style};
use std::collections::HashMap;

/// The generator with which the choices of each example are put in order.
const CHOICE_SEED: u32 = super::REFERENCE_SEED;

/// Longest generated answer, in tokens.
const MAX_ANSWER: usize = 256;

/// A question with all that BIG-bench's metrics need.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Place among the leaf's different examples, from 0.
    pub example: usize,
    /// What the model reads.
    pub prompt: String,
    /// The choices with their scores in the file's order; empty without `target_scores`.
    pub choices: Vec<Choice>,
    /// Right answers for a generated text; without `target` in the file, the best choice.
    pub targets: Vec<String>,
}

/// The questions of a leaf one after another: each is made when it is asked for.
#[derive(Clone)]
pub struct Questions<'a> {
    leaf: &'a Leaf,
    shots: usize,
    /// What is asked, by the number of the example, from the end.
    queue: Vec<u32>,
    draws: Draws,
}

#[derive(Clone)]
enum Draws {
    Fresh {
        state: RandomState,
        members: HashMap<u32, Vec<u32>>,
        pool: Vec<u32>,
    },
    /// The solved examples, written out.
    Fixed(String),
}

impl Leaf {
    /// The questions with `shots` solved examples each, all of them or `limit`. With [`ShotMode::Fresh`] and the seed 42
    /// ([`REFERENCE_SEED`](super::REFERENCE_SEED)) they are the reference's, byte for byte and in its order. With
    /// [`ShotMode::Fixed`] the solved examples are never asked; fewer shots are the first of more.
    ///
    /// # Errors
    /// [`Error::File`] if there are not enough different examples.
    pub fn questions(
        &self,
        shots: u32,
        mode: ShotMode,
        seed: u32,
        limit: Option<usize>,
    ) -> Result<Questions<'_>, Error> {
        let (n, shots) = (self.examples.len(), shots as usize);
        let limit = limit.unwrap_or(n).min(n);
        let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
        for (i, example) in (0..).zip(&self.examples) {
            members.entry(example.class).or_default().push(i);
        }
        let largest = members.values().map(Vec::len).max().unwrap_or(0);
        if shots > n - largest {
            return Err(Error::File {
                path: self.path.clone(),
                place: String::new(),
                problem: format!("{shots} shots asked for, but there are {n} different examples"),
                remedy: "ask for fewer shots, so that examples are left to be questions".into(),
            });
        }
        let mut state = RandomState::new(seed);
        let mut queue: Vec<u32> = if shots > 0 || limit < n { state.permutation(n) } else { (0..n as u32).collect() };
        let draws = match mode {
            ShotMode::Fresh => Draws::Fresh { state, members, pool: Vec::new() },
            ShotMode::Fixed => {
                let solved = queue.split_off(n - shots);
                // Examples that equal a solved one would be asked with their answer before them.
                let solved_class = |i: u32| solved.iter().any(|&s| self.class(s) == self.class(i));
                queue.retain(|&i| !solved_class(i));
                Draws::Fixed(self.context(solved.iter().rev().copied(), &mut state))
            }
        };
        queue.truncate(limit);
        queue.reverse();
        Ok(Questions { leaf: self, shots, queue, draws })
    }

    /// What is asked of a model: [`questions`](Self::questions) with candidates for the metrics of the leaf. The right
    /// answers to open questions are scored too.
    ///
    /// # Errors
    /// As for [`questions`](Self::questions).
    pub fn question_set(
        &self,
        shots: u32,
        mode: ShotMode,
        seed: u32,
        limit: Option<usize>,
    ) -> Result<QuestionSet, Error> {
        let graded = self.asks_for(Kind::Choices);
        let generate = self.asks_for(Kind::Generation).then(|| self.generate());
        let open = generate.is_some() || self.asks_for(Kind::Targets);
        let inputs: Vec<&str> = self.examples.iter().map(|e| e.input.as_str()).collect();
        let clusters = crate::passages::passages(&inputs);
        let question = |question: Question| {
            let choices = question.choices.into_iter().filter(|_| graded);
            let targets = question.targets.into_iter().filter(|_| open);
            crate::Question {
                number: question.example as u32,
                cluster: clusters[question.example],
                prompt: question.prompt.into(),
                candidates: choices
                    .map(|choice| Candidate::choice(choice.text, choice.score))
                    .chain(targets.map(Candidate::target))
                    .collect(),
                generate: generate.clone(),
            }
        };
        let (task, subtask) = self.name().split_once(':').unwrap_or((self.name(), ""));
        Ok(QuestionSet {
            family: super::FAMILY.into(),
            task: task.into(),
            subtask: subtask.into(),
            style: Style::Direct,
            shots,
            shot_mode: mode,
            shot_seed: seed.into(),
            chance: self.chance().filter(|_| graded).unwrap_or(0.0),
            questions: self.questions(shots, mode, seed, limit)?.map(question).collect(),
        })
    }

    /// As long as the longest right answer (a token is at least a byte), or as long as may be where an expression looks
    /// for the answer in a longer text.
    fn generate(&self) -> Generate {
        let longest = self.examples.iter().flat_map(|e| &e.targets).map(String::len).max().unwrap_or(1);
        let searched = self.grading.extract.regex.as_deref().is_some_and(|regex| regex != super::leaf::DEFAULT_REGEX);
        let max_tokens = if searched { MAX_ANSWER } else { longest.clamp(1, MAX_ANSWER) };
        let stop = self.grading.extract.stop.iter().cloned().collect();
        Generate { max_tokens, stop, keep_stop: true, temperature: None }
    }

    /// The mean score of a choice drawn uniformly for each example; `None` without choices.
    pub fn chance(&self) -> Option<f64> {
        let guesses = self.examples.iter().map(|example| example.choices.as_deref().map(guess));
        let sum: f64 = guesses.sum::<Option<f64>>()?;
        Some(sum / self.examples.len() as f64)
    }

    fn class(&self, example: u32) -> u32 {
        self.examples[example as usize].class
    }

    /// The solved examples as a prompt has them, each with one of its targets and followed by the separator.
    fn context(&self, shots: impl Iterator<Item = u32>, state: &mut RandomState) -> String {
        let mut context = String::new();
        for shot in shots {
            let example = &self.examples[shot as usize];
            self.write(example, &mut context);
            let target = &example.targets[state.up_to(example.targets.len() as u32 - 1) as usize];
            context.push_str(without_nuls(target));
            context.push_str(&self.template.separator);
        }
        context
    }

    /// An example without its answer.
    fn write(&self, example: &Example, prompt: &mut String) {
        let template = &self.template;
        prompt.push_str(&template.input_prefix);
        prompt.push_str(&example.input);
        if let Some(choices) = example.choices.as_deref().filter(|_| template.append_choices) {
            let mut sorted: Vec<&str> = choices.iter().map(|c| c.text.as_str()).collect();
            // By code point, as Python and UTF-8 agree to do.
            sorted.sort_unstable();
            RandomState::new(CHOICE_SEED).shuffle(&mut sorted);
            for choice in sorted {
                prompt.push_str(&template.choice_prefix);
                prompt.push_str(without_nuls(choice));
            }
        }
        prompt.push_str(&template.output_prefix);
    }
}

/// The reference puts choices and the targets of shots through numpy, whose texts end before trailing NULs.
fn without_nuls(text: &str) -> &str {
    text.trim_end_matches('\0')
}

/// The mean score of a choice drawn uniformly.
pub(super) fn guess(choices: &[Choice]) -> f64 {
    choices.iter().map(|c| c.score).sum::<f64>() / choices.len() as f64
}

impl Iterator for Questions<'_> {
    type Item = Question;

    fn next(&mut self) -> Option<Question> {
        let asked = self.queue.pop()?;
        let (leaf, shots) = (self.leaf, self.shots);
        let example = &leaf.examples[asked as usize];
        let mut prompt = leaf.template.task_prefix.clone();
        match &mut self.draws {
            Draws::Fixed(context) => prompt.push_str(context),
            Draws::Fresh { .. } if shots == 0 => {}
            Draws::Fresh { state, members, pool } => {
                let equal = &members[&example.class];
                pool.clear();
                pool.extend(0..(leaf.examples.len() - equal.len()) as u32);
                state.shuffle(pool);
                // The j-th of the examples that do not equal the asked one.
                let nth = |&j: &u32| equal.iter().fold(j, |j, &e| if e <= j { j + 1 } else { j });
                let drawn: Vec<u32> = pool[..shots].iter().map(nth).collect();
                prompt.push_str(&leaf.context(drawn.into_iter(), state));
            }
        }
        leaf.write(example, &mut prompt);
        let choices = example.choices.clone().unwrap_or_default();
        Some(Question { example: asked as usize, prompt, choices, targets: example.targets.clone() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.queue.len(), Some(self.queue.len()))
    }
}

impl ExactSizeIterator for Questions<'_> {}
