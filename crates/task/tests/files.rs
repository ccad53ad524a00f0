//! Task files: what they say, put together as prompts, and what is said of broken ones.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use saltus_random::Key;
use saltus_task::{Error, MAX_TEXT_BYTES, QuestionSet, TaskFile};
use std::path::Path;

const BIGBENCH: &str = r#"{
    "name": "opposites", "description": "unknown keys are ignored", "canary": ["a"],
    "task_prefix": "Say the opposite.", "example_output_prefix": "\nOpposite: ",
    "examples": [
        {"input": "hot", "target": "cold"},
        {"input": "big", "target": ["small", "little"]},
        {"input": "up", "target": "down"}
    ]
}"#;

fn read(name: &str, content: impl AsRef<[u8]>) -> Result<TaskFile, Error> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    TaskFile::read(&folder.path().join(name))
}

/// The message, with the folder's name taken out.
fn message(name: &str, content: impl AsRef<[u8]>) -> String {
    let Err(error) = read(name, content) else { panic!("no error") };
    let text = error.to_string();
    let at = text.find(name).unwrap();
    text[at..].to_owned()
}

fn questions(file: &TaskFile, shots: &[u32], items: usize) -> Vec<QuestionSet> {
    file.questions(shots, items, Key::new(5)).unwrap()
}

fn sorted_prompts(set: &QuestionSet) -> Vec<&str> {
    let mut prompts: Vec<&str> = set.questions.iter().map(|q| &*q.prompt).collect();
    prompts.sort_unstable();
    prompts
}

#[test]
fn open_questions_of_bigbench() {
    let file = read("opposites.json", BIGBENCH).unwrap();
    assert_eq!((file.name(), file.len()), ("opposites", 3));
    let sets = questions(&file, &[0, 1], 10);
    // Shots are no questions, whatever their number: both sets ask the same two.
    assert_eq!(
        sets.iter().map(|s| (s.shots, s.questions.len(), s.chance)).collect::<Vec<_>>(),
        [(0, 2, 0.0), (1, 2, 0.0)]
    );
    for (plain, shown) in sets[0].questions.iter().zip(&sets[1].questions) {
        let query = plain.prompt.strip_prefix("Say the opposite.").unwrap();
        assert!(query.starts_with("\nQ: ") && query.ends_with("\nOpposite: "), "{query}");
        assert_eq!(plain.candidates, shown.candidates);
        // prefix + shot + its first answer + separator + query
        let shot = shown.prompt.strip_prefix("Say the opposite.").unwrap().strip_suffix(query).unwrap();
        let shots =
            ["hot\nOpposite: cold", "big\nOpposite: small", "up\nOpposite: down"].map(|s| format!("\nQ: {s}\n"));
        assert!(shots.iter().any(|s| s == shot), "{shot:?}");
        assert!(!shot.contains(&query[..7]));
        let generate = plain.generate.as_ref().unwrap();
        assert_eq!((generate.max_tokens, generate.stop.as_slice()), (6, ["\n".to_owned(), ";".to_owned()].as_slice()));
    }
    let all = questions(&file, &[0], 10).remove(0);
    let big = all.questions.iter().find(|q| q.prompt.contains("big")).unwrap();
    assert_eq!(
        big.candidates.iter().map(|c| (c.text.as_str(), c.score)).collect::<Vec<_>>(),
        [("small", 1.0), ("little", 1.0)]
    );
    assert_eq!(all.questions.len(), 3);
}

#[test]
fn choices_of_bigbench() {
    let json = r#"{"examples": [{"input": "2+2?", "target_scores": {"5": 0, "4": 1, "four": 0.5}}]}"#;
    let file = read("sums.json", json).unwrap();
    let set = questions(&file, &[0], 10).remove(0);
    assert_eq!((set.task.as_str(), set.chance), ("sums", 0.5));
    assert_eq!(&*set.questions[0].prompt, "\nQ: 2+2?\n  choice: 4\n  choice: 5\n  choice: four\nA: ");
    let candidates: Vec<_> = set.questions[0].candidates.iter().map(|c| (c.text.as_str(), c.score)).collect();
    assert_eq!(candidates, [("4", 1.0), ("5", 0.0), ("four", 0.5)]);
    assert_eq!(set.questions[0].generate, None);
    // append_choices_to_input is true or false as in Python: the text "false" is true.
    for (value, appended) in [("true", true), ("false", false), (r#""false""#, true), (r#""""#, false), ("0", false)] {
        let json = json.replacen('{', &format!(r#"{{"append_choices_to_input": {value}, "#), 1);
        let set = questions(&read("sums.json", json).unwrap(), &[0], 1).remove(0);
        assert_eq!(set.questions[0].prompt.contains("choice"), appended, "{value}");
    }
}

#[test]
fn lines_are_used_as_they_stand() {
    let text = "{\"input\": \"P1+1=\", \"target\": \"2\"}\n\n{\"input\": \"P1+2=\", \"target\": \"3;\"}\r\n";
    let file = read("sums.jsonl", text).unwrap();
    let sets = questions(&file, &[0, 1], 10);
    assert_eq!(sorted_prompts(&questions(&file, &[0], 10)[0]), ["P1+1=", "P1+2="]);
    let (first, second) = ("P1+1=2\nP1+2=", "P1+2=3;\nP1+1=");
    assert!([first, second].contains(&&*sets[1].questions[0].prompt));
    // `;` is part of an answer, so it does not end one.
    assert_eq!(sets[0].questions[0].generate.as_ref().unwrap().stop, ["\n"]);

    let text = r#"{"input": "Is it? ", "choices": ["no", "yes"], "answer": 1}
        {"input": "Was it? ", "choices": ["no", "yes"], "answer": "no"}"#;
    let set = questions(&read("is.jsonl", text).unwrap(), &[0], 10).remove(0);
    assert_eq!((sorted_prompts(&set), set.chance), (vec!["Is it? ", "Was it? "], 0.5));
    for q in &set.questions {
        let right = q.candidates.iter().position(|c| c.score == 1.0).unwrap();
        assert_eq!(right, usize::from(q.prompt.starts_with("Is")));
    }
}

#[test]
fn items_and_shots_are_drawn_by_the_key() {
    let lines: String = (0..50).map(|i| format!("{{\"input\": \"{i}=\", \"target\": \"{i}\"}}\n")).collect();
    let file = read("same.jsonl", lines).unwrap();
    let sets = questions(&file, &[0, 2, 3], 20);
    assert_eq!(sets, questions(&file, &[0, 2, 3], 20));
    assert_ne!(sets, file.questions(&[0, 2, 3], 20, Key::new(6)).unwrap());
    let [zero, two, three] = &sets[..] else { panic!() };
    for ((a, b), c) in zero.questions.iter().zip(&two.questions).zip(&three.questions) {
        let shots = b.prompt.strip_suffix(&*a.prompt).unwrap();
        assert_eq!(shots.lines().count(), 2);
        assert!(c.prompt.starts_with(shots) && c.prompt.ends_with(&*a.prompt));
        // An asked item is never among its shots.
        assert!(c.prompt.lines().rev().skip(1).all(|line| !line.starts_with(&*a.prompt)), "{}", c.prompt);
    }
    let error = file.questions(&[50], 20, Key::new(5)).unwrap_err().to_string();
    assert!(error.ends_with(
        "50 shots asked for, but there are 50 examples: ask for fewer shots, so that examples are left to be questions"
    ));
}

#[test]
fn task_json_in_a_folder_has_the_folders_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("opposites/task.json");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, BIGBENCH.replace(r#""name": "opposites", "#, "")).unwrap();
    assert_eq!(TaskFile::read(&path).unwrap().name(), "opposites");
}

#[test]
fn broken_task_json() {
    let examples = |list: &str| format!("{{\"examples\": [{list}]}}");
    let ok = r#"{"input": "a", "target": "b"}"#;
    let cases = [
        String::new(),
        "{\n  \"examples\": [\n    {\"input\": }\n".into(),
        "[1]".into(),
        "{}".into(),
        r#"{"examples": {"input": "a"}}"#.into(),
        examples(""),
        examples("3"),
        format!(
            r#"{{"example_input_prefix": "", "example_output_prefix": "", "examples": [{}]}}"#,
            ok.replace('a', "")
        ),
        examples(&format!("{ok}, {{\"target\": \"b\"}}")),
        examples(&format!("{ok}, {{\"input\": \"a\"}}")),
        examples(r#"{"input": ["a"], "target": "b"}"#),
        examples(r#"{"input": "a", "target": 4}"#),
        examples(r#"{"input": "a", "target": []}"#),
        examples(r#"{"input": "a", "target": ["b", ""]}"#),
        examples(r#"{"input": "a", "target_scores": ["b"]}"#),
        examples(r#"{"input": "a", "target_scores": {"b": "right", "c": 0}}"#),
        examples(r#"{"input": "a", "target_scores": {"b": 1}}"#),
        examples(r#"{"input": "a", "target_scores": {"": 1, "c": 0}}"#),
        examples(r#"{"input": "a", "target_scores": {"b": 0, "c": 0}}"#),
        examples(r#"{"input": "a", "target_scores": {"b": 2, "c": 0}}"#),
        examples(&format!("{ok}, {{\"input\": \"a\", \"target_scores\": {{\"b\": 1, \"c\": 0}}}}")),
        format!(r#"{{"task_prefix": 1, "examples": [{ok}]}}"#),
        format!(r#"{{"examples": [{ok}]}} and more"#),
        examples(&format!("{{\"input\": \"{}\", \"target\": \"b\"}}", "a".repeat(MAX_TEXT_BYTES + 1))),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    let messages = cases.map(|content| message("task.json", content)).join("\n");
    insta::assert_snapshot!(messages, @r#"
    task.json, line 1, column 0: not valid JSON (EOF while parsing a value): mend the file there; a JSON checker shows more
    task.json, line 3, column 15: not valid JSON (expected value): mend the file there; a JSON checker shows more
    task.json: expected an object, found a list: write an object with "examples": [...]
    task.json: no `examples`: write an object with "examples": [...]
    task.json, at `examples`: expected a list, found an object: write a list of examples; for each, write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples`: an empty list: give at least one example: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[0]`: expected an object, found the number 3: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[0]`: neither `target` nor `target_scores`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[1]`: no `input`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[1]`: neither `target` nor `target_scores`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[0].input`: expected a text, found a list: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[0].target`: expected a text, found the number 4: write the right answer as a text in quotes
    task.json, at `examples[0].target`: an empty list: give at least one right answer
    task.json, at `examples[0].target[1]`: an empty text: write the right answer: an empty one cannot be scored
    task.json, at `examples[0].target_scores`: expected an object, found a list: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}
    task.json, at `examples[0].target_scores.b`: expected a number, found the text "right": give each choice a number: 1 right, 0 wrong, or between
    task.json, at `examples[0].target_scores`: fewer than two choices: give at least two, or a `target` instead
    task.json, at `examples[0].target_scores`: an empty choice: write its text: an empty one cannot be scored
    task.json, at `examples[0].target_scores`: all choices have the same score: mark the right one with 1 and the others with 0
    task.json, at `examples[0].target_scores`: a score of 2: give scores from 0 to 1
    task.json, at `examples[1]`: examples with choices and examples without in one file: split the file: the two kinds are measured differently
    task.json, at `task_prefix`: expected a text, found the number 1: write a text in quotes
    task.json, line 1, column 47: not valid JSON (trailing characters): mend the file there; a JSON checker shows more
    task.json, at `examples[0].input`: a text of 1048577 bytes, over the limit of 1048576: shorten it: no model here reads so much at once
    task.json, line 1, column 128: not valid JSON (recursion limit exceeded): mend the file there; a JSON checker shows more
    "#);
}

#[test]
fn broken_lines() {
    let ok = "{\"input\": \"a\", \"target\": \"b\"}\n";
    let cases = [
        "\n\n".into(),
        format!("{ok}{{\"input\": \"a\""),
        format!("{ok}{ok}\n[\"a\", \"b\"]"),
        format!("{ok}{{\"target\": \"b\"}}"),
        format!("{ok}{{\"input\": \"\", \"target\": \"b\"}}"),
        format!("{ok}{{\"input\": \"a\"}}"),
        r#"{"input": "a", "choices": ["b", "c"]}"#.into(),
        r#"{"input": "a", "choices": ["b", "c"], "answer": 2}"#.into(),
        r#"{"input": "a", "choices": ["b", "c"], "answer": "d"}"#.into(),
        r#"{"input": "a", "choices": ["b", "b"], "answer": 0}"#.into(),
        r#"{"input": "a", "choices": ["b", 3], "answer": 0}"#.into(),
    ];
    let messages = cases.map(|content: String| message("mine.jsonl", content)).join("\n");
    insta::assert_snapshot!(messages, @r#"
    mine.jsonl: no examples: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 2, column 13: not valid JSON (EOF while parsing an object): write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 4: expected an object, found a list: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 2: no `input`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 2, at `input`: an empty text: write what the model is to read
    mine.jsonl, line 2: neither `target` nor `choices`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 1: `choices` without `answer`: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    mine.jsonl, line 1, at `answer`: the number 2 is none of the 2 choices: write the number of the right choice, counted from 0, or its text
    mine.jsonl, line 1, at `answer`: the text "d" is none of the 2 choices: write the number of the right choice, counted from 0, or its text
    mine.jsonl, line 1, at `choices`: the choice "b" twice: make the choices different
    mine.jsonl, line 1, at `choices[1]`: expected a text, found the number 3: write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line
    "#);
}

#[test]
fn unreadable_files() {
    let missing = TaskFile::read(Path::new("no/such/task.json")).unwrap_err().to_string();
    let binary = message("task.json", b"{\"examples\":\n [\xff\xfe]}");
    insta::assert_snapshot!([missing, binary].join("\n"), @r#"
    no/such/task.json: cannot read it (No such file or directory (os error 2)): check the path and the file's permissions
    task.json, line 2: not UTF-8 text (byte 15 of the file): save the file in UTF-8
    "#);
}

proptest! {
    /// Whatever a file holds, it is read or refused with a place and a remedy; never a panic.
    #[test]
    fn no_file_is_a_panic(bytes: Vec<u8>, cut in 0usize..300, at in 0usize..300, byte: u8) {
        let _ = read("task.json", &bytes);
        let _ = read("mine.jsonl", &bytes);
        let mut changed = BIGBENCH.as_bytes()[..cut.min(BIGBENCH.len())].to_vec();
        if let Some(b) = changed.get_mut(at) {
            *b = byte;
        }
        let _ = read("task.json", changed);
        let mut changed = BIGBENCH.as_bytes().to_vec();
        changed[at] = byte;
        if let Ok(file) = read("task.json", changed) {
            prop_assert!(file.questions(&[0], 5, Key::new(1)).unwrap()[0].questions.iter().all(|q| !q.prompt.is_empty()));
        }
    }
}
