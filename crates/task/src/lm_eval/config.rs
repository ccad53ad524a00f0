//! What a task asks of a model's answers: how they come about, how they are filtered, what is computed from them.

use super::{
    PythonRegex,
    yaml::{Data, Members, Node},
};
use crate::Error;
use serde::{Deserialize, Serialize};

/// Tokens generated where a task says nothing: lm-evaluation-harness's default.
const MAX_GEN_TOKS: i64 = 256;

/// Steps of all filters of a task, at most, and patterns that `exact_match` ignores.
const MAX_STEPS: usize = 64;

/// The keys of a mapping, taken one after the other; what is left over is refused.
pub(super) struct Keys {
    members: Members,
}

impl Keys {
    pub(super) fn new(members: Members) -> Self {
        Self { members }
    }

    /// The value of a key, unless it is null.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.members.iter().position(|(k, _)| k == key)?;
        Some(self.members.remove(at).1).filter(|node| !matches!(node.data, Data::Null))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        self.take(key).map(|node| text(node, key)).transpose()
    }

    pub(super) fn ignore(&mut self, keys: &[&str]) {
        self.members.retain(|(key, _)| !keys.contains(&key.as_str()));
    }

    /// Refuses what is left.
    pub(super) fn finish(self, of: &str) -> Result<(), Error> {
        match self.members.into_iter().next() {
            Some((key, node)) if matches!(node.data, Data::Function(_)) => Err(node.mistyped(&key, "no function")),
            Some((key, node)) => Err(node.error(
                format!("the key `{key}` is unknown in {of}"),
                "check its spelling, or remove it if it says nothing about prompts or scores",
            )),
            None => Ok(()),
        }
    }
}

pub(super) fn text(node: Node, key: &str) -> Result<String, Error> {
    match node.data {
        Data::Text(text) => Ok(text),
        _ => Err(node.mistyped(key, "a text (in quotes, if it looks like a number or a truth value)")),
    }
}

pub(super) fn texts(node: Node, key: &str) -> Result<Vec<String>, Error> {
    match node.data {
        Data::List(list) => list.into_iter().map(|node| text(node, key)).collect(),
        _ => Ok(vec![text(node, key)?]),
    }
}

pub(super) fn integer(node: &Node, key: &str) -> Result<i64, Error> {
    match node.data {
        Data::Int(i) => Ok(i),
        Data::Text(ref text) => text.trim().parse().map_err(|_| node.mistyped(key, "a whole number")),
        _ => Err(node.mistyped(key, "a whole number")),
    }
}

fn truth(node: &Node, key: &str) -> Result<bool, Error> {
    match node.data {
        Data::Bool(b) => Ok(b),
        _ => Err(node.mistyped(key, "true or false")),
    }
}

pub(super) fn members(node: Node, key: &str) -> Result<Members, Error> {
    match node.data {
        Data::Map(members) => Ok(members),
        _ => Err(node.mistyped(key, "a mapping")),
    }
}

pub(super) fn list(node: Node, key: &str) -> Result<Vec<Node>, Error> {
    match node.data {
        Data::List(list) => Ok(list),
        _ => Err(node.mistyped(key, "a list")),
    }
}

/// How answers come about (`output_type`).
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Continuations are scored, one of them (or several) is right.
    MultipleChoice,
    /// One continuation is scored.
    Loglikelihood,
    /// A whole text is scored, from its first token on.
    Rolling,
    /// Text is generated.
    Generate(Generation),
}

/// How text is generated (`generation_kwargs`).
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The text ends before the first of these (and before the end-of-text token).
    pub until: Vec<String>,
    /// At most so many tokens.
    pub max_tokens: usize,
    /// Draws at this temperature; greedy without.
    pub temperature: Option<f32>,
}

/// The number that is computed from the answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Metric {
    /// Multiple choice: 1 if the likeliest continuation is right, by summed log-probability, the first of equals.
    /// Log-likelihood: 1 if every token is the most probable one.
    Acc,
    /// As `acc`, log-probabilities divided by the code points of the choice (without the delimiter).
    AccNorm,
    /// As `acc`, log-probabilities divided by the UTF-8 bytes of the choice (without the delimiter).
    AccBytes,
    /// As `acc`, less the log-probability of the choice after an empty context.
    AccMutualInfo,
    /// Generation: 1 if the filtered text equals (one of) the targets. Multiple choice: 1 if every token of (one of)
    /// the right choices is the most probable one.
    ExactMatch(ExactMatch),
    /// F1 of class 1 among classes 0 and 1.
    F1,
    /// Matthews's correlation coefficient.
    Mcc,
    /// Summed squared differences of softmaxed log-probabilities and the right choice's indicator.
    Brier,
    /// exp of minus the mean log-probability of a question's continuation.
    Perplexity,
    /// exp of minus the log-probability per word (parts between white space).
    WordPerplexity,
    /// exp of minus the log-probability per byte.
    BytePerplexity,
    /// Minus the log-probability per byte, in bits.
    BitsPerByte,
}

/// What `exact_match` overlooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExactMatch {
    /// What these match is taken out, one after the other.
    pub regexes_to_ignore: Vec<PythonRegex>,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
    /// ASCII punctuation is taken out.
    pub ignore_punctuation: bool,
    /// ASCII digits are taken out.
    pub ignore_numbers: bool,
}

/// How the values of a task's questions become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// The value in the middle, the upper one of two.
    Median,
    /// exp of minus the mean.
    Perplexity,
    /// exp of minus the summed log-probabilities over the summed weights.
    WeightedPerplexity,
    /// Minus the summed log-probabilities over the summed weights, in bits.
    BitsPerByte,
    /// F1 of class 1 (scikit-learn's `f1_score`).
    F1,
    /// Matthews's correlation coefficient (scikit-learn's `matthews_corrcoef`).
    Matthews,
    /// Mean Brier score.
    Brier,
}

/// How the answers to a task are graded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grading {
    /// What is computed from the answers.
    pub metrics: Vec<MetricUse>,
    /// How generated texts become answers; one filter `none` that changes nothing if the task names none.
    pub filters: Vec<Filter>,
}

/// A metric as a task uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricUse {
    /// The metric.
    pub metric: Metric,
    /// How it is aggregated.
    pub aggregation: Aggregation,
    /// Whether more is better.
    pub higher_is_better: bool,
}

impl Metric {
    /// lm-evaluation-harness's name, without the filter.
    pub fn name(&self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::AccNorm => "acc_norm",
            Metric::AccBytes => "acc_bytes",
            Metric::AccMutualInfo => "acc_mutual_info",
            Metric::ExactMatch(_) => "exact_match",
            Metric::F1 => "f1",
            Metric::Mcc => "mcc",
            Metric::Brier => "brier_score",
            Metric::Perplexity => "perplexity",
            Metric::WordPerplexity => "word_perplexity",
            Metric::BytePerplexity => "byte_perplexity",
            Metric::BitsPerByte => "bits_per_byte",
        }
    }

    fn natural(&self) -> Aggregation {
        match self {
            Metric::F1 => Aggregation::F1,
            Metric::Mcc => Aggregation::Matthews,
            Metric::Brier => Aggregation::Brier,
            Metric::Perplexity => Aggregation::Perplexity,
            Metric::WordPerplexity | Metric::BytePerplexity => Aggregation::WeightedPerplexity,
            Metric::BitsPerByte => Aggregation::BitsPerByte,
            _ => Aggregation::Mean,
        }
    }

    fn used(self) -> MetricUse {
        let lower = matches!(self.natural(), Aggregation::Perplexity | Aggregation::WeightedPerplexity)
            || matches!(self, Metric::Brier | Metric::BitsPerByte);
        MetricUse { aggregation: self.natural(), higher_is_better: !lower, metric: self }
    }
}

/// The metrics that an output allows, those of a task that names none first (their number).
fn allowed(output: &Output) -> (Vec<Metric>, usize) {
    let exact = || Metric::ExactMatch(ExactMatch::default());
    match output {
        Output::MultipleChoice => {
            let more = [Metric::AccBytes, Metric::AccMutualInfo, exact(), Metric::F1, Metric::Mcc, Metric::Brier];
            ([Metric::Acc, Metric::AccNorm].into_iter().chain(more).collect(), 2)
        }
        Output::Loglikelihood => (vec![Metric::Perplexity, Metric::Acc], 2),
        Output::Rolling => (vec![Metric::WordPerplexity, Metric::BytePerplexity, Metric::BitsPerByte], 3),
        Output::Generate(_) => (vec![exact()], 1),
    }
}

pub(super) fn metrics(node: Option<Node>, output: &Output) -> Result<Vec<MetricUse>, Error> {
    let (allowed, default) = allowed(output);
    let Some(node) = node else { return Ok(allowed.into_iter().take(default).map(Metric::used).collect()) };
    let mut used = Vec::new();
    for node in list(node, "metric_list")? {
        let whole = node.clone();
        let mut keys = Keys::new(members(node, "metric_list")?);
        let Some(name_node) = keys.take("metric") else { return Err(whole.error("no `metric`", "name the metric")) };
        let name = text(name_node.clone(), "metric")?;
        let Some(metric) = allowed.iter().find(|metric| metric.name() == name).cloned() else {
            let names: Vec<&str> = allowed.iter().map(Metric::name).collect();
            let problem = format!("the metric `{name}` is none of this output's");
            return Err(name_node.error(problem, format!("choose among {}", names.join(", "))));
        };
        let mut entry = metric.used();
        if let Some(node) = keys.take("aggregation") {
            entry.aggregation = aggregation(&node, entry.aggregation)?;
        }
        if let Some(node) = keys.take("higher_is_better") {
            entry.higher_is_better = truth(&node, "higher_is_better")?;
        }
        if let Some(node) = keys.take("hf_evaluate").filter(|node| !matches!(node.data, Data::Bool(false))) {
            return Err(node.error("`hf_evaluate` loads code from the Hub", "remove it: the metric is built in"));
        }
        // Other metrics take no notice of options in lm-evaluation-harness either, nor has `exact_match` among choices.
        if matches!(output, Output::Generate(_)) {
            entry.metric = Metric::ExactMatch(exact_match(&mut keys)?);
            keys.finish(&format!("the metric `{name}`"))?;
        }
        used.push(entry);
    }
    Ok(used)
}

/// A mean may become a median; other numbers are made in one way.
fn aggregation(node: &Node, natural: Aggregation) -> Result<Aggregation, Error> {
    let name = text(node.clone(), "aggregation")?;
    let named = match name.as_str() {
        "mean" | "nanmean" => Aggregation::Mean,
        "median" => Aggregation::Median,
        "perplexity" => Aggregation::Perplexity,
        "weighted_perplexity" => Aggregation::WeightedPerplexity,
        "bits_per_byte" => Aggregation::BitsPerByte,
        "f1" => Aggregation::F1,
        "matthews_corrcoef" => Aggregation::Matthews,
        "brier_score" => Aggregation::Brier,
        _ => {
            return Err(
                node.error(format!("the aggregation `{name}` is unknown"), "remove it: each metric has its own")
            );
        }
    };
    let single = |a| matches!(a, Aggregation::Mean | Aggregation::Median | Aggregation::Perplexity);
    let weighted = |a| matches!(a, Aggregation::WeightedPerplexity | Aggregation::BitsPerByte);
    if named == natural || (single(named) && single(natural)) || (weighted(named) && weighted(natural)) {
        return Ok(named);
    }
    Err(node.error(format!("`{name}` cannot aggregate this metric"), "remove it: each metric has its own"))
}

fn exact_match(keys: &mut Keys) -> Result<ExactMatch, Error> {
    let mut flag = |key: &str| keys.take(key).map_or(Ok(false), |node| truth(&node, key));
    let (ignore_case, ignore_punctuation) = (flag("ignore_case")?, flag("ignore_punctuation")?);
    let ignore_numbers = flag("ignore_numbers")?;
    let mut regexes_to_ignore = Vec::new();
    if let Some(node) = keys.take("regexes_to_ignore") {
        let whole = node.clone();
        let patterns = list(node, "regexes_to_ignore")?;
        if patterns.len() > MAX_STEPS {
            return Err(whole.error(format!("more than {MAX_STEPS} patterns to ignore"), "leave some out"));
        }
        for node in patterns {
            regexes_to_ignore.push(regex(node, "regexes_to_ignore")?);
        }
    }
    Ok(ExactMatch { regexes_to_ignore, ignore_case, ignore_punctuation, ignore_numbers })
}

fn regex(node: Node, key: &str) -> Result<PythonRegex, Error> {
    let pattern = text(node.clone(), key)?;
    PythonRegex::new(&pattern).map_err(|e| node.error(format!("`{key}`: {e}"), "mend the pattern"))
}

/// A named way from a generated text to an answer (`filter_list`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Its name, the second half of a metric's full name (`exact_match,strict-match`).
    pub name: String,
    /// Applied one after the other.
    pub steps: Vec<Step>,
}

/// One step of a filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// The match number `select` (from the end if negative), its first group that is not empty, without white space
    /// around it; `fallback` where there is none.
    Regex {
        /// What is looked for, with `re.findall`.
        regex: PythonRegex,
        /// Which match.
        select: i64,
        /// The answer where nothing is found.
        fallback: String,
    },
    /// White space around the text is taken off.
    RemoveWhitespace,
    /// Lower case.
    Lowercase,
    /// Upper case.
    Uppercase,
    /// Texts are replaced by others.
    Map {
        /// From, to.
        pairs: Vec<(String, String)>,
        /// The answer for other texts.
        default: Option<String>,
    },
    /// The first of several generations; there is but one.
    TakeFirst,
}

pub(super) fn filters(node: Option<Node>) -> Result<Vec<Filter>, Error> {
    let Some(node) = node else { return Ok(vec![Filter { name: "none".into(), steps: vec![Step::TakeFirst] }]) };
    let (mut filters, mut count) = (Vec::<Filter>::new(), 0);
    for node in list(node, "filter_list")? {
        let whole = node.clone();
        let mut keys = Keys::new(members(node, "filter_list")?);
        let (Some(name), Some(steps)) = (keys.text("name")?, keys.take("filter")) else {
            return Err(whole.error("a filter without `name` or `filter`", "write both"));
        };
        if filters.iter().any(|filter| filter.name == name) {
            return Err(whole.error(format!("two filters `{name}`"), "give each a name of its own"));
        }
        let steps = list(steps, "filter")?;
        count += steps.len();
        if count > MAX_STEPS {
            return Err(whole.error(format!("more than {MAX_STEPS} steps of filters"), "leave some out"));
        }
        let steps = steps.into_iter().map(step).collect::<Result<_, _>>()?;
        keys.finish("a filter")?;
        filters.push(Filter { name, steps });
    }
    Ok(filters)
}

fn step(node: Node) -> Result<Step, Error> {
    let whole = node.clone();
    let mut keys = Keys::new(members(node, "filter")?);
    let Some(function_node) = keys.take("function") else {
        return Err(whole.error("a step without `function`", "name the function"));
    };
    let function = text(function_node.clone(), "function")?;
    let step = match function.as_str() {
        "regex" => regex_step(&mut keys, &whole)?,
        "remove_whitespace" => Step::RemoveWhitespace,
        "lowercase" => Step::Lowercase,
        "uppercase" => Step::Uppercase,
        "map" => map_step(&mut keys)?,
        "take_first" | "majority_vote" => Step::TakeFirst,
        "take_first_k" if keys.take("k").is_some_and(|k| matches!(k.data, Data::Int(1))) => Step::TakeFirst,
        _ => {
            let problem = format!("the filter `{function}` is none of those that are known here");
            let known = "regex, remove_whitespace, lowercase, uppercase, map, take_first, majority_vote";
            return Err(function_node.error(problem, format!("use {known}; each question is answered once")));
        }
    };
    keys.finish(&format!("the filter `{function}`"))?;
    Ok(step)
}

fn regex_step(keys: &mut Keys, whole: &Node) -> Result<Step, Error> {
    let regex = match keys.take("regex_pattern") {
        Some(node) => regex(node, "regex_pattern")?,
        None => PythonRegex::new(r"#### (\-?[0-9\.\,]+)").map_err(|e| whole.error(e, "name a `regex_pattern`"))?,
    };
    let select = keys.take("group_select").map_or(Ok(0), |node| integer(&node, "group_select"))?;
    Ok(Step::Regex { regex, select, fallback: keys.text("fallback")?.unwrap_or_else(|| "[invalid]".into()) })
}

fn map_step(keys: &mut Keys) -> Result<Step, Error> {
    let plain = |node: Node, key: &str| match node.data {
        Data::Int(i) => Ok(i.to_string()),
        _ => text(node, key),
    };
    let pairs = match keys.take("mapping_dict") {
        Some(node) => members(node, "mapping_dict")?,
        None => Members::new(),
    };
    let pairs =
        pairs.into_iter().map(|(from, to)| Ok((from, plain(to, "mapping_dict")?))).collect::<Result<_, Error>>()?;
    Ok(Step::Map { pairs, default: keys.take("default_value").map(|node| plain(node, "default_value")).transpose()? })
}

/// `generation_kwargs`; without them greedy, to the end of a shot.
pub(super) fn generation(node: Option<Node>, delimiter: &str) -> Result<Generation, Error> {
    let mut keys = Keys::new(node.map_or(Ok(Members::new()), |node| members(node, "generation_kwargs"))?);
    let until = keys.take("until").map_or_else(|| Ok(vec![delimiter.to_owned()]), |node| texts(node, "until"))?;
    let mut max_tokens = None;
    for key in ["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"] {
        let Some(node) = keys.take(key) else { continue };
        let tokens = integer(&node, key)?;
        if !(1..=1 << 20).contains(&tokens) {
            return Err(node.error(format!("`{key}` is {tokens}"), "write a number from 1 to 1,048,576"));
        }
        max_tokens.get_or_insert(tokens);
    }
    let samples = keys.take("do_sample").map(|node| truth(&node, "do_sample")).transpose()?;
    let temperature = match keys.take("temperature") {
        Some(node) => match node.data {
            Data::Int(i) => i as f32,
            Data::Float(x) => x as f32,
            Data::Text(ref text) => text.trim().parse().map_err(|_| node.mistyped("temperature", "a number"))?,
            _ => return Err(node.mistyped("temperature", "a number")),
        },
        None => 0.0,
    };
    let temperature = Some(temperature).filter(|&t| t > 0.0 && samples != Some(false));
    if temperature.is_none() {
        // They choose among what is drawn, and nothing is.
        keys.ignore(&["top_p", "top_k"]);
    }
    keys.finish("`generation_kwargs`")?;
    Ok(Generation { until, max_tokens: max_tokens.unwrap_or(MAX_GEN_TOKS) as usize, temperature })
}
