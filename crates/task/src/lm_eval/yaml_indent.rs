//! Lines inside brackets and quotes moved to the right, where the scanner is stricter about them than PyYAML.

/// Spaces put before such a line; they mean nothing there.
const SPACES: &str = "                                        ";

/// The same document with every line that goes on within brackets or quotes indented further. Block texts are left
/// alone, and only values that begin with a bracket or quote are followed.
pub(super) fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1024);
    let mut open = Open::default();
    let mut block = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if open.is_open() {
            out.push_str(SPACES);
            open.follow(line);
        } else if block.is_some_and(|block| indent > block || line.trim().is_empty()) {
            // A line of a block text.
        } else {
            block = begins_block(line).then_some(indent);
            let value = value_of(line);
            if block.is_none() && value.starts_with(['[', '{', '"', '\'']) {
                open.follow(value);
            }
        }
        out.push_str(line);
    }
    out
}

/// What stands behind dashes and a key.
fn value_of(line: &str) -> &str {
    let mut rest = line.trim_start();
    while let Some(after) = rest.strip_prefix("- ") {
        rest = after.trim_start();
    }
    match rest.split_once(": ") {
        Some((key, value)) if !key.starts_with(['[', '{', '"', '\'']) => value.trim_start(),
        _ => rest,
    }
}

fn begins_block(line: &str) -> bool {
    let end = line.trim_end().trim_end_matches(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit());
    end.ends_with(": |") || end.ends_with(": >") || end.ends_with("- |") || end.ends_with("- >")
}

/// Brackets and quotes that are open.
#[derive(Default)]
struct Open {
    brackets: usize,
    quote: Option<char>,
}

impl Open {
    fn is_open(&self) -> bool {
        self.brackets > 0 || self.quote.is_some()
    }

    fn follow(&mut self, text: &str) {
        let (mut chars, mut before) = (text.chars(), ' ');
        while let Some(c) = chars.next() {
            match (self.quote, c) {
                (Some('"'), '\\') => {
                    chars.next();
                }
                (Some(quote), c) if c == quote => self.quote = None,
                (Some(_), _) => {}
                // What follows is a comment.
                (None, '#') if before.is_whitespace() => return,
                (None, '[' | '{') => self.brackets += 1,
                (None, ']' | '}') => self.brackets = self.brackets.saturating_sub(1),
                (None, '"' | '\'') if before.is_whitespace() || matches!(before, '[' | '{' | ',' | ':') => {
                    self.quote = Some(c);
                }
                _ => {}
            }
            before = c;
        }
    }
}
