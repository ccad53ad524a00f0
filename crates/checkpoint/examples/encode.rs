//! Tokens of each line of standard input by a model's tokenizer, as JSON: for comparisons with other tokenizers.

use saltus_checkpoint::Checkpoint;
use saltus_lm::Tokenizer;
use std::{io::BufRead, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: encode MODEL < LINES")?;
    let tokenizer = Checkpoint::open(Path::new(&path))?.tokenizer()?;
    for line in std::io::stdin().lock().lines() {
        // A line is a JSON string, so that it may hold line ends.
        let text: String = serde_json::from_str(&line?)?;
        let answer = match tokenizer.encode(&text) {
            Ok(tokens) => serde_json::json!({ "tokens": tokens, "same": tokenizer.decode(&tokens) == text }),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        };
        println!("{answer}");
    }
    Ok(())
}
