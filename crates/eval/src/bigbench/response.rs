//! What counts of a generated text, and its comparison with targets word for word or as a number.

use super::sum::mean;
use super::{Error, undefined};
use saltus_task::bigbench::Extract;
use saltus_task::lm_eval::{PythonRegex, is_space};

/// A generated text, after extraction, with the right answers.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// At least one.
    pub targets: &'a [String],
    /// What the model said.
    pub text: &'a str,
}

/// Takes from a generated text what counts (`postprocess_output` in bigbench/models/model_utils.py).
#[derive(Clone, Debug)]
pub struct Extraction {
    stop: Option<String>,
    regex: Option<PythonRegex>,
}

impl Extraction {
    /// Compiles what a leaf says.
    ///
    /// # Errors
    /// [`Error::Regex`] for an expression that does not compile, or that has several groups.
    pub fn new(extract: &Extract) -> Result<Self, Error> {
        let compile = |pattern: &String| {
            let wrong = |problem: String| Error::Regex { pattern: pattern.clone(), problem };
            let regex = PythonRegex::new(pattern).map_err(wrong)?;
            // With an empty alternative added, the expression has a match whose groups can be counted.
            let groups = PythonRegex::new(&format!("(?:{pattern})|"))
                .and_then(|r| Ok(r.find_all("")?.first().map_or(0, Vec::len)));
            match groups {
                Ok(groups) if groups > 1 => Err(wrong(format!("{groups} groups, of which one may count"))),
                _ => Ok(regex),
            }
        };
        Ok(Extraction { stop: extract.stop.clone(), regex: extract.regex.as_ref().map(compile).transpose()? })
    }

    /// The first `max_length` code points of `text` (all if `None`); of these, what comes before the end of the first
    /// stop that is not at the beginning; of this, the first match, or nothing.
    ///
    /// # Errors
    /// [`Error::Regex`] where the search takes too many steps.
    pub fn apply(&self, text: &str, max_length: Option<usize>) -> Result<String, Error> {
        let cut = max_length.and_then(|n| text.char_indices().nth(n)).map_or(text, |(end, _)| &text[..end]);
        let stop = self.stop.as_deref().and_then(|stop| Some(cut.find(stop).filter(|&at| at > 0)? + stop.len()));
        let cut = stop.map_or(cut, |end| &cut[..end]);
        let Some(regex) = &self.regex else { return Ok(cut.to_owned()) };
        let found = regex.find_all(cut).map_err(|problem| Error::Regex { pattern: regex.pattern().into(), problem })?;
        Ok(found.into_iter().next().map(|groups| groups.concat()).unwrap_or_default())
    }
}

/// `exact_str_match`: the share of texts that are among the targets, spaces and all.
///
/// # Errors
/// [`Error::Empty`] without questions.
pub fn exact_match(responses: &[Response<'_>]) -> Result<f64, Error> {
    share("exact_str_match", responses, |r| r.targets.iter().any(|target| target == r.text))
}

/// `case_insensitive_str_match`: the same in lower case, without white space around.
///
/// # Errors
/// [`Error::Empty`] without questions.
pub fn case_insensitive_match(responses: &[Response<'_>]) -> Result<f64, Error> {
    let plain = |text: &str| text.trim_matches(is_space).to_lowercase();
    share("case_insensitive_str_match", responses, |r| r.targets.iter().any(|t| plain(t) == plain(r.text)))
}

/// `numeric_match_with_0_1_relative_error`: the share of texts that are numbers with |text - target| / target <= 0.1.
/// The divisor has a sign: a negative target accepts every number. A target of 0 is not divided by.
///
/// # Errors
/// [`Error`] without questions, or where there are several targets.
pub fn numeric_match(responses: &[Response<'_>]) -> Result<f64, Error> {
    const METRIC: &str = "numeric_match_with_0_1_relative_error";
    if let Some(i) = responses.iter().position(|r| r.targets.len() != 1) {
        return undefined(METRIC, i, "not exactly one target: take another metric");
    }
    share(METRIC, responses, |r| match (python_float(&r.targets[0]), python_float(r.text)) {
        (Some(target), Some(value)) => (value - target).abs() / if target == 0.0 { 1.0 } else { target } <= 0.1,
        _ => false,
    })
}

/// `sequence_f1`: in fact the mean share in percent of the first target's labels (split at single spaces) that the text
/// has in their places; missing labels count as `O`, and what is too much does not count.
///
/// # Errors
/// [`Error`] without questions, or where one has no target.
pub fn sequence_f1(responses: &[Response<'_>]) -> Result<f64, Error> {
    const METRIC: &str = "sequence_f1";
    let mut shares = Vec::with_capacity(responses.len());
    for (i, response) in responses.iter().enumerate() {
        let Some(target) = response.targets.first() else { return undefined(METRIC, i, "no target: give one") };
        let predicted = response.text.split(' ').chain(std::iter::repeat("O"));
        let hits: Vec<f64> = target.split(' ').zip(predicted).map(|(t, p)| f64::from(u8::from(t == p))).collect();
        shares.push(100.0 * mean(&hits));
    }
    if shares.is_empty() { Err(Error::Empty(METRIC)) } else { Ok(mean(&shares)) }
}

/// The share of responses for which `right` holds.
fn share(
    metric: &'static str,
    responses: &[Response<'_>],
    right: impl Fn(&Response<'_>) -> bool,
) -> Result<f64, Error> {
    if responses.is_empty() {
        return Err(Error::Empty(metric));
    }
    Ok(responses.iter().filter(|r| right(r)).count() as f64 / responses.len() as f64)
}

/// Python's `str.split()`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// First digits of the runs of ten that Unicode 14 to 17 have, but ASCII's.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Python's `float(text)`: white space around, digits of any script, single underscores between digits. In a text of
/// ASCII alone its separators (U+001C to U+001F) are no white space.
fn python_float(text: &str) -> Option<f64> {
    let digit = |c: char| {
        let run = ZEROS.iter().find(|&&zero| (zero..zero + 10).contains(&u32::from(c)));
        run.and_then(|zero| char::from_digit(u32::from(c) - zero, 10)).unwrap_or(c)
    };
    let around = |c: char| if text.is_ascii() { matches!(c, ' ' | '\t'..='\r') } else { is_space(c) };
    let text: Vec<char> = text.trim_matches(around).chars().map(digit).collect();
    let between = |i: usize| {
        let is_digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        i > 0 && is_digit(text.get(i - 1)) && is_digit(text.get(i + 1))
    };
    if (0..text.len()).any(|i| text[i] == '_' && !between(i)) {
        return None;
    }
    // Rust takes "inf", "infinity" and "nan" in any case, as Python does, and the same numbers.
    text.iter().filter(|&&c| c != '_').collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(regex: Option<&str>, stop: Option<&str>) -> Extraction {
        Extraction::new(&Extract { stop: stop.map(str::to_owned), regex: regex.map(str::to_owned) }).unwrap()
    }

    #[test]
    fn what_counts_of_a_text() {
        let check = |regex, stop, max, text: &str, expect: &str| {
            assert_eq!(extract(regex, stop).apply(text, max).unwrap(), expect, "{regex:?} {stop:?} {text:?}");
        };
        check(None, Some("."), None, "The apple. What", "The apple.");
        check(None, Some("."), None, ".a.", ".a.");
        check(None, Some("\n"), None, "\na\n", "\na\n");
        check(Some(r"\d+"), None, None, "= 42. 7*7", "42");
        check(Some(r"\d+"), None, None, "none", "");
        check(Some("('.*?')"), None, None, "x 'a' 'b'", "'a'");
        check(Some(r"([-+]?\d+)[.]{0,1}$"), Some("\n"), None, "so 12.\nx", "12");
        check(Some(r"[^\.\?\!\;\n]+"), None, None, "\n a b! c", " a b");
        check(None, None, Some(3), "äöüß", "äöü");
    }

    #[test]
    fn several_groups_are_refused() {
        let new = |regex: &str| Extraction::new(&Extract { stop: None, regex: Some(regex.into()) });
        assert!(matches!(new("(a)(b)"), Err(Error::Regex { .. })));
        assert!(matches!(new("(a"), Err(Error::Regex { .. })));
        assert!(new("(?:a)(b)").is_ok());
    }

    #[test]
    fn numbers_are_pythons() {
        let check = |text, expect: Option<f64>| assert_eq!(python_float(text), expect, "{text:?}");
        check(" 1_000.5\n", Some(1000.5));
        check("٣.٥", Some(3.5));
        check("-Infinity", Some(f64::NEG_INFINITY));
        check("1e999", Some(f64::INFINITY));
        check("1__0", None);
        check("\u{1c}7", None);
        check("\u{1c}٧", Some(7.0));
        check("_1", None);
        check("1_", None);
        check("1_.0", None);
        check("0x10", None);
        check("", None);
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("1,000", None);
    }
}
