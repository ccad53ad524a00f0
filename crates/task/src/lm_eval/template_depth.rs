//! How deep a template is nested by its operators: the engine bounds brackets and blocks, but not chains.
//!
//! A chain such as `1 + 1 + 1` or `---1` becomes a tree as deep as the chain is long; walking it takes stack, and time
//! that grows with the square of its length.

/// Operators in one tag, and `elif`s in one template.
const MAX_OPERATORS: usize = 500;

/// Refuses a template with longer chains than the engine bears.
pub(super) fn check(source: &str) -> Result<(), String> {
    let (mut rest, mut branches) = (source, 0);
    while let Some((_, tag)) = rest.split_once('{') {
        rest = match tag.chars().next() {
            Some('#') => tag.split_once("#}").map_or("", |(_, after)| after),
            Some('%') if first_word(&tag[1..]) == "raw" => after_raw(tag),
            Some(kind @ ('%' | '{')) => {
                let (operators, after) = operators(&tag[1..], if kind == '%' { "%}" } else { "}}" });
                branches += usize::from(kind == '%' && first_word(&tag[1..]) == "elif");
                if operators.max(branches) > MAX_OPERATORS {
                    return Err(format!("more than {MAX_OPERATORS} operators in one expression, or branches"));
                }
                after
            }
            _ => tag,
        };
    }
    Ok(())
}

/// The first word of a block.
fn first_word(block: &str) -> &str {
    word(block.strip_prefix(['-', '+']).unwrap_or(block).trim_start()).0
}

/// What follows a raw block, of which `tag` is the beginning.
fn after_raw(tag: &str) -> &str {
    let mut rest = tag;
    while let Some((_, after)) = rest.split_once("{%") {
        if first_word(after) == "endraw" {
            return after;
        }
        rest = after;
    }
    ""
}

/// The word at the beginning and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len()))
}

/// Operators up to `end` outside of brackets and quotes, and what follows it.
fn operators<'t>(tag: &'t str, end: &str) -> (usize, &'t str) {
    let (mut rest, mut count, mut brackets) = (tag, 0, 0_isize);
    while let Some(c) = rest.chars().next() {
        if brackets == 0
            && let Some(after) = rest.strip_prefix(end)
        {
            return (count, after);
        }
        let (head, after) = word(rest);
        if !head.is_empty() {
            count += usize::from(matches!(head, "or" | "and" | "not" | "if" | "is" | "in"));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' | '"' => rest = after_quote(rest, c),
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => brackets -= 1,
            _ => {}
        }
        count += usize::from("([-+~*/%|.".contains(c));
    }
    (count, "")
}

fn after_quote(text: &str, quote: char) -> &str {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or("", |at| &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_found_and_nothing_else() {
        let long = "-".repeat(600);
        let dotted = ".a".repeat(600);
        for source in [
            format!("{{{{ {long}1 }}}}"),
            format!("{{%- set a = b{dotted} %}}"),
            format!("{{# {{{{ ' #}}{{{{ {long}1 }}}}"),
            format!("{{% raw %}}{{{{ '{{%- endraw %}}{{{{ {long}1 }}}}"),
            format!("{{{{ {{'a': {{}}}}, '}}}}' {long}1 }}}}"),
            format!("{{{{ '\\'}}}}' ~ 1 {long} }}}}"),
            format!("{{{{ {}1 }}}}", "1 if 0 else ".repeat(600)),
            format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(600)),
        ] {
            assert!(check(&source).is_err(), "{source}");
        }
        for source in [
            format!("{long} {dotted} {{{{ a }}}} {long} {{% if a %}}{long}{{% endif %}}"),
            format!("{{{{ '{long}' ~ \"{long}\" }}}}"),
            format!("{{# {long} #}}{{% raw %}} {{{{ {long} }}}} {{% endraw %}}"),
            format!("{{{{ [{}] }}}}", "'a-b', ".repeat(600)),
            "{{ a + 1 }}".repeat(600),
        ] {
            assert_eq!(check(&source), Ok(()), "{source}");
        }
    }
}
