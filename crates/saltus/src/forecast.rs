//! `saltus forecast`: what a larger model will score; registered forecasts, and what came of them.

use crate::{
    EXIT_GAPS,
    arguments::ForecastArguments,
    available_cores,
    judge::{bar, number},
    measured::{self, Refused},
    print,
    table::{columns, count, refusals, row},
};
use miette::{IntoDiagnostic, Result};
use saltus_atlas::{Ability, Asked, AxisName, Foretold, Left, Target, abilities, forecasts, pool};
use saltus_emergence::{Analysis, Scores};
use saltus_random::Key;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    path::Path,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// One forecast.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shown {
    family: String,
    task: String,
    metric: String,
    by: String,
    scale_axis: String,
    scale: f64,
    /// The median; nothing where the forecast is refused.
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    /// Standard deviation of the predictions.
    deviation: Option<f64>,
    /// `shape`, `two-step`, `bnsl`, or `refused`.
    method: String,
    /// What it stands on, or why there is none.
    reason: String,
}

/// A registered file.
#[derive(Debug, Serialize, Deserialize)]
struct Registered {
    date: String,
    saltus: String,
    forecasts: Vec<Shown>,
}

/// What came of one forecast.
#[derive(Debug, Serialize)]
struct Outcome {
    family: String,
    task: String,
    metric: String,
    by: String,
    method: String,
    scale: f64,
    forecast: f64,
    low: f64,
    high: f64,
    measured: f64,
    /// Whether the interval held it.
    hit: bool,
    /// measured - forecast.
    error: f64,
    /// Log density of what was measured under a normal of the forecast's median and deviation, in nats.
    log_score: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: &ForecastArguments) -> Result<ExitCode> {
    let (mut scores, asked) = measured::read(&arguments.scores)?;
    pool(&mut scores);
    if !arguments.quiet && !arguments.json {
        scores.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
    let (made, left) = abilities(&scores, &asked);
    if let Some(path) = &arguments.score {
        return score(&made, path, arguments.json);
    }
    if made.is_empty() {
        let reason = left.first().map_or_else(|| "there are no scores".to_owned(), |l| l.reason.clone());
        return Err(Refused(format!("nothing can be foretold: {reason}")).into());
    }
    let target = target(arguments, asked.axis)?;
    let methods: Vec<_> = arguments.method.iter().map(|m| m.method()).collect();
    let analysis =
        Analysis { key: Key::new(arguments.seed), resamples: arguments.resamples, delta: arguments.delta, alpha: 0.05 };
    let threads = arguments.threads.unwrap_or_else(available_cores);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().into_diagnostic()?;
    let bar = bar(("making", "forecasts"), (made.len() * methods.len()) as u64, arguments.quiet || arguments.json);
    let (foretold, refused) =
        pool.install(|| forecasts(&made, &analysis, &target, &methods, &|done| bar.set_position(done as u64)));
    bar.finish_and_clear();
    let mut shown: Vec<Shown> = foretold.iter().map(|f| of_forecast(f, &asked, target.scale)).collect();
    shown.extend(refused.iter().chain(&left).map(|l| of_refusal(l, &asked, target.scale)));
    if let Some(path) = &arguments.register {
        register(path, arguments.date.clone().unwrap_or_else(today), &shown)?;
    }
    print(arguments.json, &shown, || table(&shown, asked.axis, arguments.register.as_deref()))?;
    Ok(if refused.is_empty() && left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_GAPS) })
}

/// The larger model's place on the axis.
fn target(arguments: &ForecastArguments, axis: AxisName) -> Result<Target> {
    let flops = arguments.to_flops.or_else(|| Some(6.0 * arguments.to_params? * arguments.to_tokens?));
    let (found, option) = match axis {
        AxisName::Scale | AxisName::Params | AxisName::ParamsNonEmbedding => (arguments.to_params, "--to-params"),
        AxisName::Tokens => (arguments.to_tokens, "--to-tokens"),
        AxisName::Flops => (flops, "--to-flops (or --to-params and --to-tokens)"),
        AxisName::Loss => {
            return Err(Refused("the loss of a model to come is not known: choose another `--scale`".into()).into());
        }
    };
    let scale = found.ok_or_else(|| {
        Refused(format!("how large is the larger model? The axis is `{}`: give {option}", axis.name()))
    })?;
    Ok(Target { scale, params: arguments.to_params, tokens: arguments.to_tokens })
}

fn of_forecast(f: &Foretold, asked: &Asked, target: f64) -> Shown {
    let Foretold { family, task, metric, by, method, prediction, grounds } = f.clone();
    Shown {
        family,
        task,
        metric,
        by,
        scale_axis: asked.axis.name().into(),
        scale: target,
        value: Some(prediction.value),
        low: Some(prediction.low),
        high: Some(prediction.high),
        deviation: Some(prediction.deviation),
        method: method.name().into(),
        reason: grounds,
    }
}

fn of_refusal(left: &Left, asked: &Asked, target: f64) -> Shown {
    let Left { family, task, metric, by, reason } = left.clone();
    let (value, low, high, deviation) = (None, None, None, None);
    let scale_axis = asked.axis.name().into();
    Shown {
        family,
        task,
        metric,
        by,
        scale_axis,
        scale: target,
        value,
        low,
        high,
        deviation,
        method: "refused".into(),
        reason,
    }
}

fn table(shown: &[Shown], axis: AxisName, registered: Option<&Path>) -> String {
    let mut rows = vec![row(["family", "task", "metric", "method", "forecast", "95% of new models", "by"])];
    let mut refused = Vec::new();
    for s in shown {
        match (s.value, s.low, s.high) {
            (Some(value), Some(low), Some(high)) => rows.push(vec![
                s.family.clone(),
                format!("{} {}", s.task, s.by).trim_end().to_owned(),
                s.metric.clone(),
                s.method.clone(),
                number(value),
                format!("{} to {}", number(low), number(high)),
                s.reason.clone(),
            ]),
            _ => refused.push(([&s.family, &s.task, &s.metric, &s.by].map(String::as_str), s.reason.as_str())),
        }
    }
    let scale = shown.first().map_or(0.0, |s| s.scale);
    let mut text = columns(&rows);
    let _ = writeln!(text, "\nforecasts for {} = {}.", axis.name(), count(scale));
    text.push_str(&refusals(&refused));
    if let Some(path) = registered {
        let _ = writeln!(text, "registered: {0}\nlater:      saltus forecast NEW-SCORES --score {0}", path.display());
    }
    text
}

/// Writes the file beside its place and renames it; an older one is not overwritten: a forecast is made once.
fn register(path: &Path, date: String, shown: &[Shown]) -> Result<()> {
    if path.exists() {
        return Err(
            Refused(format!("{} exists: forecasts are registered once; give another name", path.display())).into()
        );
    }
    let registered = Registered { date, saltus: env!("CARGO_PKG_VERSION").into(), forecasts: shown.to_vec() };
    let text = serde_json::to_string_pretty(&registered).into_diagnostic()? + "\n";
    let beside = path.with_extension("json.part");
    std::fs::write(&beside, text).into_diagnostic()?;
    std::fs::rename(&beside, path).into_diagnostic()
}

/// Today by the system's clock, in UTC (days from civil, Howard Hinnant).
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() / 86_400) as i64 + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + i64::from(month <= 2))
}

/// Holds registered forecasts against scores.
fn score(made: &[Ability], path: &Path, json: bool) -> Result<ExitCode> {
    let text = saltus_results::read_small(path).map_err(Refused::from)?;
    let registered: Registered = serde_json::from_str(&text).map_err(|e| {
        Refused(format!("{} holds no forecasts ({e}): `saltus forecast --register` writes them", path.display()))
    })?;
    let mut outcomes = Vec::new();
    for f in &registered.forecasts {
        let (Some(value), Some(low), Some(high), Some(deviation)) = (f.value, f.low, f.high, f.deviation) else {
            continue;
        };
        let same = |a: &&Ability| (&a.family, &a.task, &a.metric, &a.by) == (&f.family, &f.task, &f.metric, &f.by);
        for ability in made.iter().filter(same) {
            for m in ability.ability.measurements.iter().filter(|m| (m.scale / f.scale).ln().abs() < 0.05) {
                let measured = match &m.scores {
                    Scores::Mean { value, .. } => *value,
                    Scores::Items(items) => {
                        let scored: Vec<f64> = items.iter().copied().filter(|v| v.is_finite()).collect();
                        scored.iter().sum::<f64>() / scored.len() as f64
                    }
                };
                let z = (measured - value) / deviation;
                outcomes.push(Outcome {
                    family: f.family.clone(),
                    task: f.task.clone(),
                    metric: f.metric.clone(),
                    by: f.by.clone(),
                    method: f.method.clone(),
                    scale: m.scale,
                    forecast: value,
                    low,
                    high,
                    measured,
                    hit: low <= measured && measured <= high,
                    error: measured - value,
                    log_score: -0.5 * z * z - deviation.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln(),
                });
            }
        }
    }
    if outcomes.is_empty() {
        let problem =
            "none of the forecasts has come true or false yet: no score has their family, task, metric and scale";
        return Err(Refused(format!("{}: {problem}", path.display())).into());
    }
    print(json, &outcomes, || outcomes_table(&outcomes, &registered.date))
}

fn outcomes_table(outcomes: &[Outcome], date: &str) -> String {
    let mut rows =
        vec![row(["family", "task", "metric", "method", "forecast", "interval", "measured", "held", "log score"])];
    for o in outcomes {
        rows.push(vec![
            o.family.clone(),
            format!("{} {}", o.task, o.by).trim_end().to_owned(),
            o.metric.clone(),
            o.method.clone(),
            number(o.forecast),
            format!("{} to {}", number(o.low), number(o.high)),
            number(o.measured),
            if o.hit { "yes" } else { "no" }.to_owned(),
            format!("{:.2}", o.log_score),
        ]);
    }
    let hits = outcomes.iter().filter(|o| o.hit).count();
    let n = outcomes.len() as f64;
    let error = outcomes.iter().map(|o| o.error.abs()).sum::<f64>() / n;
    let log_score = outcomes.iter().map(|o| o.log_score).sum::<f64>() / n;
    format!(
        "{}\nforecasts of {date}: {hits} of {} intervals held (95% of them should), mean absolute error {error:.3}, mean log \
         score {log_score:.2}.\n",
        columns(&rows),
        outcomes.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_is_a_date() {
        let date = today();
        assert!(date.len() == 10 && date.as_str() > "2026-01-01", "{date}");
    }
}
