//! One prediction taken apart, as a page shows it.

use saltus_lens::prompt::{Head, Memory, Part, Prediction};
use saltus_lm::{TokenId, Tokenizer};
use saltus_report::inside::{self, PromptHead, PromptMemory, PromptPicture, Vote};
use saltus_transformer::Model;

/// One prediction in words, with `top` heads.
pub fn prompt(
    model: &Model,
    tokenizer: &dyn Tokenizer,
    tokens: &[TokenId],
    found: Prediction,
    top: usize,
) -> PromptPicture {
    let word = |token: TokenId| tokenizer.decode(&[token]);
    let votes = |tokens: &[(TokenId, f64)]| -> Vec<Vote> {
        tokens.iter().map(|(token, score)| Vote { token: word(*token), score: *score }).collect()
    };
    let definition = definition(&found, model);
    let Prediction { target, said, lens, attribution, memories } = found;
    let part = |part: &Part| inside::Part { name: part.kind.name().into(), layer: part.layer, amount: part.amount };
    let head = |head: &Head| PromptHead {
        layer: head.layer,
        head: head.head,
        amount: head.amount,
        attention: head.attention.iter().map(|x| f64::from(*x)).collect(),
    };
    let memory = |memory: &Memory| {
        let votes = memory.votes.iter().copied().map(word).collect();
        let Memory { layer, unit, coefficient, amount, .. } = *memory;
        PromptMemory { layer, unit, coefficient, amount, votes }
    };
    PromptPicture {
        tokens: tokens.iter().copied().map(word).collect(),
        target: word(target),
        logit: attribution.as_ref().map_or(lens[lens.len() - 1].logit, |a| a.logit),
        said: votes(&said),
        lens: lens.iter().map(|layer| votes(&layer.said)).collect(),
        parts: attribution.iter().flat_map(|a| &a.parts).map(part).collect(),
        memories: memories.iter().map(memory).collect(),
        heads: attribution.iter().flat_map(|a| &a.heads).take(top).map(head).collect(),
        definition,
    }
}

fn definition(found: &Prediction, model: &Model) -> String {
    let lens = "Lens: the stream behind each layer, read by the final norm and the head as if it were the last.";
    let memory = if model.config().architecture.mlp.gated {
        "A memory is a hidden unit; its coefficient is activation(gate) times up."
    } else {
        "A memory is a hidden unit; its coefficient is the activation."
    };
    let sum = match &found.attribution {
        None => {
            "This model's logit is no sum of what was written to the stream: a layer or norms stand between. Nothing is \
             attributed; memories are those that write the longest vectors, their votes those of the lens."
        }
        Some(_) => {
            "The logit (before a soft cap) is the sum of the parts, the final norm held at its statistics here; nothing is \
             left over but rounding."
        }
    };
    let cap = found.attribution.as_ref().and_then(|a| a.soft_cap);
    let cap = cap.map_or(String::new(), |cap| format!(" The model holds logits within {cap}."));
    format!("{lens} {memory} {sum}{cap}")
}
