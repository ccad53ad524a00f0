//! A user's own task: `task.json`, JSONL, or TOML beside its data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_fuzz::{ask, complaint, file, parts, within};
use saltus_random::Key;
use saltus_task::{TaskFile, lm_eval};

fuzz_target!(|input: &[u8]| {
    // The first byte says which file the rest is.
    let Some((choice, rest)) = input.split_first() else { return };
    if choice % 3 == 2 {
        let [toml, data] = parts(rest);
        let path = file("own.toml", toml);
        file("data.jsonl", data);
        return match within(input, 1 << 20, 512, || lm_eval::read_own(&path)) {
            Ok(task) => ask(input, &task),
            Err(error) => complaint(&error),
        };
    }
    let path = file(["task.json", "mine.jsonl"][usize::from(choice % 3)], rest);
    let task = match within(input, 1 << 16, 256, || TaskFile::read(&path)) {
        Ok(task) => task,
        Err(error) => return complaint(&error),
    };
    // What is written of an example has at most 4 MiB, and there are three in a prompt.
    within(input, 256 << 20, 64, || match task.questions(&[0, 2], 5, Key::new(1)) {
        Ok(sets) => {
            let questions = || sets.iter().flat_map(|set| &set.questions);
            assert!(questions().all(|question| !question.prompt.is_empty() && !question.candidates.is_empty()));
        }
        Err(error) => complaint(&error),
    });
});
