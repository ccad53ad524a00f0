//! `saltus fit`: laws of the loss from a table of runs, with intervals, checks and warnings.

mod laws;
mod page;
mod runs;

use crate::{
    arguments::FitArguments,
    measured::Refused,
    plan::arguments::ParamsConvention,
    print,
    table::{columns, row},
};
use miette::{IntoDiagnostic, Result};
use runs::{Row, Runs};
use saltus_law::{Interval, Parameters};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, process::ExitCode};

/// Which law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LawName {
    /// L(N,D) = ((Nc/N)^(aN/aD) + Dc/D)^aD; L(N) or L(D) where only one of them varies
    Kaplan,
    /// Approach 3: L(N,D) = E + A/N^alpha + B/D^beta
    Chinchilla,
    /// Approach 2: a parabola for each budget, a power law through their minima
    Isoflop,
    /// Approach 1: a power law through the lower envelope
    Envelope,
    /// Repeated data: needs `unique_tokens`
    DataConstrained,
    /// L(C, tokens per parameter)
    Overtraining,
    /// A broken power law of one quantity, for any falling curve
    Bnsl,
    /// Those that the columns allow, by cross-validation
    Auto,
}

/// A fit as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    law: String,
    formula: String,
    runs: usize,
    dropped: usize,
    objective: Option<f64>,
    delta: f64,
    params: BTreeMap<&'static str, Ends>,
    exponents: BTreeMap<&'static str, Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    covariance: Option<Covariance>,
    /// Root of the mean square of the log residuals.
    residual_rms: Option<f64>,
    conventions: BTreeMap<String, String>,
    warnings: Vec<String>,
    /// Best sizes of budgets, where the law finds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    minima: Vec<MinimumShown>,
    /// Rows held out, foretold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forecasts: Vec<ForecastShown>,
    /// Laws compared, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared: Vec<ComparedShown>,
    /// Rows that move an exponent by more than its standard error.
    influential: Vec<Influence>,
}

/// A value with its 95% interval; an end that is not known is no number, `null` in JSON.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Ends {
    value: f64,
    low: f64,
    high: f64,
}

impl Ends {
    /// Any value would do as well.
    fn forget(&mut self) {
        (self.low, self.high) = (f64::NAN, f64::NAN);
    }

    fn interval(&self) -> String {
        if self.low.is_nan() && self.high.is_nan() {
            return "not identified".into();
        }
        format!("{} to {}", short(self.low), short(self.high))
    }
}

impl From<Interval> for Ends {
    fn from(i: Interval) -> Self {
        Ends { value: i.value, low: i.low, high: i.high }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Covariance {
    of: [&'static str; 5],
    matrix: Vec<Vec<f64>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MinimumShown {
    flops: f64,
    params: f64,
    tokens: f64,
    loss: f64,
    runs: usize,
    inside: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ForecastShown {
    place: String,
    x: f64,
    measured: f64,
    #[serde(flatten)]
    foretold: Ends,
    hit: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ComparedShown {
    law: String,
    /// Mean absolute log error on runs left out.
    error: f64,
    /// How far above the best, in standard errors of the difference.
    behind: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Influence {
    place: String,
    /// `alpha` or `beta`.
    param: &'static str,
    /// The change of the exponent without the row, in its standard errors.
    standard_errors: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: &FitArguments) -> Result<ExitCode> {
    let runs = runs::read(arguments)?;
    if !arguments.json {
        runs.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    }
    let fitted = laws::fit(&runs, arguments)?;
    if let Some(path) = &arguments.page {
        let page = saltus_report::fit::page(&page::page(&fitted, &runs, arguments));
        saltus_report::write_text(&page, path).into_diagnostic()?;
    }
    print(arguments.json, &fitted.shown, || {
        let mut text = text(&fitted.shown);
        if let Some(path) = &arguments.page {
            let _ = writeln!(text, "page: {}", path.display());
        }
        text
    })
}

/// The loss of a run by a law.
type Predict = Box<dyn Fn(&Row) -> f64>;

/// A fit with what its page draws.
pub(crate) struct Fitted {
    shown: Shown,
    /// The loss of a run by the law, where the law gives one.
    law: Option<Predict>,
    /// k and a of N* = k C^a.
    best_size: Option<(f64, f64)>,
}

impl Shown {
    /// What every fit has.
    pub(crate) fn new(law: &str, formula: &str, runs: &Runs, arguments: &FitArguments) -> Self {
        Shown {
            law: law.into(),
            formula: formula.into(),
            runs: runs.rows.len(),
            dropped: runs.dropped,
            objective: None,
            delta: arguments.delta,
            params: BTreeMap::new(),
            exponents: BTreeMap::new(),
            covariance: None,
            residual_rms: None,
            conventions: conventions(arguments),
            warnings: runs.warnings.clone(),
            minima: Vec::new(),
            forecasts: Vec::new(),
            compared: Vec::new(),
            influential: Vec::new(),
        }
    }
}

/// Which parameters are counted.
pub(crate) fn parameters(arguments: &FitArguments) -> Parameters {
    match arguments.params_convention {
        ParamsConvention::Total => Parameters::Total,
        ParamsConvention::NonEmbedding => Parameters::NonEmbedding,
    }
}

fn conventions(arguments: &FitArguments) -> BTreeMap<String, String> {
    let parameters = match parameters(arguments) {
        Parameters::Total => "N with embedding and head",
        Parameters::NonEmbedding => "N without embedding and head",
    };
    let facts = [
        ("parameters", parameters),
        ("flops", "C = 6 N D, or as the file has them"),
        ("log_base", "e: the loss is taken for nats per token"),
        ("intervals", "two-sided 95%, from resamples of runs"),
    ];
    facts.map(|(name, fact)| (name.to_owned(), fact.to_owned())).into()
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e5 || (v > 0.0 && v < 1e-3) => format!("{value:.4e}"),
        v if v >= 100.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn text(shown: &Shown) -> String {
    let mut text = format!("{}: {}\n{} runs", shown.law, shown.formula, shown.runs);
    if shown.dropped > 0 {
        let _ = write!(text, ", {} left out", shown.dropped);
    }
    if let Some(objective) = shown.objective {
        let _ = write!(text, "; sum of Huber losses {objective:.6e} (delta {})", shown.delta);
    }
    if let Some(rms) = shown.residual_rms {
        let _ = write!(text, "; residuals {:.2}% of the loss", 100.0 * rms);
    }
    text.push_str("\n\n");
    if !shown.params.is_empty() || !shown.exponents.is_empty() {
        let mut rows = vec![row(["", "value", "95% interval"])];
        for (name, ends) in shown.params.iter().chain(&shown.exponents) {
            rows.push(vec![(*name).to_owned(), short(ends.value), ends.interval()]);
        }
        text.push_str(&columns(&rows));
    }
    if !shown.minima.is_empty() {
        let mut rows = vec![row(["budget", "best size", "tokens", "loss", "runs", ""])];
        for m in &shown.minima {
            let beyond = if m.inside { "" } else { "beyond the sizes" };
            let numbers = [m.flops, m.params, m.tokens].map(|v| format!("{v:.2e}"));
            rows.push(numbers.into_iter().chain([short(m.loss), m.runs.to_string(), beyond.to_owned()]).collect());
        }
        let _ = write!(text, "\n{}", columns(&rows));
    }
    if !shown.forecasts.is_empty() {
        let mut rows = vec![row(["held out", "x", "foretold", "95% interval", "measured", "held"])];
        for f in &shown.forecasts {
            let held = if f.hit { "yes" } else { "no" };
            let ends = f.foretold.interval();
            rows.push(vec![f.place.clone(), short(f.x), short(f.foretold.value), ends, short(f.measured), held.into()]);
        }
        let _ = write!(text, "\n{}", columns(&rows));
    }
    if !shown.compared.is_empty() {
        let mut rows = vec![row(["law", "error on runs left out", "behind the best by"])];
        for c in &shown.compared {
            rows.push(vec![
                c.law.clone(),
                format!("{:.2}%", 100.0 * c.error),
                format!("{:.1} standard errors", c.behind),
            ]);
        }
        let _ = write!(text, "\n{}", columns(&rows));
    }
    for i in &shown.influential {
        let _ = writeln!(text, "influence: {} moves {} by {:.1} standard errors", i.place, i.param, i.standard_errors);
    }
    for warning in &shown.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// A law that cannot be fitted is the user's to mend.
pub(crate) fn refused(error: saltus_law::LawError) -> Refused {
    Refused(error.to_string())
}
