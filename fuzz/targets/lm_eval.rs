//! A task or group of lm-evaluation-harness, a file that it may include or name, and its data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_fuzz::{ask, complaint, file, parts, within};
use saltus_task::lm_eval;

fuzz_target!(|input: &[u8]| {
    let [yaml, other, data] = parts(input);
    let path = file("lm_eval/task.yaml", yaml);
    file("lm_eval/other.yaml", other);
    file("lm_eval/data.jsonl", data);
    // A group gives its settings to each of its tasks, and a file may be named and read often.
    let suite = match within(input, 1 << 26, 512, || lm_eval::read(&path)) {
        Ok(suite) => suite,
        Err(error) => return complaint(&error),
    };
    suite.tasks.iter().take(3).for_each(|task| ask(input, task));
});
