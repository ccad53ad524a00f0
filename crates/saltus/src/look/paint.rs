//! Colour, on a terminal alone.

use std::io::IsTerminal;

/// Paints text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    /// For standard output; no colour where it is a file or `NO_COLOR` is set.
    pub(super) fn stdout() -> Self {
        Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Green where the amount is above 0, red below; as it is where it is small beside `most`.
    pub(super) fn signed(self, text: &str, amount: f64, most: f64) -> String {
        match amount {
            amount if amount.abs() < 0.1 * most.abs() => self.dim(text),
            amount if amount > 0.0 => self.with("32", text),
            _ => self.with("31", text),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A token as one sees it: on one line, a blank at either end shown.
pub(super) fn visible(token: &str) -> String {
    let inner = token.trim_matches(' ');
    let dots = |blanks: usize| "·".repeat(blanks);
    let (before, behind) = match inner.is_empty() {
        true => (token.len(), 0),
        false => (token.len() - token.trim_start_matches(' ').len(), token.len() - token.trim_end_matches(' ').len()),
    };
    let inner: String = inner.chars().map(|c| if c.is_control() { '⏎' } else { c }).collect();
    format!("{}{inner}{}", dots(before), dots(behind))
}

/// Text in a column of this width: longer text is cut, shorter filled up.
pub(super) fn cell(text: &str, width: usize) -> String {
    let count = text.chars().count();
    match count <= width {
        true => format!("{text}{}", " ".repeat(width - count)),
        false => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_seen() {
        let check = |token: &str, expect: &str| assert_eq!(visible(token), expect);
        check(" while", "·while");
        check("  ", "··");
        check("a b ", "a b·");
        check("\n", "⏎");
        check("", "");
        assert_eq!((cell("abc", 5).as_str(), cell("abcdef", 4).as_str()), ("abc  ", "abc…"));
        assert_eq!(Paint(false).bold("x"), "x");
        assert_eq!(Paint(true).signed("x", -2.0, 3.0), "\x1b[31mx\x1b[0m");
    }
}
