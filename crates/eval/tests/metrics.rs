//! The metrics on hand-made evidence: exact values, ranges, and what has no value.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::key;
use proptest::prelude::*;
use saltus_eval::{Kind, Metric, Value, applicable, chance, values};
use saltus_record::{Candidate, Generated, Outcome, QuestionKey, Record, Role};

/// A candidate with a character for each token, all equally probable.
fn candidate(index: u32, text: &str, target_score: f64, probability: f64, is_argmax: &[bool]) -> Candidate {
    let tokens: Vec<u32> = text.chars().map(u32::from).collect();
    let each = (probability.ln() / tokens.len() as f64) as f32;
    let logprobs = vec![each; tokens.len()];
    let (role, answer) = (Role::Choice, None);
    Candidate { index, role, text: text.into(), answer, target_score, tokens, logprobs, is_argmax: is_argmax.to_vec() }
}

fn record(style: &str, candidates: Vec<Candidate>, generated: Option<&str>) -> Record {
    let generated =
        generated.map(|text| Generated { tokens: text.chars().map(u32::from).collect(), text: text.into() });
    Record { outcome: Outcome::Scored { candidates, generated }, ..unscored(style) }
}

fn unscored(style: &str) -> Record {
    let model = key();
    let question = QuestionKey {
        family: "f".into(),
        task: "t".into(),
        subtask: String::new(),
        style: style.into(),
        shots: 0,
        shot_mode: "fixed".into(),
        shot_seed: 0,
        boundary: "bigbench".into(),
        item: 0,
        cluster: 0,
        prompt: "0".into(),
        chance: 0.25,
    };
    Record { model, question, outcome: Outcome::Unscored("too long".into()) }
}

/// Candidates of one token each, by target score and probability.
fn choices(of: &[(f64, f64)]) -> Record {
    let one = |(index, &(score, p)): (u32, &(f64, f64))| candidate(index, "x", score, p, &[false]);
    record("direct", (0..).zip(of).map(one).collect(), None)
}

fn only(metric: Metric, record: &Record) -> f64 {
    values(metric, std::slice::from_ref(record))[0].scored().unwrap()
}

fn none(metric: Metric, record: &Record) -> String {
    match values(metric, std::slice::from_ref(record)).remove(0) {
        Value::Unscored(reason) => reason,
        Value::Scored(value) => panic!("{metric:?} is {value}"),
    }
}

fn close(value: f64, expect: f64) {
    assert!((value - expect).abs() < 1e-6, "{value} instead of {expect}");
}

#[test]
fn exact_match_is_of_the_generated_text_if_there_is_one() {
    let right = |is_argmax| vec![candidate(0, "12", 1.0, 0.5, is_argmax)];
    assert_eq!(only(Metric::ExactMatch, &record("direct", right(&[true, true]), None)), 1.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", right(&[true, false]), None)), 0.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", right(&[true, true]), Some("123"))), 0.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", right(&[true, false]), Some("12"))), 1.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", right(&[true, true]), Some("12 "))), 0.0);
}

#[test]
fn any_of_several_right_answers_counts_and_the_most_probable_one_is_the_right_one() {
    let all = vec![
        candidate(0, "no", 0.0, 0.9, &[true, true]),
        candidate(1, "one", 1.0, 0.1, &[true, false, false]),
        candidate(2, "1", 1.0, 0.3, &[true]),
    ];
    close(only(Metric::Probability, &record("direct", all.clone(), None)), 0.3);
    assert_eq!(only(Metric::ExactMatch, &record("direct", all.clone(), None)), 1.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", all.clone(), Some("one"))), 1.0);
    assert_eq!(only(Metric::ExactMatch, &record("direct", all.clone(), Some("no"))), 0.0);
    close(only(Metric::EditSimilarity, &record("direct", all, Some("ones"))), 0.75);
}

#[test]
fn p_power_l_pools_tokens_and_keeps_lengths() {
    let records = [
        record("direct", vec![candidate(0, "123", 1.0, 0.1, &[true, true, false])], None),
        unscored("direct"),
        record("direct", vec![candidate(0, "1", 1.0, 0.1, &[true])], None),
    ];
    // 3 of 4 tokens are right.
    let found = values(Metric::PPowerL, &records);
    close(found[0].scored().unwrap(), 0.75f64.powi(3));
    assert_eq!(found[1], Value::Unscored("too long".into()));
    close(found[2].scored().unwrap(), 0.75);
}

#[test]
fn final_answers_forgive_wrong_steps_but_only_in_generated_steps() {
    let right = || vec![candidate(0, "3027", 1.0, 0.5, &[true; 4])];
    assert_eq!(only(Metric::FinalAnswer, &record("step-by-step", right(), Some("3917"))), 1.0);
    assert_eq!(only(Metric::ExactMatch, &record("step-by-step", right(), Some("3917"))), 0.0);
    assert_eq!(only(Metric::FinalAnswer, &record("step-by-step", right(), Some("3028"))), 0.0);
    assert_eq!(only(Metric::FinalAnswer, &record("step-by-step", right(), Some(""))), 0.0);
    assert!(none(Metric::FinalAnswer, &record("step-by-step", right(), None)).contains("nothing was generated"));
    assert!(none(Metric::FinalAnswer, &record("direct", right(), Some("3027"))).contains("the style is direct"));
}

#[test]
fn choice_metrics_know_ties_soft_targets_and_chance() {
    close(only(Metric::ChoiceAccuracy, &choices(&[(1.0, 0.3), (0.0, 0.3), (0.0, 0.1)])), 0.5);
    close(only(Metric::ChoiceAccuracy, &choices(&[(0.4, 0.3), (0.6, 0.2)])), 0.4);
    close(only(Metric::ChoiceProbability, &choices(&[(1.0, 0.3), (0.0, 0.1)])), 0.75);
    // BIG-bench's formula by hand: (1 (0.75 - 1)^2 + 0.25^2) / 2 and, soft, (0.4 * 0.0625 + 0.6 * 0.5625 + ...) / 2.
    close(only(Metric::Brier, &choices(&[(1.0, 0.3), (0.0, 0.1)])), 0.0625);
    close(
        only(Metric::Brier, &choices(&[(0.4, 0.3), (0.6, 0.1)])),
        (0.4 * 0.0625 + 0.6 * 0.5625 + 0.6 * 0.5625 + 0.4 * 0.0625) / 2.0,
    );
    // Differences of log-probabilities count, however small the probabilities are.
    let tiny =
        |index, score, logprob| Candidate { logprobs: vec![logprob], ..candidate(index, "x", score, 1.0, &[false]) };
    let tiny = record("direct", vec![tiny(0, 1.0, -3001.0), tiny(1, 0.0, -3000.0)], None);
    close(only(Metric::ChoiceProbability, &tiny), 1.0 / (1.0 + 1f64.exp()));
    let four = [choices(&[(1.0, 0.3), (0.0, 0.3), (0.0, 0.1), (0.0, 0.2)])];
    close(chance(Metric::ChoiceProbability, &four).unwrap(), 0.25);
    close(chance(Metric::Brier, &four).unwrap(), (0.5625 + 3.0 * 0.0625) / 4.0);
    close(chance(Metric::ChoiceAccuracy, &four).unwrap(), 0.25);
    assert_eq!(chance(Metric::Nll, &four), None);
    assert_eq!(chance(Metric::Brier, &[unscored("direct")]), None);
}

#[test]
fn what_has_no_value_says_why() {
    assert!(none(Metric::ChoiceAccuracy, &choices(&[(1.0, 0.3)])).contains("equally right"));
    assert!(none(Metric::Brier, &choices(&[(1.0, 0.3), (1.0, 0.2)])).contains("equally right"));
    assert!(none(Metric::Brier, &choices(&[(2.0, 0.3), (0.0, 0.2)])).contains("a target score is 2"));
    assert!(none(Metric::ExactMatch, &choices(&[(0.0, 0.3)])).contains("no candidate has a target score above 0"));
    assert!(none(Metric::Nll, &record("direct", vec![], Some("12"))).contains("no candidate"));
    for metric in Metric::ALL {
        assert!(none(metric, &choices(&[(1.0, 0.5), (0.0, f64::NAN)])).contains("candidate 1 has a score"));
        assert!(none(metric, &choices(&[(1.0, 0.0), (0.0, 0.5)])).contains("candidate 0 has a score"));
    }
    assert!(none(Metric::EditSimilarity, &choices(&[(1.0, 0.3)])).contains("nothing was generated"));
    assert!(none(Metric::Nll, &record("direct", vec![candidate(0, "", 1.0, 0.5, &[])], None)).contains("no tokens"));
    for metric in Metric::ALL {
        assert_eq!(none(metric, &unscored("step-by-step")), "too long");
    }
}

#[test]
fn metrics_apply_where_they_say_something() {
    use Metric::{
        Brier, ChoiceAccuracy, ChoiceProbability, EditSimilarity, ExactMatch, FinalAnswer, Nll, PPowerL, Probability,
        TokenAccuracy,
    };
    let check = |record: Record, expect: &[Metric]| assert_eq!(applicable(&[unscored("direct"), record]), expect);
    let one = [ExactMatch, TokenAccuracy, Nll, Probability];
    check(choices(&[(1.0, 0.3)]), &one);
    check(choices(&[(1.0, 0.3), (0.0, 0.1)]), &[&one[..], &[ChoiceAccuracy, ChoiceProbability, Brier]].concat());
    let steps = record("step-by-step", vec![candidate(0, "12", 1.0, 0.5, &[true, true])], Some("12"));
    check(steps, &[ExactMatch, FinalAnswer, TokenAccuracy, PPowerL, Nll, Probability, EditSimilarity]);
    assert_eq!(applicable(&[unscored("direct")]), []);
}

#[test]
fn names_are_unique_and_found() {
    for metric in Metric::ALL {
        assert_eq!(Metric::from_name(metric.name()), Some(metric));
    }
    assert_eq!(Metric::from_name("accuracy"), None);
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let token = (-30f32..=0.0, any::<bool>());
    ("[0-3]{1,4}", 0.0..=1.0, prop::collection::vec(token, 4)).prop_map(|(text, target_score, tokens)| {
        let tokens = &tokens[..text.len()];
        let is_argmax: Vec<bool> = tokens.iter().map(|t| t.1).collect();
        let logprobs = tokens.iter().map(|t| t.0).collect();
        Candidate { logprobs, ..candidate(0, &text, target_score, 1.0, &is_argmax) }
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    let generated = prop::option::of("[0-3]{0,5}");
    (prop::collection::vec(any_candidate(), 1..5), generated).prop_map(|(mut candidates, generated)| {
        // One candidate is fully right, so that there is a right answer.
        candidates[0].target_score = 1.0;
        candidates.iter_mut().zip(0..).for_each(|(c, index)| c.index = index);
        record("step-by-step", candidates, generated.as_deref())
    })
}

proptest! {
    #[test]
    fn values_lie_in_their_range(records in prop::collection::vec(any_record(), 1..6)) {
        for metric in Metric::ALL {
            let found = values(metric, &records);
            prop_assert_eq!(found.len(), records.len());
            for value in found.iter().filter_map(Value::scored) {
                prop_assert!(value.is_finite() && value >= 0.0);
                prop_assert!(metric.kind() == Kind::Unbounded || value <= 1.0, "{:?} {}", metric, value);
            }
        }
    }

    #[test]
    fn a_perfect_answer_is_perfect_by_every_metric(text in "[0-9]{1,6}", wrong in "[a-z]{1,6}") {
        let right = candidate(0, &text, 1.0, 1.0, &vec![true; text.len()]);
        let wrong = Candidate { logprobs: vec![-1e4; wrong.len()], ..candidate(1, &wrong, 0.0, 1.0, &vec![false; wrong.len()]) };
        let record = record("step-by-step", vec![right, wrong], Some(&text));
        for metric in Metric::ALL {
            let best = f64::from(u8::from(metric.higher_is_better()));
            prop_assert_eq!(only(metric, &record), best, "{:?}", metric);
        }
    }

    #[test]
    fn p_power_l_of_single_tokens_averages_to_exact_match(hits in prop::collection::vec(any::<bool>(), 1..8)) {
        let records: Vec<Record> =
            hits.iter().map(|&hit| record("direct", vec![candidate(0, "1", 1.0, 0.5, &[hit])], None)).collect();
        let mean = |metric| values(metric, &records).iter().filter_map(Value::scored).sum::<f64>() / hits.len() as f64;
        prop_assert!((mean(Metric::PPowerL) - mean(Metric::ExactMatch)).abs() < 1e-12);
    }
}
