//! Text into HTML, safely: escaping, embedded JSON, anchors.

use crate::findings::{Ability, Findings};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Text for HTML content and for double-quoted attributes. NUL, which HTML forbids, becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A data block `<script type="application/json" id=..>`. Inside a script element HTML escapes mean nothing, but `<`,
/// `>` and `&` can stand only inside JSON strings, so their JSON escapes keep `</script>` and `<!--` from the parser.
pub(crate) fn json_block(id: &str, value: &impl Serialize) -> String {
    // Serialising these plain structures cannot fail; were it to, an empty block is better than no page.
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let safe = json
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    format!("<script type=\"application/json\" id=\"{id}\">{safe}</script>\n")
}

/// Letters, digits and hyphens only: safe as an id, in a selector and in a link.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(120) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// Where each ability stands on the page, by its index and by its id; unique whatever the ids are.
#[derive(Debug)]
pub(crate) struct Anchors {
    by_index: Vec<String>,
    by_id: BTreeMap<String, String>,
}

impl Anchors {
    /// Anchors of all abilities and laws of `findings`.
    pub(crate) fn new(findings: &Findings) -> Self {
        let mut used = BTreeSet::new();
        let mut unique = |prefix: &str, text: &str| {
            let base = format!("{prefix}-{}", slug(text));
            let mut name = base.clone();
            let mut n = 2;
            while !used.insert(name.clone()) {
                name = format!("{base}-{n}");
                n += 1;
            }
            name
        };
        let mut by_id = BTreeMap::new();
        let mut by_index = Vec::new();
        for Ability { id, .. } in &findings.abilities {
            let name = unique("ability", id);
            by_id.entry(id.clone()).or_insert_with(|| name.clone());
            by_index.push(name);
        }
        for law in &findings.laws {
            by_id.entry(law.law.clone()).or_insert_with(|| format!("law-{}", slug(&law.law)));
        }
        for effect in &findings.effects {
            by_id.entry(effect.label.clone()).or_insert_with(|| format!("effects-{}", slug(&effect.kind)));
        }
        Self { by_index, by_id }
    }

    /// Anchor of the ability with this index in the findings.
    pub(crate) fn ability(&self, index: usize) -> &str {
        self.by_index.get(index).map_or("abilities", String::as_str)
    }

    /// Anchor of what a headline names: an ability id, a law or an effect.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        self.by_id.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(escape("<img src=x onerror='a'>\"&\0"), "&lt;img src=x onerror=&#39;a&#39;&gt;&quot;&amp;\u{fffd}");
        assert_eq!(slug("  Ünï </b> A/b\"c "), "n-b-a-b-c");
    }

    #[test]
    fn json_cannot_leave_its_block_and_survives_it() {
        let hostile = vec!["</script><script>alert(1)</script>", "<!--", "a\u{2028}b & c"];
        let block = json_block("x", &hostile);
        let inner = block
            .strip_prefix("<script type=\"application/json\" id=\"x\">")
            .unwrap()
            .strip_suffix("</script>\n")
            .unwrap();
        assert!(!inner.contains(['<', '>', '&', '\u{2028}']));
        assert_eq!(serde_json::from_str::<Vec<String>>(inner).unwrap(), hostile);
    }
}
