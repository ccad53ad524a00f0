//! Regular expressions as Python's `re` reads them, on a Rust engine with a limit on its work.

use fancy_regex::{Captures, Regex, RegexBuilder};

/// Longer patterns are refused: 16 KiB.
const MAX_PATTERN: usize = 16 << 10;
/// Steps of backtracking after which a search is given up.
const MAX_STEPS: usize = 1_000_000;
/// Patterns that take more when compiled are refused: 4 MiB.
const MAX_COMPILED: usize = 4 << 20;
/// Longer results of a replacement are refused: 1 MiB.
const MAX_REPLACED: usize = 1 << 20;

/// A pattern of Python's `re` module, for texts.
///
/// Translated are `$` (also before a line break at the end), `\Z`, `{,n}`, brackets and `&` in classes, and braces that
/// count nothing. What the engine cannot do (conditions `(?(1)..)`) does not compile.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PythonRegex {
    pattern: String,
    regex: Regex,
}

/// The same pattern finds the same.
impl PartialEq for PythonRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl TryFrom<String> for PythonRegex {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        Self::new(&pattern)
    }
}

impl From<PythonRegex> for String {
    fn from(regex: PythonRegex) -> Self {
        regex.pattern
    }
}

impl PythonRegex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("a pattern of {} bytes, over the limit of {MAX_PATTERN}", pattern.len()));
        }
        let regex =
            RegexBuilder::new(&translate(pattern)).backtrack_limit(MAX_STEPS).delegate_size_limit(MAX_COMPILED).build();
        let regex = regex.map_err(|e| format!("not a regular expression ({})", e.to_string().trim()))?;
        Ok(Self { pattern: pattern.to_owned(), regex })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Python's `re.findall`: for each match the text of each group (empty where it has no part in the match), or of
    /// the whole match where the pattern has no groups.
    ///
    /// # Errors
    /// Where the search takes too many steps.
    pub fn find_all<'t>(&self, text: &'t str) -> Result<Vec<Vec<&'t str>>, String> {
        let mut found = Vec::new();
        self.each(text, |captures| {
            let group = |i| captures.get(i).map_or("", |m| m.as_str());
            found.push(if captures.len() > 1 { (1..captures.len()).map(group).collect() } else { vec![group(0)] });
            Ok(found.len() < text.len() + 2)
        })?;
        Ok(found)
    }

    /// Python's `re.sub(pattern, replacement, text, count)`; `\1`, `\g<1>` and `\g<name>` in the replacement are groups;
    /// a count of 0 replaces all.
    ///
    /// # Errors
    /// Where the search takes too many steps, the result is longer than 1 MiB, or there is no such group.
    pub fn replace(&self, text: &str, replacement: &str, count: usize) -> Result<String, String> {
        let (mut out, mut from, mut done) = (String::new(), 0, 0);
        self.each(text, |captures| {
            let Some(whole) = captures.get(0) else { return Ok(false) };
            out.push_str(&text[from..whole.start()]);
            expand(replacement, captures, &mut out)?;
            (from, done) = (whole.end(), done + 1);
            if out.len() > MAX_REPLACED {
                return Err(format!("replacing makes more than {MAX_REPLACED} bytes"));
            }
            Ok(count == 0 || done < count)
        })?;
        out.push_str(&text[from..]);
        Ok(out)
    }

    /// Calls `visit` for each match from the left until it says false. As in Python (since 3.7) an empty match may
    /// follow a match at once.
    fn each<'t>(
        &self,
        text: &'t str,
        mut visit: impl FnMut(&Captures<'t>) -> Result<bool, String>,
    ) -> Result<(), String> {
        let (mut at, mut empty_at) = (0, None);
        while at <= text.len() {
            let captures = self.regex.captures_from_pos(text, at);
            let captures = captures.map_err(|_| format!("`{}` takes too many steps on a text", self.pattern))?;
            let Some((captures, whole)) = captures.and_then(|c| c.get(0).map(|whole| (c, whole))) else { break };
            let empty = whole.start() == whole.end();
            let seen = empty && empty_at == Some(whole.start());
            if !seen && !visit(&captures)? {
                break;
            }
            at = whole.end();
            if empty {
                empty_at = Some(at);
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        Ok(())
    }
}

fn expand(replacement: &str, captures: &Captures<'_>, out: &mut String) -> Result<(), String> {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (name, length) = if let Some(named) = after.strip_prefix("g<") {
            let end = named.find('>').ok_or("a `\\g<` without its `>`")?;
            (&named[..end], end + 3)
        } else {
            (&after[..digits.min(2)], digits.min(2))
        };
        if length == 0 {
            let c = after.chars().next().ok_or("a backslash at the end of the replacement")?;
            match c {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '\\' => out.push('\\'),
                c if c.is_ascii_alphabetic() => return Err(format!("`\\{c}` in the replacement")),
                c => out.extend(['\\', c]),
            }
            rest = &after[c.len_utf8()..];
            continue;
        }
        let group = match name.parse::<usize>() {
            Ok(number) if number < captures.len() => captures.get(number),
            Ok(number) => return Err(format!("there is no group {number}")),
            Err(_) => captures.name(name),
        };
        out.push_str(group.map_or("", |m| m.as_str()));
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(())
}

/// Python's syntax as the engine's.
fn translate(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.char_indices().peekable();
    let (mut class_start, mut in_class) = (0, false);
    while let Some((at, c)) = chars.next() {
        let rest = &pattern[at + c.len_utf8()..];
        match c {
            '\\' => match chars.next() {
                Some((_, 'Z')) if !in_class => out.push_str(r"\z"),
                Some((_, c)) if c.is_ascii_alphanumeric() => out.extend(['\\', c]),
                Some((_, c)) => out.push_str(&fancy_regex::escape(c.encode_utf8(&mut [0; 4]))),
                None => out.push('\\'),
            },
            ']' if in_class && at == class_start => out.push_str(r"\]"),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '[' | '&' | '~' if in_class => out.extend(['\\', c]),
            '[' => {
                in_class = true;
                out.push('[');
                if rest.starts_with('^') {
                    chars.next();
                    out.push('^');
                }
                class_start = at + 1 + usize::from(rest.starts_with('^'));
            }
            c if in_class => out.push(c),
            '$' => out.push_str(if multiline(pattern) { "$" } else { r"(?=\n?\z)" }),
            '{' => match quantifier(rest) {
                Some(_) if rest.starts_with(',') => out.push_str("{0"),
                Some(_) => out.push('{'),
                None => out.push_str(r"\{"),
            },
            '}' => out.push_str(if closes(&pattern[..at]) { "}" } else { r"\}" }),
            c => out.push(c),
        }
    }
    out
}

/// Whether the pattern begins with flags among which is `m`.
fn multiline(pattern: &str) -> bool {
    let flags = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    flags.is_some_and(|(flags, _)| flags.contains('m') && flags.chars().all(|c| c.is_ascii_lowercase()))
}

/// What stands between braces that count: `n`, `n,`, `,m` or `n,m`.
fn quantifier(rest: &str) -> Option<&str> {
    let (inside, _) = rest.split_once('}')?;
    let (from, to) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    (digits(from) && digits(to) && !(inside.is_empty() || inside == ",")).then_some(inside)
}

/// Whether a `}` after `before` ends braces that count.
fn closes(before: &str) -> bool {
    let open = before.rfind('{').filter(|&at| !before[..at].ends_with('\\'));
    open.is_some_and(|at| quantifier(&format!("{}}}", &before[at + 1..])).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, text: &str) -> Vec<Vec<String>> {
        let found = PythonRegex::new(pattern).unwrap().find_all(text).unwrap();
        found.into_iter().map(|groups| groups.into_iter().map(str::to_owned).collect()).collect()
    }

    /// What CPython 3.11's `re.findall` gives.
    #[test]
    fn finds_what_python_finds() {
        let check = |pattern: &str, text: &str, expect: &[&[&str]]| assert_eq!(all(pattern, text), expect, "{pattern}");
        check(r"#### (\-?[0-9\.\,]+)", "so #### -1,234.5 and #### 6", &[&["-1,234.5"], &["6"]]);
        check(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "a 7 b $18.", &[&["", "7"], &["$18.", ""]]);
        check(r"(?<=answer is )(.*)(?=.)", "the answer is (B).", &[&["(B)"]]);
        check(r"\d+$", "1 2\n", &[&["2"]]);
        check(r"\d+\Z", "1 2\n", &[]);
        check(r"a*", "baac", &[&[""], &["aa"], &[""], &[""]]);
        check(r"[][&&a]", "[&]b", &[&["["], &["&"], &["]"]]);
        check(r"{x}a{,2}b", "{x}aab", &[&["{x}aab"]]);
        check(r#"\"([^\"]+)\""#, r#"say "yes""#, &[&["yes"]]);
        check(r"(?i)\bANSWER\b: ([A-D])", "answer: C", &[&["C"]]);
        check(r"(?m)^x$", "x\nx", &[&["x"], &["x"]]);
    }

    #[test]
    fn replaces_as_python_replaces() {
        let check = |pattern: &str, replacement: &str, text: &str, expect: &str| {
            let regex = PythonRegex::new(pattern).unwrap();
            assert_eq!(regex.replace(text, replacement, 0).unwrap(), expect, "{pattern}");
        };
        check(r"(\w+) (\w+)", r"\2 \g<1>", "ab cd", "cd ab");
        check(r"x*", "-", "axb", "-a--b-");
        check(r"\s+", " ", "a \n b", "a b");
        check(",", "", "1,234", "1234");
    }

    #[test]
    fn no_pattern_runs_for_ever() {
        let regex = PythonRegex::new(r"(?=a)(a+)+\1$").unwrap();
        assert!(regex.find_all(&"a".repeat(60)).is_ok() || regex.find_all(&format!("{}b", "a".repeat(60))).is_err());
        assert!(PythonRegex::new("(").is_err());
        assert!(PythonRegex::new(&"(".repeat(10_000)).is_err());
    }
}
