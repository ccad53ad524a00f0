//! The page of a fitted law: safe, complete, the same bytes each time.
#![allow(clippy::unwrap_used)] // a test may fail

use saltus_report::budget::Estimate;
use saltus_report::fit::{Group, LawFit, Residual, Split, page};

const HOSTILE: &str = "<img src=x onerror=alert(1)></script>";

fn loss(n: f64, d: f64) -> f64 {
    1.82 + 482.0 / n.powf(0.348) + 2085.0 / d.powf(0.366)
}

fn sample() -> LawFit {
    let known = |value: f64| Estimate { value, low: Some(value * 0.9), high: Some(value * 1.1) };
    let tokens: Vec<f64> = (0..12).map(|i| 1e9 * 2f64.powi(i)).collect();
    let noise = |i: usize, j: usize| 0.004 * ((i * 7 + j * 13) as f64).sin();
    let sizes: Vec<f64> = (0..8).map(|i| 7e7 * 2.2f64.powi(i)).collect();
    let group = |(i, &n): (usize, &f64)| Group {
        name: format!("{:.1}B", n / 1e9),
        points: tokens.iter().enumerate().map(|(j, &d)| (d, loss(n, d) * (1.0 + noise(i, j)))).collect(),
        curve: tokens.iter().map(|&d| (d, loss(n, d))).collect(),
    };
    let residual = |(i, &n): (usize, &f64)| {
        let run = move |(j, &d): (usize, &f64)| Residual {
            name: HOSTILE.to_owned(),
            params: n,
            tokens: d,
            flops: 6.0 * n * d,
            value: noise(i, j),
            influential: (i, j) == (0, 3),
        };
        tokens.iter().enumerate().map(run).collect::<Vec<_>>()
    };
    let line: Vec<(f64, Estimate)> =
        (0..9).map(|i| 10f64.powf(18.0 + i as f64 / 2.0)).map(|c| (c, known(0.09 * c.powf(0.5)))).collect();
    LawFit {
        saltus: "0".to_owned(),
        title: "L(N,D) of runs.csv".to_owned(),
        lead: "96 runs, none left out".to_owned(),
        formula: "L(N,D) = E + A / N^alpha + B / D^beta".to_owned(),
        params: vec![("E".to_owned(), known(1.82)), ("alpha".to_owned(), known(0.348))],
        facts: vec![("objective".to_owned(), "0.001".to_owned())],
        conventions: vec![("loss".to_owned(), HOSTILE.to_owned())],
        warnings: vec![HOSTILE.to_owned()],
        x_label: "Training tokens".to_owned(),
        y_label: "Loss, nats per token".to_owned(),
        groups: sizes.iter().enumerate().map(group).collect(),
        residuals: sizes.iter().enumerate().flat_map(residual).collect(),
        splits: vec![Split {
            title: "Best size for a budget".to_owned(),
            label: "Parameters".to_owned(),
            found: line.iter().step_by(2).map(|(c, e)| (*c, known(e.value * 1.05))).collect(),
            line,
        }],
    }
}

#[test]
fn hostile_text_stays_text() {
    let html = page(&sample());
    let body = html.split("<body").nth(1).unwrap().split("<script").next().unwrap();
    assert!(!body.contains("<img") && body.contains("&lt;img src=x"));
    assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (4, 4));
    assert_eq!(html, page(&sample()));
    if let Some(folder) = std::env::var_os("SALTUS_SHOTS") {
        std::fs::write(std::path::Path::new(&folder).join("fit.html"), html).unwrap();
    }
}

#[test]
fn data_curves_splits_and_residuals_are_drawn() {
    let html = page(&sample());
    let block = html.split("id=\"figures\">").nth(1).unwrap().split("</script>").next().unwrap();
    let figures: Vec<serde_json::Value> = serde_json::from_str(block).unwrap();
    let of = |kind: &str, figure: &serde_json::Value| {
        figure["layers"].as_array().unwrap().iter().filter(|layer| layer["kind"] == kind).count()
    };
    let seen: Vec<(&str, usize, usize)> =
        figures.iter().map(|f| (f["id"].as_str().unwrap(), of("line", f), of("points", f))).collect();
    assert_eq!(
        seen,
        [
            ("figure-fit", 8, 8),
            ("figure-split-0", 1, 1),
            ("figure-residuals-params", 0, 2),
            ("figure-residuals-tokens", 0, 2),
            ("figure-residuals-flops", 0, 2)
        ]
    );
    assert!(html.contains("N<sup>α</sup>") && html.contains("0.348 (0.313 to 0.383)"));
}
