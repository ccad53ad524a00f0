//! What the metrics of evaluation harnesses are: which direction is better, what kind of number, what they count.

/// What is known of a metric by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What kind of number it is.
    pub form: Form,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// The number that stands for all right: 1, or 100 where harnesses report percent.
    pub whole: f64,
    /// Whether it has no threshold within an answer, so that it shows growth that others hide.
    pub smooth: bool,
    /// What it counts within an answer.
    pub counts: Counts,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The share of items chosen right among some: it has a chance level.
    Choice,
    /// The share of items answered right without choices: chance is 0.
    Open,
    /// A mean of scores between 0 and 1 (or 100).
    Bounded,
    /// A number without limits: a loss, a log-probability.
    Unbounded,
    /// A perplexity: judged as its logarithm.
    Perplexity,
    /// Not known by its name.
    Unknown,
}

/// What a metric counts within an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Whole answers.
    Answers,
    /// Right tokens or characters.
    Tokens,
    /// Right steps of a solution.
    Steps,
}

/// A metric by its name, as harnesses have it: `acc`, `acc_norm,none`, `exact_str_match`, `word_perplexity`...
pub fn of_name(name: &str) -> Metric {
    let name = name.to_lowercase();
    let base = name.split(',').next().unwrap_or_default().trim();
    let metric =
        |form, higher_is_better, whole, smooth, counts| Metric { form, higher_is_better, whole, smooth, counts };
    let has = |parts: &[&str]| parts.iter().any(|part| base.contains(part));
    if has(&["perplexity", "ppl"]) {
        return metric(Form::Perplexity, false, 1.0, true, Counts::Answers);
    }
    if has(&["bits_per", "bpb", "cross_entropy", "nll", "log_loss", "logloss"])
        || base == "loss"
        || base.ends_with("_loss")
    {
        return metric(Form::Unbounded, false, 1.0, true, Counts::Answers);
    }
    if has(&["logprob", "log_prob", "log_likelihood", "loglikelihood", "logodds", "log_odds"]) {
        return metric(Form::Unbounded, true, 1.0, true, Counts::Answers);
    }
    if has(&["brier"]) {
        return metric(Form::Unbounded, false, 1.0, true, Counts::Answers);
    }
    if has(&["ece", "wer", "cer"]) && base.split('_').any(|part| ["ece", "wer", "cer"].contains(&part)) {
        return metric(Form::Unbounded, false, 1.0, true, Counts::Answers);
    }
    if has(&["edit_distance", "error", "ter"])
        && base.split('_').any(|part| ["distance", "error", "ter"].contains(&part))
    {
        return metric(Form::Unbounded, false, 1.0, true, Counts::Tokens);
    }
    if has(&["bleurt"]) {
        return metric(Form::Unbounded, true, 1.0, true, Counts::Answers);
    }
    if has(&["bleu", "rouge", "chrf"]) {
        return metric(Form::Bounded, true, 100.0, true, Counts::Answers);
    }
    if has(&["step_acc", "step_match"]) {
        return metric(Form::Bounded, true, 1.0, true, Counts::Steps);
    }
    if has(&["token_acc", "char_acc", "per_token", "edit_similarity"]) {
        return metric(Form::Bounded, true, 1.0, true, Counts::Tokens);
    }
    if has(&["f1", "probability", "prob_", "soft", "mc2", "correct_prob"]) {
        return metric(Form::Bounded, true, 1.0, true, Counts::Answers);
    }
    if has(&["exact", "pass@", "pass_at", "solve", "final_answer", "strict", "success", "prompt_level", "inst_level"])
        || ["em", "pass", "match"].contains(&base)
        || base.ends_with("_em")
    {
        return metric(Form::Open, true, 1.0, false, Counts::Answers);
    }
    if has(&["acc", "multiple_choice", "mcg", "mc1", "choice"]) {
        return metric(Form::Choice, true, 1.0, false, Counts::Answers);
    }
    metric(Form::Unknown, true, 1.0, false, Counts::Answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_harnesses_are_known() {
        let check = |name: &str, form: Form, higher: bool| {
            let found = of_name(name);
            assert_eq!((found.form, found.higher_is_better), (form, higher), "{name}");
        };
        check("acc", Form::Choice, true);
        check("acc_norm,none", Form::Choice, true);
        check("multiple_choice_grade", Form::Choice, true);
        check("exact_str_match", Form::Open, true);
        check("exact_match,flexible-extract", Form::Open, true);
        check("word_perplexity", Form::Perplexity, false);
        check("ppl", Form::Perplexity, false);
        check("bits_per_byte", Form::Unbounded, false);
        check("loss", Form::Unbounded, false);
        check("brier_score", Form::Unbounded, false);
        check("bleu", Form::Bounded, true);
        check("token_accuracy", Form::Bounded, true);
        check("logodds", Form::Unbounded, true);
        check("score", Form::Unknown, true);
        // Letters of other words do not make a metric an error rate.
        check("counter_match_score", Form::Unknown, true);
    }
}
