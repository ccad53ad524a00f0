//! From rows of scores to abilities: which rows belong together, what their numbers mean, what is missing.

use crate::{
    axis::AxisName,
    chance,
    metric::{self, Form, Metric},
    one_class::one_class,
    two_step::{Checkpoint, checkpoints},
};
use saltus_emergence::{self as emergence, Kind, Measurement};
use saltus_results::{Name, Score, Scores};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Items that a mean stands for where no file tells.
const ASSUMED_ITEMS: u32 = 100;

/// A task in which some model scores less than this, as a share, is none in which guessing helps.
const NO_GUESSING: f64 = 0.05;

/// What the caller says that files do not.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The scale axis.
    pub axis: AxisName,
    /// Score of blind guessing: for a task by name, or for all (no name).
    pub chance: Vec<(Option<String>, f64)>,
    /// Metrics of which less is better.
    pub lower_is_better: Vec<String>,
}

/// One ability of one family, ready to be judged.
#[derive(Clone, Debug)]
pub struct Ability {
    /// The family; with the size, where it is judged along the training of each size.
    pub family: String,
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// What tells it apart besides, such as `shots=3`.
    pub by: String,
    /// What its metric is.
    pub form: Metric,
    /// Its scores.
    pub ability: emergence::Ability,
    /// Tokens (or steps) of an answer in the mean, where told.
    pub length: Option<f64>,
    /// That models answer with one class whatever the question, where their answers are told (`predicted`).
    pub one_class: Option<String>,
    /// The checkpoints whose parameters and loss are told, for [`crate::Method::TwoStep`].
    pub checkpoints: Vec<Checkpoint>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// An ability that could not be made, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// The family.
    pub family: String,
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// What tells it apart besides.
    pub by: String,
    /// Why, and what to do.
    pub reason: String,
}

/// How rows are told apart.
type Key = (Name, Name, Name, Name, u64);

/// Puts rows together by family, task, metric and what `by` tells; along training (tokens) by the model's size too.
/// Of several training steps of a model the last one counts, unless the axis is one of training. What cannot be made an
/// ability is given back with the reason.
pub fn abilities(scores: &Scores, asked: &Asked) -> (Vec<Ability>, Vec<Left>) {
    let mut groups: BTreeMap<Key, Vec<&Score>> = BTreeMap::new();
    for row in &scores.rows {
        let params = [row.scales.params, row.scales.params_non_embedding].into_iter().find(|p| !p.is_nan());
        // Along training, models of different sizes are different stories.
        let size = if asked.axis == AxisName::Tokens { params.unwrap_or(0.0).to_bits() } else { 0 };
        groups.entry((row.family, row.task, row.metric, row.by, size)).or_default().push(row);
    }
    let shared = Shared::of(scores, &groups);
    let (mut made, mut left) = (Vec::new(), Vec::new());
    for ((family, task, metric, by, size), rows) in &groups {
        let size = f64::from_bits(*size);
        let family = scores.name(*family).to_owned();
        let family = if size > 0.0 { format!("{family} {}", readable(size)) } else { family };
        let [task_text, metric_text, by] = [task, metric, by].map(|name| scores.name(*name).to_owned());
        match (Group { scores, asked, rows, shared: &shared[&(*task, *metric)] }).make(&task_text, &metric_text) {
            Ok(mut ability) => {
                (ability.family, ability.task, ability.metric, ability.by) = (family, task_text, metric_text, by);
                made.push(ability);
            }
            Err(reason) => left.push(Left { family, task: task_text, metric: metric_text, by, reason }),
        }
    }
    (made, left)
}

/// What holds for a task and metric whatever the family: the items are the same.
#[derive(Clone, Debug, Default)]
struct Shared {
    least: f64,
    most: f64,
    /// Different chance levels that are told, each with the first place.
    chances: Vec<(f64, String)>,
    /// The number of items by the standard errors.
    items: Option<u32>,
    /// The place of a score that can only be a share of 1, and of one that can only be percent.
    shares: Option<String>,
}

impl Shared {
    fn of(scores: &Scores, groups: &BTreeMap<Key, Vec<&Score>>) -> HashMap<(Name, Name), Shared> {
        let mut all: HashMap<(Name, Name), Vec<&Score>> = HashMap::new();
        for ((_, task, metric, ..), rows) in groups {
            all.entry((*task, *metric)).or_default().extend(rows);
        }
        let of = |rows: &[&Score]| {
            let mut shared = Shared { least: f64::INFINITY, most: f64::NEG_INFINITY, ..Shared::default() };
            let mut items = Vec::new();
            for row in rows {
                (shared.least, shared.most) = (shared.least.min(row.score), shared.most.max(row.score));
                if !row.chance.is_nan() && !shared.chances.iter().any(|(c, _)| (c - row.chance).abs() < 1e-9) {
                    shared.chances.push((row.chance, scores.place(row)));
                }
                let variance = row.score * (1.0 - row.score);
                if row.standard_error > 0.0 && variance > 0.0 {
                    items.push(variance / row.standard_error.powi(2) + 1.0);
                }
                if shared.shares.is_none() && row.score > 0.0 && row.score <= 1.0 {
                    shared.shares = Some(scores.place(row));
                }
            }
            items.sort_by(f64::total_cmp);
            shared.items = items.get(items.len() / 2).map(|n| n.round().clamp(1.0, 1e9) as u32);
            shared
        };
        all.into_iter().map(|(key, rows)| (key, of(&rows))).collect()
    }
}

struct Group<'a> {
    scores: &'a Scores,
    asked: &'a Asked,
    rows: &'a [&'a Score],
    shared: &'a Shared,
}

/// One score of a model, its size on the axis, and its seed.
pub(crate) type Placed<'a> = (f64, u64, &'a Score);

impl Group<'_> {
    fn make(&self, task: &str, name: &str) -> Result<Ability, String> {
        let mut notes = Vec::new();
        let mut form = metric::of_name(name);
        let told = self.rows.iter().find(|row| !row.higher_is_better.is_nan()).map(|row| row.higher_is_better > 0.5);
        form.higher_is_better =
            told.unwrap_or(form.higher_is_better && !self.asked.lower_is_better.iter().any(|m| m == name));
        let placed = self.placed(&mut notes)?;
        self.no_negative_loss(name, form.higher_is_better, &placed)?;
        let items = placed.iter().any(|(.., row)| row.item.is_some());
        self.settle(&mut form)?;
        let whole = self.whole(&form)?;
        if whole != 1.0 {
            notes.push(format!("scores are taken as parts of {whole}"));
        }
        let chance = self.chance(task, &form, whole, &mut notes)?;
        let kind = kind(&form, chance);
        let measurements = if items {
            self.item_measurements(&placed, whole)?
        } else {
            self.mean_measurements(&placed, &form, kind, whole, &mut notes)?
        };
        if form.form == Form::Perplexity {
            notes.push("judged as the logarithm of the perplexity".into());
        }
        let ceiling = self.rows.iter().map(|row| row.ceiling / whole).find(|c| *c > 0.0 && *c < 1.0).unwrap_or(1.0);
        let ability = emergence::Ability {
            axis: self.asked.axis.axis(),
            ceiling,
            kind,
            higher_is_better: form.higher_is_better,
            measurements,
        };
        let lengths: Vec<f64> = self.rows.iter().map(|row| row.length).filter(|length| *length > 0.0).collect();
        let length = (!lengths.is_empty()).then(|| lengths.iter().sum::<f64>() / lengths.len() as f64);
        let (family, task, metric, by) = Default::default();
        let (one_class, checkpoints) = (one_class(self.scores, &placed), checkpoints(self.rows, whole));
        Ok(Ability { family, task, metric, by, form, ability, length, one_class, checkpoints, notes })
    }

    /// The rows with their sizes and seeds, one for each model (or item of one), the last training step of each.
    fn placed(&self, notes: &mut Vec<String>) -> Result<Vec<Placed<'_>>, String> {
        let mut placed: Vec<Placed<'_>> = Vec::with_capacity(self.rows.len());
        let mut nowhere = 0;
        for row in self.rows {
            let scale = self.asked.axis.of(&row.scales);
            if scale.is_nan() {
                nowhere += 1;
                continue;
            }
            if scale.is_infinite() || scale <= 0.0 {
                let problem = format!("{}: `{}` is {scale}", self.scores.place(row), self.asked.axis.name());
                return Err(format!("{problem}: write a positive number, or choose another axis with `--scale`"));
            }
            placed.push((scale, row.seed, row));
        }
        let name = self.asked.axis.name();
        if placed.is_empty() {
            let first = self.rows.first().map(|row| self.scores.place(row)).unwrap_or_default();
            return Err(format!("{first}: no score has `{name}`: write it, or choose another axis with `--scale`"));
        }
        if nowhere > 0 {
            notes.push(format!("{nowhere} scores without `{name}` are left out"));
        }
        let along_training = matches!(self.asked.axis, AxisName::Tokens | AxisName::Loss);
        if !along_training {
            placed = last_steps(placed, notes);
        }
        self.name_seeds(&mut placed);
        self.once(placed, notes)
    }

    /// Different models of one size are told apart as seeds are.
    fn name_seeds(&self, placed: &mut [Placed<'_>]) {
        let mut models: BTreeMap<u64, BTreeSet<Name>> = BTreeMap::new();
        for (scale, _, row) in placed.iter() {
            models.entry(scale.to_bits()).or_default().extend(row.model);
        }
        for (scale, seed, row) in placed.iter_mut() {
            let names = &models[&scale.to_bits()];
            if let Some(place) = row.model.filter(|_| names.len() > 1).and_then(|m| names.iter().position(|n| *n == m))
            {
                *seed += 1_000_000_007 * place as u64;
            }
        }
    }

    /// Rows that say the same twice count once; rows that contradict each other are refused.
    fn once<'a>(&self, placed: Vec<Placed<'a>>, notes: &mut Vec<String>) -> Result<Vec<Placed<'a>>, String> {
        let mut seen: HashMap<(u64, u64, Option<Name>), &Score> = HashMap::new();
        let (mut kept, mut twice) = (Vec::with_capacity(placed.len()), 0);
        for (scale, seed, row) in placed {
            match seen.get(&(scale.to_bits(), seed, row.item)) {
                None => {
                    seen.insert((scale.to_bits(), seed, row.item), row);
                    kept.push((scale, seed, row));
                }
                Some(first) if first.score == row.score => twice += 1,
                Some(first) => {
                    let (a, b) = (self.scores.place(first), self.scores.place(row));
                    return Err(format!(
                        "{a} and {b} give the same model two scores, {} and {}: tell them apart with `--by COLUMN`, or give \
                         models of one size a `seed`",
                        first.score, row.score
                    ));
                }
            }
        }
        if twice > 0 {
            notes.push(format!("{twice} rows say what another says and count once"));
        }
        let first = kept.iter().find(|(.., row)| row.item.is_some());
        let other = kept.iter().find(|(.., row)| row.item.is_none());
        if let (Some((.., a)), Some((.., b))) = (first, other) {
            let (a, b) = (self.scores.place(a), self.scores.place(b));
            return Err(format!("{a} is the score of an item, {b} a mean: give one or the other"));
        }
        Ok(kept)
    }

    /// Losses, error rates and distances are not negative.
    fn no_negative_loss(&self, name: &str, higher_is_better: bool, placed: &[Placed<'_>]) -> Result<(), String> {
        let known = metric::of_name(name);
        let loss = matches!(known.form, Form::Unbounded | Form::Perplexity) && !known.higher_is_better;
        match placed.iter().find(|(.., row)| row.score < 0.0).filter(|_| loss && !higher_is_better) {
            Some((.., row)) => Err(format!(
                "{}: `{name}` is {}, and is never negative: mend the row, or name the metric after what it is, such as \
                 `log_likelihood`",
                self.scores.place(row),
                row.score
            )),
            None => Ok(()),
        }
    }

    /// What an unknown metric is, by its numbers.
    fn settle(&self, form: &mut Metric) -> Result<(), String> {
        if form.form != Form::Unknown {
            return Ok(());
        }
        let told = !self.shared.chances.is_empty();
        let counted = self.rows.iter().all(|row| {
            let right = row.score * row.items;
            row.items.is_nan() || (right - right.round()).abs() <= 0.02 + 5e-4 * row.items
        });
        form.form = match (self.shared.least, self.shared.most) {
            (least, most) if least >= 0.0 && most <= 1.0 => match (counted, told) {
                (true, true) => Form::Choice,
                // It may be a choice, whose chance level nobody told.
                (_, false) if least > NO_GUESSING => Form::Choice,
                (true, false) => Form::Open,
                (false, _) => Form::Bounded,
            },
            (least, most) if least >= 0.0 && most <= 100.0 && self.rows.iter().any(|row| row.ceiling == 100.0) => {
                form.whole = 100.0;
                Form::Bounded
            }
            _ => Form::Unbounded,
        };
        Ok(())
    }

    /// The number that stands for all right: 1 or 100.
    fn whole(&self, form: &Metric) -> Result<f64, String> {
        let Shared { least, most, shares, .. } = self.shared;
        if matches!(form.form, Form::Unbounded | Form::Perplexity) {
            return Ok(1.0);
        }
        let outside = |bound: f64| {
            let row = self.rows.iter().find(|row| row.score < 0.0 || row.score > bound);
            row.map_or_else(String::new, |row| format!("{}: score {}", self.scores.place(row), row.score))
        };
        if *least < 0.0 || *most > 100.0 {
            return Err(format!(
                "{} is no share: map another column, or name the metric after what it is",
                outside(100.0)
            ));
        }
        if *most <= 1.0 {
            return Ok(1.0);
        }
        let ceiling = self.rows.iter().any(|row| row.ceiling == 100.0);
        match shares {
            // A metric that harnesses report in percent may well be below one of them.
            Some(place) if form.whole == 1.0 && !ceiling => Err(format!(
                "scores are mixed: {} is percent, {place} a share of 1: write all the one way or the other (`ceiling` 100 \
                 says that all are percent)",
                outside(1.0)
            )),
            _ => Ok(100.0),
        }
    }

    fn chance(&self, task: &str, form: &Metric, whole: f64, notes: &mut Vec<String>) -> Result<Option<f64>, String> {
        if matches!(form.form, Form::Unbounded | Form::Perplexity) {
            return Ok(None);
        }
        let asked = |name: Option<&str>| self.asked.chance.iter().find(|(n, _)| n.as_deref() == name).map(|(_, c)| *c);
        if let Some(chance) = asked(Some(task)).or_else(|| asked(None)) {
            return Ok(Some(chance));
        }
        match &self.shared.chances[..] {
            [] => {}
            [(chance, place)] => {
                let told = self.rows.iter().any(|row| row.ceiling == whole);
                if whole > 1.0 && *chance > 0.0 && *chance < 1.0 && !told {
                    return Err(format!(
                        "{place}: chance {chance} is a share of 1, the scores are parts of {whole}: write both the one way \
                         (`ceiling` {whole} says that both are)"
                    ));
                }
                let chance = chance / whole;
                if !(0.0..1.0).contains(&chance) {
                    return Err(format!(
                        "{place}: chance {chance} is not within 0 and 1: write the score of blind guessing"
                    ));
                }
                return Ok(Some(chance));
            }
            [(a, at), (b, other), ..] => {
                return Err(format!(
                    "{at} says that chance is {a}, {other} that it is {b}: a task has one chance level"
                ));
            }
        }
        if form.form != Form::Choice {
            return Ok(Some(0.0));
        }
        let known = chance::known(task);
        match known {
            Some(chance) => notes.push(format!("chance is not told and taken as {chance:.3}, as this task has it")),
            None => notes.push("chance is not told: the smallest models are the floor (give `chance`)".into()),
        }
        Ok(known)
    }

    fn item_measurements(&self, placed: &[Placed<'_>], whole: f64) -> Result<Vec<Measurement>, String> {
        let names: BTreeSet<Name> = placed.iter().filter_map(|(.., row)| row.item).collect();
        let index: HashMap<Name, usize> = names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        let mut models: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
        for (scale, seed, row) in placed {
            let scores = models.entry((scale.to_bits(), *seed)).or_insert_with(|| vec![f64::NAN; index.len()]);
            if let Some(item) = row.item {
                scores[index[&item]] = row.score / whole;
            }
        }
        let measurement = |((scale, seed), scores): ((u64, u64), Vec<f64>)| Measurement {
            scale: f64::from_bits(scale),
            seed,
            scores: emergence::Scores::Items(scores),
        };
        Ok(models.into_iter().map(measurement).collect())
    }

    fn mean_measurements(
        &self,
        placed: &[Placed<'_>],
        form: &Metric,
        kind: Kind,
        whole: f64,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Measurement>, String> {
        let mut assumed = false;
        let mut all = Vec::with_capacity(placed.len());
        for (scale, seed, row) in placed {
            let (mut value, mut error) = (row.score / whole, row.standard_error / whole);
            if form.form == Form::Perplexity {
                if value <= 0.0 {
                    return Err(format!("{}: perplexity {value} is not positive", self.scores.place(row)));
                }
                (value, error) = (value.ln(), error / value);
            }
            let told = (!row.items.is_nan()).then_some(row.items.round().clamp(1.0, 1e9) as u32).or(self.shared.items);
            let items = told.unwrap_or_else(|| {
                assumed = assumed || (error.is_nan() && kind != Kind::Unbounded);
                ASSUMED_ITEMS
            });
            let unbounded_share =
                kind == Kind::Unbounded && matches!(form.form, Form::Choice | Form::Open | Form::Bounded);
            // A share without a chance level is as noisy as any other, and one between 0 and 1 not more than one of hits.
            if error.is_nan() && (unbounded_share || matches!(kind, Kind::Bounded { .. })) {
                let p = (value * f64::from(items) + 1.0) / (f64::from(items) + 2.0);
                error = (p * (1.0 - p) / f64::from(items)).sqrt();
                assumed = assumed || told.is_none();
            }
            let scores = emergence::Scores::Mean { value, items, standard_error: error };
            all.push(Measurement { scale: *scale, seed: *seed, scores });
        }
        if assumed {
            notes.push(format!("n is not told: intervals assume {ASSUMED_ITEMS} items (give `n` or `stderr`)"));
        }
        if kind == Kind::Unbounded && placed.iter().any(|(.., row)| row.standard_error.is_nan()) && !assumed {
            let share = matches!(form.form, Form::Choice | Form::Open | Form::Bounded);
            if !share {
                notes.push("stderr is not told: the noise is estimated from how far the means scatter".into());
            }
        }
        Ok(all)
    }
}

fn kind(form: &Metric, chance: Option<f64>) -> Kind {
    match (form.form, chance) {
        (Form::Choice | Form::Open, Some(chance)) => Kind::Proportion { chance },
        (Form::Bounded, chance) => Kind::Bounded { chance: chance.unwrap_or(0.0) },
        _ => Kind::Unbounded,
    }
}

/// Of each model the last step that it was asked at.
fn last_steps<'a>(placed: Vec<Placed<'a>>, notes: &mut Vec<String>) -> Vec<Placed<'a>> {
    let time = |row: &Score| if row.step.is_nan() { row.scales.tokens } else { row.step };
    let mut last: HashMap<(u64, u64, Option<Name>, Option<Name>), f64> = HashMap::new();
    for (scale, seed, row) in &placed {
        let when = last.entry((scale.to_bits(), *seed, row.model, row.item)).or_insert(f64::NEG_INFINITY);
        if time(row) > *when {
            *when = time(row);
        }
    }
    let before = placed.len();
    let is_last = |(scale, seed, row): &Placed<'_>| {
        let when = last[&(scale.to_bits(), *seed, row.model, row.item)];
        time(row).is_nan() || time(row) == when
    };
    let kept: Vec<Placed<'a>> = placed.into_iter().filter(is_last).collect();
    if kept.len() < before {
        notes.push("of each model's training steps the last one counts".into());
    }
    kept
}

/// A size for reading: 70M, 1.4B.
pub(crate) fn readable(size: f64) -> String {
    let (unit, suffix) = match size {
        s if s >= 1e12 => (1e12, "T"),
        s if s >= 1e9 => (1e9, "B"),
        s if s >= 1e6 => (1e6, "M"),
        s if s >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let value = size / unit;
    if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}{suffix}") } else { format!("{value:.1}{suffix}") }
}
