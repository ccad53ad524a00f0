//! `saltus judge`, `saltus forecast` and `saltus fit` on tables, as they should be and as they should not.
#![allow(clippy::unwrap_used)]

mod common;
use common::{saltus, told};
use serde_json::Value;
use std::{fmt::Write, fs, path::Path};

fn json(folder: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = saltus(folder, &[arguments, &["--json"]].concat());
    let value = serde_json::from_slice(&output.stdout);
    (value.unwrap_or_else(|_| panic!("{}", told(folder, &output))), output.status.code())
}

/// The error and the exit code.
fn refused(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = saltus(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (
        text.split_whitespace().filter(|word| *word != "│" && *word != "×").collect::<Vec<_>>().join(" "),
        output.status.code(),
    )
}

/// A table of `task,score` over eight sizes of 1,000 items.
fn scores(tasks: &[(&str, &str, [f64; 8], f64)]) -> String {
    let mut text = "family,params,task,metric,score,n,chance\n".to_owned();
    for (task, metric, scores, chance) in tasks {
        for (i, score) in scores.iter().enumerate() {
            let _ = writeln!(text, "f,{}e7,{task},{metric},{score},1000,{chance}", 3f64.powi(i as i32));
        }
    }
    text
}

const JUMP: [f64; 8] = [0.002, 0.004, 0.001, 0.005, 0.008, 0.71, 0.73, 0.72];
const GROWTH: [f64; 8] = [0.3, 0.36, 0.41, 0.47, 0.52, 0.59, 0.64, 0.7];
const BENT: [f64; 8] = [0.6, 0.52, 0.43, 0.36, 0.35, 0.43, 0.52, 0.61];

#[test]
fn shapes_thresholds_and_measures_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let fall: Vec<f64> = GROWTH.iter().rev().copied().collect();
    let fall: [f64; 8] = fall.try_into().unwrap();
    let table = scores(&[
        ("jump", "exact_match", JUMP, 0.0),
        ("growth", "acc", GROWTH, 0.25),
        ("bend", "acc", BENT, 0.25),
        ("fall", "acc", fall, 0.25),
        ("level", "acc", [0.25, 0.251, 0.249, 0.252, 0.25, 0.248, 0.251, 0.25], 0.25),
    ]);
    fs::write(folder.path().join("s.csv"), table).unwrap();
    let (found, code) = json(folder.path(), &["judge", "s.csv", "--page", "p.html"]);
    assert_eq!(code, Some(0));
    let of = |task: &str| found.as_array().unwrap().iter().find(|a| a["task"] == task).unwrap().clone();
    let shape = |task: &str| of(task)["shape"].as_str().unwrap().to_owned();
    assert_eq!(
        ["jump", "growth", "bend", "fall", "level"].map(shape),
        ["emergent", "smooth", "u-shaped", "inverse", "flat"]
    );
    let jump = of("jump");
    assert_eq!(jump["threshold"]["scale"], 2.43e9);
    assert_eq!((&jump["threshold"]["low"], &jump["threshold"]["high"]), (&8.1e8.into(), &2.43e9.into()));
    assert_eq!(jump["scales"].as_array().unwrap().len(), 8);
    assert!((jump["weights"]["emergent"].as_f64().unwrap()) > 0.9 && jump["q_value"].as_f64().unwrap() < 0.05);
    assert!(jump["breakthroughness"].as_f64().unwrap() > 10.0 * jump["linearity"].as_f64().unwrap());
    let page = fs::read_to_string(folder.path().join("p.html")).unwrap();
    assert!(page.contains("judged over parameters"));
    // The same bytes at any number of threads.
    let again = json(folder.path(), &["judge", "s.csv", "--threads", "1"]).0;
    assert_eq!(found, again);
}

#[test]
fn a_smooth_metric_beside_a_jump_rules_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let bleu = GROWTH.map(|v| 60.0 * v - 15.0);
    let table = scores(&[
        ("hidden", "exact_match", [0.0; 8], 0.0),
        ("hidden", "bleu", bleu, 0.0),
        ("creeping", "exact_match", [0.0; 8], 0.0),
        ("creeping", "bleu", [0.07, 0.1, 0.07, 0.09, 0.5, 0.9, 1.4, 2.4], 0.0),
        ("nothing", "exact_match", [0.0; 8], 0.0),
        ("nothing", "bleu", [0.07, 0.1, 0.07, 0.09, 0.08, 0.07, 0.1, 0.08], 0.0),
        ("classes", "acc", [0.02, 0.97, 0.7, 0.99, 0.98, 0.99, 0.97, 0.99], 0.5),
        ("constant", "acc", [0.365; 8], 0.5),
    ]);
    fs::write(folder.path().join("s.csv"), table).unwrap();
    let found = json(folder.path(), &["judge", "s.csv"]).0;
    let ruling = |task: &str, metric: &str| {
        let all = found.as_array().unwrap();
        all.iter().find(|a| a["task"] == task && a["metric"] == metric).unwrap()["artefact"]["ruling"].clone()
    };
    assert_eq!(ruling("hidden", "exact_match"), "metric");
    assert_eq!(ruling("hidden", "bleu"), Value::Null);
    assert_eq!((ruling("creeping", "exact_match"), ruling("nothing", "exact_match")), ("metric".into(), Value::Null));
    assert_eq!([ruling("classes", "acc"), ruling("constant", "acc")], ["label bias", "label bias"]);
}

/// Without a chance level the smallest sizes are the floor: of a metric of unknown name too, and the threshold is where it is
/// left. Between the last size that has it not and the first that has it, many sizes on the floor tell together what none
/// tells alone.
#[test]
fn thresholds_are_no_wider_than_the_sizes_tell() {
    let folder = tempfile::tempdir().unwrap();
    let late = [0.27, 0.22, 0.21, 0.235, 0.28, 0.25, 0.79, 0.8];
    let mut table = "params,task,metric,score,n,chance\n".to_owned();
    for (task, metric, chance) in [("told", "acc", ".25"), ("untold", "acc", ""), ("unknown", "grade", "")] {
        for (i, score) in late.iter().enumerate() {
            let _ = writeln!(table, "{}e7,{task},{metric},{score},400,{chance}", 3f64.powi(i as i32));
        }
    }
    fs::write(folder.path().join("s.csv"), table).unwrap();
    let found = json(folder.path(), &["judge", "s.csv"]).0;
    for (task, least) in [("told", 2.7e8), ("untold", 1e7), ("unknown", 1e7)] {
        let it = found.as_array().unwrap().iter().find(|a| a["task"] == task).unwrap();
        assert_eq!((&it["shape"], &it["threshold"]["scale"]), (&"emergent".into(), &7.29e9.into()), "{it}");
        let [low, high] = ["low", "high"].map(|end| it["threshold"][end].as_f64().unwrap());
        assert!((least..=2.43e9).contains(&low) && (7.29e9..=2.2e10).contains(&high), "{task}: {low} to {high}");
        let notes = it["notes"].to_string();
        assert_eq!(notes.contains("chance is not told: the smallest models are the floor"), task != "told", "{notes}");
    }
}

#[test]
fn a_metric_that_rises_with_the_jump_rules_it_real() {
    let folder = tempfile::tempdir().unwrap();
    let with = JUMP.map(|v| -8.0 + 6.0 * v);
    let mut before = [0.0; 8];
    (0..8).for_each(|i| before[i] = -8.0 + 0.8 * i as f64 + 0.03 * (i % 2) as f64);
    let table = scores(&[
        ("real", "exact_match", JUMP, 0.0),
        ("real", "logprob", with, 0.0),
        ("made", "exact_match", JUMP, 0.0),
        ("made", "logprob", before, 0.0),
    ]);
    fs::write(folder.path().join("s.csv"), table).unwrap();
    let found = json(folder.path(), &["judge", "s.csv"]).0;
    let ruling = |task: &str| {
        let all = found.as_array().unwrap();
        all.iter().find(|a| a["task"] == task && a["metric"] == "exact_match").unwrap()["artefact"]["ruling"].clone()
    };
    assert_eq!([ruling("real"), ruling("made")], ["neither", "metric"]);
}

#[test]
fn impossible_losses_and_shares_beside_percent_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let check = |rows: &str, expect: &str| {
        fs::write(folder.path().join("s.csv"), format!("params,metric,score,chance\n{rows}")).unwrap();
        let (text, code) = refused(folder.path(), &["judge", "s.csv"]);
        assert!(code == Some(2) && text.contains(expect), "{code:?} {text}");
    };
    check("1e7,loss,3,\n3e7,loss,-1,\n9e7,loss,2,\n", "s.csv, line 3: `loss` is -1, and is never negative");
    check(
        "1e7,acc,25,.25\n3e7,acc,27,.25\n9e7,acc,60,.25\n",
        "chance 0.25 is a share of 1, the scores are parts of 100",
    );
    // A log-likelihood is negative, and an empty cell is told.
    fs::write(folder.path().join("s.csv"), "params,metric,score\n1e7,log_likelihood,-3\n3e7,log_likelihood,\n")
        .unwrap();
    let output = saltus(folder.path(), &["judge", "s.csv"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    assert!(text.contains("line 3: 1 cells of `score` are empty"), "{text}");
}

#[test]
fn contradictions_are_told_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = scores(&[("good", "acc", GROWTH, 0.25)]);
    table += "f,1e7,mixed,acc,45,100,0\nf,3e7,mixed,acc,.5,100,0\nf,9e7,mixed,acc,.6,100,0\n";
    table += "f,1e7,chances,acc,.4,100,.25\nf,3e7,chances,acc,.5,100,.5\nf,9e7,chances,acc,.6,100,.5\n";
    table += "f,1e7,twice,acc,.4,100,.25\nf,1e7,twice,acc,.5,100,.25\n";
    fs::write(folder.path().join("s.csv"), table).unwrap();
    let (found, code) = json(folder.path(), &["judge", "s.csv"]);
    assert_eq!(code, Some(3));
    let reason = |task: &str| {
        let all = found.as_array().unwrap();
        let it = all.iter().find(|a| a["task"] == task).unwrap();
        (it["shape"].as_str().unwrap().to_owned(), it["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(reason("good").0, "smooth");
    for (task, expect) in [
        ("mixed", "scores are mixed: s.csv, line 10: score 45 is percent, s.csv, line 11 a share of 1"),
        ("chances", "s.csv, line 13 says that chance is 0.25, s.csv, line 14 that it is 0.5"),
        ("twice", "s.csv, line 16 and s.csv, line 17 give the same model two scores, 0.4 and 0.5"),
    ] {
        let (shape, text) = reason(task);
        assert!(shape == "unjudged" && text.starts_with(expect), "{task}: {text}");
    }
    let (text, code) = refused(folder.path(), &["judge", "none.csv"]);
    assert!(code == Some(2) && text.contains("check the path"), "{text}");
    fs::write(folder.path().join("one.csv"), "params,score\n1e7,.4\n").unwrap();
    let found = json(folder.path(), &["judge", "one.csv"]).0;
    assert_eq!(found[0]["shape"], "undetermined");
}

#[test]
fn forecasts_are_registered_once_and_scored_later() {
    let folder = tempfile::tempdir().unwrap();
    let table = scores(&[("growth", "acc", GROWTH, 0.25), ("level", "acc", [0.25; 8], 0.25)]);
    fs::write(folder.path().join("s.csv"), &table).unwrap();
    let register = ["forecast", "s.csv", "--to-params", "60B", "--register", "f.json", "--date", "2026-02-03"];
    let (found, code) = json(folder.path(), &register);
    assert_eq!(code, Some(3), "the level ability is refused");
    let one = |task: &str| found.as_array().unwrap().iter().find(|a| a["task"] == task).unwrap().clone();
    assert_eq!(one("growth")["method"], "shape");
    let [value, low, high] = ["value", "low", "high"].map(|k| one("growth")[k].as_f64().unwrap());
    assert!(low < value && value < high && (0.66..0.82).contains(&value), "{value}");
    assert!(one("level")["value"].is_null() && one("level")["reason"].as_str().unwrap().contains("at chance"));
    let (text, code) = refused(folder.path(), &register);
    assert!(code == Some(2) && text.contains("registered once"), "{text}");
    fs::write(folder.path().join("new.csv"), "family,params,task,metric,score,n\nf,60e9,growth,acc,.74,1000\n")
        .unwrap();
    let outcome = json(folder.path(), &["forecast", "new.csv", "--score", "f.json"]).0;
    assert_eq!((outcome[0]["hit"].as_bool(), outcome[0]["measured"].as_f64()), (Some(true), Some(0.74)));
    let (text, code) = refused(folder.path(), &["forecast", "s.csv", "--to-params", "1e16"]);
    assert_eq!(code, Some(3), "{text}");
}

/// Runs of a known law on a grid, with a little noise from a fixed sequence.
fn runs() -> String {
    let mut text = "params,tokens,loss\n".to_owned();
    let mut state = 1u64;
    for i in 0..8 {
        for j in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            let (n, d) = (1e7 * 2.5f64.powi(i), 2e8 * 2.5f64.powi(j));
            let loss = (1.8 + 480.0 / n.powf(0.35) + 2100.0 / d.powf(0.37)) * (0.004 * noise).exp();
            let _ = writeln!(text, "{n},{d},{loss}");
        }
    }
    text
}

#[test]
fn a_known_law_is_fitted_and_goes_into_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.csv"), runs()).unwrap();
    let arguments = ["fit", "r.csv", "--law", "chinchilla", "--bootstrap", "200", "--drop-worst", "2"];
    let (found, code) = json(folder.path(), &arguments);
    assert_eq!((code, found["runs"].as_u64(), found["dropped"].as_u64()), (Some(0), Some(62), Some(2)));
    for (name, truth) in [("E", 1.8), ("alpha", 0.35), ("beta", 0.37)] {
        let [value, low, high] = ["value", "low", "high"].map(|k| found["params"][name][k].as_f64().unwrap());
        assert!((value / truth - 1.0).abs() < 0.05 && low <= value && value <= high, "{name}: {value}");
    }
    let a = found["exponents"]["a"]["value"].as_f64().unwrap();
    assert!((a + found["exponents"]["b"]["value"].as_f64().unwrap() - 1.0).abs() < 1e-12);
    fs::write(folder.path().join("fit.json"), found.to_string()).unwrap();
    let plan = json(folder.path(), &["plan", "--flops", "1e21", "--fit", "fit.json", "--law", "fit"]).0;
    assert!(plan[0]["params"]["low"].as_f64().unwrap() < plan[0]["params"]["value"].as_f64().unwrap());
    let auto = json(folder.path(), &["fit", "r.csv", "--bootstrap", "0"]).0;
    assert!(["chinchilla", "overtraining"].contains(&auto["law"].as_str().unwrap()), "{}", auto["law"]);
    assert_eq!(auto["compared"].as_array().unwrap().len(), 3);
}

#[test]
fn bad_runs_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str, law: &str, expect: &str| {
        fs::write(folder.path().join("r.csv"), text).unwrap();
        let (text, code) = refused(folder.path(), &["fit", "r.csv", "--law", law]);
        assert!(code == Some(2) && text.contains(expect), "{code:?} {text}");
    };
    check("params,tokens,loss\n1e7,1e9,-3\n", "chinchilla", "r.csv, line 2: `loss` is -3");
    check("params,tokens,loss\n0,1e9,3\n", "chinchilla", "r.csv, line 2: `params` is 0");
    check("params,loss\n1e7,3\n", "chinchilla", "has no column `tokens`");
    check("params,tokens,loss\n1e7,1e9,3\n1e7,2e9,2.9\n", "chinchilla", "needs at least 3 distinct sizes");
    check("params,tokens,loss\n1e7,1e9,3\n", "kaplan", "no law can be seen");
    check(&runs(), "data-constrained", "no run repeats its data");
    check("params,tokens,loss\n1e7,1e9,\n", "chinchilla", "has no row with all numbers");
    // Rows that occur twice are told, and not silently.
    let twice = runs() + runs().lines().nth(1).unwrap() + "\n";
    fs::write(folder.path().join("r.csv"), twice).unwrap();
    let found = json(folder.path(), &["fit", "r.csv", "--law", "chinchilla", "--bootstrap", "0"]).0;
    let warnings = found["warnings"].to_string();
    assert!(warnings.contains("line 66 is line 2 again"), "{warnings}");
}

/// Where neither size nor tokens move the loss, no fit can tell their exponents.
#[test]
fn exponents_that_runs_do_not_identify_have_no_interval() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "params,tokens,loss\n".to_owned();
    for i in 0..36 {
        let (n, d) = (5e7 * 2f64.powi(i / 6), 1e9 * 2f64.powi(i % 6));
        let _ = writeln!(table, "{n},{d},{}", 2.5 * (1.0 + 0.003 * f64::from(i * i).sin()));
    }
    fs::write(folder.path().join("r.csv"), table).unwrap();
    let found = json(folder.path(), &["fit", "r.csv", "--law", "chinchilla", "--bootstrap", "50"]).0;
    let lost = if found["params"]["alpha"]["low"].is_null() { ["alpha", "A"] } else { ["beta", "B"] };
    for ends in [&found["params"][lost[0]], &found["params"][lost[1]], &found["exponents"]["a"]] {
        assert!(ends["value"].is_number() && ends["low"].is_null() && ends["high"].is_null(), "{found}");
    }
    assert!(found["warnings"].to_string().contains("is not identified"));
    fs::write(folder.path().join("f.json"), found.to_string()).unwrap();
    let (text, code) = refused(folder.path(), &["plan", "--flops", "1e21", "--fit", "f.json"]);
    assert!(code == Some(2) && text.contains("do not identify it"), "{code:?} {text}");
}

/// A table with `x` and `loss` alone is a curve.
#[test]
fn the_law_of_a_curve_needs_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "x,loss\n".to_owned();
    for i in 0..12 {
        let x = 100.0 * 1.5f64.powi(i);
        let _ = writeln!(table, "{x},{}", 0.1 + 2.2 * x.powf(-0.05) * (1.0 + (x / 900.0).powi(4)).powf(-0.2));
    }
    fs::write(folder.path().join("r.csv"), table).unwrap();
    let (found, code) = json(folder.path(), &["fit", "r.csv", "--bootstrap", "0"]);
    assert_eq!((found["law"].as_str(), code), (Some("bnsl"), Some(0)));
}

/// Nine runs of three sizes by three lengths on a known law, with a score that is a sigmoid of the loss.
fn ladder() -> String {
    let mut text = "family,model,params,tokens,task,metric,score,loss,chance,n\n".to_owned();
    for n in [1e8, 2e8, 4e8, 8e8_f64] {
        for ratio in [10.0, 20.0, 80.0] {
            let d: f64 = ratio * n;
            let loss = 0.4 + 60.0 / n.powf(0.25) + 200.0 / d.powf(0.3);
            let score = 0.25 + 0.75 / (1.0 + (4.0 * (loss - 1.1)).exp());
            let _ = writeln!(text, "f,m{n}-{ratio},{n},{d},quiz,acc,{score:.4},{loss:.5},0.25,2000");
        }
    }
    text
}

#[test]
fn two_steps_foretell_by_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("l.csv"), ladder()).unwrap();
    let asked = ["forecast", "l.csv", "--to-params", "3.2B", "--to-tokens", "64B", "--method", "two-step,bnsl"];
    let (found, code) = json(folder.path(), &asked);
    assert_eq!(code, Some(3), "a broken law needs seven sizes");
    let of = |method: &str| found.as_array().unwrap().iter().find(|f| f["method"] == method).cloned();
    let (n, d) = (3.2e9_f64, 64e9_f64);
    let truth = 0.25 + 0.75 / (1.0 + (4.0 * (0.4 + 60.0 / n.powf(0.25) + 200.0 / d.powf(0.3) - 1.1)).exp());
    let f = of("two-step").unwrap();
    assert!((f["value"].as_f64().unwrap() - truth).abs() < 0.02, "{f} {truth}");
    assert!(of("refused").unwrap()["reason"].as_str().unwrap().contains("needs 7 sizes"));
}

#[test]
fn answers_of_one_class_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "family,params,task,metric,item,score,chance,predicted\n".to_owned();
    for (i, params) in ["10M", "30M", "100M", "300M", "1B"].iter().enumerate() {
        for item in 0..200 {
            let right = u32::from((item * 7 + i) % 10 < 5);
            let answer = if item % 50 == 0 { "no" } else { "<b>yes</b>" };
            let _ = writeln!(text, "f,{params},quiz,acc,{item},{right},0.5,{answer}");
        }
    }
    fs::write(folder.path().join("s.csv"), text).unwrap();
    let (found, _) = json(folder.path(), &["judge", "s.csv"]);
    assert_eq!(found[0]["artefact"]["ruling"], "label bias", "{}", found[0]);
    assert!(found[0]["artefact"]["evidence"].as_str().unwrap().contains("5 of 5 models"), "{}", found[0]);
}

#[test]
fn a_fit_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "params,tokens,loss\n".to_owned();
    for i in 0..5 {
        for j in 0..5 {
            let (n, d) = (1e8 * 2f64.powi(i), 1e9 * 4f64.powi(j));
            let noise = 1.0 + 0.002 * f64::from((7 * i + 3 * j) % 5 - 2);
            let _ = writeln!(text, "{n},{d},{}", noise * (1.8 + 480.0 / n.powf(0.35) + 2100.0 / d.powf(0.37)));
        }
    }
    fs::write(folder.path().join("r.csv"), text).unwrap();
    for law in ["chinchilla", "kaplan", "envelope", "overtraining"] {
        let page = format!("{law}.html");
        let asked = ["fit", "r.csv", "--law", law, "--bootstrap", "20", "--page", &page];
        let (_, code) = json(folder.path(), &asked);
        assert_eq!(code, Some(0), "{law}");
        let html = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(html.contains("Data and law") && html.contains("25 runs"), "{law}");
    }
}
