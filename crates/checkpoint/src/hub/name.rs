//! Names of models on the Hub.

use std::fmt;

/// `org/name`, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) organisation: String,
    pub(super) model: String,
    /// A branch, tag or commit; `main` where none is said.
    pub(super) revision: String,
}

impl Name {
    /// `org/name` or `org/name@revision`; nothing that could leave the cache's folder.
    pub(super) fn parse(source: &str) -> Option<Self> {
        let (name, revision) = source.split_once('@').unwrap_or((source, "main"));
        let (organisation, model) = name.split_once('/')?;
        let plain = [organisation, model].into_iter().chain(revision.split('/')).all(plain);
        plain.then(|| Name { organisation: organisation.into(), model: model.into(), revision: revision.into() })
    }

    /// The model's folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}--{}", self.organisation, self.model)
    }

    /// The revision is a commit's hash.
    pub(super) fn is_commit(&self) -> bool {
        is_hash(&self.revision, 40)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.organisation, self.model)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// Letters, digits, `-`, `_` and `.`, but no `..` and no `.` to begin with.
fn plain(part: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && part.chars().all(letters) && !part.starts_with('.') && !part.contains("..")
}

/// So many hexadecimal digits.
pub(super) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_nothing_leaves_the_cache() {
        let parse =
            |source: &str| Name::parse(source).map(|n| format!("{} {} {}", n.organisation, n.model, n.revision));
        assert_eq!(parse("EleutherAI/pythia-70m@step3000").unwrap(), "EleutherAI pythia-70m step3000");
        assert_eq!(parse("a/b").unwrap(), "a b main");
        assert_eq!(parse("a/b@refs/pr/1").unwrap(), "a b refs/pr/1");
        for bad in
            ["a", "a/b/c", "/a", "a/", "../b", "a/..", "a/b@", "a/b@../x", "a/b@/etc", "a b/c", "a/b@x y", "a/.b"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_shown_as_written() {
        for name in ["a/b", "a/b@step1"] {
            assert_eq!(Name::parse(name).unwrap().to_string(), name);
        }
    }
}
