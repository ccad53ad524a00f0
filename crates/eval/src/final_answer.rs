//! Where the answer ends a chain of thought.

/// What may stand between the steps of an answer.
const SEPARATORS: [char; 6] = ['=', ',', ';', ':', '|', '#'];

/// The final answer of a step-by-step text: what follows its last separator (white space or one of `= , ; : | #`); its
/// last character where there is no separator. Space around the text does not count.
///
/// So `56+12=68` ends in `68`, and the running sums `3027` end in `7`. `None` where nothing follows the separator.
pub fn final_answer(text: &str) -> Option<&str> {
    let text = text.trim();
    let separates = |c: char| c.is_whitespace() || SEPARATORS.contains(&c);
    let start = match text.rmatch_indices(separates).next() {
        Some((at, separator)) => at + separator.len(),
        None => text.char_indices().next_back()?.0,
    };
    Some(&text[start..]).filter(|answer| !answer.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let check = |text, expect| assert_eq!(final_answer(text), expect, "{text}");
        check("56+12=68", Some("68"));
        check("3027", Some("7"));
        check("3,10,12 ", Some("12"));
        check("so it is -4.5\n", Some("-4.5"));
        check("tant mieux \u{2003}é", Some("é"));
        check("né", Some("é"));
        check("56+12=", None);
        check(" ", None);
        check("", None);
    }
}
