//! Parts on disk: what goes in comes out, the same rows are the same bytes, and a spoiled file is an error.

use crate::{
    Candidate, Error, Generated, LossPoint, ModelKey, Outcome, QuestionKey, Record, Role, TEMPORARY_PREFIX, Training,
    part::{LIMIT, encode, encode_records, parse_records},
    read_losses, read_records,
    rows::loss_columns,
    write_atomically, write_losses, write_records,
};
use proptest::prelude::*;
use std::{fs, io::Write, path::Path};

fn model() -> ModelKey {
    ModelKey {
        name: "48x2".into(),
        width: 48,
        layers: 2,
        params_non_embedding: 55_584,
        params_total: 61_728,
        weights: "c0ffee".into(),
        tokenizer: "7ea".into(),
        training: Some(Training {
            ladder: "main".into(),
            seed: u64::MAX,
            step: 3906,
            tokens: 4_000_000,
            flops_6nd: 1.334e12,
        }),
    }
}

fn record(item: u32, outcome: Outcome) -> Record {
    let question = QuestionKey {
        family: "addition".into(),
        task: "3-digit plain".into(),
        subtask: String::new(),
        style: "direct".into(),
        shots: 0,
        shot_mode: "fixed".into(),
        shot_seed: 7,
        boundary: "bigbench".into(),
        item,
        cluster: item / 2,
        prompt: format!("{item:032x}"),
        chance: 0.0001,
    };
    // Of every other model nothing is known about its training.
    let model = ModelKey { training: model().training.filter(|_| item.is_multiple_of(2)), ..model() };
    Record { model, question, outcome }
}

fn candidate(index: u32, text: &str) -> Candidate {
    let tokens: Vec<u32> = text.chars().map(u32::from).collect();
    let logprobs = tokens.iter().map(|&t| -(t as f32) / 100.0).collect();
    let is_argmax = tokens.iter().map(|t| t % 2 == 0).collect();
    let (role, answer) = (Role::ALL[index as usize % 4], text.get(1..).filter(|_| index == 1).map(str::to_owned));
    Candidate {
        index,
        role,
        text: text.into(),
        answer,
        target_score: f64::from(index == 0),
        tokens,
        logprobs,
        is_argmax,
    }
}

/// One record of each form that an outcome can have.
fn one_of_each() -> Vec<Record> {
    let generated = Generated { tokens: vec![7, 8], text: "é∑".into() };
    let scored = |candidates, generated| Outcome::Scored { candidates, generated };
    vec![
        record(0, scored(vec![candidate(0, "0691"), candidate(1, "069"), candidate(2, "")], None)),
        record(1, Outcome::Unscored("70 tokens do not fit".into())),
        record(2, scored(vec![candidate(0, "1")], Some(generated.clone()))),
        record(3, scored(vec![], Some(generated))),
        record(4, scored(vec![], Some(Generated { tokens: vec![], text: String::new() }))),
        record(5, scored(vec![], None)),
        record(6, scored(vec![candidate(0, "1"), candidate(1, "22")], None)),
    ]
}

fn written(records: &[Record]) -> Vec<u8> {
    encode_records("key", records).unwrap()
}

/// Reads `bytes` as a part of records.
fn read(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    parse_records(Path::new("part.parquet"), bytes.to_vec()).map(|part| part.rows)
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_outcome_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    write_records(&path, "cell 1", &one_of_each()).unwrap();
    let part = read_records(&path).unwrap();
    assert_eq!(part.key, "cell 1");
    assert_eq!(part.rows, one_of_each());
    assert_eq!(names(folder.path()), ["part.parquet"]);
    assert_eq!(read(&written(&[])).unwrap(), []);
}

#[test]
fn losses_come_back_and_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("losses.parquet");
    let point = LossPoint { model: model(), train_loss: 2.5, learning_rate: 4e-3, gradient_norm: 0.7 };
    let points = vec![point.clone(), LossPoint { train_loss: f64::INFINITY, ..point }];
    write_losses(&path, "cell 2", &points).unwrap();
    let part = read_losses(&path).unwrap();
    assert_eq!((part.key.as_str(), part.rows), ("cell 2", points));
    let error = read_records(&path).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("it holds losses"), "{error}");
}

#[test]
fn every_flipped_or_missing_byte_is_an_error() {
    let bytes = written(&one_of_each());
    for at in 0..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 1 << (at % 8);
        let error = read(&spoiled).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. } | Error::Damaged { .. }), "byte {at}: {error}");
        let error = read(&bytes[..at]).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. } | Error::Damaged { .. }), "{at} bytes: {error}");
    }
}

#[test]
fn what_is_no_part_is_named_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_records(folder.path()).unwrap_err().to_string();
    assert!(error.contains("no ordinary file") && error.contains("move it away"), "{error}");
    let error = read_records(&folder.path().join("absent.parquet")).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("absent.parquet"), "{error}");
    let error = read(b"item,score\n1,0.5\n").unwrap_err().to_string();
    assert!(error.contains("does not begin as a Parquet file"), "{error}");
    let unsealed = crate::table::write::<LossPoint>(&loss_columns(), &[], &[]).unwrap();
    let error = read(&unsealed).unwrap_err().to_string();
    assert!(error.contains("it has no seal"), "{error}");
    assert!(read(b"").is_err());
    assert!(read(b"PAR1").is_err());
    assert!(read(b"PAR1\xff\xff\xff\xffPAR1").is_err());
}

#[cfg(unix)]
#[test]
fn memory_is_bounded() {
    let error = read_records(Path::new("/dev/zero")).unwrap_err();
    assert!(error.to_string().contains("no ordinary file"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    // A hole of the file system takes no space.
    fs::File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
    let error = read_records(&path).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn another_schema_is_named_with_both_versions() {
    let bytes = encode::<LossPoint>("key", "losses", "7", &loss_columns(), &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    fs::write(&path, bytes).unwrap();
    let error = read_losses(&path).unwrap_err().to_string();
    assert!(error.contains("has schema 7, and this Saltus reads schema 2"), "{error}");
    assert!(error.contains("part.parquet") && error.contains("delete it"), "{error}");
}

#[test]
fn records_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    let short = Candidate { logprobs: vec![], ..candidate(0, "12") };
    for candidates in [vec![short], vec![candidate(1, "1")], vec![candidate(0, "1"), candidate(0, "2")]] {
        let good = record(0, Outcome::Unscored("why".into()));
        let bad = record(1, Outcome::Scored { candidates, generated: None });
        let error = write_records(&path, "key", &[good, bad]).unwrap_err();
        assert!(matches!(error, Error::Inconsistent { row: 1, .. }), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_failed_write_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    fs::write(&path, "old").unwrap();
    let error = write_atomically(&path, |file| {
        file.write_all(b"half of the n")?;
        // The error that a full disk gives.
        Err(std::io::ErrorKind::StorageFull.into())
    });
    assert!(error.unwrap_err().to_string().contains("has space left"));
    assert_eq!(names(folder.path()), ["part.parquet"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    let error = write_records(&folder.path().join("absent/part.parquet"), "key", &one_of_each()).unwrap_err();
    assert!(error.to_string().contains("the folder exists"), "{error}");
}

/// `/dev/full` refuses every byte with the very error of a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    let error = write_atomically(&path, |file| {
        file.write_all(b"some")?;
        fs::OpenOptions::new().write(true).open("/dev/full")?.write_all(b"more")
    });
    assert!(error.unwrap_err().to_string().contains("No space left"));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_process_sees_whole_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.parquet");
    write_atomically(&path, |file| {
        file.write_all(b"all")?;
        assert!(!path.exists());
        assert!(names(folder.path()).iter().all(|n| n.starts_with(TEMPORARY_PREFIX)));
        Ok(())
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"all");
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let token = (any::<u32>(), -50f32..0.0, any::<bool>());
    let one = ("\\PC{0,6}", 0.0..=1.0, prop::collection::vec(token, 0..6)).prop_map(|(text, target_score, tokens)| {
        Candidate {
            index: 0,
            role: Role::ALL[text.len() % 4],
            answer: text.strip_prefix(' ').map(str::to_owned),
            text,
            target_score,
            tokens: tokens.iter().map(|t| t.0).collect(),
            logprobs: tokens.iter().map(|t| t.1).collect(),
            is_argmax: tokens.iter().map(|t| t.2).collect(),
        }
    });
    prop::collection::vec(one, 0..5)
        .prop_map(|all| all.into_iter().zip(0..).map(|(candidate, index)| Candidate { index, ..candidate }).collect())
}

fn any_records() -> impl Strategy<Value = Vec<Record>> {
    let generated =
        (prop::collection::vec(any::<u32>(), 0..4), "\\PC{0,4}").prop_map(|(tokens, text)| Generated { tokens, text });
    let outcome = prop_oneof![
        "\\PC{0,9}".prop_map(Outcome::Unscored),
        (any_candidates(), prop::option::of(generated))
            .prop_map(|(candidates, generated)| Outcome::Scored { candidates, generated }),
    ];
    prop::collection::vec((any::<u32>(), outcome).prop_map(|(item, outcome)| record(item, outcome)), 0..12)
}

proptest! {
    #[test]
    fn records_come_back_from_the_same_bytes(records in any_records()) {
        let bytes = written(&records);
        prop_assert_eq!(&bytes, &written(&records));
        prop_assert_eq!(read(&bytes).unwrap(), records);
    }

    #[test]
    fn noise_is_never_read(records in any_records(), noise in prop::collection::vec(any::<u8>(), 1..64), at in any::<prop::sample::Index>()) {
        let bytes = written(&records);
        let at = at.index(bytes.len());
        let spoiled: Vec<u8> = bytes.iter().enumerate().map(|(i, b)| {
            b ^ if i >= at { noise.get(i - at).copied().unwrap_or(0) } else { 0 }
        }).collect();
        prop_assert_eq!(read(&spoiled).is_err(), spoiled != bytes);
    }
}
