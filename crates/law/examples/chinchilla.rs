//! Fits L(N,D) to the runs of a CSV file as arXiv 2404.10102 did, and prints the fit as JSON.
//!
//! `cargo run --release -p saltus-law --example chinchilla -- RUNS.csv [RESAMPLES]`: the file has the columns `params` and
//! `loss` and one of `flops` and `tokens`; each row is a run. The runs with the five highest losses are dropped, as there.

use saltus_law::{Conventions, Flops, Law, Observation, Observations, Parameters, Params, Settings, Tokens, plan};
use saltus_random::Key;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file? give a CSV with the columns params, flops and loss")?;
    let resamples = arguments.next().map_or(Ok(Settings::RESAMPLES), |count| count.parse())?;
    let mut runs = read(&std::fs::read_to_string(&path)?)?;
    runs.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    let used = runs.split_off(runs.len().min(5));
    let conventions = Conventions {
        parameters: Parameters::Total,
        loss: "held-out text".into(),
        tokenizer: "SentencePiece, 32,000".into(),
    };
    let data = Observations::new(used, conventions)?;
    let settings = Settings { delta: Settings::DELTA, resamples, key: Key::new(240_410_102) };
    let fit = saltus_law::fit_size_tokens(&data, &settings)?;
    let exponent = fit.interval(|law| law.params_exponent());
    let named: Vec<_> = fit.parameters().into_iter().chain([("a", exponent)]).collect();
    let params: serde_json::Map<_, _> = named
        .into_iter()
        .map(|(name, i)| (name.to_owned(), serde_json::json!({"value": i.value, "low": i.low, "high": i.high})))
        .collect();
    let covariance = plan::covariance(&fit.resamples);
    let json = serde_json::json!({
        "law": saltus_law::SizeTokenLaw::NAME, "runs": fit.runs, "dropped": runs.len(), "objective": fit.objective,
        "delta": fit.delta, "params": params, "covariance": {"of": plan::ORDER, "matrix": covariance}, "r_squared": fit.r_squared, "conventions": data.conventions().facts(),
        "warnings": fit.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    println!("{json:#}");
    Ok(())
}

fn read(csv: &str) -> Result<Vec<Observation>, Box<dyn Error>> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let place = |name: &str| header.iter().position(|column| *column == name);
    let column =
        |name: &str| place(name).ok_or(format!("no column {name} among {header:?}: name it in the first line"));
    let (params, flops, loss) = (column("params")?, column("flops")?, column("loss")?);
    lines
        .enumerate()
        .map(|(row, line)| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |column: usize| -> Result<f64, String> {
                let cell = cells.get(column).map_or("", |cell| cell.trim());
                cell.parse().map_err(|_| format!("row {row}, column {}: {cell:?} is not a number", header[column]))
            };
            let (params, flops) = (Params(number(params)?), Flops(number(flops)?));
            let tokens = Tokens(flops.0 / (6.0 * params.0));
            Ok(Observation { params, tokens, flops, loss: number(loss)?, run: row as u64, seed: 0 })
        })
        .collect()
}
