//! `saltus plan` on published numbers, own fits, verdicts and mistakes.
#![allow(clippy::unwrap_used)]

mod common;
use common::{saltus, told};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// The rows of `saltus plan ... --json`, by law.
fn plan(folder: &Path, arguments: &[&str]) -> BTreeMap<String, Value> {
    let output = saltus(folder, &[&["plan"], arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", told(folder, &output));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    rows.into_iter().map(|row| (row["law"].as_str().unwrap().to_owned(), row)).collect()
}

fn here() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn number(value: &Value) -> f64 {
    value["value"].as_f64().unwrap()
}

fn near(ours: f64, published: f64, relative: f64) {
    assert!((ours / published - 1.0).abs() <= relative, "{ours} against {published}");
}

#[test]
fn a_budget_by_every_law() {
    let folder = here();
    let rows = plan(folder.path(), &["--flops", "5.76e23"]);
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, ["besiroglu", "chinchilla-1", "chinchilla-2", "chinchilla-3", "chinchilla-3-printed", "kaplan"]);
    for (law, params, ratio) in [("chinchilla-3-printed", 32.2e9, 93.0), ("chinchilla-3", 40.4e9, 59.0)] {
        near(number(&rows[law]["params"]), params, 2e-3);
        near(number(&rows[law]["tokens_per_param"]), ratio, 5e-3);
        assert!(rows[law]["params"]["low"].is_null());
    }
    for (law, row) in &rows {
        near(6.0 * number(&row["params"]) * number(&row["tokens"]), 5.76e23, 1e-9);
        let convention = if law == "kaplan" { "non-embedding" } else { "total" };
        assert_eq!(row["conventions"]["parameters"], convention);
        assert!(number(&row["params_total"]) > number(&row["params_non_embedding"]));
    }
    let refit = &rows["besiroglu"];
    for name in ["params", "tokens", "loss", "tokens_per_param"] {
        let [low, high] = ["low", "high"].map(|end| refit[name][end].as_f64().unwrap());
        assert!(low < number(&refit[name]) && number(&refit[name]) < high);
    }
}

#[test]
fn the_three_ways_to_give_a_budget_agree() {
    let folder = here();
    let hours = ["--gpus", "512", "--hours", "720", "--gpu", "a100", "--mfu", "0.4"];
    let money = ["--dollars", "737280", "--dollars-per-gpu-hour", "2", "--peak-tflops", "312", "--mfu", "0.4"];
    let flops = 512.0 * 720.0 * 3600.0 * 312e12 * 0.4;
    let all = [
        plan(folder.path(), &hours),
        plan(folder.path(), &money),
        plan(folder.path(), &["--flops", &flops.to_string()]),
    ];
    for rows in &all {
        near(number(&rows["kaplan"]["flops"]), flops, 1e-9);
        near(number(&rows["besiroglu"]["params"]), number(&all[0]["besiroglu"]["params"]), 1e-9);
    }
}

#[test]
fn a_size_a_number_of_tokens_or_a_loss_decide_the_rest() {
    let folder = here();
    let row = &plan(folder.path(), &["--params", "1B", "--law", "chinchilla-1"])["chinchilla-1"];
    near(number(&row["flops"]), 1.21e20, 0.01);
    near(number(&row["tokens"]), 20.2e9, 0.01);
    let rows = plan(folder.path(), &["--flops", "5.76e23", "--params", "280B"]);
    assert!(!rows.contains_key("chinchilla-1"), "it says nothing about other splits");
    near(number(&rows["chinchilla-3"]["tokens"]), 5.76e23 / 6.0 / 280e9, 1e-9);
    // Kaplan counts without embeddings, the user with.
    near(number(&rows["kaplan"]["params_total"]), 280e9, 1e-9);
    assert!(number(&rows["kaplan"]["params"]) < 280e9);
    let row = &plan(folder.path(), &["--loss", "1.93665", "--inference-tokens", "10T"])["chinchilla-3-printed"];
    near(number(&row["params"]), 15.85e9, 1e-3);
    near(number(&row["tokens"]), 6.05e12, 1e-3);
    let used = &row["in_use"];
    assert!(used["total_flops"].as_f64().unwrap() < used["unaware_total_flops"].as_f64().unwrap());
    let scarce = plan(folder.path(), &["--params", "6.34e9", "--tokens", "242e9", "--unique-tokens", "25e9"]);
    near(number(&scarce["data-constrained"]["loss"]), 2.2256440889984477, 1e-14);
}

#[test]
fn ten_times_the_compute_has_three_readings() {
    let rows = plan(here().path(), &["--flops", "1e22", "--times", "10"]);
    let readings = rows["kaplan"]["growth"]["readings"].as_array().unwrap();
    let read: Vec<String> = readings
        .iter()
        .map(|r| format!("{:.2} {:.2}", r["params"].as_f64().unwrap(), r["tokens"].as_f64().unwrap()))
        .collect();
    assert_eq!(read, ["5.37 1.86", "5.50 1.80", "5.00 2.00"]);
    near(number(&rows["chinchilla-1"]["growth"]["params"]), 10f64.sqrt(), 0.01);
}

/// A fit as `saltus fit --json` prints it.
fn fit(covariance: bool) -> Value {
    let value = |v: f64| json!({"value": v, "low": v * 0.9, "high": v * 1.1});
    let mut fit = json!({
        "law": "chinchilla", "runs": 240, "dropped": 5, "objective": 1e-3, "delta": 1e-3,
        "params": {"E": value(1.8172), "A": value(477.83), "B": value(2143.4), "alpha": value(0.34731), "beta": value(0.36717)},
        "exponents": {"a": value(0.514), "b": value(0.486)}, "conventions": {"parameters": "N without embedding and head"},
        "warnings": [],
    });
    if covariance {
        let variances = [5e-4, 5.3e-2, 1.9e-4, 0.137, 3.3e-4];
        let matrix: Vec<Vec<f64>> =
            (0..5).map(|i| (0..5).map(|j| if i == j { variances[i] } else { 0.0 }).collect()).collect();
        fit["covariance"] = json!({"of": ["E", "ln A", "alpha", "ln B", "beta"], "matrix": matrix});
    }
    fit
}

#[test]
fn ones_own_fit_stands_beside_the_others() {
    let folder = here();
    for (name, covariance) in [("mine", true), ("bare", false)] {
        fs::write(folder.path().join(format!("{name}.json")), fit(covariance).to_string()).unwrap();
    }
    let rows = plan(folder.path(), &["--flops", "1e21", "--fit", "mine.json", "--fit", "bare.json"]);
    near(number(&rows["mine"]["params"]), 2.7917e9, 1e-3);
    assert_eq!(rows["mine"]["conventions"]["parameters"], "non-embedding");
    assert!(rows["mine"]["params"]["low"].is_number() && rows["bare"]["params"]["low"].is_null());
    assert_eq!(rows["mine"]["params"]["value"], rows["bare"]["params"]["value"]);
}

/// What `saltus fit` prints is what `saltus plan` reads: the optimum of a known law, inside its interval.
#[test]
fn a_fit_goes_straight_into_a_plan() {
    let folder = here();
    let mut runs = String::from("params,tokens,loss\n");
    for i in 0..6 {
        for j in 0..6 {
            let (n, d) = (1e8 * 2.5f64.powi(i), 2e9 * 2.5f64.powi(j));
            let noise = 0.002 * f64::from((i * 7 + j * 5) % 11 - 5) / 5.0;
            let loss = (1.8 + 480.0 / n.powf(0.35) + 2100.0 / d.powf(0.37)) * (1.0 + noise);
            runs += &format!("{n},{d},{loss}\n");
        }
    }
    fs::write(folder.path().join("runs.csv"), runs).unwrap();
    let fit = saltus(folder.path(), &["fit", "runs.csv", "--law", "chinchilla", "--bootstrap", "200", "--json"]);
    assert!(fit.status.success(), "{}", told(folder.path(), &fit));
    fs::write(folder.path().join("mine.json"), &fit.stdout).unwrap();
    let row = &plan(folder.path(), &["--flops", "1e21", "--fit", "mine.json", "--law", "mine"])["mine"];
    let balance = (0.35 * 480.0 / (0.37 * 2100.0_f64)).powf(1.0 / 0.72);
    let truth = balance * (1e21f64 / 6.0).powf(0.37 / 0.72);
    let [low, high] = ["low", "high"].map(|end| row["params"][end].as_f64().unwrap());
    assert!(low < truth && truth < high && high / low < 2.0, "{truth:e} in {low:e} to {high:e}");
}

#[test]
fn abilities_are_seen_never_emerge() {
    let folder = here();
    let verdict = |task: &str, shape: &str, low: f64, high: f64| {
        json!({"family": "mine", "task": task, "metric": "exact_match", "scale_axis": "params", "scales": [1e8, 1e9, 1e10],
               "shape": shape, "weights": {}, "threshold": {"scale": (low * high).sqrt(), "low": low, "high": high}})
    };
    let all = json!([
        verdict("early", "emergent", 1e8, 1e9),
        verdict("on the way", "emergent", 1e9, 1e11),
        verdict("late", "emergent", 1e12, 1e13),
        verdict("never", "flat", 1e8, 1e9),
    ]);
    fs::write(folder.path().join("verdicts.json"), all.to_string()).unwrap();
    let rows = plan(folder.path(), &["--flops", "1e23", "--law", "chinchilla-3", "--judged", "verdicts.json"]);
    let listed = rows["chinchilla-3"]["abilities"].as_array().unwrap();
    let standing =
        |name: &str| listed.iter().find(|a| a["ability"] == name).map(|a| a["standing"].as_str().unwrap().to_owned());
    assert_eq!(standing("early").as_deref(), Some("seen"));
    assert_eq!(standing("on the way").as_deref(), Some("between"));
    assert_eq!(standing("late").as_deref(), Some("not-seen"));
    assert_eq!(standing("never"), None);
    // arXiv 2206.07682, table 1: 13B at 2.3e22 FLOPs did, 6.7B did not; 540B at 2.5e24 did, 62B did not.
    assert_eq!(standing("addition and subtraction, 3 digits").as_deref(), Some("seen"));
    assert_eq!(standing("word in context (WiC)").as_deref(), Some("not-seen"));
}

#[test]
fn mistakes_are_told() {
    let folder = here();
    fs::write(folder.path().join("kaplan.json"), r#"{"law": "kaplan", "params": {"Nc": {"value": 1e13}}}"#).unwrap();
    fs::write(folder.path().join("broken.json"), "{").unwrap();
    let mistake = |arguments: &str| {
        let words: Vec<&str> = std::iter::once("plan").chain(arguments.split_whitespace()).collect();
        let told = told(folder.path(), &saltus(folder.path(), &words));
        assert!(told.starts_with("exit 2\n"), "{arguments}: {told}");
        format!("$ saltus plan {arguments}\n{told}\n")
    };
    let all: String = [
        "",
        "--flops 0",
        "--flops -1",
        "--flops NaN",
        "--flops 1e21 --gpus 8",
        "--gpus 8 --hours 10 --dollars 100",
        "--gpus 8 --hours 10 --gpu a100 --mfu 40",
        "--gpus 8 --hours 10 --gpu a1000 --mfu 0.4",
        "--gpus 8 --gpu a100 --mfu 0.4",
        "--gpus 8 --hours 10 --gpu a100",
        "--flops 1e21 --params 1B --tokens 1T",
        "--flops 1e21 --loss 2",
        "--flops 1e21 --params 1B --inference-tokens 1T",
        "--flops 1e21 --params 1B --times 10",
        "--flops 1e21 --times 0",
        "--loss 1.5 --inference-tokens 1T",
        "--params 100M --loss 1.9 --law besiroglu",
        "--flops 1e21 --law hoffmann",
        "--flops 1e21 --fit missing.json",
        "--flops 1e21 --fit broken.json",
        "--flops 1e21 --fit kaplan.json",
        "--flops 1e21 --judged broken.json",
        "--flops many",
    ]
    .iter()
    .map(|arguments| mistake(arguments))
    .collect();
    insta::assert_snapshot!(all);
}

#[test]
fn the_table_is_for_people() {
    let folder = here();
    let output = saltus(folder.path(), &["plan", "--flops", "1e21", "--law", "kaplan,besiroglu", "--times", "10"]);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

/// Tables 3 and A3 of arXiv 2203.15556 as printed: N, then FLOPs and tokens by approaches 1, 2 and 3.
const CHINCHILLA: [(&str, [(&str, &str); 3]); 9] = [
    ("400M", [("1.92e19", "8.0B"), ("1.84e19", "7.7B"), ("2.21e19", "9.2B")]),
    ("1B", [("1.21e20", "20.2B"), ("1.20e20", "20.0B"), ("1.62e20", "27.1B")]),
    ("10B", [("1.23e22", "205.1B"), ("1.32e22", "219.5B"), ("2.46e22", "410.1B")]),
    ("67B", [("5.76e23", "1.5T"), ("6.88e23", "1.7T"), ("1.71e24", "4.1T")]),
    ("175B", [("3.85e24", "3.7T"), ("4.54e24", "4.3T"), ("1.26e24", "12.0T")]),
    ("280B", [("9.90e24", "5.9T"), ("1.18e25", "7.1T"), ("3.52e25", "20.1T")]),
    ("520B", [("3.43e25", "11.0T"), ("4.19e25", "13.4T"), ("1.36e26", "43.5T")]),
    ("1T", [("1.27e26", "21.2T"), ("1.59e26", "26.5T"), ("5.65e26", "94.1T")]),
    ("10T", [("1.30e28", "216.2T"), ("1.75e28", "292.0T"), ("8.55e28", "1425.5T")]),
];

fn difference(ours: f64, published: &str) -> String {
    let percent = (ours / published.parse::<f64>().unwrap() - 1.0) * 100.0;
    format!("{percent:+.1}%")
}

fn tokens(value: f64) -> String {
    if value >= 1e12 { format!("{:.1}T", value / 1e12) } else { format!("{:.1}B", value / 1e9) }
}

/// The tables of docs/plan.md are what the program says.
#[test]
fn the_guide_shows_what_the_program_computes() {
    let folder = here();
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plan.md")).unwrap();
    let mut rows = Vec::new();
    for (params, published) in CHINCHILLA {
        let laws = plan(folder.path(), &["--params", params]);
        for (i, (flops, printed)) in published.into_iter().enumerate() {
            let row = &laws[&format!("chinchilla-{}", i + 1)];
            let (c, d) = (number(&row["flops"]), number(&row["tokens"]));
            rows.push(format!(
                "| {params} | {} | {flops} | {c:.2e} | {} | {printed} | {} |",
                i + 1,
                difference(c, flops),
                tokens(d)
            ));
        }
    }
    let of = |arguments: &[&str], law: &str, name: &str| number(&plan(folder.path(), arguments)[law][name]);
    let mut single =
        |what: &str, published: &str, ours: String| rows.push(format!("| {what} | {published} | {ours} |"));
    let gopher = ["--flops", "5.76e23"];
    for (law, n, ratio, which) in
        [("chinchilla-3-printed", "32.2B", "93", "as printed"), ("chinchilla-3", "40B", "59", "before rounding")]
    {
        let (params, tokens) = (of(&gopher, law, "params") / 1e9, of(&gopher, law, "tokens_per_param"));
        single(&format!("N* at 5.76e23 FLOPs, approach 3 {which}"), n, format!("{params:.1}B"));
        single(&format!("tokens per parameter there, approach 3 {which}"), ratio, format!("{tokens:.1}"));
    }
    for (inference, n, d) in [("0", "30.0B", "2.735T"), ("1e12", "25.7B", "3.22T"), ("1e13", "15.85B", "6.05T")] {
        let asked = ["--loss", "1.93665", "--inference-tokens", inference];
        let (params, tokens) =
            (of(&asked, "chinchilla-3-printed", "params") / 1e9, of(&asked, "chinchilla-3-printed", "tokens") / 1e12);
        let what = format!("loss 1.93665, {inference} tokens in use, approach 3 as printed");
        single(&what, &format!("{n} / {d}"), format!("{params:.2}B / {tokens:.3}T"));
    }
    let scarce = ["--params", "6.34e9", "--tokens", "242e9", "--unique-tokens", "25e9"];
    let loss = of(&scarce, "data-constrained", "loss");
    single("L(6.34B, 242B tokens, 25B unique), data-constrained", "2.2256440889984477", format!("{loss:.16}"));
    let a =
        number(&plan(folder.path(), &["--flops", "1e21", "--times", "10"])["besiroglu"]["growth"]["params"]).log10();
    single("a of the refit", ".513", format!("{a:.4}"));
    single("N* of Kaplan at a PF-day", "1.3e9", format!("{:.2e}", of(&["--flops", "8.64e19"], "kaplan", "params")));
    let missing: Vec<String> = rows.into_iter().filter(|row| !guide.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/plan.md lacks these rows:\n{}", missing.join("\n"));
}
