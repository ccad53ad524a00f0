//! Targets as users write them.

use saltus_lm::{TokenId, Tokenizer};

/// The token that `target` is behind the text `before`: with a blank between them, unless one of them has it or that is no
/// single token.
///
/// # Errors
/// Why it is none, to be read behind the target.
pub fn token_behind(tokenizer: &dyn Tokenizer, before: &str, target: &str) -> Result<TokenId, String> {
    let encode = |text: &str| tokenizer.encode(text).map_err(|e| format!("has no tokens: {e}"));
    let read = encode(before)?;
    let spaced = before.ends_with(char::is_whitespace) || target.starts_with(char::is_whitespace);
    let joined =
        [" ", ""].iter().filter(|blank| blank.is_empty() || !spaced).map(|blank| format!("{before}{blank}{target}"));
    let (mut several, mut unknown) = (0, false);
    for text in joined {
        let tokens = encode(&text)?;
        match tokens.strip_prefix(&read[..]) {
            Some([token]) if says(&tokenizer.decode(&[*token]), target) => return Ok(*token),
            Some([_]) => unknown = true,
            // The last one has no blank of ours.
            Some(more) => several = more.len(),
            _ => {}
        }
    }
    Err(match several {
        _ if unknown => "is no token of the model's".into(),
        0 => "changes how the prompt's end is split into tokens".into(),
        count => format!("is {count} tokens of the model's"),
    })
}

/// Whether a token stands for this text, and not for whatever is unknown; some tokenizers make text lower-case.
fn says(token: &str, text: &str) -> bool {
    token.trim().to_lowercase() == text.trim().to_lowercase()
}
