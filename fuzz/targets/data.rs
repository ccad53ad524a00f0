//! Data files in JSON, CSV and Parquet, by way of a task that asks for two columns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_fuzz::{ask, file, only_our_panics};
use saltus_task::lm_eval::{self, Task};
use std::sync::OnceLock;

/// Kind, further arguments, file.
const KINDS: [[&str; 3]; 4] = [
    ["json", "", "data.jsonl"],
    ["json", ", field: rows", "data.json"],
    ["csv", "", "data.csv"],
    ["parquet", "", "data.parquet"],
];

fn task([kind, arguments, name]: [&str; 3]) -> Task {
    file(&format!("data/{name}"), b"");
    let yaml = format!(
        "dataset_path: {kind}\ndataset_kwargs: {{data_files: {{test: {name}}}{arguments}}}\ntest_split: test\n\
         doc_to_text: \"{{{{q}}}}\"\ndoc_to_target: a\n"
    );
    let suite = lm_eval::read(&file(&format!("data/{name}.yaml"), yaml.as_bytes())).expect("a task of our own");
    suite.tasks.into_iter().next().expect("one task")
}

fuzz_target!(init: only_our_panics(), |input: &[u8]| {
    static TASKS: OnceLock<[Task; 4]> = OnceLock::new();
    let tasks = TASKS.get_or_init(|| KINDS.map(task));
    // The first byte says which file the rest is.
    let Some((choice, rest)) = input.split_first() else { return };
    let chosen = usize::from(choice % 4);
    file(&format!("data/{}", KINDS[chosen][2]), rest);
    ask(input, &tasks[chosen]);
});
