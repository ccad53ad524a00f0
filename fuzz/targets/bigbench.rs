//! A BIG-bench `task.json`, alone and in a tree, and its prompts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_fuzz::{complaint, file, folder, within};
use saltus_task::{
    ShotMode,
    bigbench::{Leaf, Library},
};

fuzz_target!(|input: &[u8]| {
    let path = file("tree/task/task.json", input);
    let tree = folder().join("tree");
    let library = Library::open(&tree, &tree).expect("a tree with one task");
    if let Err(error) = library.task("task") {
        complaint(&error);
    }
    // An example takes 300 bytes whatever it says, and the parts of it are put into tables.
    let leaf = match within(input, 1 << 16, 256, || Leaf::read(&path, Some("parent"))) {
        Ok(leaf) => leaf,
        Err(error) => return complaint(&error),
    };
    std::hint::black_box((leaf.quirks(), leaf.chance(), leaf.grading()));
    for (shots, mode) in [(0, ShotMode::Fresh), (2, ShotMode::Fresh), (2, ShotMode::Fixed)] {
        // What is written of an example has at most 4 MiB, and there are three in a prompt.
        within(input, 64 << 20, 64, || match leaf.questions(shots, mode, 42, Some(5)) {
            Ok(questions) => questions.for_each(|question| {
                assert!(!question.targets.is_empty());
                std::hint::black_box(question);
            }),
            Err(error) => complaint(&error),
        });
    }
});
