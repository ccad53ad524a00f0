//! Two models, or two ways to ask one, on the same items.

use crate::{Error, Header, Scored, Store, score};
use saltus_eval::Grading;
use saltus_stats::{Paired, benjamini_hochberg, items_needed, minimum_detectable_effect, paired};
use std::{collections::HashMap, str::FromStr};

/// Confidence of intervals, and power of the detectable effect.
const LEVEL: f64 = 0.95;
const POWER: f64 = 0.8;

/// Some cells, by what they have in common: `model=NAME shots=3`, for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<(Field, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Model,
    Task,
    Shots,
    Mode,
    Seed,
    Boundary,
}

impl Field {
    const ALL: [(Field, &'static str); 6] = [
        (Field::Model, "model"),
        (Field::Task, "task"),
        (Field::Shots, "shots"),
        (Field::Mode, "shot-mode"),
        (Field::Seed, "seed"),
        (Field::Boundary, "boundary"),
    ];

    fn of(self, header: &Header) -> String {
        match self {
            Field::Model => header.model.clone(),
            Field::Task => header.name(),
            Field::Shots => header.shots.to_string(),
            Field::Mode => header.shot_mode.clone(),
            Field::Seed => header.seed.to_string(),
            Field::Boundary => header.boundary.clone(),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    /// Words `field=value`, or the name of a model alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut fields = Vec::new();
        for word in text.split_whitespace() {
            let Some((name, value)) = word.split_once('=') else {
                fields.push((Field::Model, word.to_owned()));
                continue;
            };
            let Some((field, _)) = Field::ALL.into_iter().find(|(_, known)| *known == name) else {
                let known: Vec<&str> = Field::ALL.iter().map(|(_, name)| *name).collect();
                return Err(format!(
                    "{name:?} is none of {}: write for example \"model=NAME shots=3\"",
                    known.join(", ")
                ));
            };
            fields.push((field, value.to_owned()));
        }
        if fields.is_empty() { Err("nothing is selected: write for example shots=3".into()) } else { Ok(Self(fields)) }
    }
}

impl Selector {
    fn selects(&self, header: &Header) -> bool {
        // Of a model the end of its path is enough.
        let is = |(field, value): &(Field, String)| {
            let found = field.of(header);
            found == *value || (*field == Field::Model && found.ends_with(value.as_str()))
        };
        self.0.iter().all(is)
    }
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The first cell.
    pub a: Header,
    /// The second.
    pub b: Header,
    /// The metric's name.
    pub metric: String,
    /// Items that both have scores for.
    pub items: usize,
    /// Mean over these of the first cell's scores.
    pub mean_a: f64,
    /// And of the second's.
    pub mean_b: f64,
    /// The difference, second less first.
    pub paired: Paired,
    /// p-value after Benjamini and Hochberg over all comparisons made here.
    pub adjusted: f64,
    /// The difference that would have been found with a probability of .8.
    pub detectable: f64,
    /// Items of this kind that would find the difference seen with a probability of .8.
    pub items_needed: f64,
}

/// What came of comparing: the comparisons, and why others could not be made.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// By task.
    pub comparisons: Vec<Comparison>,
    /// Pairs without a comparison, and why.
    pub left_out: Vec<(String, String)>,
}

/// Compares the cells that `b` selects with those that `a` selects, pair by pair: cells of a pair agree in whatever the
/// selectors do not name. `metric`: which score; the one that counts without.
///
/// # Errors
/// [`Error::Asked`] if a selector selects nothing, or there are no pairs; [`Error`] for records that cannot be read.
pub fn compare(
    store: &Store,
    a: &Selector,
    b: &Selector,
    metric: Option<&str>,
    grading: Option<&Grading>,
) -> Result<Compared, Error> {
    let cells = store.cells()?;
    let select = |which: &str, selector: &Selector| {
        let found: Vec<&Header> = cells.iter().filter(|cell| selector.selects(cell)).collect();
        if found.is_empty() {
            let mut models: Vec<&str> = cells.iter().map(|cell| cell.model.as_str()).collect();
            models.dedup();
            let problem =
                format!("{which} is of no cell in {}; models there: {}", store.root().display(), models.join(", "));
            return Err(Error::Asked(problem));
        }
        Ok(found)
    };
    let (first, second) = (select("the first selection", a)?, select("the second selection", b)?);
    let free: Vec<Field> = Field::ALL
        .map(|(field, _)| field)
        .into_iter()
        .filter(|f| !a.0.iter().chain(&b.0).any(|(g, _)| f == g))
        .collect();
    let rest = |header: &Header| (header.name(), free.iter().map(|field| field.of(header)).collect::<Vec<_>>());
    let mut compared = Compared::default();
    for one in &first {
        let partners: Vec<&&Header> = second.iter().filter(|other| rest(other) == rest(one) && *other != one).collect();
        let [other] = partners[..] else {
            if partners.len() > 1 {
                let problem = "several cells of the second selection fit: select by more fields";
                return Err(Error::Asked(format!("{}: {problem}", one.name())));
            }
            continue;
        };
        let (left, right) = (score(store, one, grading)?, score(store, other, grading)?);
        match pair(&left, &right, metric) {
            Ok(comparison) => compared.comparisons.push(comparison),
            Err(why) => compared.left_out.push((one.name(), why)),
        }
    }
    if compared.comparisons.is_empty() && compared.left_out.is_empty() {
        let problem = "no cell of the first selection has its like in the second: both must have the same tasks, and \
                       agree in what the selectors do not name (`saltus compare --help`)";
        return Err(Error::Asked(problem.into()));
    }
    let p: Vec<f64> = compared.comparisons.iter().map(|c| c.paired.p_value).collect();
    for (comparison, adjusted) in compared.comparisons.iter_mut().zip(benjamini_hochberg(&p)) {
        comparison.adjusted = adjusted;
    }
    Ok(compared)
}

fn pair(a: &Scored, b: &Scored, metric: Option<&str>) -> Result<Comparison, String> {
    let grade = |scored: &'_ Scored| {
        let grades = scored.grades.as_ref().map_err(Clone::clone)?;
        let wanted = match metric {
            Some(name) => grades.iter().find(|grade| grade.metric == name),
            None => scored.preferred(),
        };
        let names: Vec<&str> = grades.iter().map(|grade| grade.metric.as_str()).collect();
        wanted.cloned().ok_or_else(|| format!("there is no such score: it has {}", names.join(", ")))
    };
    let (left, right) = (grade(a)?, grade(b)?);
    if left.items.is_empty() || right.items.is_empty() {
        return Err(format!("{} is no mean over items: name another with `--metric`", left.metric));
    }
    let scores: HashMap<u32, f64> = b.items.iter().copied().zip(right.items.iter().copied()).collect();
    let both = a.items.iter().zip(&left.items).zip(&a.clusters);
    let both: Vec<(f64, f64, u32)> =
        both.filter_map(|((item, x), cluster)| Some((*x, *scores.get(item)?, *cluster))).collect();
    let xs: Vec<f64> = both.iter().map(|(x, ..)| *x).collect();
    let ys: Vec<f64> = both.iter().map(|(_, y, _)| *y).collect();
    let clusters: Vec<u32> = both.iter().map(|(.., cluster)| *cluster).collect();
    if xs.iter().chain(&ys).any(|x| !x.is_finite()) {
        return Err("a score of an item is no finite number: measure it again".into());
    }
    let found = paired(&xs, &ys, Some(&clusters), left.range, LEVEL);
    let paired = found.ok_or_else(|| format!("{} common items are too few for a comparison", both.len()))?;
    let effect = paired.difference.value.abs();
    Ok(Comparison {
        a: a.header.clone(),
        b: b.header.clone(),
        metric: left.metric.clone(),
        items: both.len(),
        mean_a: saltus_stats::mean(&xs),
        mean_b: saltus_stats::mean(&ys),
        adjusted: paired.p_value,
        detectable: minimum_detectable_effect(paired.se, LEVEL, POWER),
        items_needed: if effect > 0.0 {
            items_needed(paired.se, both.len(), effect, LEVEL, POWER)
        } else {
            f64::INFINITY
        },
        paired,
    })
}
