//! `lm_eval FILE prompts SHOTS...` writes the requests of a task file as JSON; `lm_eval FILE scores ANSWERS.json` the
//! scores of given answers at 0 shots: for comparison with lm-evaluation-harness.

use saltus_eval::lm_eval::{Answer, scores};
use saltus_task::lm_eval::{Ask, FEWSHOT_SEED, Gold, Item, Request, Shots, Task, read, read_own};
use serde_json::{Value, json};
use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, what, rest @ ..] = arguments.as_slice() else { return Err("FILE prompts|scores ...".into()) };
    let path = Path::new(file);
    let tasks = if file.ends_with(".toml") { vec![read_own(path)?] } else { read(path)?.tasks };
    let mut out = serde_json::Map::new();
    for task in &tasks {
        let value = if what == "prompts" {
            let mut by_shots = serde_json::Map::new();
            for shots in rest {
                by_shots.insert(shots.clone(), prompts(task, shots.parse()?)?);
            }
            Value::Object(by_shots)
        } else {
            let answers: Value = serde_json::from_str(&std::fs::read_to_string(&rest[0])?)?;
            scored(task, &answers[task.name()])?
        };
        out.insert(task.name().to_owned(), value);
    }
    println!("{}", Value::Object(out));
    Ok(())
}

fn items(task: &Task, count: u32) -> Result<Vec<Item>, Box<dyn Error>> {
    let shots = Shots { count: Some(count), mode: None, seed: FEWSHOT_SEED };
    Ok(task.open()?.items(shots, None)?.items)
}

fn prompts(task: &Task, shots: u32) -> Result<Value, Box<dyn Error>> {
    let pair = |request: &Request| json!([*request.context, request.continuation]);
    let requests = |item: &Item| match &item.ask {
        Ask::Choices { requests, unconditional, .. } => requests.iter().chain(unconditional).map(pair).collect(),
        Ask::Loglikelihood(request) => vec![pair(request)],
        Ask::Rolling(text) => vec![json!(["", text])],
        Ask::Generate(context) => vec![json!([**context, generation(task)])],
    };
    let item = |item: &Item| json!({"requests": requests(item), "gold": gold(&item.gold)});
    Ok(items(task, shots)?.iter().map(item).collect())
}

fn generation(task: &Task) -> Value {
    match task.output() {
        saltus_task::lm_eval::Output::Generate(how) => json!({"until": how.until, "max_gen_toks": how.max_tokens}),
        _ => Value::Null,
    }
}

fn gold(gold: &Gold) -> Value {
    match gold {
        Gold::Choice(right) => json!(right),
        Gold::Choices(right) => json!(right),
        Gold::Text(text) => json!(text),
        Gold::Texts(texts) => json!(texts),
        Gold::None => Value::Null,
    }
}

/// Answers are `[[log-probability, greedy], ...]`, a log-probability, or a text.
fn scored(task: &Task, answers: &Value) -> Result<Value, Box<dyn Error>> {
    let items = items(task, 0)?;
    let answers = answers.as_array().ok_or("no answers")?;
    let answers = items.iter().zip(answers).map(|(item, answer)| to_answer(item, answer)).collect::<Option<Vec<_>>>();
    let scores = scores(task.grading(), &items, &answers.ok_or("answers of another kind")?)?;
    let entry =
        |s: &saltus_eval::lm_eval::Score| (format!("{},{}", s.metric, s.filter), json!([s.value, s.standard_error]));
    Ok(Value::Object(scores.iter().map(entry).collect()))
}

fn to_answer(item: &Item, answer: &Value) -> Option<Answer> {
    let number = |pair: &Value| pair[0].as_f64();
    let greedy = |pair: &Value| pair[1].as_bool();
    Some(match &item.ask {
        Ask::Choices { requests, .. } => {
            let pairs = answer.as_array()?;
            let (given, alone) = pairs.split_at_checked(requests.len())?;
            Answer::Choices {
                logprobs: given.iter().map(number).collect::<Option<_>>()?,
                greedy: given.iter().map(greedy).collect::<Option<_>>()?,
                unconditional: alone.iter().map(number).collect::<Option<_>>()?,
            }
        }
        Ask::Loglikelihood(_) => Answer::Loglikelihood { logprob: number(&answer[0])?, greedy: greedy(&answer[0])? },
        Ask::Rolling(_) => Answer::Rolling(answer[0].as_f64()?),
        Ask::Generate(_) => Answer::Text(answer[0].as_str()?.to_owned()),
    })
}
