//! The laws of `saltus fit`, one by one, as they are shown.

use super::{
    ComparedShown, Covariance, Ends, Fitted, ForecastShown, Influence, LawName, MinimumShown, Shown, parameters,
    refused,
    runs::{Row, Runs},
};
use crate::{arguments::FitArguments, measured::Refused};
use saltus_law::{
    BestSizes, Conventions, Fit, Flops, Law, Observation, Observations, Params, Run, Searched, Settings, Shape,
    SizeTokenLaw, Tokens, Warning, envelope_law, fit_size_tokens, isoflop, search,
};
use saltus_random::Key;

/// Rows above which the influence of each is not looked at: it takes as many refits.
const INFLUENCE_ROWS: usize = 2000;
/// Folds of the cross-validation.
const FOLDS: u64 = 5;

/// Fits the law that was asked for.
pub(crate) fn fit(runs: &Runs, arguments: &FitArguments) -> Result<Fitted, Refused> {
    match arguments.law {
        LawName::Chinchilla => chinchilla(runs, arguments),
        LawName::Kaplan => searched(kaplan_shape(runs)?, runs, arguments),
        LawName::DataConstrained => {
            if runs.rows.iter().all(|row| row.unique >= row.tokens) {
                let problem = "no run repeats its data: give `unique_tokens` (`--map COLUMN=unique_tokens`), or fit \
                               `--law chinchilla`";
                return Err(Refused(problem.into()));
            }
            searched(Shape::DataConstrained, runs, arguments)
        }
        LawName::Overtraining => searched(Shape::OverTrained, runs, arguments),
        LawName::Bnsl => searched(Shape::Broken, runs, arguments),
        LawName::Isoflop => {
            let found = isoflop(&observations(&runs.rows, arguments)?, arguments.bootstrap, key(arguments));
            let bias = "the minimum of a parabola is biased even without noise where sizes reach far to one side of it \
                        (arXiv 2203.15556, approach 2): compare with --law chinchilla";
            best_sizes("isoflop", &found.map_err(refused)?, runs, arguments, bias)
        }
        LawName::Envelope => {
            let found = envelope_law(&observations(&runs.rows, arguments)?, arguments.bootstrap, key(arguments));
            let bias =
                "checkpoints inside a schedule lie above what a run of that length would reach: give the ends of runs";
            best_sizes("envelope", &found.map_err(refused)?, runs, arguments, bias)
        }
        LawName::Auto => auto(runs, arguments),
    }
}

fn key(arguments: &FitArguments) -> Key {
    Key::new(arguments.seed).child("fit")
}

fn settings(arguments: &FitArguments) -> Settings {
    Settings { delta: arguments.delta, resamples: arguments.bootstrap, key: key(arguments) }
}

fn observations(rows: &[Row], arguments: &FitArguments) -> Result<Observations, Refused> {
    let conventions = Conventions {
        parameters: parameters(arguments),
        loss: "as in the file".into(),
        tokenizer: "as in the file".into(),
    };
    let of_row = |row: &Row| Observation {
        params: Params(row.params),
        tokens: Tokens(row.tokens),
        flops: Flops(row.flops),
        loss: row.loss,
        run: row.cluster,
        seed: 0,
    };
    Observations::new(rows.iter().map(of_row).collect(), conventions).map_err(refused)
}

fn chinchilla(runs: &Runs, arguments: &FitArguments) -> Result<Fitted, Refused> {
    let data = observations(&runs.rows, arguments)?;
    let fit = fit_size_tokens(&data, &settings(arguments)).map_err(refused)?;
    let mut shown = Shown::new("chinchilla", SizeTokenLaw::FORMULA, runs, arguments);
    shown.objective = Some(fit.objective);
    shown.residual_rms = Some(fit.residuals.rms);
    shown.params = fit.parameters().into_iter().map(|(name, interval)| (name, interval.into())).collect();
    let mut exponent = fit.interval(SizeTokenLaw::params_exponent);
    // A share: what pushes its ends outwards for the few runs it hangs on does not know that.
    (exponent.low, exponent.high) = (exponent.low.max(0.0), exponent.high.min(1.0));
    shown.exponents.insert("a", exponent.into());
    let other =
        saltus_law::Interval { value: 1.0 - exponent.value, low: 1.0 - exponent.high, high: 1.0 - exponent.low };
    shown.exponents.insert("b", other.into());
    shown.covariance = covariance(&fit);
    shown.warnings.extend(fit.warnings.iter().map(ToString::to_string));
    for name in fit.warnings.iter().filter_map(Warning::collapsed) {
        let of_term = if name == "alpha" { ["alpha", "A"] } else { ["beta", "B"] };
        shown.params.iter_mut().filter(|(name, _)| of_term.contains(*name)).for_each(|(_, ends)| ends.forget());
        shown.exponents.values_mut().for_each(Ends::forget);
    }
    shown.influential = influence(&fit, runs);
    shown.forecasts = runs
        .held_out
        .iter()
        .map(|row| forecast(row, row.params, fit.loss(Params(row.params), Tokens(row.tokens))))
        .collect();
    let law = fit.law;
    // N* = G (C/6)^a (arXiv 2203.15556, equation 4).
    let a = law.params_exponent();
    let g = (law.alpha * law.a / (law.beta * law.b)).powf(1.0 / (law.alpha + law.beta));
    Ok(Fitted {
        shown,
        law: Some(Box::new(move |row| law.loss(Params(row.params), Tokens(row.tokens)))),
        best_size: Some((g * 6f64.powf(-a), a)),
    })
}

fn forecast(row: &Row, x: f64, i: saltus_law::Interval) -> ForecastShown {
    let hit = i.low <= row.loss && row.loss <= i.high;
    ForecastShown { place: row.place.clone(), x, measured: row.loss, foretold: i.into(), hit }
}

/// Covariance of the parameters over the resamples, for `saltus plan --fit`.
fn covariance(fit: &Fit<SizeTokenLaw>) -> Option<Covariance> {
    let of = ["E", "ln A", "alpha", "ln B", "beta"];
    let matrix = saltus_law::plan::covariance(&fit.resamples)?;
    Some(Covariance { of, matrix: matrix.iter().map(|row| row.to_vec()).collect() })
}

/// Rows without which an exponent moves by more than its standard error: each left out and the law fitted again.
fn influence(fit: &Fit<SizeTokenLaw>, runs: &Runs) -> Vec<Influence> {
    if runs.rows.len() > INFLUENCE_ROWS || fit.resamples.len() < 20 {
        return Vec::new();
    }
    let deviation = |of: fn(&SizeTokenLaw) -> f64| {
        let all: Vec<f64> = fit.resamples.iter().map(of).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        (all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (all.len() - 1) as f64).sqrt()
    };
    let errors = [("alpha", deviation(|l| l.alpha)), ("beta", deviation(|l| l.beta))];
    let laws = fit.without_each();
    let of_row = |(row, law): (&Row, SizeTokenLaw)| {
        let moved = [("alpha", law.alpha - fit.law.alpha), ("beta", law.beta - fit.law.beta)];
        let most = moved.iter().zip(&errors).map(|((name, change), (_, error))| (*name, change / error));
        let most = most.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
        (most.1.abs() > 1.0).then(|| Influence { place: row.place.clone(), param: most.0, standard_errors: most.1 })
    };
    runs.rows.iter().zip(laws).filter_map(of_row).collect()
}

/// Kaplan's joint law, or that of the one quantity that varies.
fn kaplan_shape(runs: &Runs) -> Result<Shape, Refused> {
    let varies = |of: fn(&Row) -> f64| {
        let (low, high) = runs.rows.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), r| (l.min(of(r)), h.max(of(r))));
        high > low * 1.01
    };
    match (varies(|r| r.params), varies(|r| r.tokens)) {
        (true, true) => Ok(Shape::Kaplan),
        (true, false) => Ok(Shape::KaplanSize),
        (false, true) => Ok(Shape::KaplanTokens),
        (false, false) => Err(Refused("all runs have one size and one number of tokens: no law can be seen".into())),
    }
}

fn run_of(row: &Row) -> Run {
    let Row { params, tokens, unique, loss, cluster, .. } = *row;
    Run { params, tokens, unique, loss, cluster }
}

fn searched(shape: Shape, runs: &Runs, arguments: &FitArguments) -> Result<Fitted, Refused> {
    let all: Vec<Run> = runs.rows.iter().map(run_of).collect();
    let found = search(shape, &all, arguments.delta, arguments.bootstrap, key(arguments)).map_err(refused)?;
    let mut shown = Shown::new(shape.name(), shape.formula(), runs, arguments);
    shown.objective = Some(found.objective);
    let squares: f64 = found.residuals.iter().map(|r| r * r).sum();
    shown.residual_rms = Some((squares / found.residuals.len() as f64).sqrt());
    for (k, name) in shape.names().iter().enumerate() {
        shown.params.insert(name, found.interval(|p| p[k]).into());
    }
    exponents(&mut shown, &found);
    identified(&mut shown, &found);
    let foretell =
        |row: &Row| forecast(row, row.params, found.prediction(&run_of(row), key(arguments).child(&row.place)));
    shown.forecasts = runs.held_out.iter().map(foretell).collect();
    let law = move |row: &Row| found.shape.loss(&found.values, &run_of(row));
    Ok(Fitted { shown, law: Some(Box::new(law)), best_size: None })
}

/// How the best size goes with compute, where the law says so in closed form.
fn exponents(shown: &mut Shown, found: &Searched) {
    if matches!(found.shape, Shape::OverTrained | Shape::DataConstrained) {
        let half = saltus_law::Interval { value: 0.5, low: 0.5, high: 0.5 };
        shown.exponents.insert("a", half.into());
        shown.exponents.insert("b", half.into());
        shown.warnings.push("a = b = 0.5 is part of this law, not found in the data".into());
    }
}

/// Parameters whose interval spans a factor of more than 100 are not told by the data.
fn identified(shown: &mut Shown, found: &Searched) {
    for (k, name) in found.shape.names().iter().enumerate() {
        let i = found.interval(|p| p[k]);
        let constants = ["Nc", "Dc", "A", "B", "b", "a"];
        if !constants.contains(name) && i.high > 10.0 * i.low.max(1e-300) && i.high > i.low {
            shown.warnings.push(format!(
                "{name} is not identified: its interval spans a factor of {:.0}; give runs over a wider range",
                (i.high / i.low.max(1e-300)).min(1e12)
            ));
        }
    }
}

fn best_sizes(
    name: &str,
    found: &BestSizes,
    runs: &Runs,
    arguments: &FitArguments,
    bias: &str,
) -> Result<Fitted, Refused> {
    let mut shown = Shown::new(name, "N*(C) = k C^a, D*(C) = C / (6 N*)", runs, arguments);
    shown.residual_rms = None;
    shown.params.insert("k", found.coefficient.into());
    let a = found.exponent;
    shown.exponents.insert("a", a.into());
    let b = saltus_law::Interval { value: 1.0 - a.value, low: 1.0 - a.high, high: 1.0 - a.low };
    shown.exponents.insert("b", b.into());
    shown.minima = found
        .minima
        .iter()
        .map(|m| MinimumShown {
            flops: m.flops,
            params: m.params,
            tokens: m.flops / (6.0 * m.params),
            loss: m.loss,
            runs: m.runs,
            inside: m.inside,
        })
        .collect();
    shown.warnings.push(bias.into());
    Ok(Fitted { shown, law: None, best_size: Some((found.coefficient.value, found.exponent.value)) })
}

/// Fits what the columns allow and shows the law that foretells runs left out best, with the others behind it.
fn auto(runs: &Runs, arguments: &FitArguments) -> Result<Fitted, Refused> {
    if runs.curve {
        return searched(Shape::Broken, runs, arguments);
    }
    let mut shapes = vec![Shape::Kaplan, Shape::OverTrained];
    if runs.rows.iter().any(|row| row.unique < row.tokens) {
        shapes.push(Shape::DataConstrained);
    }
    let mut errors: Vec<(LawName, String, Vec<f64>)> = Vec::new();
    if let Some(found) = cross_validate(runs, |train, test| {
        let data = observations(train, arguments).ok()?;
        let fit = fit_size_tokens(&data, &Settings { resamples: 0, ..settings(arguments) }).ok()?;
        Some(test.iter().map(|r| (fit.law.loss(Params(r.params), Tokens(r.tokens)) / r.loss).ln().abs()).collect())
    }) {
        errors.push((LawName::Chinchilla, "chinchilla".into(), found));
    }
    for shape in shapes {
        let law = match shape {
            Shape::Kaplan => LawName::Kaplan,
            Shape::OverTrained => LawName::Overtraining,
            _ => LawName::DataConstrained,
        };
        if let Some(found) = cross_validate(runs, |train, test| {
            let all: Vec<Run> = train.iter().map(run_of).collect();
            let fit = search(shape, &all, arguments.delta, 0, key(arguments)).ok()?;
            Some(test.iter().map(|r| (shape.loss(&fit.values, &run_of(r)) / r.loss).ln().abs()).collect())
        }) {
            errors.push((law, shape.name().into(), found));
        }
    }
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    errors.sort_by(|a, b| mean(&a.2).total_cmp(&mean(&b.2)));
    let Some((best, name, least)) = errors.first().cloned() else {
        return Err(Refused("no law can be fitted: give runs of several sizes and several numbers of tokens".into()));
    };
    let mut fitted = fit(runs, &FitArguments { law: best, ..arguments.clone() })?;
    let shown = &mut fitted.shown;
    for (_, law, error) in &errors {
        let differences: Vec<f64> = error.iter().zip(&least).map(|(a, b)| a - b).collect();
        let (n, centre) = (differences.len() as f64, mean(&differences));
        let deviation =
            (differences.iter().map(|d| (d - centre).powi(2)).sum::<f64>() / (n * (n - 1.0)).max(1.0)).sqrt();
        let behind = if deviation > 0.0 { centre / deviation } else { 0.0 };
        shown.compared.push(ComparedShown { law: law.clone(), error: mean(error), behind });
    }
    if let Some(second) = shown.compared.get(1).filter(|second| second.behind < 2.0) {
        let warning = format!("{name} is not clearly better than {} on runs left out", second.law);
        shown.warnings.push(warning);
    }
    Ok(fitted)
}

/// The errors on the runs of each fold, fitted on the others; whole runs are left out. In the order of the rows.
fn cross_validate(runs: &Runs, fit: impl Fn(&[Row], &[Row]) -> Option<Vec<f64>>) -> Option<Vec<f64>> {
    let mut errors = vec![0.0; runs.rows.len()];
    let mut clusters: Vec<u64> = runs.rows.iter().map(|r| r.cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let fold = |row: &Row| clusters.binary_search(&row.cluster).unwrap_or(0) as u64 % FOLDS;
    for k in 0..FOLDS {
        let (test, train): (Vec<Row>, Vec<Row>) = runs.rows.iter().cloned().partition(|row| fold(row) == k);
        if test.is_empty() {
            continue;
        }
        let found = fit(&train, &test)?;
        let places = (0..runs.rows.len()).filter(|&i| fold(&runs.rows[i]) == k);
        places.zip(found).for_each(|(place, error)| errors[place] = error);
    }
    Some(errors)
}
