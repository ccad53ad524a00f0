//! Verdicts and laws as `findings.json`: which measurements are judged together, and in which words they are told.

use crate::{
    cells::Measured,
    effects, headlines, laws,
    looks::{Found, looked},
    plan::{ModelPlan, Study},
};
use rayon::prelude::*;
use saltus_emergence::{self as emergence, Analysis, Kind, Measurement, Scores, TokenScores, Verdict};
use saltus_eval::Metric;
use saltus_report::findings::{
    Ability, Artefact, Curve, Findings, Model, Point, Provenance, SCHEMA, SeedValue, Threshold, Twin,
};
use saltus_train::{End, Trained};

/// The scale axis of every ability.
const SCALE: &str = "params_non_embedding";

/// Metrics that are judged. The probabilities of right answers stay in the records: `nll` and `brier` tell the same.
const JUDGED: [Metric; 8] = [
    Metric::ExactMatch,
    Metric::FinalAnswer,
    Metric::ChoiceAccuracy,
    Metric::TokenAccuracy,
    Metric::PPowerL,
    Metric::EditSimilarity,
    Metric::Brier,
    Metric::Nll,
];

/// Level of the tests.
const ALPHA: f64 = 0.05;

/// Metrics without a threshold within an answer.
const SMOOTH: [Metric; 2] = [Metric::TokenAccuracy, Metric::Nll];

/// Whether `metric` is one that people quote: the table and the headlines are about these.
pub(crate) fn is_main(metric: &str) -> bool {
    ["exact_match", "final_answer", "choice_accuracy"].contains(&metric)
}

/// An ability in words.
pub(crate) fn label(family: &str, task: &str, style: &str, shots: u32) -> String {
    let shots = match shots {
        0 => String::new(),
        1 => ", 1 shot".into(),
        n => format!(", {n} shots"),
    };
    let style = if style == "direct" { String::new() } else { format!(", {style}") };
    let task = if task == family { String::new() } else { format!(" {task}") };
    format!("{family}{task}{style}{shots}")
}

/// All findings of `study` from its measured cells.
pub(crate) fn find(
    study: &Study,
    trained: &[(&ModelPlan, Trained)],
    measured: &[Measured],
    found: &[Found],
) -> Findings {
    let book = Book { study, measured };
    let abilities = book.abilities();
    let effects = effects::effects(&book);
    let laws = laws::laws(&book);
    let mut findings = Findings {
        study: study.name.clone(),
        schema: SCHEMA,
        saltus: env!("CARGO_PKG_VERSION").into(),
        headlines: Vec::new(),
        models: trained.iter().map(|(m, t)| model(m, t)).collect(),
        abilities,
        effects,
        laws,
        curves: trained.iter().map(|(m, t)| book.curve(m, t)).collect(),
        inside: looked(found),
        provenance: book.provenance(),
    };
    findings.models.sort_by_key(|m| (m.params_non_embedding, m.seed));
    findings.headlines = headlines::headlines(&findings);
    findings
}

/// An ability with its verdict.
struct Judged {
    set: usize,
    metric: Metric,
    ability: emergence::Ability,
    verdict: Verdict,
}

/// Right tokens of a model's answers, where they have several.
fn token_scores(measured: &Measured) -> Option<TokenScores> {
    let accuracy = measured.values(Metric::TokenAccuracy)?;
    let length: Vec<f64> = measured.lengths.iter().map(|&l| l as f64).collect();
    length.iter().any(|&l| l > 1.0).then(|| TokenScores {
        scale: measured.cell.model.params_non_embedding as f64,
        seed: measured.cell.made.seed,
        correct: accuracy.iter().zip(&length).map(|(a, l)| a * l).collect(),
        length,
    })
}

/// What all parts of the findings are made from.
pub(crate) struct Book<'a> {
    pub(crate) study: &'a Study,
    pub(crate) measured: &'a [Measured],
}

impl Book<'_> {
    pub(crate) fn analysis(&self, name: &str) -> Analysis {
        Analysis {
            key: self.study.key.child("analysis").child(name),
            resamples: self.study.resamples,
            delta: self.study.delta,
            alpha: ALPHA,
        }
    }

    /// The trained models' answers to a set, of the control ladders or of the others.
    pub(crate) fn answers(&self, set: usize, control: bool) -> impl Iterator<Item = &Measured> {
        self.measured.iter().filter(move |m| m.cell.last && m.cell.set == set && m.cell.control == control)
    }

    /// The measurements of a set by a metric.
    pub(crate) fn ability(&self, set: usize, metric: Metric, control: bool) -> Option<emergence::Ability> {
        let answers: Vec<_> = self.answers(set, control).filter_map(|m| Some((m, m.values(metric)?))).collect();
        let chances: Vec<f64> =
            answers.iter().filter_map(|(m, _)| m.chance.iter().find(|(c, _)| *c == metric)).map(|c| c.1).collect();
        let chance = if chances.is_empty() { 0.0 } else { chances.iter().sum::<f64>() / chances.len() as f64 };
        let kind = match metric.kind() {
            saltus_eval::Kind::Proportion => Kind::Proportion { chance },
            saltus_eval::Kind::Bounded => Kind::Bounded { chance },
            saltus_eval::Kind::Unbounded => Kind::Unbounded,
        };
        let measurement = |(m, scores): &(&Measured, &[f64])| Measurement {
            scale: m.cell.model.params_non_embedding as f64,
            seed: m.cell.made.seed,
            scores: Scores::Items(scores.to_vec()),
        };
        let measurements: Vec<_> =
            answers.iter().filter(|(_, s)| s.iter().any(|v| !v.is_nan())).map(measurement).collect();
        let higher_is_better = metric.higher_is_better();
        (!measurements.is_empty()).then(|| emergence::Ability::over_params(kind, higher_is_better, measurements))
    }

    fn abilities(&self) -> Vec<Ability> {
        let sets = 0..self.study.sets.len();
        let pairs: Vec<_> = sets.flat_map(|set| self.metrics(set).into_iter().map(move |m| (set, m))).collect();
        let mut judged: Vec<Judged> = pairs.par_iter().filter_map(|&(set, metric)| self.judge(set, metric)).collect();
        emergence::judge_together(judged.iter_mut().map(|j| &mut j.verdict), ALPHA);
        judged.iter().map(|j| self.finding(j, &judged)).collect()
    }

    /// The judged metrics that apply to a set. Choices are judged as choices: their exact match is another reading.
    fn metrics(&self, set: usize) -> Vec<Metric> {
        let loss = self.study.sets[set].is_loss();
        let applies = |m: Metric| self.answers(set, false).any(|a| a.values(m).is_some());
        let choices = applies(Metric::ChoiceAccuracy);
        let several = applies(Metric::PPowerL);
        let wanted = |m: &Metric| match m {
            Metric::Nll => true,
            _ if loss => false,
            Metric::ExactMatch => !choices,
            Metric::TokenAccuracy | Metric::EditSimilarity => several && !choices,
            Metric::PPowerL => several && !choices,
            _ => true,
        };
        JUDGED.into_iter().filter(|m| wanted(m) && applies(*m)).collect()
    }

    fn judge(&self, set: usize, metric: Metric) -> Option<Judged> {
        let ability = self.ability(set, metric, false)?;
        let verdict = emergence::judge(&ability, &self.analysis(&self.id(set, metric))).ok()?;
        Some(Judged { set, metric, ability, verdict })
    }

    fn id(&self, set: usize, metric: Metric) -> String {
        let q = &self.study.sets[set].set;
        format!("{}/{}/{}/{}/{}", q.family, q.task, q.style, q.shots, metric.name())
    }

    fn finding(&self, judged: &Judged, all: &[Judged]) -> Ability {
        let Judged { set, metric, ability, verdict } = judged;
        let question = &self.study.sets[*set].set;
        Ability {
            id: self.id(*set, *metric),
            family: question.family.clone(),
            task: question.task.clone(),
            style: question.style.to_string(),
            shots: question.shots,
            metric: metric.name().into(),
            scale: SCALE.into(),
            higher_is_better: metric.higher_is_better(),
            chance: match ability.kind {
                Kind::Proportion { chance } => Some(chance),
                Kind::Bounded { chance } if chance > 0.0 => Some(chance),
                _ => None,
            },
            points: verdict.points.iter().map(|p| self.point(p)).collect(),
            shape: verdict.shape.name().into(),
            weights: emergence::Shape::CANDIDATES.iter().map(|s| (s.name().into(), verdict.weight(*s))).collect(),
            threshold: verdict.threshold.map(threshold),
            artefact: self.artefact(judged, all),
            fit: verdict.curve.clone(),
            reason: verdict.reason.clone(),
            p_value: verdict.p_value,
            p_adjusted: verdict.p_adjusted,
        }
    }

    /// Whether the metric made the jump of exact match; its smooth twins are token accuracy and the log-likelihood.
    fn artefact(&self, judged: &Judged, all: &[Judged]) -> Option<Artefact> {
        if judged.metric != Metric::ExactMatch {
            return None;
        }
        let twins = all.iter().filter(|j| j.set == judged.set && SMOOTH.contains(&j.metric));
        let smooth: Vec<(&str, &Verdict)> = twins.map(|j| (j.metric.name(), &j.verdict)).collect();
        let tokens: Vec<_> = self.answers(judged.set, false).filter_map(token_scores).collect();
        let ruling = emergence::rule_artefact(&judged.ability, &judged.verdict, &tokens, &smooth).ok()??;
        let twin = |t: &emergence::Twin| Twin {
            params: t.scale,
            seed: t.seed,
            exact_match: t.exact_match,
            p_power_l: t.p_power_l,
        };
        Some(Artefact {
            ruling: ruling.ruling.name().into(),
            evidence: ruling.evidence,
            twin: ruling.twin.iter().map(twin).collect(),
        })
    }

    fn point(&self, p: &emergence::Point) -> Point {
        Point {
            params: p.scale,
            rung: self.rung_at(p.scale),
            seeds: p.by_seed.len() as u32,
            n: p.items.round() as u32,
            value: p.value,
            low: p.low,
            high: p.high,
            by_seed: p.by_seed.iter().map(|&(seed, value)| SeedValue { seed, value }).collect(),
        }
    }

    pub(crate) fn rung_at(&self, params: f64) -> String {
        let models = self.study.models.iter().filter(|m| !m.control);
        let found = models.map(|m| &m.rung).find(|r| r.config.params_non_embedding() as f64 == params);
        found.map_or_else(String::new, |rung| rung.name.clone())
    }

    /// The held-out loss of every checkpoint, for the laws.
    pub(crate) fn losses(&self) -> Vec<(&Measured, f64)> {
        let of = |m: &Measured| -> Option<f64> {
            let scores: Vec<f64> = m.values(Metric::Nll)?.iter().copied().filter(|v| !v.is_nan()).collect();
            (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
        };
        let asked = self.measured.iter().filter(|m| self.study.sets[m.cell.set].is_loss());
        asked.filter_map(|m| Some((m, of(m)?))).collect()
    }

    fn curve(&self, model: &ModelPlan, trained: &Trained) -> Curve {
        let rung = &model.rung;
        let same = |m: &Measured| {
            (m.cell.made.ladder.as_str(), m.cell.model.name.as_str(), m.cell.made.seed)
                == (&rung.ladder, &rung.name, rung.seed)
        };
        let mut held_out: Vec<(f64, f64)> = self
            .losses()
            .into_iter()
            .filter(|(m, _)| same(m))
            .map(|(m, loss)| (m.cell.made.tokens as f64, loss))
            .collect();
        held_out.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve {
            rung: rung.name.clone(),
            ladder: rung.ladder.clone(),
            seed: rung.seed,
            params: rung.config.params_non_embedding() as f64,
            train: trained.curve.iter().map(|p| (p.tokens as f64, p.loss)).collect(),
            held_out,
        }
    }

    fn provenance(&self) -> Provenance {
        let mut keys: Vec<&str> = self.measured.iter().map(|m| m.cell.key.as_str()).collect();
        keys.sort_unstable();
        let items: usize = self.measured.iter().map(|m| m.lengths.len()).sum();
        let boundary = match self.study.corpus.mask() {
            Some(_) => "none: gaps in a text are filled, with what stands on both sides".into(),
            None => format!("prompt and answer are encoded apart ({})", crate::cells::ENCODING.boundary.name()),
        };
        let facts = [
            ("interval", "two-sided 95%, over items and training seeds".to_string()),
            ("resamples", self.study.resamples.to_string()),
            ("emerged", format!("beyond doubt more than {} above chance", self.study.delta)),
            ("boundary", boundary),
            ("tokenizer", self.study.corpus.tokenizer().identity()),
            ("record schema", saltus_record::SCHEMA.to_string()),
        ];
        Provenance {
            study_file: self.study.source.text.clone(),
            cells: keys.len() as u64,
            records_hash: blake3::hash(keys.join("\n").as_bytes()).to_hex().to_string(),
            items: items as u64,
            facts: facts.map(|(name, fact)| (name.to_string(), fact)).into(),
        }
    }
}

pub(crate) fn threshold(t: emergence::Threshold) -> Threshold {
    Threshold { scale: t.scale, low: t.low, high: t.high }
}

fn model(model: &ModelPlan, trained: &Trained) -> Model {
    let rung = &model.rung;
    let params = rung.config.params_non_embedding();
    let tokens = trained.checkpoints.last().map_or(0, |c| c.tokens);
    Model {
        ladder: rung.ladder.clone(),
        rung: rung.name.clone(),
        params_non_embedding: params,
        params_total: rung.config.params_total(),
        seed: rung.seed,
        tokens,
        flops_6nd: 6.0 * params as f64 * tokens as f64,
        weights: trained.checkpoints.last().map(|c| c.weights.clone()).unwrap_or_default(),
        state: match trained.end {
            End::Completed => "finished".into(),
            end => end.to_string(),
        },
    }
}
