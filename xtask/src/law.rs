//! Conformance of `law`: the refit of Chinchilla's 240 runs against the published one (arXiv 2404.10102).

use crate::shell::{self, Result};
use serde_json::Value;
use std::process::Command;

/// As many as the published intervals are made from.
const RESAMPLES: &str = "4000";

/// Fits `chinchilla_fig4.csv` and holds the fit against `expected_chinchilla.json`; both must be there.
pub(crate) fn check() -> Result {
    let runs = shell::shared("data/scaling/chinchilla_fig4.csv")?;
    let expected = parse(&shell::read(&shell::shared("data/scaling/expected_chinchilla.json")?)?)?;
    let program = shell::tested_example("chinchilla")?;
    let fit = parse(&shell::output(Command::new(program).arg(runs).arg(RESAMPLES))?)?;
    let wrong = differences(&fit, &expected["chinchilla_fig4"])?;
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn differences(fit: &Value, expected: &Value) -> Result<Vec<String>> {
    let (optimum, published) = (&expected["plain_huber_optimum_my_refit"], &expected["published_besiroglu_2024"]);
    let mut wrong = Vec::new();
    let mut hold = |what: String, value: f64, from: f64, to: f64| {
        eprintln!("{what:<40} {value:>14.6}   in [{from:.6}, {to:.6}]");
        if !(from..=to).contains(&value) {
            wrong.push(format!("{what} is {value}, expected {from} to {to}"));
        }
    };
    // The same optimum: no higher objective (to rounding), and the parameters to four digits.
    let objective = number(&optimum["huber_sum"])?;
    hold("objective / 1e-3".into(), number(&fit["objective"])? * 1e3, 0.0, objective * 1e3 * (1.0 + 1e-6));
    for name in ["A", "B", "E", "alpha", "beta"] {
        let (ours, best) = (&fit["params"][name], number(&optimum[name])?);
        hold(name.into(), number(&ours["value"])?, best * (1.0 - 1e-4), best * (1.0 + 1e-4));
        // Intervals by resampling runs: each end within one published standard error of the published end.
        let error = number(&published["bootstrap_se_4000"][name])?;
        for (end, at) in [("low", 0), ("high", 1)] {
            let bound = number(&published["ci95"][name][at])?;
            hold(format!("{name}, {end} end of the interval"), number(&ours[end])?, bound - error, bound + error);
        }
    }
    let exponent = number(&published["a_opt"])?;
    hold("a, the exponent of N in C".into(), number(&fit["params"]["a"]["value"])?, exponent - 2e-3, exponent + 2e-3);
    // What `saltus plan` knows of the refit's uncertainty: how its parameters hang together, and with that the error of a.
    for (one, other, expected) in [(1, 2, 0.99909), (3, 4, 0.99962), (2, 4, -0.2619), (0, 2, 0.5804), (0, 4, 0.6145)] {
        let matrix = &fit["covariance"]["matrix"];
        let at = |i: usize, j: usize| number(&matrix[i][j]);
        let correlation = at(one, other)? / (at(one, one)? * at(other, other)?).sqrt();
        let names = &fit["covariance"]["of"];
        // 4,000 resamples tell a correlation to (1 - r^2) / 63; four of these errors.
        let error = 4.0 * (1.0 - expected * expected) / 63.0;
        hold(
            format!("correlation of {} and {}", names[one], names[other]),
            correlation,
            expected - error,
            expected + error,
        );
    }
    Ok(wrong)
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| format!("a number was expected, found {value}"))
}
