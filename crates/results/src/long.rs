//! Scores in long form: one row for each model, task and metric, or for each item of them.

use crate::table::{Map, Table, Words};
use saltus_file::FileError;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Scores of several files.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// All rows.
    pub rows: Vec<Score>,
    /// What a reader of the verdicts must know.
    pub warnings: Vec<String>,
    names: Vec<String>,
    index: HashMap<String, Name>,
    files: Vec<PathBuf>,
}

/// An interned name; [`Scores::name`] has its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u32);

/// One score. Numbers that the file does not tell are NaN.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Models that differ in scale alone.
    pub family: Name,
    /// The task.
    pub task: Name,
    /// The metric.
    pub metric: Name,
    /// What tells abilities apart besides: `shots=3`, or nothing.
    pub by: Name,
    /// The model's name, if it has one.
    pub model: Option<Name>,
    /// The score: of one item, or a mean over items.
    pub score: f64,
    /// Items that it is the mean of.
    pub items: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Score of blind guessing.
    pub chance: f64,
    /// The highest score there is.
    pub ceiling: f64,
    /// Seed of the model's training.
    pub seed: u64,
    /// The item, where it is the score of one.
    pub item: Option<Name>,
    /// The class that was answered, where it is the score of one item.
    pub predicted: Option<Name>,
    /// 1 if more is better, 0 if less is.
    pub higher_is_better: f64,
    /// Tokens of an answer, or steps of a solution, in the mean.
    pub length: f64,
    /// Training step.
    pub step: f64,
    /// Where the model is on each axis.
    pub scales: Scales,
    file: u32,
    line: u32,
}

/// Where a model is; NaN where it is not told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// The column `scale`, whatever it is.
    pub scale: f64,
    /// All parameters.
    pub params: f64,
    /// Parameters without embeddings.
    pub params_non_embedding: f64,
    /// Operations of training.
    pub flops: f64,
    /// Tokens of training.
    pub tokens: f64,
    /// Loss of the model on held-out text, nats per token.
    pub loss: f64,
}

impl Scales {
    /// Nothing known.
    pub const UNKNOWN: Scales = Scales {
        scale: f64::NAN,
        params: f64::NAN,
        params_non_embedding: f64::NAN,
        flops: f64::NAN,
        tokens: f64::NAN,
        loss: f64::NAN,
    };
}

/// Names of a score, as they are before they are interned.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The family.
    pub family: &'a str,
    /// The task.
    pub task: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// What tells it apart besides.
    pub by: &'a str,
    /// The model.
    pub model: Option<&'a str>,
}

impl Scores {
    /// The text of a name.
    pub fn name(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    /// Where a score stands: `FILE, line 7`.
    pub fn place(&self, score: &Score) -> String {
        let file = self.files.get(score.file as usize).map(|path| path.display().to_string()).unwrap_or_default();
        if score.line == 0 { file } else { format!("{file}, line {}", score.line) }
    }

    /// The files, in the order they were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The name of a text.
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(&name) = self.index.get(text) {
            return name;
        }
        let name = Name(self.names.len() as u32);
        self.names.push(text.to_owned());
        self.index.insert(text.to_owned(), name);
        name
    }

    /// From here on scores come from `path`.
    pub fn file(&mut self, path: &Path) {
        self.files.push(path.into());
    }

    /// A mean of which nothing more is known, ready for what is known to be filled in.
    pub fn mean(&mut self, named: Named<'_>, score: f64) -> Score {
        Score {
            family: self.intern(named.family),
            task: self.intern(named.task),
            metric: self.intern(named.metric),
            by: self.intern(named.by),
            model: named.model.map(|model| self.intern(model)),
            score,
            items: f64::NAN,
            standard_error: f64::NAN,
            chance: f64::NAN,
            ceiling: f64::NAN,
            seed: 0,
            item: None,
            predicted: None,
            higher_is_better: f64::NAN,
            length: f64::NAN,
            step: f64::NAN,
            scales: Scales::UNKNOWN,
            file: self.files.len().saturating_sub(1) as u32,
            line: 0,
        }
    }
}

/// Columns that tell abilities apart, and what several columns of scores share.
struct Columns<'t> {
    family: Option<Words>,
    task: Option<Words>,
    metric: Option<Words>,
    model: Option<Words>,
    item: Option<Words>,
    predicted: Option<Words>,
    by: Vec<(&'t str, Words)>,
    numbers: Numbers<'t>,
    scales: [Option<Vec<f64>>; 6],
}

struct Numbers<'t> {
    items: Option<&'t [f64]>,
    standard_error: Option<&'t [f64]>,
    chance: Option<&'t [f64]>,
    ceiling: Option<&'t [f64]>,
    seed: Option<&'t [f64]>,
    higher_is_better: Option<&'t [f64]>,
    length: Option<&'t [f64]>,
    step: Option<&'t [f64]>,
}

/// Reads a table of scores into `scores`. Columns: `score` (by `map` several: each is a metric of its own name),
/// and of `family`, `model`, `task`, `metric`, `scale`, `params`, `params_non_embedding`, `flops`, `tokens`, `loss`,
/// `n`, `stderr`, `chance`, `ceiling`, `seed`, `item`, `predicted`, `length`, `step`, `higher_is_better` what there is. The
/// columns of `by` tell abilities apart too.
///
/// # Errors
/// For what is no table, has no scores or no scale, or cells that are no numbers, with the place.
pub fn read_table(scores: &mut Scores, path: &Path, map: &Map, by: &[String]) -> Result<(), FileError> {
    let table = Table::read(path, map)?;
    scores.file(path);
    let measured = table.same_name("score");
    if measured.is_empty() {
        return Err(table.missing(&["score"]));
    }
    let columns = columns(&table, by)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let metrics: Vec<String> = measured.iter().map(|&place| table.their_name(place).to_owned()).collect();
    let mut nothing = 0;
    for (&place, metric) in measured.iter().zip(&metrics) {
        let values = table.numbers_at(place)?;
        let said = table.said_nan(place);
        let empty = |row: &usize| values[*row].is_nan() && said.binary_search(&(*row as u32)).is_err();
        let missing = [
            ("NaN", said.first().map(|&row| row as usize), said.len()),
            ("empty", (0..values.len()).find(empty), (0..values.len()).filter(empty).count()),
        ];
        for (what, first, many) in missing {
            if let Some(row) = first {
                let at = format!("{}{}", path.display(), table.place(row));
                scores
                    .warnings
                    .push(format!("{at}: {many} cells of `{metric}` are {what} and left out, this is the first"));
            }
        }
        for (row, &value) in values.iter().enumerate() {
            if value.is_nan() {
                nothing += 1;
                continue;
            }
            let score = columns.score(scores, (&table, row), (&stem, metric), value)?;
            scores.rows.push(score);
        }
    }
    if nothing == measured.len() * table.rows() {
        return Err(table.error(None, "has no score that is a number", "write at least one"));
    }
    Ok(())
}

fn columns<'t>(table: &'t Table, by: &'t [String]) -> Result<Columns<'t>, FileError> {
    let mut others = Vec::new();
    for name in by {
        others.push((name.as_str(), table.words(name).ok_or_else(|| table.missing(&[name]))?));
    }
    let scale_names = ["scale", "params", "params_non_embedding", "flops", "tokens", "loss"];
    let mut scales = [const { None }; 6];
    for (slot, name) in scales.iter_mut().zip(scale_names) {
        *slot = table.sizes(name)?;
    }
    if scales.iter().all(Option::is_none) {
        return Err(table.missing(&["scale", "params", "flops", "tokens", "loss"]));
    }
    let numbers = Numbers {
        items: table.numbers("n")?,
        standard_error: table.numbers("stderr")?,
        chance: table.numbers("chance")?,
        ceiling: table.numbers("ceiling")?,
        seed: table.numbers("seed")?,
        higher_is_better: table.numbers("higher_is_better")?,
        length: table.numbers("length")?,
        step: table.numbers("step")?,
    };
    Ok(Columns {
        family: table.words("family"),
        task: table.words("task"),
        metric: table.words("metric"),
        model: table.words("model"),
        item: table.words("item"),
        predicted: table.words("predicted"),
        by: others,
        numbers,
        scales,
    })
}

impl Columns<'_> {
    fn score(
        &self,
        scores: &mut Scores,
        (table, row): (&Table, usize),
        (stem, metric): (&str, &str),
        value: f64,
    ) -> Result<Score, FileError> {
        let word = |words: &'_ Option<Words>| words.as_ref().and_then(|w| w.get(row)).map(str::to_owned);
        let by: Vec<String> =
            self.by.iter().map(|(name, words)| format!("{name}={}", words.get(row).unwrap_or("none"))).collect();
        let (family, task) = (word(&self.family), word(&self.task));
        let (named, model) = (word(&self.metric), word(&self.model));
        let named = Named {
            family: family.as_deref().unwrap_or(stem),
            task: task.as_deref().unwrap_or(stem),
            metric: named.as_deref().unwrap_or(metric),
            by: &by.join(" "),
            model: model.as_deref(),
        };
        let mut score = scores.mean(named, value);
        let of = |column: Option<&[f64]>| column.map_or(f64::NAN, |column| column[row]);
        let n = &self.numbers;
        score.items = of(n.items);
        score.standard_error = of(n.standard_error);
        score.chance = of(n.chance);
        score.ceiling = of(n.ceiling);
        score.higher_is_better = of(n.higher_is_better);
        score.length = of(n.length);
        score.step = of(n.step);
        score.line = table.line(row);
        let seed = of(n.seed);
        if !seed.is_nan() {
            if !(seed >= 0.0 && seed.fract() == 0.0 && seed < 9e15) {
                let problem = format!("column `seed` says {seed}");
                return Err(table.error(Some(row), problem, "write a whole number from 0"));
            }
            score.seed = seed as u64;
        }
        let at = |place: usize| self.scales[place].as_ref().map_or(f64::NAN, |column| column[row]);
        let [scale, params, params_non_embedding, flops, tokens, loss] = [0, 1, 2, 3, 4, 5].map(at);
        score.scales = Scales { scale, params, params_non_embedding, flops, tokens, loss };
        score.item = word(&self.item).map(|item| scores.intern(&item));
        score.predicted = word(&self.predicted).map(|predicted| scores.intern(&predicted));
        check(table, row, &score)?;
        Ok(score)
    }
}

/// Numbers that cannot be.
fn check(table: &Table, row: usize, score: &Score) -> Result<(), FileError> {
    let wrong =
        |name: &str, value: f64, remedy: &str| Err(table.error(Some(row), format!("`{name}` is {value}"), remedy));
    if score.score.is_infinite() {
        return wrong("score", score.score, "leave the score empty where there is none");
    }
    if score.items <= 0.0 || score.items.is_infinite() {
        return wrong("n", score.items, "write how many items the score is a mean of, or leave it empty");
    }
    if score.standard_error < 0.0 || score.standard_error.is_infinite() {
        return wrong("stderr", score.standard_error, "write the standard error of the score, or leave it empty");
    }
    if score.loss_is_impossible() {
        return wrong("loss", score.scales.loss, "write the loss in nats per token, which is positive");
    }
    Ok(())
}

impl Score {
    fn loss_is_impossible(&self) -> bool {
        self.scales.loss <= 0.0 || self.scales.loss.is_infinite()
    }
}
