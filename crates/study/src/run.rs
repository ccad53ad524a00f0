//! Brings a study up to date: trains what is missing, measures what is missing, judges, reports.

use crate::{
    cells::{self, Measured},
    error::Error,
    findings, kept,
    looks::{self, Found},
    plan::{ModelPlan, Study},
    store::Store,
    training,
};
use saltus_report::Findings;
use saltus_train::{End, Trained};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// What a run tells while it works.
#[derive(Clone, Debug)]
pub enum Event {
    /// How far a phase is.
    Progress {
        /// `training`, `measuring`, `looking`, `judging`.
        phase: &'static str,
        /// Share done, 0 to 1.
        share: f64,
        /// A few words.
        detail: String,
    },
    /// Something a user should know that stops nothing.
    Warning(String),
}

/// Something that could not be had; the rest is there.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// Which model or cell.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// One line of the table of verdicts.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Family, task, style and shots in words.
    pub ability: String,
    /// Metric.
    pub metric: String,
    /// Shape.
    pub shape: String,
    /// Weight of that shape (of the leading one, where undetermined).
    pub weight: f64,
    /// (scale, low, high) of the emergence.
    pub threshold: Option<(f64, f64, f64)>,
    /// Whether the metric made the jump.
    pub artefact: Option<String>,
}

/// What a run did and found.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Name of the study.
    pub study: String,
    /// Models trained by this run.
    pub models_trained: usize,
    /// Cells measured by this run.
    pub cells_measured: usize,
    /// Models and cells that were there already.
    pub already_there: usize,
    /// Verdicts on the main metric of each ability.
    pub verdicts: Vec<Verdict>,
    /// The headline findings.
    pub headlines: Vec<String>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// The page.
    pub page: PathBuf,
    /// The findings.
    pub findings: PathBuf,
    /// The records.
    pub records: PathBuf,
}

/// What is done, stale and missing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Every model.
    pub models: Vec<StatusRow>,
    /// Parts that the study no longer asks for.
    pub stale: usize,
    /// Models and cells that are missing.
    pub missing: usize,
}

/// The state of one model.
#[derive(Clone, Debug, Serialize)]
pub struct StatusRow {
    /// Ladder and rung.
    pub model: String,
    /// Seed.
    pub seed: u64,
    /// `done`, `started`, `missing`, or how it ended.
    pub training: String,
    /// Measured cells.
    pub cells_done: usize,
    /// Cells not measured.
    pub cells_missing: usize,
}

/// Brings `study` up to date with `threads` threads: trains, measures, judges, writes findings and page.
pub fn run(study: &Study, threads: usize, tell: &(dyn Fn(Event) + Sync)) -> Result<Outcome, Error> {
    let store = Store::open(&study.root, &study.name)?;
    let _lock = store.lock()?;
    study.vocabulary.save(&store.tokenizer()).map_err(Error::room)?;
    let before = study.models.iter().filter(|m| training::found(study, &store, m).is_some()).count();
    let trained = training::train(study, &store, threads, tell)?;
    let models_trained = trained.len() - before;
    let cells = cells::wanted(study, &trained);
    let looks = looks::wanted(study, &trained);
    let keys =
        (cells.iter().map(|cell| cell.key.clone()).collect(), looks.iter().map(|look| look.key.clone()).collect());
    store.settle(&keys.0, &keys.1)?;
    let (measured, computed) = cells::measure(study, &store, &cells, threads, tell)?;
    let (found, taken) = looks::take(study, &store, &looks, threads, tell)?;
    let mut outcome = conclude(study, &store, (&trained, &measured, &found), threads, tell)?;
    outcome.models_trained = models_trained;
    outcome.cells_measured = computed + taken;
    outcome.already_there = trained.len() - models_trained + cells.len() + looks.len() - computed - taken;
    Ok(outcome)
}

/// Makes findings and page again from the records alone (`records/` and `curves/`): no model is needed, and nothing is
/// trained or measured. What the study asks for and the records do not hold is a gap.
pub fn report(study: &Study) -> Result<Outcome, Error> {
    let root = &study.root;
    let Some(store) = Store::peek(root, &study.name)? else {
        return Err(Error::Output {
            message: format!("there are no records in {}", root.display()),
            help: "run the study first with `saltus run`, or name its folder with `--out`".into(),
        });
    };
    let _lock = store.lock()?;
    let mut trained = Vec::new();
    for model in &study.models {
        trained.extend(training::recorded(&store, model)?.map(|t| (model, t)));
    }
    let cells = cells::wanted(study, &trained);
    let looks = looks::wanted(study, &trained);
    let missing = cells.iter().filter(|c| !store.part(&c.key).exists()).count()
        + looks.iter().filter(|c| !store.inside_part(&c.key).exists()).count();
    let looks: Vec<_> = looks.into_iter().filter(|c| store.inside_part(&c.key).exists()).collect();
    let found = looks::read(&store, &looks)?;
    let there: Vec<_> = cells.into_iter().filter(|c| store.part(&c.key).exists()).collect();
    let measured = cells::read(study, &store, &there)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let count = there.len() + looks.len();
    let mut outcome = conclude(study, &store, (&trained, &measured, &found), threads, &|_| {})?;
    outcome.already_there = count + trained.len();
    let models = study.models.len() - trained.len();
    if models + missing > 0 {
        let what = format!("{models} models and {missing} cells");
        outcome.gaps.push(Gap { what, why: "are missing: `saltus run` computes them".into() });
    }
    Ok(outcome)
}

/// Judges, and writes findings and page.
fn conclude(
    study: &Study,
    store: &Store,
    (trained, measured, found): (&[(&ModelPlan, Trained)], &[Measured], &[Found]),
    threads: usize,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Outcome, Error> {
    tell(Event::Progress { phase: "judging", share: 0.0, detail: String::new() });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::room)?;
    let findings = pool.install(|| {
        let basis = kept::basis(study, trained, measured, found);
        if let Some(kept) = basis.as_ref().and_then(|basis| kept::read(store, basis)) {
            return Ok(kept);
        }
        let findings = findings::find(study, trained, measured, found);
        kept::write(store, basis.as_deref(), &findings).map(|()| findings)
    })?;
    saltus_report::write(&findings, &store.report()).map_err(Error::room)?;
    tell(Event::Progress { phase: "judging", share: 1.0, detail: String::new() });
    Ok(Outcome {
        study: study.name.clone(),
        models_trained: 0,
        cells_measured: 0,
        already_there: 0,
        verdicts: verdicts(&findings),
        headlines: findings.headlines.iter().map(|h| h.text.clone()).collect(),
        gaps: gaps(trained, measured),
        page: store.report(),
        findings: store.findings(),
        records: store.records(),
    })
}

fn verdicts(findings: &Findings) -> Vec<Verdict> {
    let main =
        findings.abilities.iter().filter(|a| findings::is_main(&a.metric) || a.family == crate::plan::LOSS_FAMILY);
    let verdict = |a: &saltus_report::findings::Ability| Verdict {
        ability: findings::label(&a.family, &a.task, &a.style, a.shots),
        metric: a.metric.clone(),
        shape: a.shape.clone(),
        weight: a.weights.get(&a.shape).or(a.weights.values().max_by(|x, y| x.total_cmp(y))).copied().unwrap_or(0.0),
        threshold: a.threshold.as_ref().map(|t| (t.scale, t.low, t.high)),
        artefact: a.artefact.as_ref().map(|r| r.ruling.clone()),
    };
    main.map(verdict).collect()
}

fn gaps(trained: &[(&ModelPlan, Trained)], measured: &[Measured]) -> Vec<Gap> {
    let diverged = trained.iter().filter(|(_, t)| matches!(t.end, End::Diverged { .. }));
    let mut gaps: Vec<Gap> = diverged
        .map(|(m, t)| Gap {
            what: format!("model {} {} seed {}", m.rung.ladder, m.rung.name, m.rung.seed),
            why: t.end.to_string(),
        })
        .collect();
    // The same reason for many models is told once.
    let mut unscored: BTreeMap<(String, String), usize> = BTreeMap::new();
    for cell in measured {
        if let Some((reason, count)) = &cell.unscored {
            *unscored.entry((cell.label.clone(), reason.clone())).or_default() += count;
        }
    }
    gaps.extend(unscored.into_iter().map(|((what, reason), count)| Gap { what, why: format!("{count} x {reason}") }));
    gaps
}

/// What is done, stale and missing.
pub fn status(study: &Study) -> Result<Status, Error> {
    let store = Store::peek(&study.root, &study.name)?;
    let finished = store.as_ref().map(Store::finished).unwrap_or_default();
    let mut wanted = BTreeSet::new();
    let mut models = Vec::new();
    for model in &study.models {
        let trained = store.as_ref().and_then(|s| training::found(study, s, model));
        let started = store.as_ref().is_some_and(|s| s.models().join(&model.key).exists());
        let mut keys: Vec<String> = cells::planned(study, model, trained.as_ref()).into_iter().map(|c| c.0).collect();
        keys.extend(looks::planned(study, model, trained.as_ref()));
        let done = keys.iter().filter(|key| finished.contains(*key)).count();
        models.push(StatusRow {
            model: format!("{} {}", model.rung.ladder, model.rung.name),
            seed: model.rung.seed,
            training: match &trained {
                Some(Trained { end: End::Completed, .. }) => "done".into(),
                Some(trained) => trained.end.to_string(),
                None if started => "started".into(),
                None => "missing".into(),
            },
            cells_done: done,
            cells_missing: keys.len() - done,
        });
        wanted.extend(keys);
    }
    let untrained = models.iter().filter(|m| m.training == "missing" || m.training == "started").count();
    let missing = untrained + models.iter().map(|m| m.cells_missing).sum::<usize>();
    Ok(Status { models, stale: finished.difference(&wanted).count(), missing })
}
