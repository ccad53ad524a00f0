//! BIG-bench's leaves, prompts and libraries. The prompts below are what the package `bigbench` 1.0.0 makes of the file.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use saltus_task::ShotMode;
use saltus_task::bigbench::{Leaf, Library, Metric, REFERENCE_SEED};
use std::path::Path;

const HEAD: &str = r#""canary": ["c"], "name": "näme", "description": "d", "keywords": [], "task_prefix": "P.",
    "metrics": ["multiple_choice_grade"], "preferred_score": "multiple_choice_grade""#;

fn leaf(head: &str, examples: &str) -> Result<Leaf, String> {
    let text = format!("{{{head}, \"examples\": [{examples}]}}");
    Leaf::parse(Path::new("task.json"), &text, None).map_err(|e| e.to_string())
}

/// Four examples, one of them twice and one again with other numbers; NUL is cut off where numpy has a text.
fn golden() -> Leaf {
    let scores = r#""target_scores": {"b": 0, "a\u0000": 1, "é": 0.5, "": 0}"#;
    let examples = [
        format!(r#"{{"input": "i0", {scores}}}"#),
        format!(r#"{{"input": "i1", {scores}, "target": ["x", "y", "z"]}}"#),
        format!(r#"{{"input": "i2", {scores}}}"#),
        format!(r#"{{"input": "i3", {scores}}}"#),
        format!(r#"{{"input": "i0", {scores}}}"#),
        format!(
            r#"{{"input": "i2", {}}}"#,
            scores.replace("1,", "1.0,").replace("0}", "0.0}").replace("0,", "0.0,").replace("1.0.0", "1.0")
        ),
    ];
    leaf(HEAD, &examples.join(",")).unwrap()
}

const CHOICES: &str = "\n  choice: a\n  choice: é\n  choice: \n  choice: b\nA: ";

fn prompts(leaf: &Leaf, shots: u32, mode: ShotMode, limit: usize) -> Vec<String> {
    leaf.questions(shots, mode, REFERENCE_SEED, Some(limit)).unwrap().map(|q| q.prompt).collect()
}

#[test]
fn prompts_are_the_references() {
    let leaf = golden();
    let asked = |i: usize| format!("P.\nQ: i{i}{CHOICES}");
    assert_eq!(prompts(&leaf, 0, ShotMode::Fresh, 3), [asked(1), asked(2), asked(2)]);
    let solved = |shots: [(usize, &str); 2], i: usize| {
        let shots: String = shots.iter().map(|(i, target)| format!("\nQ: i{i}{CHOICES}{target}\n")).collect();
        format!("P.{shots}\nQ: i{i}{CHOICES}")
    };
    let expect = [solved([(2, "a"), (3, "a")], 1), solved([(0, "a"), (1, "z")], 2), solved([(1, "z"), (0, "a")], 2)];
    assert_eq!(prompts(&leaf, 2, ShotMode::Fresh, 3), expect);
}

#[test]
fn what_a_leaf_says() {
    let leaf = golden();
    assert_eq!((leaf.name(), leaf.len(), (leaf.grading().low, leaf.grading().high)), ("n?me", 5, (0.375, 1.0)));
    assert_eq!(leaf.grading().metrics, [Metric::MultipleChoiceGrade, Metric::Brier, Metric::CalibrationError]);
    assert_eq!(leaf.chance(), Some(0.375));
    let question = leaf.questions(0, ShotMode::Fresh, 42, None).unwrap().nth(1).unwrap();
    assert_eq!(question.targets, ["x", "y", "z"]);
    // Scored as they stand, in the order of the file.
    let choices: Vec<&str> = question.choices.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(choices, ["b", "a\0", "é", ""]);
    let quirks: Vec<(&str, usize)> = leaf.quirks().iter().map(|q| (q.name, q.count)).collect();
    let expect = [
        ("duplicate examples", 1),
        ("equal examples", 1),
        ("canary is a list", 1),
        ("name is not ASCII", 1),
        ("soft scores", 5),
        ("empty choice", 5),
        ("trailing NUL", 5),
    ];
    assert_eq!(quirks, expect);
}

#[test]
fn a_text_switches_on_and_keys_have_their_last_value() {
    let head = format!(r#"{HEAD}, "append_choices_to_input": true, "append_choices_to_input": "false", "odd": 1"#);
    let leaf = leaf(&head, r#"{"input": "i", "target_scores": {"a": 1, "b": 0}}"#).unwrap();
    assert!(prompts(&leaf, 0, ShotMode::Fresh, 1)[0].contains("choice: b\n  choice: a"));
    let names: Vec<&str> = leaf.quirks().iter().map(|q| q.name).collect();
    for name in ["duplicate keys", "unknown keys", "text for a switch"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn extraction_has_a_default_unless_one_is_there() {
    let head = HEAD.replace("multiple_choice_grade", "exact_str_match");
    let of = |more: &str| {
        let leaf = leaf(&format!("{head}{more}"), r#"{"input": "i", "target": "t"}"#).unwrap();
        (leaf.grading().extract.regex.clone(), leaf.grading().extract.stop.clone())
    };
    assert_eq!(of(""), (Some(r"[^\.\?\!\;\n]+".into()), None));
    assert_eq!(of(r#", "output_regex": """#), (None, None));
    assert_eq!(of(r#", "stop_string": "\n""#), (None, Some("\n".into())));
    assert_eq!(of(r#", "output_regex": null, "stop_string": null"#), (Some(r"[^\.\?\!\;\n]+".into()), None));
}

#[test]
fn what_is_wrong_has_a_place() {
    let check = |head: &str, examples: &str, expect: &str| {
        let message = leaf(head, examples).unwrap_err();
        assert!(message.contains(expect), "{message}");
    };
    check(HEAD, "", "at `examples`: an empty list");
    check(
        HEAD,
        r#"{"input": 1, "target_scores": {"a": 1}}"#,
        "at `examples[0].input`: expected a text, found a number",
    );
    check(HEAD, r#"{"input": "i"}"#, "at `examples[0]`: neither `target` nor `target_scores`");
    check(
        HEAD,
        r#"{"input": "i", "target": "t"}"#,
        "at `examples[0]`: no `target_scores`, which multiple_choice_grade",
    );
    check(HEAD, r#"{"input": "i", "target_scores": {}}"#, "at `examples[0].target_scores`: no choices");
    check(HEAD, r#"{"input": "i", "target_scores": {"a": NaN}}"#, "a number for a score");
    check(HEAD, r#"{"input": "i", "target_scores": {"a": 1, "b": 1}}"#, "no choice scores higher");
    check(HEAD, r#"{"input": "\ud800", "target_scores": {"a": 1}}"#, "half a surrogate pair");
    check(HEAD, "{\"input\": \"i\",\n ]", "line 3, column 2: not valid JSON (expected a key in double quotes)");
    check(&HEAD.replace("[\"multi", "[\"mult1"), "{}", "at `examples[0]`: no `input`");
    check(&HEAD.replace("\"canary\"", "\"x\""), r#"{"input": "i", "target_scores": {"a": 1}}"#, "no `canary`");
    let good = r#"{"input": "i", "target_scores": {"a": 1, "b": 0}}"#;
    check(&HEAD.replace("[\"multi", "[\"mult1"), good, "at `metrics[0]`: no such metric");
    check(&HEAD.replace("score\": \"multiple_choice_grade", "score\": \"rouge"), good, "no such score: \"rouge\"");
    let many = leaf(HEAD, good).unwrap().questions(1, ShotMode::Fresh, 42, None).err().unwrap().to_string();
    assert!(many.contains("1 shots asked for, but there are 1 different examples"), "{many}");
}

#[test]
fn fixed_shots_are_the_same_and_not_asked() {
    let examples: Vec<String> = (0..9)
        .map(|i| format!(r#"{{"input": "i{i}", "target_scores": {{"a": 1, "b": 0}}, "comment": {i}}}"#))
        .collect();
    let leaf = leaf(HEAD, &examples.join(",")).unwrap();
    let mut longest = String::new();
    for shots in 1..4 {
        let prompts = prompts(&leaf, shots, ShotMode::Fixed, 99);
        assert_eq!(prompts.len(), 9 - shots as usize);
        let shared = prompts[0].rfind("\nQ: ").unwrap();
        for prompt in &prompts {
            assert_eq!(prompt[..shared], prompts[0][..shared]);
            assert!(!prompt[..shared].contains(&prompt[shared..][..7]), "asked and solved: {prompt}");
        }
        assert!(prompts[0][..shared].starts_with(&longest), "fewer shots are the first of more");
        longest = prompts[0][..shared].to_owned();
    }
    // The first questions do not depend on the number of shots.
    let first =
        |shots| leaf.questions(shots, ShotMode::Fixed, 7, Some(4)).unwrap().map(|q| q.example).collect::<Vec<_>>();
    assert_eq!(first(1), first(3));
}

fn archive(path: &Path, files: &[(&str, &str)]) {
    let gzip = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    for (name, text) in files {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
}

fn task_json(name: &str) -> String {
    let head = HEAD.replace("näme", name);
    format!(r#"{{{head}, "examples": [{{"input": "i", "target_scores": {{"a": 1, "b": 0}}}}]}}"#)
}

#[test]
fn an_archive_gives_what_is_asked_for_and_nothing_leaves_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cache) = (folder.path().join("b.tar.gz"), folder.path().join("cache"));
    let (one, two, three) = (task_json("one"), task_json("two"), task_json("three"));
    let parent = format!("{{{}}}", HEAD.replace("näme", "pärent"));
    archive(
        &path,
        &[
            ("b/bigbench/benchmark_tasks/one/task.json", &one),
            ("b/bigbench/benchmark_tasks/one/README.md", "no"),
            ("b/bigbench/benchmark_tasks/many/task.json", &parent),
            ("b/bigbench/benchmark_tasks/many/x/task.json", &two),
            ("b/bigbench/benchmark_tasks/many/x-y/task.json", &three),
            ("b/bigbench/benchmark_tasks/../../../../../out/task.json", &one),
            ("/benchmark_tasks/../out/task.json", &one),
        ],
    );
    for _ in 0..2 {
        let library = Library::open(&path, &cache).unwrap();
        assert_eq!(library.tasks(), ["many", "one"]);
        let many = library.task("many").unwrap();
        let names: Vec<String> = (0..2).map(|i| many.leaf(i).unwrap().name().to_owned()).collect();
        assert_eq!(names, ["p?rent:three", "p?rent:two"]);
        assert_eq!(library.task("one").unwrap().leaf(0).unwrap().name(), "one");
        assert!(library.task("two").unwrap_err().to_string().contains("no task \"two\""));
    }
    let count = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!(count(folder.path()), 2);
    let inside = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    // The index and the folders of two tasks.
    assert_eq!((count(&cache), count(&inside), count(&inside.join("one"))), (1, 3, 1));
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..200]).unwrap();
    assert!(Library::open(&path, &cache).unwrap_err().to_string().contains("cannot read it"));
}

#[test]
fn a_tree_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let task = folder.path().join("bigbench/benchmark_tasks/one");
    std::fs::create_dir_all(&task).unwrap();
    std::fs::write(task.join("task.json"), task_json("one")).unwrap();
    for path in
        [folder.path().to_owned(), folder.path().join("bigbench"), folder.path().join("bigbench/benchmark_tasks")]
    {
        let library = Library::open(&path, Path::new("unused")).unwrap();
        assert_eq!(library.task("one").unwrap().leaf(0).unwrap().len(), 1);
    }
    assert!(Library::open(&task, Path::new("unused")).unwrap_err().to_string().contains("no task.json"));
}

proptest! {
    /// A file with a few bytes changed is read or refused, and what is read can be asked.
    #[test]
    fn broken_files_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let head = format!(r#"{HEAD}, "output_regex": "\\d+", "stop_string": "\n""#);
        let examples = r#"{"input": "i", "target_scores": {"a": 1, "b": 0.5}, "target": ["a\u00e9", "c"], "n": [1e3, NaN]},
            {"input": "j", "target_scores": {"a": -1, "b": true}}"#;
        let mut bytes = format!("{{{head}, \"examples\": [{examples}]}}").into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(leaf) = Leaf::parse(Path::new("task.json"), &text, Some("p")) {
            for shots in 0..3 {
                for mode in [ShotMode::Fresh, ShotMode::Fixed] {
                    if let Ok(questions) = leaf.questions(shots, mode, 1, None) {
                        prop_assert!(questions.len() <= leaf.len());
                        questions.for_each(drop);
                    }
                }
            }
            leaf.quirks();
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Leaf::parse(Path::new("task.json"), &text, None);
    }
}
