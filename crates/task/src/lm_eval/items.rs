//! The questions of a task: contexts and continuations as lm-evaluation-harness puts them together
//! (`ConfigurableTask.fewshot_context`, `build_qa_turn` and `construct_requests` of 0.4.13).

mod draw;
mod question;

use super::{
    Output, Task,
    data::{self, Split},
    file_error,
    source::{Rule, What},
    template::variables,
    value::{self, Value, is_space},
};
use crate::passages::passages;
use crate::{Error, ShotMode};
use draw::Draw;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// All texts of a set of questions together; more are refused: 4 GiB.
const MAX_BYTES: usize = 4 << 30;

/// Which shots are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shots {
    /// How many; as many as the task says (else none) without.
    pub count: Option<u32>,
    /// How they are drawn: [`ShotMode::Fresh`] in turn by one generator, lm-evaluation-harness's default sampler;
    /// [`ShotMode::Fixed`] the first ones of the split (`sampler: first_n`), or of an order drawn by the seed, a question
    /// that is itself among them getting the next one instead. As the task's sampler does it without.
    pub mode: Option<ShotMode>,
    /// Seed of the draws, [`FEWSHOT_SEED`](super::FEWSHOT_SEED) in lm-evaluation-harness.
    pub seed: u64,
}

/// A continuation to score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What comes before; may be empty.
    pub context: Arc<str>,
    /// What is scored, with its delimiter.
    pub continuation: String,
}

/// What is asked of a model for one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Choices: one request each.
    Choices {
        /// Where the choice is part of the context, the continuation is the same for all.
        requests: Vec<Request>,
        /// The choices without the delimiter, which `acc_norm` and `acc_bytes` measure.
        choices: Vec<String>,
        /// The choices after an empty context, for `acc_mutual_info` alone; else empty.
        unconditional: Vec<Request>,
    },
    /// One continuation.
    Loglikelihood(Request),
    /// A whole text, from its first token on.
    Rolling(String),
    /// Text to generate after this context; [`Output::Generate`] says how.
    Generate(Arc<str>),
}

/// What is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gold {
    /// The number of the right choice; `None` if the data name none of the choices, which counts as wrong.
    Choice(Option<usize>),
    /// Any of these choices.
    Choices(Vec<Option<usize>>),
    /// The generated text.
    Text(String),
    /// Any of these texts.
    Texts(Vec<String>),
    /// Nothing is to be chosen or generated.
    None,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number of its document in the split, from 0.
    pub document: usize,
    /// What is asked.
    pub ask: Ask,
    /// What is right.
    pub gold: Gold,
}

/// The questions of a task with a number of shots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// Solved examples in each context.
    pub shots: u32,
    /// How they were drawn.
    pub mode: ShotMode,
    /// The questions, in the order of the split.
    pub items: Vec<Item>,
    /// For each of them the number of the first document that it shares a passage with, else its own.
    pub clusters: Vec<u32>,
}

/// A task with its data.
#[derive(Clone, Debug)]
pub struct Open<'t> {
    task: &'t Task,
    split: String,
    questions: Arc<Split>,
    pool_name: String,
    pool: Arc<Split>,
    /// A document may itself be a shot, so that it is left out of its own.
    may_overlap: bool,
    multiple_input: bool,
    multiple_target: bool,
}

impl Task {
    /// Reads the data of the split with the questions (test, else validation) and of the one with the shots.
    ///
    /// # Errors
    /// [`Error::File`] for files that are missing, broken or too large, and for a first document that the task's
    /// templates cannot be applied to.
    pub fn open(&self) -> Result<Open<'_>, Error> {
        let read = |split: &str| {
            let files = self.dataset.files(split).unwrap_or_default();
            data::read(self.dataset.format, files, self.dataset.field.as_deref()).map(Arc::new)
        };
        let split = self.test_split.as_ref().or(self.validation_split.as_ref()).cloned().unwrap_or_default();
        let questions = read(&split)?;
        let named = self.shots.split.clone();
        let usual =
            || [&self.training_split, &self.validation_split, &self.test_split].into_iter().flatten().next().cloned();
        let (pool_name, pool) = match (named, &self.shots.samples) {
            (Some(name), _) if name == split => (name, questions.clone()),
            (Some(name), _) => (name.clone(), read(&name)?),
            (None, Some(samples)) => ("samples".to_owned(), Arc::new(data::from_samples(&self.path, samples)?)),
            (None, None) => {
                let name = usual().unwrap_or_default();
                let pool = if name == split { questions.clone() } else { read(&name)? };
                (name, pool)
            }
        };
        let may_overlap = self.shots.split == self.test_split;
        let (multiple_input, multiple_target) = (false, false);
        let mut open =
            Open { task: self, split, questions, pool_name, pool, may_overlap, multiple_input, multiple_target };
        let first = open.document(0);
        let text =
            self.text.as_ref().filter(|_| self.choice.is_some()).map(|rule| open.text(rule, &first)).transpose()?;
        let target = self.target.as_ref().map(|rule| open.target(rule, &first)).transpose()?;
        drop(first);
        open.multiple_input = text.is_some_and(|value| value.integer().is_some());
        open.multiple_target = matches!(target, Some(Value::List(list)) if !list.is_empty());
        Ok(open)
    }
}

/// A document and the variables of its templates.
struct Document<'s> {
    split: &'s Split,
    number: usize,
    place: &'s str,
    variables: minijinja::Value,
}

impl<'t> Open<'t> {
    /// Number of documents with questions.
    pub fn len(&self) -> usize {
        self.questions.documents.len()
    }

    /// Never true: data without documents are refused.
    pub fn is_empty(&self) -> bool {
        self.questions.documents.is_empty()
    }

    /// The task.
    pub fn task(&self) -> &'t Task {
        self.task
    }

    /// The questions of the first `limit` documents (of all without).
    ///
    /// # Errors
    /// [`Error::File`] with the place in the task file and the number of the document where a template fails, gives
    /// something of the wrong kind, or does too much work; and where there are too few shots.
    pub fn items(&self, shots: Shots, limit: Option<usize>) -> Result<Items, Error> {
        let count = match self.task.num_fewshot() {
            Some(0) => 0,
            own => shots.count.or(own).unwrap_or(0),
        };
        let usual = if self.task.shots.first_n { ShotMode::Fixed } else { ShotMode::Fresh };
        let mode = shots.mode.unwrap_or(usual);
        let mut draw = Draw::new(self, mode, count as usize, shots.seed);
        let mut turns: HashMap<usize, String> = HashMap::new();
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        // Where the question begins in the context of each item, behind the solved examples.
        let mut begins = Vec::new();
        for number in 0..self.len().min(limit.unwrap_or(usize::MAX)) {
            let mut before = String::new();
            for shot in draw.shots(number)? {
                before.push_str(match turns.entry(shot) {
                    Entry::Occupied(turn) => turn.into_mut(),
                    Entry::Vacant(place) => place.insert(self.shot(shot)?),
                });
            }
            let (item, begin) = self.item(number, &before)?;
            begins.push(begin);
            bytes = bytes.saturating_add(size(&item.ask));
            if bytes > MAX_BYTES {
                let problem = format!("the texts of the questions take more than {} GiB", MAX_BYTES >> 30);
                return Err(file_error(
                    &self.task.path,
                    String::new(),
                    problem,
                    "ask fewer questions, or with fewer shots",
                ));
            }
            items.push(item);
        }
        let own = items.iter().zip(begins).map(|(item, begin)| &context(item)[begin..]);
        let clusters = passages(&own.collect::<Vec<_>>());
        Ok(Items { shots: count, mode, items, clusters })
    }

    fn document(&self, number: usize) -> Document<'_> {
        let variables = variables(self.questions.named(number));
        Document { split: &self.questions, number, place: &self.split, variables }
    }

    fn error(&self, rule: &Rule, document: &Document<'_>, problem: &str) -> Error {
        let problem = format!("`{}` of document {} of `{}`: {problem}", rule.key, document.number, document.place);
        rule.node.error(problem, "mend the template, or the data")
    }

    /// Whether a rule is a template; the name of a column of the questions is that column.
    fn is_template(&self, rule: &Rule) -> bool {
        matches!(&rule.what, What::Text(text) if self.questions.column(text).is_none())
    }

    fn apply(&self, rule: &Rule, document: &Document<'_>) -> Result<Value, Error> {
        match &rule.what {
            What::Fixed(value) => Ok(value.clone()),
            What::Text(_) if self.is_template(rule) => {
                let rendered = self.task.templates.render(rule.key, &document.variables);
                rendered.map(Value::Text).map_err(|e| self.error(rule, document, &e))
            }
            What::Text(name) => match document.split.column(name) {
                Some(column) => Ok(document.split.documents[document.number][column].clone()),
                None => Err(self.error(rule, document, &format!("there is no column `{name}`"))),
            },
        }
    }

    /// `doc_to_text`: a text, or the number of a choice.
    fn text(&self, rule: &Rule, document: &Document<'_>) -> Result<Value, Error> {
        let value = self.apply(rule, document)?;
        self.number_of_choice(rule, document, value)
    }

    /// A template that gives digits gives the number of a choice, where there are choices.
    fn number_of_choice(&self, rule: &Rule, document: &Document<'_>, value: Value) -> Result<Value, Error> {
        let digits = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match value {
            Value::Text(text) if self.is_template(rule) && self.task.choice.is_some() && digits(&text) => {
                let wrong = || self.error(rule, document, &format!("`{text}` is no number of a choice"));
                value::literal(&text).ok_or_else(wrong)
            }
            value => Ok(value),
        }
    }

    /// `doc_to_target`: a text, the number of a choice, or several of them.
    fn target(&self, rule: &Rule, document: &Document<'_>) -> Result<Value, Error> {
        let value = self.apply(rule, document)?;
        Ok(match self.number_of_choice(rule, document, value)? {
            Value::Text(text)
                if self.is_template(rule) && text.len() >= 2 && text.starts_with('[') && text.ends_with(']') =>
            {
                value::literal(&text).unwrap_or(Value::Text(text))
            }
            value => value,
        })
    }

    /// `doc_to_choice`: the choices.
    fn choices(&self, rule: &Rule, document: &Document<'_>) -> Result<Vec<String>, Error> {
        let value = match self.apply(rule, document)? {
            Value::Text(text) if self.is_template(rule) => {
                let wrong = || self.error(rule, document, "the template gives no list: write `{{[a, b]}}`");
                value::literal(&text).ok_or_else(wrong)?
            }
            value => value,
        };
        let Value::List(list) = value else {
            return Err(self.error(rule, document, &format!("expected a list of texts, found {}", value.kind())));
        };
        let choice = |value| match value {
            Value::Text(text) => Ok(text),
            other => {
                Err(self.error(rule, document, &format!("a choice is {}, expected a text in quotes", other.kind())))
            }
        };
        if list.is_empty() {
            return Err(self.error(rule, document, "no choices"));
        }
        list.into_iter().map(choice).collect()
    }

    /// A text that may be left out: `description`, `gen_prefix`.
    fn optional(&self, rule: Option<&Rule>, document: &Document<'_>) -> Result<String, Error> {
        let Some(rule) = rule else { return Ok(String::new()) };
        match self.apply(rule, document)? {
            Value::Text(text) => Ok(text),
            Value::None => Ok(String::new()),
            other => Err(self.error(rule, document, &format!("expected a text, found {}", other.kind()))),
        }
    }

    /// A solved example with its delimiters.
    fn shot(&self, number: usize) -> Result<String, Error> {
        let rules = &self.task.shots;
        let variables = variables(self.pool.named(number));
        let document = Document { split: &self.pool, number, place: &self.pool_name, variables };
        let (Some(text), Some(target)) = (&rules.text, &rules.target) else { return Ok(String::new()) };
        let question = self.text(text, &document)?;
        let mut choices = rules.choice.as_ref().map(|rule| self.choices(rule, &document)).transpose()?;
        let answer = self.target(target, &document)?;
        let prefix = self.optional(rules.prefix.as_ref(), &document)?;
        let pick = |choices: Option<&Vec<String>>, at: i64, rule| {
            // As Python counts, from the end below 0.
            let choices = choices.map_or(&[][..], Vec::as_slice);
            let place = if at < 0 { at + choices.len() as i64 } else { at };
            let choice = usize::try_from(place).ok().and_then(|place| choices.get(place)).cloned();
            choice.ok_or_else(|| self.error(rule, &document, &format!("there is no choice {at}")))
        };
        let question = match question.integer() {
            Some(at) if self.multiple_input => pick(choices.take().as_ref(), at, text)?,
            _ => self.expect_text(question, text, &document)?,
        };
        let answer = match (answer.integer(), answer) {
            (Some(at), _) if choices.is_some() => Some(pick(choices.as_ref(), at, target)?),
            (_, Value::List(list)) => match list.into_iter().next() {
                Some(value) => Some(self.expect_text(value, target, &document)?),
                None => return Err(self.error(target, &document, "no targets")),
            },
            // Nothing and an empty text are no answer.
            (_, Value::None) => None,
            (_, value) => Some(self.expect_text(value, target, &document)?).filter(|answer| !answer.is_empty()),
        };
        Ok(turn(&question, answer.as_deref(), &prefix, &rules.target_delimiter, &rules.delimiter))
    }

    fn expect_text(&self, value: Value, rule: &Rule, document: &Document<'_>) -> Result<String, Error> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(self.error(rule, document, &format!("expected a text, found {}", other.kind()))),
        }
    }

    /// The item, and where its own part of the context begins.
    fn item(&self, number: usize, shots: &str) -> Result<(Item, usize), Error> {
        let (task, document) = (self.task, self.document(number));
        let Some(target) = &task.target else {
            return Err(file_error(&task.path, String::new(), "no `doc_to_target`", "write it"));
        };
        let before = self.optional(task.description.as_ref(), &document)? + shots;
        let begin = before.len();
        let (ask, gold) = match (&task.output, &task.text, &task.choice) {
            (Output::Rolling, ..) => {
                let text = self.target(target, &document)?;
                (Ask::Rolling(self.expect_text(text, target, &document)?), Gold::None)
            }
            (Output::MultipleChoice, Some(text), Some(choice)) => {
                self.multiple_choice(&document, [text, target, choice], &before)?
            }
            (output, Some(text), choice) => {
                let context: Arc<str> = (before + &self.question(text, &document)?).into();
                let value = self.target(target, &document)?;
                if matches!(output, Output::Generate(_)) {
                    (Ask::Generate(context), self.text_gold(&document, target, choice.as_ref(), value)?)
                } else {
                    let continuation = self.expect_text(value, target, &document)?;
                    (Ask::Loglikelihood(Request { context, continuation }), Gold::None)
                }
            }
            _ => return Err(file_error(&task.path, String::new(), "no `doc_to_text`", "write it")),
        };
        let item = Item { document: number, ask, gold };
        let begin = begin.min(context(&item).len());
        Ok((item, begin))
    }

    /// The question itself, with its `gen_prefix`.
    fn question(&self, rule: &Rule, document: &Document<'_>) -> Result<String, Error> {
        let question = self.text(rule, document)?;
        let question = self.expect_text(question, rule, document)?;
        let prefix = self.optional(self.task.prefix.as_ref(), document)?;
        Ok(turn(&question, None, &prefix, &self.task.target_delimiter, ""))
    }

    fn multiple_choice(
        &self,
        document: &Document<'_>,
        [text, target, choice]: [&Rule; 3],
        before: &str,
    ) -> Result<(Ask, Gold), Error> {
        let delimiter = &self.task.target_delimiter;
        let choices = self.choices(choice, document)?;
        let target_value = self.target(target, document)?;
        let (requests, gold) = if self.multiple_input {
            let prefix = self.optional(self.task.prefix.as_ref(), document)?;
            let continuation = format!("{delimiter}{}", target_value.str());
            let request = |question: &String| Request {
                context: (before.to_owned() + &turn(question, None, &prefix, "", "")).into(),
                continuation: continuation.clone(),
            };
            (choices.iter().map(request).collect(), self.text(text, document)?)
        } else {
            let context: Arc<str> = (before.to_owned() + &self.question(text, document)?).into();
            let request =
                |choice: &String| Request { context: context.clone(), continuation: format!("{delimiter}{choice}") };
            (choices.iter().map(request).collect(), target_value)
        };
        let rule = if self.multiple_input { text } else { target };
        let gold = match gold {
            Value::List(list) if self.multiple_target => {
                let numbers = list.iter().map(|value| self.choice_gold(document, rule, value, &choices));
                Gold::Choices(numbers.collect::<Result<_, _>>()?)
            }
            _ if self.multiple_target && !self.multiple_input => {
                return Err(self.error(rule, document, "one target, where the first document has a list"));
            }
            value => Gold::Choice(self.choice_gold(document, rule, &value, &choices)?),
        };
        let mutual = self.task.grading().metrics.iter().any(|entry| entry.metric == super::Metric::AccMutualInfo);
        let alone = |choice: &String| Request { context: "".into(), continuation: format!("{delimiter}{choice}") };
        let unconditional = if mutual { choices.iter().map(alone).collect() } else { Vec::new() };
        Ok((Ask::Choices { requests, choices, unconditional }, gold))
    }

    /// The number of the right choice; `None` where the target is none of them.
    fn choice_gold(
        &self,
        document: &Document<'_>,
        rule: &Rule,
        gold: &Value,
        choices: &[String],
    ) -> Result<Option<usize>, Error> {
        match (gold, gold.integer()) {
            (_, Some(number)) if number < 0 => {
                let problem =
                    format!("the right choice is {number}, so nothing can be right: the split has no answers");
                Err(self.error(rule, document, &problem))
            }
            (_, Some(number)) => Ok(Some(number as usize).filter(|&number| number < choices.len())),
            (Value::Text(text), _) => Ok(choices.iter().position(|choice| choice == text)),
            (other, _) => Err(self.error(rule, document, &format!("expected a choice, found {}", other.kind()))),
        }
    }

    fn text_gold(
        &self,
        document: &Document<'_>,
        rule: &Rule,
        choice: Option<&Rule>,
        value: Value,
    ) -> Result<Gold, Error> {
        if let Some(choice) = choice {
            let choices = self.choices(choice, document)?;
            let number = value.integer().and_then(|number| usize::try_from(number).ok());
            let right = number.and_then(|number| choices.get(number)).cloned();
            let wrong = || self.error(rule, document, &format!("`{}` is the number of no choice", value.str()));
            return right.map(Gold::Text).ok_or_else(wrong);
        }
        match value {
            Value::List(list) if self.multiple_target => {
                let texts = list.into_iter().map(|value| self.expect_text(value, rule, document));
                Ok(Gold::Texts(texts.collect::<Result<_, _>>()?))
            }
            Value::List(_) => Err(self.error(rule, document, "several targets, where the first document has one")),
            _ if self.multiple_target => {
                Err(self.error(rule, document, "one target, where the first document has a list"))
            }
            value => Ok(Gold::Text(value.str())),
        }
    }
}

/// `build_qa_turn`: a question, its answer if it has one, and what begins the answer.
fn turn(question: &str, answer: Option<&str>, prefix: &str, target_delimiter: &str, delimiter: &str) -> String {
    let apart = |before: &str, after: &str| !(before.ends_with(is_space) || after.starts_with(is_space));
    let delimited = if prefix.is_empty() { answer.is_some() } else { !question.is_empty() && apart(question, prefix) };
    let mut text = question.to_owned();
    text.push_str(if delimited { target_delimiter } else { "" });
    text.push_str(prefix);
    if let Some(answer) = answer {
        let space = !prefix.is_empty() && !answer.is_empty() && apart(prefix, answer);
        text.push_str(if space { " " } else { "" });
        text.push_str(answer);
        text.push_str(delimiter);
    }
    text
}

/// What the model reads; of choices the first.
fn context(item: &Item) -> &str {
    match &item.ask {
        Ask::Choices { requests, .. } => requests.first().map_or("", |request| &request.context),
        Ask::Loglikelihood(request) => &request.context,
        Ask::Rolling(_) => "",
        Ask::Generate(context) => context,
    }
}

fn size(ask: &Ask) -> usize {
    let of = |requests: &[Request]| {
        let shared = requests.windows(2).all(|pair| Arc::ptr_eq(&pair[0].context, &pair[1].context));
        let contexts =
            requests.iter().map(|r| r.context.len()).take(if shared { 1 } else { usize::MAX }).sum::<usize>();
        contexts + requests.iter().map(|r| r.continuation.len()).sum::<usize>()
    };
    match ask {
        Ask::Choices { requests, choices, unconditional } => {
            of(requests) + of(unconditional) + choices.iter().map(String::len).sum::<usize>()
        }
        Ask::Loglikelihood(request) => of(std::slice::from_ref(request)),
        Ask::Rolling(text) => text.len(),
        Ask::Generate(context) => context.len(),
    }
}
