//! The metrics as views: records in, one value for each out.

use crate::{Metric, final_answer, levenshtein};
use saltus_record::{Candidate, Generated, Outcome, Record, Role};

/// The value of a metric for one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The number; finite.
    Scored(f64),
    /// There is none; why.
    Unscored(String),
}

impl Value {
    /// The number, if there is one.
    pub fn scored(&self) -> Option<f64> {
        match self {
            Value::Scored(value) => Some(*value),
            Value::Unscored(_) => None,
        }
    }
}

/// The values of `metric`, one for each record in order. For [`Metric::PPowerL`] the records must be those of one model
/// and one set of questions; other metrics look at each record alone.
pub fn values(metric: Metric, records: &[Record]) -> Vec<Value> {
    let token_accuracy = if metric == Metric::PPowerL { pooled_token_accuracy(records) } else { 0.0 };
    let value = |record| value(metric, record, token_accuracy).map_or_else(Value::Unscored, Value::Scored);
    records.iter().map(value).collect()
}

/// The metrics that say something about `records`: at least one of them can be scored; p^L only where an answer has
/// more than one token, since it equals token accuracy otherwise.
pub fn applicable(records: &[Record]) -> Vec<Metric> {
    let several_tokens =
        || records.iter().any(|r| evidence(r).and_then(|e| e.right()).is_ok_and(|right| right.tokens.len() > 1));
    let applies = |metric: &Metric| {
        (*metric != Metric::PPowerL || several_tokens()) && records.iter().any(|r| value(*metric, r, 0.5).is_ok())
    };
    Metric::ALL.into_iter().filter(applies).collect()
}

/// The mean value of `metric` over `records` for a model that guesses blindly: for [`Metric::ExactMatch`] and
/// [`Metric::ChoiceAccuracy`] what the questions say, for the smooth choice metrics that of equal probabilities. `None`
/// for a metric without such a value, or without records.
pub fn chance(metric: Metric, records: &[Record]) -> Option<f64> {
    let blind = |record: &Record| match metric {
        Metric::ExactMatch | Metric::ChoiceAccuracy => Some(record.question.chance),
        Metric::ChoiceProbability | Metric::Brier => {
            let choices = &evidence(record).ok()?.choices().ok()?[..];
            let equal = vec![1.0 / choices.len() as f64; choices.len()];
            Some(if metric == Metric::Brier { brier(choices, &equal) } else { expected_score(choices, &equal) })
        }
        _ => None,
    };
    let values: Vec<f64> = records.iter().filter_map(blind).collect();
    (!values.is_empty()).then(|| mean(&values))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn value(metric: Metric, record: &Record, token_accuracy: f64) -> Result<f64, String> {
    let evidence = evidence(record)?;
    match metric {
        Metric::ExactMatch => evidence.exact_match(),
        Metric::FinalAnswer => evidence.final_answer(&record.question.style),
        Metric::TokenAccuracy => {
            let right = evidence.right()?;
            Ok(hits(right) as f64 / right.tokens.len() as f64)
        }
        Metric::PPowerL => Ok(token_accuracy.powi(evidence.right()?.tokens.len() as i32)),
        Metric::Nll => {
            let right = evidence.right()?;
            // Rounding may leave a sum a little above 0.
            Ok((-right.total() / right.tokens.len() as f64).max(0.0))
        }
        Metric::Probability => Ok(evidence.right()?.total().exp().min(1.0)),
        Metric::EditSimilarity => evidence.edit_similarity(),
        Metric::ChoiceAccuracy => evidence.choices().map(|c| choice_accuracy(&c)),
        Metric::ChoiceProbability => evidence.choices().map(|c| expected_score(&c, &normalised(&c))),
        Metric::Brier => evidence.choices().map(|c| brier(&c, &normalised(&c))),
    }
}

/// Tokens of the right answers that are most probable, over all tokens of the right answers.
fn pooled_token_accuracy(records: &[Record]) -> f64 {
    let rights: Vec<&Candidate> = records.iter().filter_map(|r| evidence(r).ok()?.right().ok()).collect();
    let tokens: usize = rights.iter().map(|c| c.tokens.len()).sum();
    // Without tokens there is no right answer either, and nobody asks for p.
    rights.into_iter().map(hits).sum::<usize>() as f64 / tokens.max(1) as f64
}

/// How many tokens of a candidate are the most probable ones.
fn hits(candidate: &Candidate) -> usize {
    candidate.is_argmax.iter().filter(|&&hit| hit).count()
}

/// What came back for one item.
#[derive(Clone, Copy)]
struct Evidence<'a> {
    candidates: &'a [Candidate],
    generated: Option<&'a Generated>,
}

/// The evidence of a record. It is checked here once, because `max` and `min` below would make a number of a NaN.
fn evidence(record: &Record) -> Result<Evidence<'_>, String> {
    match &record.outcome {
        Outcome::Scored { candidates, generated } => {
            let broken = |c: &&Candidate| !c.target_score.is_finite() || c.logprobs.iter().any(|x| !x.is_finite());
            match candidates.iter().find(broken) {
                Some(c) => Err(format!("candidate {} has a score that is no finite number: measure it again", c.index)),
                None => Ok(Evidence { candidates, generated: generated.as_ref() }),
            }
        }
        Outcome::Unscored(reason) => Err(reason.clone()),
    }
}

impl<'a> Evidence<'a> {
    fn of(self, role: Role) -> impl Iterator<Item = &'a Candidate> + Clone {
        self.candidates.iter().filter(move |c| c.role == role)
    }

    /// The right answers to an open question, or the choices with the highest target score, or a whole text; none of them
    /// without tokens.
    fn rights(self) -> Result<impl Iterator<Item = &'a Candidate> + Clone, String> {
        let roles = [Role::Target, Role::Choice, Role::Text];
        let role = roles.into_iter().find(|role| self.of(*role).next().is_some()).unwrap_or(Role::Target);
        let best = self.of(role).map(|c| c.target_score).fold(0.0, f64::max);
        let rights = self.of(role).filter(move |c| c.target_score == best);
        if best == 0.0 {
            return Err("no candidate has a target score above 0: give the item a right answer".to_owned());
        }
        if rights.clone().any(|c| c.tokens.is_empty()) {
            return Err("a right answer has no tokens: give it some text".to_owned());
        }
        Ok(rights)
    }

    /// The most probable right answer; the first on ties.
    fn right(self) -> Result<&'a Candidate, String> {
        let better = |a: &'a Candidate, b: &'a Candidate| if b.total() > a.total() { b } else { a };
        self.rights()?.reduce(better).ok_or_else(|| "no candidates".to_owned())
    }

    fn generated(self) -> Result<&'a Generated, String> {
        self.generated.ok_or_else(|| "nothing was generated: ask for a generated answer".to_owned())
    }

    fn exact_match(self) -> Result<f64, String> {
        let matches = match self.generated {
            Some(generated) => self.rights()?.any(|c| c.answer() == generated.text),
            None => self.rights()?.any(|c| hits(c) == c.tokens.len()),
        };
        Ok(f64::from(u8::from(matches)))
    }

    fn final_answer(self, style: &str) -> Result<f64, String> {
        if style != "step-by-step" {
            return Err(format!("the style is {style}: a final answer is part of a step-by-step one"));
        }
        let generated = final_answer(&self.generated()?.text);
        let mut rights = self.rights()?.map(|c| final_answer(&c.text));
        if rights.clone().any(|right| right.is_none()) {
            return Err("a right answer ends in a separator: let it end in the final answer".to_owned());
        }
        Ok(f64::from(u8::from(rights.any(|right| right == generated))))
    }

    fn edit_similarity(self) -> Result<f64, String> {
        let generated = &self.generated()?.tokens;
        let similarity =
            |c: &Candidate| 1.0 - levenshtein(&c.tokens, generated) as f64 / c.tokens.len().max(generated.len()) as f64;
        Ok(self.rights()?.map(similarity).fold(0.0, f64::max))
    }

    /// The choices, if there is something to choose.
    fn choices(self) -> Result<Vec<&'a Candidate>, String> {
        let choices: Vec<&Candidate> = self.of(Role::Choice).collect();
        let scores = || choices.iter().map(|c| c.target_score);
        if let Some(score) = scores().find(|s| !(0.0..=1.0).contains(s)) {
            return Err(format!("a target score is {score}: give target scores from 0 to 1"));
        }
        if scores().all(|s| Some(s) == scores().next()) {
            return Err("all candidates are equally right: give right and wrong ones".to_owned());
        }
        Ok(choices)
    }
}

fn choice_accuracy(choices: &[&Candidate]) -> f64 {
    let totals: Vec<f64> = choices.iter().map(|c| c.total()).collect();
    let best = totals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scores: Vec<f64> =
        choices.iter().zip(&totals).filter(|(_, t)| **t == best).map(|(c, _)| c.target_score).collect();
    mean(&scores)
}

/// The probabilities of the choices, summing to 1.
fn normalised(choices: &[&Candidate]) -> Vec<f64> {
    let totals: Vec<f64> = choices.iter().map(|c| c.total()).collect();
    let best = totals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = totals.iter().map(|t| (t - best).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

fn expected_score(choices: &[&Candidate], probabilities: &[f64]) -> f64 {
    choices.iter().zip(probabilities).map(|(c, p)| c.target_score * p).sum()
}

fn brier(choices: &[&Candidate], probabilities: &[f64]) -> f64 {
    let term = |t: f64, p: f64| t * (p - 1.0).powi(2) + (1.0 - t) * p.powi(2);
    mean(&choices.iter().zip(probabilities).map(|(c, p)| term(c.target_score, *p)).collect::<Vec<_>>())
}
