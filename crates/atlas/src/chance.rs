//! Scores of blind guessing on well-known tasks, for tables that do not tell them.

/// By the number of choices that all items of a task have: lm-evaluation-harness's names (a prefix stands for a family).
const CHOICES: &[(&str, f64)] = &[
    ("anli", 3.0),
    ("arc_", 4.0),
    ("arc-", 4.0),
    ("blimp", 2.0),
    ("boolq", 2.0),
    ("cb", 3.0),
    ("commonsense_qa", 5.0),
    ("copa", 2.0),
    ("hellaswag", 4.0),
    ("hendryckstest", 4.0),
    ("logiqa", 4.0),
    ("mathqa", 5.0),
    ("mmlu", 4.0),
    ("mnli", 3.0),
    ("mrpc", 2.0),
    ("openbookqa", 4.0),
    ("piqa", 2.0),
    ("qnli", 2.0),
    ("qqp", 2.0),
    ("race", 4.0),
    ("rte", 2.0),
    ("sciq", 4.0),
    ("siqa", 3.0),
    ("social_iqa", 3.0),
    ("sst", 2.0),
    ("storycloze", 2.0),
    ("wic", 2.0),
    ("winogrande", 2.0),
    ("winograd", 2.0),
    ("wnli", 2.0),
    ("wsc", 2.0),
    ("xcopa", 2.0),
    ("xstorycloze", 2.0),
    ("xwinograd", 2.0),
];

/// Tasks whose accuracy is that of an open answer.
const OPEN: &[&str] = &["lambada", "triviaqa", "nq_open", "gsm8k", "drop", "squad", "arithmetic", "naturalqs"];

/// The score of blind guessing in a task of this name, if it is well known.
pub(crate) fn known(task: &str) -> Option<f64> {
    let task = task.to_lowercase();
    if OPEN.iter().any(|open| task.starts_with(open)) {
        return Some(0.0);
    }
    CHOICES.iter().find(|(name, _)| task.starts_with(name)).map(|(_, choices)| 1.0 / choices)
}
