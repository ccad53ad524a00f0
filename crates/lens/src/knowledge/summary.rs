//! From ranks to what is known where: shares of facts by layer and relation, with intervals and baselines.

use super::{Answers, Cloze};
use saltus_random::Key;
use saltus_record::{ModelKey, Observation};
use saltus_stats::{mean, quantile, resample, score_interval};
use std::collections::{BTreeMap, HashMap};

/// Resamples for the interval of a ratio.
const RESAMPLES: u64 = 2000;

/// How a look at knowledge was taken.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// The model.
    pub model: &'a ModelKey,
    /// [`crate::Lens::method`].
    pub method: &'a str,
    /// The k of P@k.
    pub top: u32,
    /// Decides the resamples.
    pub key: Key,
}

/// What is known where, as observations.
///
/// For each layer, each relation and all of them (group empty): `p_at_1`, `p_at_K`, `mrr` (mean of 1 / rank). Over all
/// relations it is the mean of the relations' means, each counted alike, whatever its facts; so are, for the whole model
/// (no layer), `p_at_1_total`, the share known at *any* layer but the embedding, and `p_at_1_total_null`, the same of as
/// many lenses that were all trained on the last layer. `intermediate_only` is (total - last) / total. Beside them
/// `held_out_nats` of each trained lens, and `rank` and `logprob` of each fact.
///
/// Intervals are those of the mean over relations, a relation being one draw; within one relation, over facts, those of
/// a cluster drawn together. `chance` is what naming each relation's most frequent objects scores, which are counted on
/// the facts asked.
pub fn summary(of: Summary<'_>, clozes: &[Cloze], answers: &Answers) -> Vec<Observation> {
    let relations = relations(clozes);
    let last = answers.ranks.len() - 1;
    let measures = measures(of.top);
    let mut all = Rows { of, relations: &relations, rows: Vec::new() };
    for (layer, ranks) in answers.layers.iter().zip(&answers.ranks) {
        for measure in &measures {
            all.means(&measure.name, Some(*layer as u32), measure, &|fact| (measure.score)(ranks[fact]));
        }
    }
    for (layer, loss) in answers.layers.iter().zip(&answers.losses) {
        let row = all.row("", "held_out_nats", Some(*layer as u32), *loss);
        all.rows.push(row);
    }
    let any = |all: &[&Vec<u32>], fact: usize| f64::from(u8::from(all.iter().any(|ranks| ranks[fact] == 1)));
    let layers: Vec<&Vec<u32>> =
        answers.layers.iter().zip(&answers.ranks).filter(|(layer, _)| **layer > 0).map(|(_, ranks)| ranks).collect();
    all.means("p_at_1_total", None, &measures[0], &|fact| any(&layers, fact));
    let null: Vec<&Vec<u32>> = answers.null.iter().collect();
    if !null.is_empty() {
        all.means("p_at_1_total_null", None, &measures[0], &|fact| any(&null, fact));
    }
    let at_last = |fact: usize| f64::from(u8::from(answers.ranks[last][fact] == 1));
    all.intermediate(clozes, &|fact| any(&layers, fact), &at_last);
    all.facts(clozes, answers);
    all.rows
}

/// A score of a rank.
struct Measure {
    name: String,
    score: Box<dyn Fn(u32) -> f64>,
}

fn measures(top: u32) -> Vec<Measure> {
    let within = |k: u32| Measure { name: format!("p_at_{k}"), score: Box::new(move |r| f64::from(u8::from(r <= k))) };
    let mrr = Measure { name: "mrr".into(), score: Box::new(|rank| 1.0 / f64::from(rank)) };
    let mut all = vec![within(1)];
    all.extend((top > 1).then(|| within(top)));
    all.push(mrr);
    all
}

/// The facts of one relation.
struct Relation<'a> {
    name: &'a str,
    facts: Vec<usize>,
    clusters: Vec<u32>,
    /// How many facts have the most frequent object, the one after it, ...
    frequencies: Vec<usize>,
}

fn relations(clozes: &[Cloze]) -> Vec<Relation<'_>> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (fact, cloze) in clozes.iter().enumerate() {
        by_name.entry(&cloze.relation).or_default().push(fact);
    }
    let relation = |(name, facts): (_, Vec<usize>)| {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        facts.iter().for_each(|fact| *counts.entry(clozes[*fact].target).or_default() += 1);
        let mut frequencies: Vec<usize> = counts.into_values().collect();
        frequencies.sort_unstable_by(|a, b| b.cmp(a));
        let clusters = facts.iter().map(|fact| clozes[*fact].cluster).collect();
        Relation { name, facts, clusters, frequencies }
    };
    by_name.into_iter().map(relation).collect()
}

impl Relation<'_> {
    /// The score of always naming the objects in the order of their frequency.
    fn chance(&self, measure: &Measure) -> f64 {
        let scored = (1..).zip(&self.frequencies).map(|(rank, count)| *count as f64 * (measure.score)(rank));
        scored.sum::<f64>() / self.facts.len() as f64
    }
}

/// Observations in the making.
struct Rows<'a> {
    of: Summary<'a>,
    relations: &'a [Relation<'a>],
    rows: Vec<Observation>,
}

impl Rows<'_> {
    fn row(&self, group: &str, metric: &str, layer: Option<u32>, value: f64) -> Observation {
        let (method, group) = (self.of.method.to_owned(), group.to_owned());
        Observation { method, group, layer, ..Observation::new(self.of.model, "knowledge", metric, value) }
    }

    /// A mean over the facts of each relation, and over relations.
    fn means(&mut self, metric: &str, layer: Option<u32>, measure: &Measure, score: &dyn Fn(usize) -> f64) {
        const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));
        let ends = |interval: saltus_stats::Interval| (interval.low, interval.high);
        let (mut values, mut chances, mut alone) = (Vec::new(), Vec::new(), None);
        for relation in self.relations {
            let scores: Vec<f64> = relation.facts.iter().map(|fact| score(*fact)).collect();
            let (value, chance) = (mean(&scores), relation.chance(measure));
            let interval = score_interval(&scores, Some(&relation.clusters), UNIT, 0.95).map(ends);
            let row = self.row(relation.name, metric, layer, value);
            self.rows.push(Observation { interval, n: scores.len() as u64, chance: Some(chance), ..row });
            values.push(value);
            chances.push(chance);
            alone = interval;
        }
        // One relation says nothing about how relations differ: the interval is then that of its facts.
        let interval = if values.len() == 1 { alone } else { score_interval(&values, None, UNIT, 0.95).map(ends) };
        let n = self.relations.iter().map(|relation| relation.facts.len() as u64).sum();
        let row = self.row("", metric, layer, mean(&values));
        self.rows.push(Observation { interval, n, chance: Some(mean(&chances)), ..row });
    }

    /// The share of what is known somewhere that the last layer does not say; none where nothing is known.
    fn intermediate(&mut self, clozes: &[Cloze], total: &dyn Fn(usize) -> f64, last: &dyn Fn(usize) -> f64) {
        let share = |units: &[(f64, f64)], times: &dyn Fn(usize) -> f64| {
            let sum = |part: &dyn Fn(&(f64, f64)) -> f64| {
                units.iter().enumerate().map(|(i, unit)| times(i) * part(unit)).sum::<f64>()
            };
            let (total, last) = (sum(&|unit| unit.0), sum(&|unit| unit.1));
            (total > 0.0).then(|| (total - last) / total)
        };
        let units = self.units(clozes, total, last);
        let Some(value) = share(&units, &|_| 1.0) else { return };
        let drawn: Vec<f64> = (0..RESAMPLES)
            .filter_map(|b| {
                let draw = resample(self.of.key.child("intermediate").index(b), units.len(), &[]);
                share(&units, &|i| f64::from(draw.items[i]))
            })
            .collect();
        // Where most draws know nothing, or nothing shows how they differ, there is no telling.
        let told = drawn.len() as u64 > RESAMPLES / 2 && drawn.iter().any(|share| *share != drawn[0]);
        let interval = told.then(|| (quantile(&drawn, 0.025).min(value), quantile(&drawn, 0.975).max(value)));
        let row = self.row("", "intermediate_only", None, value);
        self.rows.push(Observation { interval, n: clozes.len() as u64, ..row });
    }

    /// What is drawn together: relations, or the clusters of a single one. Known in total and at the last layer.
    fn units(&self, clozes: &[Cloze], total: &dyn Fn(usize) -> f64, last: &dyn Fn(usize) -> f64) -> Vec<(f64, f64)> {
        if let [_] = self.relations {
            let mut clusters: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
            for (fact, cloze) in clozes.iter().enumerate() {
                let unit = clusters.entry(cloze.cluster).or_default();
                *unit = (unit.0 + total(fact), unit.1 + last(fact));
            }
            return clusters.into_values().collect();
        }
        let of = |relation: &Relation<'_>, known: &dyn Fn(usize) -> f64| {
            relation.facts.iter().map(|fact| known(*fact)).sum::<f64>() / relation.facts.len() as f64
        };
        self.relations.iter().map(|relation| (of(relation, total), of(relation, last))).collect()
    }

    /// Every fact at every layer.
    fn facts(&mut self, clozes: &[Cloze], answers: &Answers) {
        for ((layer, ranks), logprobs) in answers.layers.iter().zip(&answers.ranks).zip(&answers.logprobs) {
            for (item, ((cloze, rank), logprob)) in (0..).zip(clozes.iter().zip(ranks).zip(logprobs)) {
                for (metric, value) in [("rank", f64::from(*rank)), ("logprob", *logprob)] {
                    let row = self.row(&cloze.relation, metric, Some(*layer as u32), value);
                    self.rows.push(Observation { item: Some(item), ..row });
                }
            }
        }
    }
}
