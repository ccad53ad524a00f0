//! `saltus tasks`: which tasks there are, what they ask, and what is odd in them.

use crate::{
    arguments::{PlaceArguments, Tasks},
    evaluate::places,
    print,
    table::{columns, row},
};
use miette::Result;
use saltus_benchmark::{ALL, Catalogue, Error, Protocol, Task};
use saltus_eval::{Grading, View};
use saltus_task::{Role, bigbench::LITE, lm_eval::Output};
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

pub(crate) fn dispatch(command: &Tasks) -> Result<ExitCode> {
    match command {
        Tasks::List { tasks, places, json } => list(tasks, places, *json),
        Tasks::Show { task, shots, items, places, json } => show(task, *shots, *items, places, *json),
        Tasks::Check { tasks, places, json } => check(tasks, places, *json),
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    kind: &'static str,
    /// Whether it is part of BIG-bench Lite.
    lite: bool,
}

fn list(names: &[String], arguments: &PlaceArguments, json: bool) -> Result<ExitCode> {
    let places = places(arguments);
    let listed: Vec<Listed> = match names {
        // Names alone need no file but the list of the archive.
        [] => {
            let library = saltus_benchmark::open_library(ALL, &places)?;
            let listed = |name: &&str| Listed { name: (*name).into(), kind: "BIG-bench", lite: LITE.contains(name) };
            library.tasks().iter().map(listed).collect()
        }
        names => {
            let found = Catalogue::find(names, &places)?;
            let listed = |task: &Task| Listed {
                name: task.name().into(),
                kind: task.kind(),
                lite: LITE.contains(&task.name()) && task.kind() == "BIG-bench",
            };
            found.tasks.iter().map(listed).collect()
        }
    };
    print(json, &listed, || {
        let mut rows = vec![row(["task", "kind", ""])];
        let lite = |listed: &Listed| if listed.lite { "lite" } else { "" };
        rows.extend(listed.iter().map(|l| row([&l.name, l.kind, lite(l)])));
        format!("{}{} tasks\n", columns(&rows), listed.len())
    })
}

#[derive(Serialize)]
struct SheetShown {
    task: String,
    subtask: String,
    kind: &'static str,
    /// Questions in all.
    items: usize,
    shots: u32,
    shot_mode: String,
    seed: u64,
    boundary: &'static str,
    chance: f64,
    metrics: Vec<String>,
    /// The first questions.
    questions: Vec<QuestionShown>,
}

#[derive(Serialize)]
struct QuestionShown {
    number: u32,
    prompt: String,
    candidates: Vec<CandidateShown>,
    generate: Option<GenerateShown>,
}

#[derive(Serialize)]
struct CandidateShown {
    role: &'static str,
    text: String,
    score: f64,
}

#[derive(Serialize)]
struct GenerateShown {
    max_tokens: usize,
    stop: Vec<String>,
}

fn metrics(grading: &Grading) -> Vec<String> {
    match grading {
        Grading::BigBench(grading) => grading.metrics.iter().map(|metric| metric.name().to_owned()).collect(),
        Grading::LmEval(grading) => grading.metrics.iter().map(|entry| entry.metric.name().to_owned()).collect(),
        Grading::Views(views) => views
            .iter()
            .filter_map(|view| if let View::Metric(name) = view { Some(name.clone()) } else { None })
            .collect(),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Choice => "choice",
        Role::Target => "target",
        Role::Unconditional => "choice without the question",
        Role::Text => "text",
    }
}

fn show(name: &str, shots: u32, items: usize, arguments: &PlaceArguments, json: bool) -> Result<ExitCode> {
    let found = Catalogue::find(&[name.to_owned()], &places(arguments))?;
    let protocol = Protocol { shots: vec![shots], mode: None, seeds: Vec::new(), limit: None, unconditional: false };
    let mut sheets = Vec::new();
    for task in &found.tasks {
        task.sheets(&protocol, &mut |sheet| {
            let set = sheet.set;
            let question = |q: &saltus_task::Question| QuestionShown {
                number: q.number,
                prompt: q.prompt.to_string(),
                candidates: q
                    .candidates
                    .iter()
                    .map(|c| CandidateShown { role: role(c.role), text: c.text.clone(), score: c.score })
                    .collect(),
                generate: q.generate.as_ref().map(|g| GenerateShown { max_tokens: g.max_tokens, stop: g.stop.clone() }),
            };
            sheets.push(SheetShown {
                items: set.questions.len(),
                questions: set.questions.iter().take(items).map(question).collect(),
                task: set.task,
                subtask: set.subtask,
                kind: task.kind(),
                shots: set.shots,
                shot_mode: set.shot_mode.to_string(),
                seed: set.shot_seed,
                boundary: sheet.boundary.name(),
                chance: set.chance,
                metrics: metrics(&sheet.grading),
            });
            Ok(())
        })?;
    }
    print(json, &sheets, || sheets.iter().map(shown).collect())
}

fn shown(sheet: &SheetShown) -> String {
    let mut text = String::new();
    let name = if sheet.subtask.is_empty() { sheet.task.clone() } else { format!("{}:{}", sheet.task, sheet.subtask) };
    let _ =
        writeln!(text, "{name} ({}): {} questions, {} shots {}", sheet.kind, sheet.items, sheet.shots, sheet.shot_mode);
    let _ = writeln!(
        text,
        "metrics: {}; chance {:.3}; boundary {}",
        sheet.metrics.join(", "),
        sheet.chance,
        sheet.boundary
    );
    for question in &sheet.questions {
        let _ = writeln!(text, "--- question {}, as a model reads it, between the bars", question.number);
        let _ = writeln!(text, "|{}|", visible(&question.prompt));
        for candidate in &question.candidates {
            let _ = writeln!(text, "{} {:?}, score {}", candidate.role, candidate.text, candidate.score);
        }
        if let Some(generate) = &question.generate {
            let _ = writeln!(text, "generates at most {} tokens, to one of {:?}", generate.max_tokens, generate.stop);
        }
    }
    text
}

/// Text by others, without what could command a terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[derive(Serialize)]
struct Checked {
    task: String,
    kind: &'static str,
    /// Questions that can be asked.
    items: usize,
    /// What is odd: what, how often, what it means.
    quirks: Vec<(&'static str, usize, String)>,
    /// What keeps it from being asked.
    problem: Option<String>,
}

fn check(names: &[String], arguments: &PlaceArguments, json: bool) -> Result<ExitCode> {
    let found = Catalogue::find(names, &places(arguments))?;
    let mut checked = Vec::new();
    for task in &found.tasks {
        check_task(task, &mut checked);
    }
    let wrong = checked.iter().filter(|c| c.problem.is_some()).count();
    print(json, &checked, || {
        let mut text = String::new();
        for c in &checked {
            let _ = match &c.problem {
                Some(problem) => writeln!(text, "! {}: {problem}", c.task),
                None => writeln!(text, "{} ({}): {} questions", c.task, c.kind, c.items),
            };
            for (what, count, meaning) in &c.quirks {
                let _ = writeln!(text, "    {what} ({count}): {}", visible(meaning));
            }
        }
        let odd = checked.iter().filter(|c| !c.quirks.is_empty()).count();
        let _ = writeln!(text, "{} checked: {odd} with something odd, {wrong} that cannot be asked", checked.len());
        text
    })?;
    Ok(if wrong > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_task(task: &Task, checked: &mut Vec<Checked>) {
    let kind = task.kind();
    let wrong = |problem: Error| Checked {
        task: task.name().into(),
        kind,
        items: 0,
        quirks: Vec::new(),
        problem: Some(problem.to_string()),
    };
    if matches!(kind, "BIG-bench" | "task.json") {
        let read = task.leaves(&mut |leaf| {
            let quirks = leaf.quirks().into_iter().map(|q| (q.name, q.count, q.meaning)).collect();
            checked.push(Checked { task: leaf.name().into(), kind, items: leaf.len(), quirks, problem: None });
            Ok(())
        });
        checked.extend(read.err().map(wrong));
        return;
    }
    // The templates are applied to every document.
    let protocol = Protocol { shots: Vec::new(), mode: None, seeds: Vec::new(), limit: None, unconditional: false };
    let mut quirks = Vec::new();
    if let Some(lm_eval) = task.lm_eval()
        && let Output::Generate(how) = lm_eval.output()
        && how.until.iter().any(String::is_empty)
    {
        quirks.push(("empty stop", 1, "it stops nothing".to_owned()));
    }
    let read = task.sheets(&protocol, &mut |sheet| {
        let without = |q: &&saltus_task::Question| {
            let mut choices = q.candidates.iter().filter(|c| c.role == Role::Choice).peekable();
            choices.peek().is_some() && choices.all(|c| c.score == 0.0)
        };
        let count = sheet.set.questions.iter().filter(without).count();
        if count > 0 {
            quirks.push(("no right choice", count, "such a question counts as wrong, whatever is chosen".into()));
        }
        let (task, items) = (sheet.set.task, sheet.set.questions.len());
        checked.push(Checked { task, kind, items, quirks: std::mem::take(&mut quirks), problem: None });
        Ok(())
    });
    checked.extend(read.err().map(wrong));
}
