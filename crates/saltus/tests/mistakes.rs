//! The mistakes that users make, and what they are told: the place and the remedy.
#![allow(clippy::unwrap_used)]

mod common;
use common::{MASKED, TINY, files, folder, saltus, told, write_song};
use std::{fs, path::Path, process::Command};

/// What `saltus run study.toml` says of a study file.
fn mistake(study: &str) -> String {
    let folder = folder(study);
    told(folder.path(), &saltus(folder.path(), &["run", "study.toml", "--quiet"]))
}

/// What it says of [`TINY`] with one text in place of another.
fn changed(from: &str, to: &str) -> String {
    assert!(TINY.contains(from), "{from}");
    mistake(&TINY.replacen(from, to, 1))
}

#[test]
fn broken_study_files() {
    insta::assert_snapshot!("broken toml", changed("seed = 1", "seed = = 1"));
    insta::assert_snapshot!("unknown key", changed("clip = 1.0", "clipp = 1.0"));
    insta::assert_snapshot!("unknown task key", changed("numbers =", "numbrs ="));
    insta::assert_snapshot!("unknown family", changed("\"copy\"", "\"coppy\""));
    insta::assert_snapshot!("missing key", changed("rows = 8\n", ""));
    insta::assert_snapshot!("wrong type", changed("context = 64", "context = \"64\""));
    insta::assert_snapshot!("name", changed("\"tiny\"", "\"../tiny\""));
}

/// What it says of a look.
fn look(table: &str) -> String {
    changed("[analysis]", &format!("[[look]]\n{table}\n\n[analysis]"))
}

#[test]
fn looks() {
    insta::assert_snapshot!("unknown look", look("at = \"knowlege\"\nfamily = \"copy\""));
    insta::assert_snapshot!("look at no task", look("at = \"knowledge\"\nfamily = \"facts\""));
    insta::assert_snapshot!("unknown key of a look", look("at = \"memories\"\ntriggers = 5\nsamples = 10"));
    insta::assert_snapshot!("prompt without a text", look("at = \"prompt\"\ntext = \"\""));
    insta::assert_snapshot!("target of a look", look("at = \"prompt\"\ntext = \"Cab|\"\ntarget = \"ab\""));
    let causal = "at = \"causal\"\nfamily = \"copy\"\ncorrupt = \"noise\"\nremove = \"zero\"\ndraws = ";
    insta::assert_snapshot!("no draws of a look", look(&format!("{causal}0")));
    insta::assert_snapshot!("too few sequences", look("at = \"heads\"\nsequences = 1\nlength = 8\ntokens = \"abc\""));
}

#[test]
fn numbers_that_make_no_sense() {
    insta::assert_snapshot!("width", changed("\"12x1\"", "\"13x1\""));
    insta::assert_snapshot!("size", changed("\"12x1\"", "\"12by1\""));
    insta::assert_snapshot!("zero tokens", changed("tokens = 40_000", "tokens = 0"));
    insta::assert_snapshot!("two budgets", changed("tokens = 40_000", "tokens = 40_000\ntokens_per_parameter = 20.0"));
    insta::assert_snapshot!("no seeds", changed("seeds = [1, 2]", "seeds = []"));
    insta::assert_snapshot!("weight", changed("weight = 1.0", "weight = -1.0"));
    insta::assert_snapshot!("parameter", changed("max = 4", "max = 40"));
    insta::assert_snapshot!("delta", changed("delta = 0.1", "delta = 2.0"));
    insta::assert_snapshot!("too long", changed("context = 64", "context = 8"));
}

/// What it says of a text file with these bytes.
fn text_file(bytes: &[u8]) -> String {
    let corpus = "[corpus]\nfiles = [\"mine.txt\"]\ntokenizer = \"byte\"\nheld_out = 0.1\nitems = 10\n\n[[ladder]]";
    let folder = folder(&TINY.replacen("[[ladder]]", corpus, 1));
    fs::write(folder.path().join("mine.txt"), bytes).unwrap();
    told(folder.path(), &saltus(folder.path(), &["run", "study.toml", "--quiet"]))
}

/// What it says of a masked study with this in place of one of its parts.
fn masked(from: &str, to: &str) -> String {
    assert!(MASKED.contains(from), "{from}");
    let folder = folder(&MASKED.replacen(from, to, 1));
    write_song(folder.path());
    told(folder.path(), &saltus(folder.path(), &["run", "study.toml", "--quiet"]))
}

#[test]
fn masked_studies() {
    insta::assert_snapshot!("objective", masked("\"masked\"", "\"maskd\""));
    let task = "[[task]]\nfamily = \"copy\"\nitems = 20\nletters = { min = 2, max = 4 }\n\n[analysis]";
    let prompt = "[[look]]\nat = \"prompt\"\ntext = \"green bottles\"\n\n[analysis]";
    insta::assert_snapshot!("prompt without a gap", masked("[analysis]", prompt));
    insta::assert_snapshot!("task of a masked study", masked("[analysis]", task));
}

#[test]
fn text_files() {
    insta::assert_snapshot!("empty text", text_file(b""));
    insta::assert_snapshot!("binary text", text_file(&[0x7f, b'E', b'L', b'F', 0, 1, 2, 0, 0, 0].repeat(100)));
    insta::assert_snapshot!("not utf-8", text_file(b"caf\xe9 and more text that is long enough".repeat(50).as_slice()));
    insta::assert_snapshot!("short text", text_file(b"a few words"));
}

/// What it says of a task file.
fn task_file(name: &str, text: &str) -> String {
    let task = format!("[[task]]\nfile = \"{name}\"\nitems = 10\n\n[analysis]");
    let folder = folder(&TINY.replacen("[analysis]", &task, 1));
    fs::write(folder.path().join(name), text).unwrap();
    told(folder.path(), &saltus(folder.path(), &["run", "study.toml", "--quiet"]))
}

#[test]
fn task_files() {
    insta::assert_snapshot!("broken json", task_file("task.json", "{\"name\": \"x\", \"examples\": [}"));
    insta::assert_snapshot!("missing field", task_file("task.json", r#"{"examples": [{"input": "1+1="}]}"#));
    insta::assert_snapshot!("mistyped field", task_file("task.json", r#"{"examples": [{"input": 1, "target": "2"}]}"#));
    insta::assert_snapshot!(
        "broken jsonl",
        task_file("mine.jsonl", "{\"input\": \"a\", \"target\": \"b\"}\nnot json\n")
    );
    insta::assert_snapshot!("no examples", task_file("mine.jsonl", ""));
}

#[test]
fn folders_and_files() {
    let folder = folder(TINY);
    let run = |arguments: &[&str]| told(folder.path(), &saltus(folder.path(), arguments));
    insta::assert_snapshot!("no such file", run(&["run", "missing.toml"]));
    insta::assert_snapshot!("no such study", run(&["run", "pockett"]));
    insta::assert_snapshot!("nothing to report", run(&["report", "study.toml"]));
    insta::assert_snapshot!("file exists", run(&["new", "study.toml"]));
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/letter.txt"), "dear").unwrap();
    insta::assert_snapshot!("not a study's folder", run(&["run", "study.toml", "--out", "full"]));
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::write(folder.path().join("other/saltus.json"), r#"{"study":"other","schema":102}"#).unwrap();
    insta::assert_snapshot!("another study's folder", run(&["run", "study.toml", "--out", "other"]));
    fs::write(folder.path().join("other/saltus.json"), r#"{"study":"tiny","schema":7}"#).unwrap();
    insta::assert_snapshot!("another version's folder", run(&["run", "study.toml", "--out", "other"]));
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = folder(TINY);
    // Files larger than 2 kB cannot be written, as on a disk with little room left.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" run study.toml --quiet", env!("CARGO_BIN_EXE_saltus")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let message = told(folder.path(), &limited);
    assert!(message.starts_with("exit 1"), "{message}");
    assert!(message.contains("has room"), "{message}");
    let after = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    assert!(after.status.success(), "{}", told(folder.path(), &after));
}

#[test]
fn a_corrupted_part_is_measured_again() {
    let folder = folder(TINY);
    let root = folder.path().join("studies/tiny");
    assert!(saltus(folder.path(), &["run", "study.toml", "--quiet"]).status.success());
    let findings = fs::read(root.join("findings.json")).unwrap();
    let part = files(&root.join("records")).into_iter().next().unwrap();
    let whole = fs::read(&part).unwrap();
    for damage in [&whole[..whole.len() / 2], &b"not parquet"[..], &[][..]] {
        fs::write(&part, damage).unwrap();
        let output = saltus(folder.path(), &["run", "study.toml"]);
        let message = told(folder.path(), &output);
        assert!(output.status.success() && message.contains("is damaged; it is measured again"), "{message}");
        assert!(fs::read(&part).unwrap() == whole);
        assert!(fs::read(root.join("findings.json")).unwrap() == findings);
    }
}

#[test]
fn a_loss_that_is_no_number_stops_that_model_only() {
    let study = TINY.replacen("learning_rate = 0.004", "learning_rate = { fixed = 1e30 }", 1);
    let folder = folder(&study);
    let output = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}{}", told(folder.path(), &output));
    assert!(text.contains("diverged at step") && text.contains("lower the learning rate"), "{text}");
    assert!(folder.path().join("studies/tiny/report.html").exists());
    // A second run tells the same and trains nothing.
    let again = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    assert_eq!(again.status.code(), Some(3));
}

#[test]
fn hostile_names_are_escaped_in_the_page() {
    let folder =
        folder(&TINY.replacen("[analysis]", "[[task]]\nfile = \"<img src=x>.jsonl\"\nitems = 10\n\n[analysis]", 1));
    let line = r#"{"input": "ab</script><script>alert(1)</script>", "target": "c"}"#;
    fs::write(folder.path().join("<img src=x>.jsonl"), format!("{line}\n")).unwrap();
    let output = saltus(folder.path(), &["run", "study.toml", "--quiet"]);
    let page = fs::read_to_string(folder.path().join("studies/tiny/report.html"));
    let page = page.unwrap_or_else(|_| panic!("{}", told(folder.path(), &output)));
    assert!(!page.contains("<img src=x>") && !page.contains("<script>alert(1)"));
    assert!(Path::new(&folder.path().join("studies/tiny/findings.json")).exists());
}
