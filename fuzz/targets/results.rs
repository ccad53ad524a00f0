//! Tables of scores in CSV and Parquet and other harnesses' results, as far as verdicts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saltus_atlas::{Asked, AxisName, abilities, judge, pool};
use saltus_emergence::Analysis;
use saltus_fuzz::{file, only_our_panics, within};
use saltus_random::Key;
use saltus_results::{Scores, read_harness, read_table};

/// Scores that are judged at most: verdicts take time, and little of it is in the reading.
const JUDGED: usize = 60;

fuzz_target!(init: only_our_panics(), |input: &[u8]| {
    // The first byte says which file the rest is.
    let Some((choice, rest)) = input.split_first() else { return };
    let mut scores = Scores::default();
    let name = ["results/scores.csv", "results/results.json", "results/scores.parquet"][usize::from(choice % 3)];
    let path = file(name, rest);
    let read = within(input, 16 << 20, 2000, || {
        if name.ends_with("json") {
            read_harness(&mut scores, &path).map(|_| ())
        } else {
            read_table(&mut scores, &path, &[], &[])
        }
    });
    if let Err(error) = read {
        assert!(!error.to_string().is_empty());
        return;
    }
    pool(&mut scores);
    let Some(axis) = AxisName::of_scores(&scores) else { return };
    let asked = Asked { axis, chance: Vec::new(), lower_is_better: Vec::new() };
    let (made, _) = abilities(&scores, &asked);
    if scores.rows.len() <= JUDGED {
        let analysis = Analysis { key: Key::new(0), resamples: 19, delta: 0.05, alpha: 0.05 };
        let _ = judge(made, &analysis, &|_| ());
    }
});
