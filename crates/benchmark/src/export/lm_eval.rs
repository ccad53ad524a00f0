//! lm-evaluation-harness's results and samples (`EvalResults` and `SampleResult` in lm_eval/result_schema.py of 0.4.13).

mod sample;

use super::{Export, Exported, by, pretty};
use crate::{Aggregate, Error, Header, Scored, aggregates, scores::of_records};
use saltus_eval::{Grade, Grading};
use saltus_record::{Outcome, Record, Role};
use saltus_task::lm_eval::{Aggregation, MetricUse};
use serde_json::{Map, Value, json};

/// Writes `MODEL/results_DATE.json` and `MODEL/samples_TASK_DATE.jsonl` for every model and every way to ask: the names
/// in a results file are those of tasks alone, so that a task asked with 0 and with 3 shots is in two. A name's date is
/// `date` (seconds since 1970, UTC) and so many microseconds more as there are files of the model before it. `told` hears
/// of each cell before it is read.
///
/// What records do not know is `null` there: texts of prompts (there is their hash, by [`prompt_identity`]), the hashes of
/// documents, how many documents there were without a limit, versions of tasks. Of groups only a task with its subtasks is
/// known. Questions without an answer are in no sample, and `effective` does not count them.
///
/// [`prompt_identity`]: saltus_task::prompt_identity
///
/// # Errors
/// [`Error::Record`] for records that cannot be read; [`Error::Io`] and [`Error::Record`] for files that cannot be
/// written.
pub fn export_lm_eval(export: &Export<'_>, date: u64, told: &mut dyn FnMut(&Header)) -> Result<Exported, Error> {
    let mut exported = Exported::default();
    for (model, cells) in by(export.cells, |cell| cell.model.clone()) {
        let cells: Vec<Header> = cells.into_iter().cloned().collect();
        let folder = export.out.join(sanitised(&model));
        let way = |c: &Header| {
            let drawn = (c.shots, c.shot_mode.clone(), c.seed);
            (drawn, c.boundary.clone(), c.truncate, c.family.clone())
        };
        for (number, cells) in by(&cells, way).into_values().enumerate() {
            let iso = iso(date, number);
            let mut run = Run::default();
            for cell in cells {
                told(cell);
                let records = export.store.records(cell)?;
                let scored = of_records(cell, &records, None);
                exported.unscored += scored.unscored.as_ref().map_or(0, |(count, _)| *count);
                let grades = match &scored.grades {
                    Ok(grades) => grades,
                    Err(why) => {
                        exported.left_out.push((cell.name(), why.clone()));
                        continue;
                    }
                };
                let samples = sample::samples(cell, grades, &records).map_err(Error::Asked)?;
                exported.write(folder.join(format!("samples_{}_{iso}.jsonl", sanitised(&cell.name()))), &samples)?;
                run.task(cell, grades, &scored, &records);
                run.scored.push(scored);
            }
            if run.scored.is_empty() {
                continue;
            }
            run.groups(&aggregates(&run.scored, &[]));
            let file = run.file(date);
            exported.write(folder.join(format!("results_{iso}.json")), &pretty(&file))?;
        }
    }
    Ok(exported)
}

/// `sanitize_model_name` of lm-evaluation-harness; it leaves names of tasks as they are, which would not do for all.
fn sanitised(name: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in name.chars() {
        let bad = "\"<>:/|\\?*[]".contains(c);
        match (bad, inside) {
            (false, _) => text.push(c),
            (true, false) => text += "__",
            (true, true) => {}
        }
        inside = bad;
    }
    // A name of dots alone is no file.
    if text.chars().all(|c| c == '.') { text.replace('.', "_") } else { text }
}

/// `YYYY-MM-DDThh-mm-ss.micros`, as lm-evaluation-harness writes it into names. Howard Hinnant's `civil_from_days` ("chrono-
/// Compatible Low-Level Date Algorithms", 2013).
fn iso(seconds: u64, micros: usize) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years that begin there.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * era + year + next;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}.{micros:06}")
}

/// The tables of a results file, each by task.
#[derive(Default)]
struct Run {
    scored: Vec<Scored>,
    results: Map<String, Value>,
    groups: Map<String, Value>,
    subtasks: Map<String, Value>,
    configs: Map<String, Value>,
    versions: Map<String, Value>,
    shots: Map<String, Value>,
    samples: Map<String, Value>,
    higher_is_better: Map<String, Value>,
}

impl Run {
    fn task(&mut self, cell: &Header, grades: &[Grade], scored: &Scored, records: &[Record]) {
        let name = cell.name();
        let items = scored.items.len();
        let mut results = json!({"name": name, "alias": name, "sample_len": items});
        let mut higher = Map::new();
        for grade in grades {
            let filter = filter_of(grade);
            results[format!("{},{filter}", grade.metric)] = json!(grade.value);
            results[format!("{}_stderr,{filter}", grade.metric)] = standard_error(grade.standard_error);
            higher.insert(grade.metric.clone(), json!(grade.higher_is_better));
        }
        self.results.insert(name.clone(), results);
        self.higher_is_better.insert(name.clone(), higher.into());
        self.configs.insert(name.clone(), config(cell, grades, records));
        self.versions.insert(name.clone(), Value::Null);
        self.shots.insert(name.clone(), json!(cell.shots));
        self.samples.insert(name.clone(), json!({"original": null, "effective": items}));
        if !cell.subtask.is_empty() {
            let members = self.subtasks.entry(cell.task.clone()).or_insert_with(|| json!([]));
            members.as_array_mut().expect("made as an array").push(json!(name));
        }
    }

    /// The scores of tasks with subtasks.
    fn groups(&mut self, aggregates: &[Aggregate]) {
        for a in aggregates.iter().filter(|a| self.subtasks.contains_key(&a.name)) {
            let group = self.groups.entry(a.name.clone()).or_insert_with(|| json!({"name": a.name, "alias": a.name}));
            group[format!("{},none", a.metric)] = json!(a.value);
            group[format!("{}_stderr,none", a.metric)] = standard_error(a.standard_error);
            self.versions.insert(a.name.clone(), Value::Null);
            self.shots.insert(a.name.clone(), json!(a.shots));
        }
        self.results.extend(self.groups.clone());
    }

    fn file(self, date: u64) -> Value {
        let model = &self.scored[0].header;
        let mut file = json!({
            "results": self.results,
            "group_subtasks": self.subtasks,
            "configs": self.configs,
            "versions": self.versions,
            "n-shot": self.shots,
            "higher_is_better": self.higher_is_better,
            "n-samples": self.samples,
            "config": {
                "model": "saltus",
                "model_args": {"pretrained": model.model, "weights": model.weights},
                "model_num_parameters": model.params_total,
                "batch_size": null,
                "batch_sizes": [],
                "device": null,
                "use_cache": null,
                "limit": null,
                "gen_kwargs": null,
                "fewshot_seed": model.seed,
            },
            "date": date as f64,
            "task_hashes": {},
            "model_source": "saltus",
            "model_name": model.model,
            "model_name_sanitized": sanitised(&model.model),
            "system_instruction": null,
            "system_instruction_sha": null,
            "fewshot_as_multiturn": null,
            "chat_template": null,
            "chat_template_sha": null,
            "total_evaluation_time_seconds": null,
        });
        if !self.groups.is_empty() {
            file["groups"] = self.groups.into();
        }
        file
    }
}

fn filter_of(grade: &Grade) -> &str {
    grade.filter.as_deref().unwrap_or("none")
}

/// lm-evaluation-harness's word for a standard error that there is not.
fn standard_error(error: Option<f64>) -> Value {
    error.filter(|error| error.is_finite()).map_or_else(|| json!("N/A"), |error| json!(error))
}

/// What records know of a task's configuration.
fn config(cell: &Header, grades: &[Grade], records: &[Record]) -> Value {
    let uses: Vec<Value> = match &cell.grading {
        Grading::LmEval(grading) => {
            let one = |entry: &MetricUse| {
                let (metric, aggregation) = (entry.metric.name(), aggregation(entry.aggregation));
                json!({"metric": metric, "aggregation": aggregation, "higher_is_better": entry.higher_is_better})
            };
            grading.metrics.iter().map(one).collect()
        }
        _ => {
            let one = |grade: &Grade| json!({"metric": grade.metric, "higher_is_better": grade.higher_is_better});
            grades.iter().map(one).collect()
        }
    };
    json!({
        "task": cell.name(),
        "num_fewshot": cell.shots,
        "metric_list": uses,
        "output_type": output_type(records),
        "metadata": {
            "saltus": env!("CARGO_PKG_VERSION"),
            "family": cell.family,
            "shot_mode": cell.shot_mode,
            "shot_seed": cell.seed,
            "boundary": cell.boundary,
            "truncate": cell.truncate,
            "chance": cell.chance,
        },
    })
}

/// The name in a task's file.
fn aggregation(how: Aggregation) -> &'static str {
    match how {
        Aggregation::Mean => "mean",
        Aggregation::Median => "median",
        Aggregation::Perplexity => "perplexity",
        Aggregation::WeightedPerplexity => "weighted_perplexity",
        Aggregation::BitsPerByte => "bits_per_byte",
        Aggregation::F1 => "f1",
        Aggregation::Matthews => "matthews_corrcoef",
        Aggregation::Brier => "brier_score",
    }
}

/// What was asked for, by what came back; of a question of BIG-bench that is asked in two ways the choices.
fn output_type(records: &[Record]) -> Option<&'static str> {
    records.iter().find_map(|record| match &record.outcome {
        Outcome::Unscored(_) => None,
        Outcome::Scored { candidates, generated } => {
            let has = |role| candidates.iter().any(|candidate| candidate.role == role);
            Some(match generated {
                _ if has(Role::Choice) => "multiple_choice",
                Some(_) => "generate_until",
                None if has(Role::Text) => "loglikelihood_rolling",
                None => "loglikelihood",
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expect) in [
            (0, "1970-01-01T00-00-00"),
            (951_782_399, "2000-02-28T23-59-59"),
            (951_782_400, "2000-02-29T00-00-00"),
            (1_709_251_200, "2024-03-01T00-00-00"),
            (4_107_542_399, "2100-02-28T23-59-59"),
            (4_107_542_400, "2100-03-01T00-00-00"),
        ] {
            assert_eq!(iso(seconds, 7), format!("{expect}.000007"));
        }
    }

    #[test]
    fn names() {
        for (name, expect) in [("EleutherAI/pythia-70m", "EleutherAI__pythia-70m"), ("a://b", "a__b"), ("..", "__")] {
            assert_eq!(sanitised(name), expect);
        }
    }
}
