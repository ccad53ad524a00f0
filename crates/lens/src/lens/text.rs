//! Text to train lenses on: windows of it, what is asked in them, and a part held out.

use super::streams::Places;
use crate::Error;
use rand::{RngExt, seq::SliceRandom};
use saltus_lm::TokenId;
use saltus_random::Key;

/// What stands around every window, as the model expects it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Before: a token that begins texts, `[CLS]`; or nothing.
    pub before: Vec<TokenId>,
    /// Behind: `[SEP]`; or nothing.
    pub behind: Vec<TokenId>,
    /// The token that hides others, of a masked model; none: the next token is asked.
    pub mask: Option<TokenId>,
}

/// Windows of a text. The last tenth of them is held out.
#[derive(Clone, Debug)]
pub struct Text {
    windows: Vec<Vec<TokenId>>,
    frame: Frame,
    vocabulary: usize,
}

/// Share of the tokens that are asked of a masked model (BERT, arXiv 1810.04805).
const MASKED: f64 = 0.15;

/// What is asked at each place.
pub(crate) struct Examples {
    pub(crate) texts: Vec<Places>,
    /// One for each place, text by text.
    pub(crate) targets: Vec<TokenId>,
}

impl Text {
    /// Windows of `length` tokens, the frame counted, of a text in a vocabulary of so many tokens.
    ///
    /// # Errors
    /// If `length` has no room for two tokens and the frame, or the text not for two windows.
    pub fn new(tokens: &[TokenId], frame: Frame, length: usize, vocabulary: usize) -> Result<Self, Error> {
        let inside = length.saturating_sub(frame.before.len() + frame.behind.len());
        if inside < 2 {
            return Err(Error::Other(format!(
                "windows of {length} tokens have no room for text: give more of the model's context"
            )));
        }
        let windows: Vec<Vec<TokenId>> = tokens.chunks_exact(inside).map(<[TokenId]>::to_vec).collect();
        if windows.len() < 2 {
            return Err(Error::Other(format!(
                "{} tokens of text are too few to train on some and hold out others: give {} or more",
                tokens.len(),
                2 * inside
            )));
        }
        Ok(Text { windows, frame, vocabulary })
    }

    /// Tokens are hidden and asked; else the next one is.
    pub fn masks(&self) -> bool {
        self.frame.mask.is_some()
    }

    fn split(&self) -> usize {
        self.windows.len() - self.windows.len().div_ceil(10)
    }

    /// About `most` places to train at. Windows come in the order of `key`; masks are drawn anew each time a window comes
    /// again. Without masks each place comes once.
    pub(crate) fn training(&self, most: usize, key: Key) -> Examples {
        self.examples(&self.windows[..self.split()], most, key)
    }

    /// About `most` places to see whether training helps.
    pub(crate) fn held_out(&self, most: usize, key: Key) -> Examples {
        self.examples(&self.windows[self.split()..], most, key)
    }

    fn examples(&self, windows: &[Vec<TokenId>], most: usize, key: Key) -> Examples {
        let mut all = Examples { texts: Vec::new(), targets: Vec::new() };
        // Windows in which chance masks nothing must not keep this going for ever.
        let passes = if self.masks() { 64 } else { 1 };
        for pass in 0..passes {
            let key = key.index(pass);
            let mut order: Vec<usize> = (0..windows.len()).collect();
            order.shuffle(&mut key.child("order").rng());
            for window in order {
                if all.targets.len() >= most {
                    return all;
                }
                let (places, targets) = self.example(&windows[window], key.child("mask").index(window as u64));
                if !targets.is_empty() {
                    all.texts.push(places);
                    all.targets.extend(targets);
                }
            }
        }
        all
    }

    fn example(&self, window: &[TokenId], key: Key) -> (Places, Vec<TokenId>) {
        let Frame { before, behind, mask } = &self.frame;
        let mut tokens = [&before[..], window, &behind[..]].concat();
        let second = tokens.len();
        let inside = before.len()..before.len() + window.len();
        let Some(mask) = *mask else {
            let at: Vec<usize> = (inside.start.max(1)..inside.end).map(|place| place - 1).collect();
            let targets = at.iter().map(|place| tokens[place + 1]).collect();
            return (Places { tokens, second, at }, targets);
        };
        let mut rng = key.rng();
        let (mut at, mut targets) = (Vec::new(), Vec::new());
        for place in inside {
            if !rng.random_bool(MASKED) {
                continue;
            }
            at.push(place);
            targets.push(tokens[place]);
            // Of ten, eight are hidden, one is another token, one stays: BERT's.
            match rng.random_range(0..10) {
                0..8 => tokens[place] = mask,
                8 => tokens[place] = rng.random_range(0..self.vocabulary as TokenId),
                _ => {}
            }
        }
        (Places { tokens, second, at }, targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mask: Option<TokenId>) -> Text {
        let tokens: Vec<TokenId> = (0..40_000).map(|i| 10 + i % 80).collect();
        Text::new(&tokens, Frame { before: vec![1], behind: vec![2], mask }, 102, 100).unwrap()
    }

    #[test]
    fn masks_are_berts() {
        let examples = text(Some(3)).training(30_000, Key::new(1));
        let (mut read, mut hidden, mut same, mut at) = (0, 0, 0, 0);
        for text in &examples.texts {
            assert_eq!((text.tokens[0], text.tokens[101], text.tokens.len()), (1, 2, 102));
            read += text.tokens.len() - 2;
            for place in &text.at {
                hidden += usize::from(text.tokens[*place] == 3);
                same += usize::from(text.tokens[*place] == examples.targets[at]);
                at += 1;
            }
        }
        assert_eq!(at, examples.targets.len());
        let share = |part: usize, of: usize| part as f64 / of as f64;
        assert!((share(at, read) - 0.15).abs() < 0.005, "{}", share(at, read));
        assert!((share(hidden, at) - 0.8).abs() < 0.01, "{}", share(hidden, at));
        // One in ten stays, and one in a thousand is drawn by chance.
        assert!((share(same, at) - 0.101).abs() < 0.01, "{}", share(same, at));
    }

    #[test]
    fn a_causal_model_is_asked_for_every_token_once() {
        let text = text(None);
        let examples = text.training(usize::MAX, Key::new(1));
        assert_eq!((examples.texts.len(), examples.targets.len()), (360, 36_000));
        let first = &examples.texts[0];
        assert!(first.at.iter().zip(&examples.targets).all(|(place, target)| first.tokens[place + 1] == *target));
        assert_eq!(text.held_out(usize::MAX, Key::new(1)).texts.len(), 40);
    }

    #[test]
    fn too_little_text_is_said() {
        let refused = |tokens: usize, length| Text::new(&vec![5; tokens], Frame::default(), length, 100).unwrap_err();
        assert!(refused(100, 64).to_string().contains("100 tokens of text are too few"), "{}", refused(100, 64));
        assert!(refused(100, 1).to_string().contains("no room"), "{}", refused(100, 1));
    }
}
