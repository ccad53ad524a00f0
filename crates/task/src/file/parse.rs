//! Reading and checking of task files.

use super::json::{At, Node, kind, shorten};
use super::{Example, MAX_EXAMPLES, MAX_FILE_BYTES, TaskFile, Template};
use crate::read::{MAX_WRITTEN_BYTES, file_error, read_text};
use crate::{Candidate, Error};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

const EXAMPLE: &str =
    r#"write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "target_scores": {"4": 1, "5": 0}}"#;
const LINE: &str =
    r#"write {"input": "2+2=", "target": "4"} or {"input": "2+2=", "choices": ["4", "5"], "answer": 0} on each line"#;

pub(super) fn read(path: &Path) -> Result<TaskFile, Error> {
    let text = read_text(path, MAX_FILE_BYTES, "split it into several tasks")?;
    let (name, template, examples) = match path.extension().is_some_and(|e| e == "jsonl") {
        true => (None, verbatim(), json_lines(path, &text)?),
        false => bigbench(path, &text)?,
    };
    let name = name.unwrap_or_else(|| file_name(path));
    let choices = examples.first().is_some_and(|(choices, _)| *choices);
    let examples = examples.into_iter().map(|(_, example)| example).collect();
    Ok(TaskFile { path: path.into(), name, template, choices, examples })
}

/// `dir/task.json` is called `dir`, as in BIG-bench; any other file by its own name.
fn file_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name).filter(|_| stem == "task");
    folder.map_or(stem.clone(), |f| f.to_string_lossy()).into_owned()
}

/// Parses one JSON value; `line` is the line in a JSONL file, which serde_json does not know.
fn value(path: &Path, text: &str, line: Option<usize>, remedy: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|e| {
        let full = e.to_string();
        let problem = full.split(" at line ").next().unwrap_or_default();
        let place = format!(", line {}, column {}", line.unwrap_or(e.line()), e.column());
        file_error(path, place, format!("not valid JSON ({problem})"), remedy)
    })
}

type Examples = Vec<(bool, Example)>;

fn bigbench(path: &Path, text: &str) -> Result<(Option<String>, Template, Examples), Error> {
    let value = value(path, text, None, "mend the file there; a JSON checker shows more")?;
    let root = Node { file: path, line: None, at: At::Root, value: &value };
    let remedy = r#"write an object with "examples": [...]"#;
    root.object(remedy)?;
    let Some(list) = root.get("examples") else { return Err(root.error("no `examples`", remedy)) };
    let mut examples = Examples::new();
    for node in list.elements(&format!("write a list of examples; for each, {EXAMPLE}"))? {
        push(&mut examples, &node, bigbench_example(&node)?)?;
    }
    if examples.is_empty() {
        return Err(list.error("an empty list", format!("give at least one example: {EXAMPLE}")));
    }
    let text = |key: &str, default: &str| match root.get(key) {
        Some(node) => node.text("write a text in quotes").map(str::to_owned),
        None => Ok(default.to_owned()),
    };
    let template = Template {
        task_prefix: text("task_prefix", "")?,
        input_prefix: text("example_input_prefix", "\nQ: ")?,
        output_prefix: text("example_output_prefix", "\nA: ")?,
        choice_prefix: text("choice_prefix", "\n  choice: ")?,
        append_choices: root.get("append_choices_to_input").is_none_or(|node| truthy(node.value)),
        separator: text("example_separator", "\n")?,
    };
    let written = |example: &Example| {
        let choices = example.candidates.iter().filter(|_| template.append_choices);
        let choices: usize = choices.map(|choice| template.choice_prefix.len() + choice.text.len()).sum();
        template.input_prefix.len() + example.input.len() + choices + template.output_prefix.len()
    };
    if let Some(i) = examples.iter().position(|(choices, e)| *choices && written(e) > MAX_WRITTEN_BYTES) {
        let problem = format!("examples[{i}] takes more than {MAX_WRITTEN_BYTES} bytes with its prefixes and choices");
        return Err(root.error(problem, "shorten the prefixes, or give fewer choices"));
    }
    let before = [&template.task_prefix, &template.input_prefix, &template.output_prefix];
    if let Some(i) =
        examples.iter().position(|(_, e)| e.input.is_empty()).filter(|_| before.iter().all(|t| t.is_empty()))
    {
        let problem = format!("examples[{i}].input is empty, and so are all prefixes");
        return Err(root.error(problem, "write what the model is to read"));
    }
    let name = root.get("name").map(|node| node.text("write the task's name in quotes").map(str::to_owned));
    Ok((name.transpose()?.filter(|name| !name.is_empty()), template, examples))
}

/// As Python sees it, and so BIG-bench: the text "false" is true.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

fn bigbench_example(node: &Node<'_>) -> Result<(bool, Example), Error> {
    node.object(EXAMPLE)?;
    let input = input(node, EXAMPLE)?;
    if let Some(scores) = node.get("target_scores") {
        let mut candidates = Vec::new();
        for (choice, score) in scores.members(EXAMPLE)? {
            let score_value = score.number("give each choice a number: 1 right, 0 wrong, or between")?;
            candidates.push(Candidate::choice(scores.limited(choice)?, score_value));
        }
        let example = Example { input, candidates };
        return checked_choices(&scores, example).map(|example| (true, example));
    }
    let Some(target) = node.get("target") else {
        return Err(node.error("neither `target` nor `target_scores`", EXAMPLE));
    };
    let mut targets = Vec::new();
    if target.value.is_array() {
        for element in target.elements(EXAMPLE)? {
            targets.push(open_target(&element)?);
        }
    } else {
        targets.push(open_target(&target)?);
    }
    if targets.is_empty() {
        return Err(target.error("an empty list", "give at least one right answer"));
    }
    Ok((false, Example { input, candidates: targets }))
}

fn json_lines(path: &Path, text: &str) -> Result<Examples, Error> {
    let mut examples = Examples::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let value = value(path, text, Some(line), LINE)?;
        let node = Node { file: path, line: Some(line), at: At::Root, value: &value };
        push(&mut examples, &node, line_example(&node)?)?;
    }
    if examples.is_empty() {
        return Err(file_error(path, String::new(), "no examples", LINE));
    }
    Ok(examples)
}

fn line_example(node: &Node<'_>) -> Result<(bool, Example), Error> {
    node.object(LINE)?;
    let input = input(node, LINE)?;
    let Some(choices) = node.get("choices") else {
        let Some(target) = node.get("target") else {
            return Err(node.error("neither `target` nor `choices`", LINE));
        };
        return Ok((false, Example { input, candidates: vec![open_target(&target)?] }));
    };
    let mut texts = Vec::new();
    for choice in choices.elements(LINE)? {
        texts.push(choice.text(LINE)?.to_owned());
    }
    let Some(answer) = node.get("answer") else { return Err(node.error("`choices` without `answer`", LINE)) };
    let right = match answer.value {
        Value::String(text) => texts.iter().position(|t| t == text),
        value => value.as_u64().map(|n| n as usize).filter(|&n| n < texts.len()),
    };
    let Some(right) = right else {
        let remedy = "write the number of the right choice, counted from 0, or its text";
        return Err(answer.error(format!("{} is none of the {} choices", kind(answer.value), texts.len()), remedy));
    };
    let score = |i| f64::from(u8::from(i == right));
    let candidates = texts.into_iter().enumerate().map(|(i, text)| Candidate::choice(text, score(i))).collect();
    checked_choices(&choices, Example { input, candidates }).map(|example| (true, example))
}

/// The input may be empty only where something comes before it in the prompt, which JSONL has not.
fn input(node: &Node<'_>, remedy: &str) -> Result<String, Error> {
    let Some(input) = node.get("input") else { return Err(node.error("no `input`", remedy)) };
    let text = input.text(remedy)?;
    if text.is_empty() && node.line.is_some() {
        return Err(input.error("an empty text", "write what the model is to read"));
    }
    Ok(text.to_owned())
}

fn open_target(node: &Node<'_>) -> Result<Candidate, Error> {
    let text = node.text("write the right answer as a text in quotes")?;
    if text.is_empty() {
        return Err(node.error("an empty text", "write the right answer: an empty one cannot be scored"));
    }
    Ok(Candidate::target(text))
}

fn checked_choices(node: &Node<'_>, example: Example) -> Result<Example, Error> {
    let candidates = &example.candidates;
    if candidates.len() < 2 {
        return Err(node.error("fewer than two choices", "give at least two, or a `target` instead"));
    }
    if candidates.iter().any(|c| c.text.is_empty()) {
        return Err(node.error("an empty choice", "write its text: an empty one cannot be scored"));
    }
    let mut seen = HashSet::new();
    if let Some(c) = candidates.iter().find(|c| !seen.insert(&c.text)) {
        return Err(node.error(format!("the choice {:?} twice", shorten(&c.text)), "make the choices different"));
    }
    if let Some(c) = candidates.iter().find(|c| !(0.0..=1.0).contains(&c.score)) {
        return Err(node.error(format!("a score of {}", c.score), "give scores from 0 to 1"));
    }
    if candidates.iter().all(|c| c.score == candidates[0].score) {
        return Err(node.error("all choices have the same score", "mark the right one with 1 and the others with 0"));
    }
    Ok(example)
}

fn push(examples: &mut Examples, node: &Node<'_>, example: (bool, Example)) -> Result<(), Error> {
    if examples.len() == MAX_EXAMPLES {
        return Err(node.error(format!("more than {MAX_EXAMPLES} examples"), "split the task into several files"));
    }
    if examples.first().is_some_and(|(choices, _)| *choices != example.0) {
        let problem = "examples with choices and examples without in one file";
        return Err(node.error(problem, "split the file: the two kinds are measured differently"));
    }
    examples.push(example);
    Ok(())
}

/// JSONL says itself all that the model is to read.
fn verbatim() -> Template {
    Template {
        task_prefix: String::new(),
        input_prefix: String::new(),
        output_prefix: String::new(),
        choice_prefix: String::new(),
        append_choices: false,
        separator: "\n".into(),
    }
}
