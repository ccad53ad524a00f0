//! From a generated text to an answer.

use saltus_task::lm_eval::{Filter, PythonRegex, Step, is_space};

/// Applies the steps of a filter to a generated text.
///
/// # Errors
/// In words, where a step has no result: a match that is not there, a text that a map does not know.
pub fn filtered(filter: &Filter, text: &str) -> Result<String, String> {
    filter.steps.iter().try_fold(text.to_owned(), |text, step| {
        Ok(match step {
            Step::TakeFirst => text,
            Step::RemoveWhitespace => text.trim_matches(is_space).to_owned(),
            Step::Lowercase => text.to_lowercase(),
            Step::Uppercase => text.to_uppercase(),
            Step::Map { pairs, default } => {
                let known = pairs.iter().find(|(from, _)| *from == text).map(|(_, to)| to);
                let unknown =
                    || format!("the filter `{}` maps {text:?} to nothing: give it a default_value", filter.name);
                known.or(default.as_ref()).cloned().ok_or_else(unknown)?
            }
            Step::Regex { regex, select, fallback } => match_of(regex, *select, fallback, &text)?,
        })
    })
}

fn match_of(regex: &PythonRegex, select: i64, fallback: &str, text: &str) -> Result<String, String> {
    let found = regex.find_all(text)?;
    if found.is_empty() {
        return Ok(fallback.to_owned());
    }
    let place = if select < 0 { select + found.len() as i64 } else { select };
    let groups = usize::try_from(place).ok().and_then(|place| found.get(place));
    let groups = groups.ok_or_else(|| format!("`{}` has no match number {select} in {text:?}", regex.pattern()))?;
    // One group may be empty; of several the first that is not.
    let text = match groups.as_slice() {
        [one] => Some(one),
        several => several.iter().find(|group| !group.is_empty()),
    };
    Ok(text.map_or(fallback, |text| text.trim_matches(is_space)).to_owned())
}
