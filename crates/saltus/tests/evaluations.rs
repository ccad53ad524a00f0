//! `saltus eval` and what looks at its records, on a model that was just grown.
#![allow(clippy::unwrap_used)]

mod common;
use common::{TINY, files, folder, saltus, told};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A study of two sizes that read bytes, so that they can be asked in any words.
fn grown() -> TempDir {
    let corpus = "[corpus]\nfiles = [\"text.txt\"]\ntokenizer = \"byte\"\nheld_out = 0.1\nitems = 10\n\n[[ladder]]";
    let folder = folder(&TINY.replacen("[[ladder]]", corpus, 1).replace("context = 64", "context = 160"));
    let line = |i: usize| format!("Q: {} and {}?\nA: {}\n", i % 10, i / 10 % 10, (i + i / 10) % 10);
    fs::write(folder.path().join("text.txt"), (0..400).map(line).collect::<String>()).unwrap();
    let run = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let weights = files(&folder.path().join("studies/tiny/models"));
    let weights = weights.iter().filter(|path| path.ends_with("model.safetensors"));
    let mut folders: Vec<PathBuf> = weights.map(|path| path.parent().unwrap().to_owned()).collect();
    folders.sort_by_key(|path| fs::metadata(path.join("model.safetensors")).unwrap().len());
    for (name, from) in [("small", &folders[0]), ("large", &folders[folders.len() - 1])] {
        let to = folder.path().join(name);
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(from).unwrap().flatten() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    tasks(folder.path());
    folder
}

/// A task of every source.
fn tasks(folder: &Path) {
    let line = |i: usize| format!("{{\"q\": \"{} and {}\", \"a\": {}}}\n", i % 10, i / 10, (i % 2));
    fs::write(folder.join("data.jsonl"), (0..60).map(line).collect::<String>()).unwrap();
    fs::write(
        folder.join("own.toml"),
        "data = \"data.jsonl\"\nname = \"own\"\nprompt = \"Q: {{q}}?\\nA:\"\nchoices = [\"even\", \"odd\"]\ntarget = \"a\"\n",
    )
    .unwrap();
    fs::write(
        folder.join("harness.yaml"),
        "task: harness\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n\
         fewshot_split: test\noutput_type: generate_until\ndoc_to_text: \"Q: {{q}}?\\nA:\"\ndoc_to_target: \"{{a}}\"\n\
         generation_kwargs: {until: [\"\\n\"], max_gen_toks: 4}\n",
    )
    .unwrap();
    fs::write(
        folder.join("lines.jsonl"),
        (0..30).map(|i| format!("{{\"input\": \"Q: {i}?\\nA: \", \"target\": \"{}\"}}\n", i % 10)).collect::<String>(),
    )
    .unwrap();
    let example = |i: usize| {
        format!(
            "{{\"input\": \"{i}?\", \"target\": \"{}\", \"target_scores\": {{\"{}\": 1, \"{}\": 0}}}}",
            i % 10,
            i % 10,
            (i + 1) % 10
        )
    };
    let examples: Vec<String> = (0..30).map(example).collect();
    fs::write(
        folder.join("task.json"),
        format!(
            "{{\"canary\": \"\", \"name\": \"mine\", \"description\": \"d\", \"keywords\": [], \"metrics\": \
             [\"multiple_choice_grade\", \"exact_str_match\"], \"preferred_score\": \"multiple_choice_grade\", \
             \"examples\": [{}]}}",
            examples.join(", ")
        ),
    )
    .unwrap();
}

const ALL: [&str; 8] = ["--task", "own.toml", "--task", "harness.yaml", "--task", "lines.jsonl", "--task", "task.json"];

fn eval(folder: &Path, out: &str, more: &[&str]) -> Output {
    let fixed = ["eval", "--model", "small", "--out", out, "--json"];
    saltus(folder, &[&fixed[..], more].concat())
}

fn json(output: &Output) -> Value {
    let problem = || format!("{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", problem()))
}

/// Every part of records, by name.
fn parts(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let parts = files(&folder.join("records")).into_iter();
    parts.map(|path| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn what_is_there_is_not_computed_again_and_what_changed_is() {
    let folder = grown();
    let at = folder.path();
    let first = json(&eval(at, "out", &[&ALL[..], &["--shots", "0,2"]].concat()));
    let cells = first["cells"].as_array().unwrap();
    assert_eq!((cells.len(), first["cells_computed"].as_u64()), (8, Some(8)));
    assert!(cells.iter().all(|cell| cell["problem"].is_null() && cell["unscored"] == 0), "{first}");
    // Nothing was read twice, and it was much less than one pass for each candidate.
    let (read, least) = (first["tokens_read"].as_u64().unwrap(), first["tokens_least"].as_u64().unwrap());
    assert!(read >= least && first["tokens_naive"].as_u64().unwrap() > least, "{first}");
    let before = parts(&at.join("out"));

    let again = json(&eval(at, "out", &[&ALL[..], &["--shots", "0,2"]].concat()));
    assert_eq!((again["cells_computed"].as_u64(), again["tokens_read"].as_u64()), (Some(0), Some(0)));
    assert_eq!(again["cells"], first["cells"]);
    let elsewhere = json(&eval(at, "elsewhere", &[&ALL[..], &["--shots", "0,2", "--threads", "1"]].concat()));
    assert_eq!(elsewhere["cells"], first["cells"]);
    assert_eq!(parts(&at.join("elsewhere")), before);

    // A part that was spoiled is made again, to the same bytes.
    fs::write(at.join("out").join(&before[0].0), "spoiled").unwrap();
    let mended = json(&eval(at, "out", &[&ALL[..], &["--shots", "0,2"]].concat()));
    assert_eq!(mended["cells_computed"].as_u64(), Some(1));
    assert_eq!(parts(&at.join("out")), before);

    // One question more is another task.
    let text = fs::read_to_string(at.join("lines.jsonl")).unwrap();
    fs::write(at.join("lines.jsonl"), text.replacen("\"0\"", "\"7\"", 1)).unwrap();
    let changed = json(&eval(at, "out", &[&ALL[..], &["--shots", "0,2"]].concat()));
    assert_eq!(changed["cells_computed"].as_u64(), Some(2), "{changed}");
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let folder = grown();
    let at = folder.path();
    let line = |i: usize| format!("{{\"input\": \"Q: {i} and {}?\\nA: \", \"target\": \"{}\"}}\n", i % 7, i % 10);
    fs::write(at.join("many.jsonl"), (0..6000).map(line).collect::<String>()).unwrap();
    let asked = ["--task", "many.jsonl", "--threads", "1"];
    assert!(eval(at, "whole", &asked).status.success());
    let mut child = Command::new(env!("CARGO_BIN_EXE_saltus"))
        .args(["eval", "--model", "small", "--out", "killed", "--quiet"])
        .args(asked)
        .current_dir(at)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let records = at.join("killed/records");
    let begun = Instant::now();
    let some = || fs::read_dir(&records).is_ok_and(|r| r.flatten().any(|e| e.path().extension().is_some()));
    while !some() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = parts(&at.join("killed")).len();
    let rest = json(&eval(at, "killed", &asked));
    let whole = parts(&at.join("whole"));
    assert!(left > 0 && whole.len() == 6, "{left} parts of {}", whole.len());
    assert_eq!(parts(&at.join("killed")), whole);
    assert!(rest["tokens_read"].as_u64() > Some(0) || left >= 6);
}

#[test]
fn records_are_scored_again_and_compared_without_a_model() {
    let folder = grown();
    let at = folder.path();
    let both = ["eval", "--model", "small", "--model", "large", "--quiet"];
    let table = saltus(at, &[&both[..], &ALL[..]].concat());
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("acc_norm") && table.contains("95% interval") && table.contains("tokens read"), "{table}");
    for name in ["small", "large"] {
        fs::remove_dir_all(at.join(name)).unwrap();
    }
    let own = json(&saltus(at, &["rescore", "--json"]));
    let score = |shown: &Value, task: &str, metric: &str| {
        let cells = shown["cells"].as_array().unwrap().iter().filter(|c| c["task"] == task && c["model"] == "small");
        let scores: Vec<&Value> = cells.flat_map(|c| c["scores"].as_array().unwrap()).collect();
        scores.iter().find(|s| s["metric"] == metric).unwrap_or_else(|| panic!("{metric}: {shown}"))["value"]
            .as_f64()
            .unwrap()
    };
    let names = "sum,token,code-point,byte";
    let views = json(&saltus(at, &["rescore", "--json", "--task", "own", "--normalise", names]));
    // Normalisations are lm-evaluation-harness's metrics under other names.
    for (metric, view) in [("acc", "sum"), ("acc_norm", "code-point")] {
        let view = format!("choice_accuracy/{view}");
        assert!((score(&own, "own", metric) - score(&views, "own", &view)).abs() < 1e-12, "{view}");
    }
    assert!((0.0..=1.0).contains(&score(&views, "own", "choice_accuracy/token")));
    let found = json(&saltus(at, &["rescore", "--json", "--task", "harness", "--extract", r"(\d)", "--view", "nll"]));
    assert!(
        (0.0..=1.0).contains(&score(&found, "harness", r"exact_match/(\d)")) && score(&found, "harness", "nll") > 0.0
    );

    let compared = json(&saltus(at, &["compare", "small", "large", "--json"]));
    let of =
        |task: &str| compared["comparisons"].as_array().unwrap().iter().find(|c| c["task"] == task).unwrap().clone();
    let own = of("own");
    assert_eq!((own["items"].as_u64(), own["metric"].as_str()), (Some(60), Some("acc")));
    let number = |name: &str| own[name].as_f64().unwrap();
    assert!((number("mean_b") - number("mean_a") - number("difference")).abs() < 1e-9);
    assert!(number("low") <= number("difference") && number("difference") <= number("high"));
    assert!(number("minimum_detectable_effect") > 0.0 && number("p_value_adjusted") >= number("p_value"));
    let text = String::from_utf8(saltus(at, &["compare", "small", "large", "--metric", "nll"]).stdout).unwrap();
    assert!(text.contains("detectable") && text.contains("not compared: there is no such score: it has acc"), "{text}");
}

#[test]
fn mistakes_are_told_with_a_remedy() {
    let folder = grown();
    let at = folder.path();
    let says = |arguments: &[&str]| told(at, &saltus(at, arguments));
    let eval = |more: &[&str]| says(&[&["eval", "--model", "small", "--quiet"][..], more].concat());
    insta::assert_snapshot!("task of BIG-bench without its files", eval(&["--task", "hindu_knowledge"]));
    insta::assert_snapshot!("task file of no kind", eval(&["--task", "study.docx/"]));
    insta::assert_snapshot!("too many shots", eval(&["--task", "task.json", "--shots", "30"]));
    insta::assert_snapshot!("folder of something else", eval(&["--task", "own.toml", "--out", "studies"]));
    insta::assert_snapshot!("no folder of measurements", says(&["rescore", "nothing"]));
    assert!(eval(&["--task", "own.toml"]).starts_with("exit 0"));
    insta::assert_snapshot!("unknown metric", says(&["rescore", "--view", "f1"]));
    insta::assert_snapshot!("unknown task of records", says(&["rescore", "--task", "nothing"]));
    insta::assert_snapshot!("unknown field", says(&["compare", "shots=0", "colour=red"]));
    insta::assert_snapshot!("unknown model", says(&["compare", "small", "larger"]));
    insta::assert_snapshot!("nothing to compare with", says(&["compare", "small", "shots=0"]));
    // A prompt that is too long is no zero, and the exit code says so.
    let long = format!("{{\"input\": \"{}\", \"target\": \"1\"}}\n", "9".repeat(300))
        + "{\"input\": \"1+1=\", \"target\": \"2\"}\n";
    fs::write(at.join("long.jsonl"), long).unwrap();
    let gaps = saltus(at, &["eval", "--model", "small", "--task", "long.jsonl", "--quiet"]);
    let text = String::from_utf8(gaps.stdout).unwrap();
    assert_eq!(gaps.status.code(), Some(3));
    assert!(text.contains("1 of 2 items not scored: 301 tokens do not fit the model's context of 160"), "{text}");
}

#[test]
fn a_group_is_one_score_however_its_tasks_draw_their_shots() {
    let folder = grown();
    let at = folder.path();
    let task = |name: &str, more: &str| {
        let text = format!(
            "task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: data.jsonl}}}}\ntest_split: test\n\
             fewshot_split: test\noutput_type: multiple_choice\ndoc_to_text: \"Q: {{{{q}}}}?\\nA:\"\n\
             doc_to_choice: [even, odd]\ndoc_to_target: a\n{more}"
        );
        fs::write(at.join(format!("{name}.yaml")), text).unwrap();
    };
    task("drawn", "");
    task("first", "fewshot_config: {sampler: first_n}\n");
    fs::write(
        at.join("both.yaml"),
        "group: both\ntask: [drawn, first]\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n",
    )
    .unwrap();
    let shown = json(&eval(at, "out", &["--task", "both.yaml", "--shots", "1"]));
    let aggregate = &shown["aggregates"][0];
    assert_eq!((aggregate["name"].as_str(), aggregate["of"].as_u64()), (Some("both"), Some(2)), "{shown}");
    let acc = |cell: usize| shown["cells"][cell]["scores"][0]["value"].as_f64().unwrap();
    assert!((aggregate["value"].as_f64().unwrap() - (acc(0) + acc(1)) / 2.0).abs() < 1e-12, "{shown}");
}

#[test]
fn a_dry_run_says_what_will_be_read_and_writes_nothing() {
    let folder = grown();
    let at = folder.path();
    let task = ["--task", "own.toml", "--shots", "1", "--shot-mode", "fixed"];
    let planned = json(&eval(at, "out", &[&task[..], &["--dry-run"]].concat()));
    assert!(!at.join("out").exists());
    let done = json(&eval(at, "out", &task));
    // To the token: every distinct prefix is read once.
    assert_eq!(planned[0]["tokens_least"], done["tokens_read"]);
    assert!(planned[0]["tokens_naive"].as_u64() > planned[0]["tokens_least"].as_u64(), "{planned}");
    let left = json(&eval(at, "out", &[&task[..], &["--dry-run"]].concat()));
    assert_eq!((left[0]["cells_missing"].as_u64(), left[0]["tokens_least"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn tasks_are_listed_shown_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    tasks(at);
    let text = |arguments: &[&str]| String::from_utf8(saltus(at, arguments).stdout).unwrap();
    insta::assert_snapshot!("shown", text(&["tasks", "show", "own.toml", "--shots", "1"]));
    insta::assert_snapshot!(
        "checked",
        text(&["tasks", "check", "own.toml", "harness.yaml", "lines.jsonl", "task.json"])
    );
    fs::write(at.join("broken.yaml"), "task: broken\noutput_type: !function utils.f\n").unwrap();
    let broken = saltus(at, &["tasks", "check", "broken.yaml"]);
    insta::assert_snapshot!("broken", told(at, &broken));
    let listed = text(&["tasks", "list", "own.toml", "task.json"]);
    assert!(listed.contains("own") && listed.contains("2 tasks"), "{listed}");
}
