//! Tasks of the user's own, from a file: BIG-bench-style `task.json`, or JSONL with one example on each line.
//!
//! `task.json` is an object with `examples`, each `{"input", "target"}` (a text or several) or
//! `{"input", "target_scores": {"choice": score, ...}}`; its prompts are put together as BIG-bench does
//! (`task_prefix`, `example_input_prefix`, ...; Srivastava et al., arXiv 2206.04615), choices in the order of their
//! text. JSONL lines are `{"input", "target"}` or `{"input", "choices": [...], "answer": number or text}`; their texts
//! are used as they stand, shots joined by line breaks. Unknown keys are ignored, as BIG-bench does.

mod json;
mod parse;

use crate::draw::shuffle_front;
use crate::passages::passages;
use crate::{Candidate, Error, Generate, Question, QuestionSet, ShotMode, Style};
use saltus_random::Key;
use std::path::{Path, PathBuf};

/// Larger files are refused: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Files with more examples are refused.
pub const MAX_EXAMPLES: usize = 1_000_000;
/// Single texts longer than this are refused: 1 MiB.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Longest generated answer, in tokens.
const MAX_ANSWER: usize = 256;

/// A task file, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFile {
    path: PathBuf,
    name: String,
    template: Template,
    /// Whether all examples have choices; else all have right answers alone.
    choices: bool,
    examples: Vec<Example>,
}

/// How a prompt is put together, in BIG-bench's terms.
#[derive(Clone, Debug, PartialEq)]
struct Template {
    task_prefix: String,
    input_prefix: String,
    output_prefix: String,
    choice_prefix: String,
    append_choices: bool,
    separator: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Example {
    input: String,
    candidates: Vec<Candidate>,
}

impl TaskFile {
    /// Reads `path`: JSONL if its name ends in `.jsonl`, else BIG-bench-style JSON.
    ///
    /// # Errors
    /// [`Error::File`] with the place in the file, for everything that is wrong with it; see [`MAX_FILE_BYTES`],
    /// [`MAX_EXAMPLES`], [`MAX_TEXT_BYTES`] for what is too large.
    pub fn read(path: &Path) -> Result<Self, Error> {
        parse::read(path)
    }

    /// The task's name: `name` in `task.json`, else the file's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Never true: a file without examples is refused.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// One set for each number of shots, all with the same questions: at most `items`, drawn by `key` from the examples
    /// that are no shots. The shots are the same for every question, fewer shots being the first of more.
    ///
    /// # Errors
    /// [`Error::File`] if there are not more examples than shots.
    pub fn questions(&self, shots: &[u32], items: usize, key: Key) -> Result<Vec<QuestionSet>, Error> {
        let most = shots.iter().max().map_or(0, |&n| n as usize);
        if most >= self.examples.len() {
            return Err(Error::File {
                path: self.path.clone(),
                place: String::new(),
                problem: format!("{most} shots asked for, but there are {} examples", self.examples.len()),
                remedy: "ask for fewer shots, so that examples are left to be questions".into(),
            });
        }
        let key = key.child(&self.name);
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        shuffle_front(&mut order, most, &mut key.child("shots").rng());
        // What is left stays in the order of the file before it is drawn from, whatever the number of shots drawn.
        let (solved, asked) = order.split_at_mut(most);
        asked.sort_unstable();
        shuffle_front(asked, items, &mut key.child("items").rng());
        let asked = &asked[..items.min(asked.len())];
        Ok(shots.iter().map(|&n| self.question_set(&solved[..n as usize], asked)).collect())
    }

    fn question_set(&self, shots: &[usize], asked: &[usize]) -> QuestionSet {
        let inputs: Vec<&str> = self.examples.iter().map(|e| e.input.as_str()).collect();
        let clusters = passages(&inputs);
        let generate = (!self.choices).then(|| self.generate());
        let question = |&i: &usize| Question {
            number: i as u32,
            cluster: clusters[i],
            prompt: self.prompt(shots, i).into(),
            candidates: self.examples[i].candidates.clone(),
            generate: generate.clone(),
        };
        let guess = |&i: &usize| {
            let candidates = &self.examples[i].candidates;
            candidates.iter().map(|c| c.score).sum::<f64>() / candidates.len() as f64
        };
        let chance = if self.choices { asked.iter().map(guess).sum::<f64>() / asked.len().max(1) as f64 } else { 0.0 };
        QuestionSet {
            family: "file".into(),
            task: self.name.clone(),
            subtask: String::new(),
            style: Style::Direct,
            shots: shots.len() as u32,
            shot_mode: ShotMode::Fixed,
            // Drawn by the study's key.
            shot_seed: 0,
            chance,
            questions: asked.iter().map(question).collect(),
        }
    }

    /// Generation ends at a line break or semicolon, unless an answer of the file contains one; as long as the longest
    /// answer (a token is at least a byte).
    fn generate(&self) -> Generate {
        let answers = || self.examples.iter().flat_map(|e| &e.candidates).map(|c| c.text.as_str());
        let longest = answers().map(str::len).max().unwrap_or(1);
        let stop =
            ['\n', crate::END].into_iter().filter(|&c| !answers().any(|a| a.contains(c))).map(String::from).collect();
        Generate { max_tokens: longest.clamp(1, MAX_ANSWER), stop, keep_stop: false, temperature: None }
    }

    fn prompt(&self, shots: &[usize], asked: usize) -> String {
        let mut prompt = self.template.task_prefix.clone();
        for &shot in shots {
            self.write(shot, &mut prompt);
            let candidates = &self.examples[shot].candidates;
            // The best answer, the first on ties.
            let best = candidates.iter().reduce(|best, c| if c.score > best.score { c } else { best });
            prompt.push_str(best.map_or("", |c| &c.text));
            prompt.push_str(&self.template.separator);
        }
        self.write(asked, &mut prompt);
        prompt
    }

    fn write(&self, example: usize, prompt: &mut String) {
        let (template, example) = (&self.template, &self.examples[example]);
        prompt.push_str(&template.input_prefix);
        prompt.push_str(&example.input);
        if self.choices && template.append_choices {
            for choice in &example.candidates {
                prompt.push_str(&template.choice_prefix);
                prompt.push_str(&choice.text);
            }
        }
        prompt.push_str(&template.output_prefix);
    }
}
