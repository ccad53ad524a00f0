//! Training is learning, reproducible to the bit, resumable, and survives what goes wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod toy;

use saltus_corpus::{Batch, Corpus};
use saltus_random::Key;
use saltus_train::{End, Error, Event, Job, Rung, Trained, find, grow, train_rung};
use std::{fs, ops::ControlFlow, path::Path, sync::Mutex};
use toy::{Toy, rung};

/// Trains without interruption.
fn train(rung: &Rung, folder: &Path, threads: usize) -> Trained {
    train_rung(rung, &Toy, folder, threads, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Trains until `stop` steps are done.
fn train_until(rung: &Rung, folder: &Path, stop: u64) -> Result<Trained, Error> {
    train_rung(rung, &Toy, folder, 1, &mut |event| match event {
        Event::Step { step, .. } if step >= stop => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

/// The first event and all warnings of a training that runs to its end.
fn events(rung: &Rung, folder: &Path) -> (Trained, u64, Vec<String>) {
    let (mut started, mut warnings) = (None, Vec::new());
    let mut note = |event: Event<'_>| {
        match event {
            Event::Started { step } => started = Some(step),
            Event::Warning(text) => warnings.push(text.to_string()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let trained = train_rung(rung, &Toy, folder, 1, &mut note).unwrap();
    (trained, started.unwrap(), warnings)
}

/// What must be the same for equal trainings: hashes of the checkpoints and the curve.
fn bits(trained: &Trained) -> (Vec<(u64, String)>, String) {
    let hashes = trained.checkpoints.iter().map(|c| (c.step, c.weights.clone())).collect();
    (hashes, format!("{:?} {:?}", trained.end, trained.curve))
}

#[test]
fn the_loss_falls_and_the_folder_holds_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let trained = train(&rung(200), dir.path(), 1);
    let (first, last) = (trained.curve[0], trained.curve[trained.curve.len() - 1]);
    assert!(first.loss > 2.0 && last.loss < 0.1, "{first:?} {last:?}");
    assert_eq!((last.step, last.tokens), (200, 200 * 48));
    assert_eq!(trained.checkpoints.iter().map(|c| c.step).collect::<Vec<_>>(), [0, 50, 100, 200]);
    for checkpoint in &trained.checkpoints {
        let folder = saltus_train::checkpoint_folder(dir.path(), checkpoint.step);
        let weights = saltus_transformer::Weights::load(&folder).unwrap();
        assert_eq!(saltus_train::weights_identity(&weights), checkpoint.weights);
    }
    assert!(!dir.path().join("state").exists());
    assert_eq!(train(&rung(200), dir.path(), 1), trained);
}

#[test]
fn bits_do_not_depend_on_threads_or_on_interruptions() {
    let dir = tempfile::tempdir().unwrap();
    let rung = rung(60);
    let one = train(&rung, &dir.path().join("1"), 1);
    for threads in [2, 4] {
        assert_eq!(bits(&train(&rung, &dir.path().join(threads.to_string()), threads)), bits(&one));
    }
    let interrupted = dir.path().join("interrupted");
    for stop in [1, 17, 30, 59] {
        let stopped = train_until(&rung, &interrupted, stop);
        assert!(matches!(stopped, Err(Error::Stopped { step }) if step == stop), "{stopped:?}");
    }
    let (resumed, from, warnings) = events(&rung, &interrupted);
    assert_eq!((bits(&resumed), from, warnings), (bits(&one), 59, vec![]));
}

#[test]
fn a_damaged_state_is_told_and_the_training_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let rung = rung(20);
    let whole = train(&rung, &dir.path().join("whole"), 1);
    let damages: [fn(&mut Vec<u8>); 4] =
        [|b| b[200] ^= 1, |b| b.truncate(1000), |b| b.clear(), |b| b.extend_from_slice(&[0; 4])];
    for (i, damage) in damages.into_iter().enumerate() {
        let folder = dir.path().join(i.to_string());
        assert!(train_until(&rung, &folder, 13).is_err());
        let mut state = fs::read(folder.join("state")).unwrap();
        damage(&mut state);
        fs::write(folder.join("state"), state).unwrap();
        let (trained, from, warnings) = events(&rung, &folder);
        assert_eq!((bits(&trained), from), (bits(&whole), 0));
        assert!(warnings.len() == 1 && warnings[0].contains("starts again"), "{warnings:?}");
    }
}

#[test]
fn what_a_kill_leaves_behind_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let rung = rung(20);
    let whole = train(&rung, &dir.path().join("whole"), 1);
    let folder = dir.path().join("killed");
    assert!(train_until(&rung, &folder, 13).is_err());
    fs::create_dir(folder.join("step-00000020.partial")).unwrap();
    fs::write(folder.join("state.partial"), "half").unwrap();
    // A checkpoint written after the last saved state.
    fs::create_dir(folder.join("step-00000020")).unwrap();
    fs::write(folder.join("step-00000020/model.safetensors"), "other").unwrap();
    assert_eq!(bits(&train(&rung, &folder, 1)), bits(&whole));
    assert!(fs::read_dir(&folder).unwrap().flatten().all(|e| !e.path().to_string_lossy().contains("partial")));
    // A finished training that lost a checkpoint is no finished training.
    fs::remove_dir_all(folder.join("step-00000010")).unwrap();
    assert_eq!(bits(&train(&rung, &folder, 1)), bits(&whole));
}

#[test]
fn a_disk_that_refuses_is_told_with_the_path_and_the_state_stays() {
    let dir = tempfile::tempdir().unwrap();
    let rung = rung(20);
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = train_until(&rung, &file.join("below"), 99).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot create ") && error.contains("file/below") && error.contains("run again"),
        "{error}"
    );
    let folder = dir.path().join("rung");
    assert!(train_until(&rung, &folder, 13).is_err());
    // The next state cannot be written: its place beside is taken by a folder that appears while training.
    let mut block = |event: Event<'_>| match event {
        Event::Step { step: 15, .. } => {
            fs::create_dir(folder.join("state.partial")).unwrap();
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    let error = train_rung(&rung, &Toy, &folder, 1, &mut block).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("state"), "{error}");
    let (trained, from, warnings) = events(&rung, &folder);
    assert_eq!((from, warnings.len()), (13, 0));
    assert_eq!(bits(&trained), bits(&train(&rung, &dir.path().join("whole"), 1)));
}

#[test]
fn a_diverged_rung_says_so_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let wild = Rung { peak_learning_rate: 1e30, ..rung(30) };
    let calm = rung(30);
    let jobs = [Job { rung: &wild, corpus: &Toy }, Job { rung: &calm, corpus: &Toy }];
    let results = grow(&jobs, dir.path(), 2, &|_| ControlFlow::Continue(()));
    let trained = results[0].as_ref().unwrap();
    let End::Diverged { step, learning_rate } = trained.end else { panic!("{:?}", trained.end) };
    assert!(step <= 30 && learning_rate > 1e20);
    assert!(trained.end.to_string().contains("lower the learning rate"));
    assert!(trained.checkpoints.iter().all(|c| c.step < step));
    assert_eq!(results[1].as_ref().unwrap().end, End::Completed);
    // It is not tried again.
    assert_eq!(find(dir.path(), &wild, "toy").as_ref(), Some(trained));
}

#[test]
fn a_family_is_trained_once_and_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let rungs = [rung(20), Rung { seed: 2, ..rung(20) }, Rung { name: "same".into(), ..rung(20) }, rung(40)];
    let jobs = rungs.each_ref().map(|rung| Job { rung, corpus: &Toy });
    let last = Mutex::new((0.0, 0.0));
    let stop_all = |_: saltus_train::Progress<'_>| ControlFlow::Break(());
    assert!(grow(&jobs, dir.path(), 2, &stop_all).iter().all(Result::is_err));
    let note = |p: saltus_train::Progress<'_>| {
        *last.lock().unwrap() = (p.work_done, p.work_total);
        ControlFlow::Continue(())
    };
    let results: Vec<Trained> = grow(&jobs, dir.path(), 3, &note).into_iter().map(Result::unwrap).collect();
    let (done, total) = *last.lock().unwrap();
    let work = |r: &Rung| saltus_train::Plan::of(r).work;
    let expected = work(&rungs[0]) + work(&rungs[1]) + work(&rungs[3]);
    assert!((done / expected - 1.0).abs() < 1e-9 && (total / expected - 1.0).abs() < 1e-9, "{done} {total} {expected}");
    assert_eq!(results[0], results[2]);
    assert_ne!(results[0].checkpoints[3].weights, results[1].checkpoints[3].weights);
    let again = grow(&jobs, dir.path(), 1, &|_| panic!("everything is there"));
    assert!(again.into_iter().map(Result::unwrap).eq(results));
}

#[test]
fn early_stopping_ends_at_a_flat_window() {
    let dir = tempfile::tempdir().unwrap();
    let patient = Rung { early_stop: Some(0.5), ..rung(400) };
    let trained = train(&patient, dir.path(), 1);
    let End::StoppedEarly { step } = trained.end else { panic!("{:?}", trained.end) };
    assert!(step.is_multiple_of(40) && (80..400).contains(&step), "{step}");
    assert_eq!(trained.checkpoints.last().unwrap().step, step);
    assert_eq!(trained.curve.last().unwrap().step, step);
    let resumed = dir.path().join("resumed");
    assert!(train_until(&patient, &resumed, 50).is_err());
    assert_eq!(bits(&train(&patient, &resumed, 1)), bits(&trained));
}

#[test]
fn a_batch_that_does_not_fit_is_told() {
    struct Bad(u32, usize);
    impl Corpus for Bad {
        fn batch(&self, key: Key, step: u64, rows: usize, batch: &mut Batch) {
            Toy.batch(key, step, rows - self.1, batch);
            batch.tokens[7] = self.0;
        }
        fn tokenizer(&self) -> std::sync::Arc<dyn saltus_lm::Tokenizer> {
            Toy.tokenizer()
        }
        fn identity(&self) -> String {
            "bad".into()
        }
        fn unique_tokens(&self) -> Option<u64> {
            None
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (corpus, expect) in
        [(Bad(11, 0), "step 1: the corpus gave token 11 where the vocabulary has 11"), (Bad(0, 1), "40 tokens")]
    {
        let result = train_rung(&rung(3), &corpus, dir.path(), 1, &mut |_| ControlFlow::Continue(()));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
}
