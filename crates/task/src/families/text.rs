//! Text of a made-up language, `Ttuyya bqvln ...`: a lexicon with Zipf frequencies and habits of succession. Its entropy
//! is known, so the loss that no model can beat is known.

use super::Span;
use crate::draw::{ensure, letter, shuffle_front, weighted, zipf};
use crate::{Candidate, Error, QuestionSet, Segment};
use rand::distr::{Distribution, weighted::WeightedIndex};
use rand::{Rng, RngExt};
use saltus_random::Key;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

pub(crate) const NAME: &str = "text";

/// Sentences of words: with probability `follow` a word is one of the fixed successors of the word before it, else it is
/// drawn by Zipf's law. All characters after the first are scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Words in the lexicon, 2 to 100,000.
    pub words: u32,
    /// Letters of a word, 1 to 12, drawn uniformly.
    pub letters: Span,
    /// The word of rank r has weight 1 / r^zipf, 0 to 4.
    pub zipf: f64,
    /// Words in a sentence, 1 to 1,000.
    pub length: u32,
    /// Probability that a word is a successor of the one before it, 0 to 1.
    pub follow: f64,
    /// Weights of a word's successors, as many as it has: 1 to 16, at most `words`.
    pub successors: Vec<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    spec: Text,
    /// By rank.
    lexicon: Vec<String>,
    /// `successors.len()` words for each word.
    followers: Vec<u32>,
    ranks: WeightedIndex<f64>,
    habits: WeightedIndex<f64>,
}

impl World {
    pub(crate) fn new(spec: &Text, key: Key) -> Result<Self, Error> {
        let Text { words, letters: Span { min, max }, length, follow, ref successors, .. } = *spec;
        ensure((2..=100_000).contains(&words), NAME, "words", words, "write a number from 2 to 100000")?;
        let ok = 1 <= min && min <= max && max <= 12;
        ensure(ok, NAME, "letters", spec.letters, "write { min = A, max = B } with 1 <= A <= B <= 12")?;
        let possible: f64 = (min..=max).map(|n| 26f64.powi(n as i32)).sum();
        ensure(possible >= 2.0 * f64::from(words), NAME, "words", words, "write fewer words, or longer `letters`")?;
        ensure((0.0..=4.0).contains(&spec.zipf), NAME, "zipf", spec.zipf, "write an exponent from 0 to 4, such as 1")?;
        ensure((1..=1000).contains(&length), NAME, "length", length, "write a number from 1 to 1000")?;
        ensure((0.0..=1.0).contains(&follow), NAME, "follow", follow, "write a probability from 0 to 1")?;
        let ok = (1..=16.min(words as usize)).contains(&successors.len());
        ensure(ok, NAME, "successors", successors, "write 1 to 16 weights, at most as many as `words`")?;
        Ok(World {
            spec: spec.clone(),
            lexicon: lexicon(words as usize, spec.letters, key.child("lexicon")),
            followers: followers(words, successors.len(), key.child("followers")),
            ranks: weighted(NAME, "zipf", &zipf(words as usize, spec.zipf))?,
            habits: weighted(NAME, "successors", successors)?,
        })
    }

    pub(crate) fn longest(&self) -> usize {
        1 + self.spec.length as usize * (self.spec.letters.max as usize + 1)
    }

    pub(crate) fn write(&self, rng: &mut impl Rng, out: &mut Segment) {
        out.text.push('T');
        let mut word = self.ranks.sample(rng);
        out.text.push_str(&self.lexicon[word]);
        for _ in 1..self.spec.length {
            word = match rng.random_bool(self.spec.follow) {
                true => self.followers[word * self.spec.successors.len() + self.habits.sample(rng)] as usize,
                false => self.ranks.sample(rng),
            };
            out.text.push(' ');
            out.text.push_str(&self.lexicon[word]);
        }
        // The end of a sentence is one of its characters: it stands where a space would.
        out.text.push(crate::END);
        out.scored.push(1..out.text.len());
    }

    /// Fresh draws, each a sentence with its end: scored, their mean loss estimates the cross-entropy, of which
    /// [`entropy`](Self::entropy) is the floor. A frequent sentence may have been seen in training, as in any text.
    pub(crate) fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        let (mut rng, mut segment) = (key.child(NAME).rng(), Segment::default());
        let questions = (0..items).map(|_| {
            segment.clear();
            self.write(&mut rng, &mut segment);
            let (prompt, rest) = segment.text.split_at(1);
            (prompt.into(), vec![Candidate::target(rest)], None)
        });
        vec![QuestionSet::direct(NAME, "held-out", 0.0, questions)]
    }

    /// Nats per character: the words' entropy over the expected number of characters, each word with the space or
    /// the end mark after it. Exact, because that character makes the words uniquely decodable.
    pub(crate) fn entropy(&self) -> f64 {
        let unigram = normalised(&zipf(self.lexicon.len(), self.spec.zipf));
        let habits = normalised(&self.spec.successors);
        let follow = self.spec.follow;
        let followers = |word: usize| self.followers.chunks_exact(habits.len()).nth(word).unwrap_or(&[]);
        let base: f64 = unigram.iter().map(|&p| surprise((1.0 - follow) * p)).sum();
        // Of the next word: unigram with weight 1 - follow, corrected at the few followers.
        let conditional = |word: usize| -> f64 {
            let pairs = followers(word).iter().zip(&habits);
            let gain = |(&next, habit): (&u32, &f64)| {
                let p = (1.0 - follow) * unigram[next as usize];
                surprise(p + follow * habit) - surprise(p)
            };
            base + pairs.map(gain).sum::<f64>()
        };
        let conditional: Vec<f64> = (0..self.lexicon.len()).map(conditional).collect();
        let characters =
            |p: &[f64]| -> f64 { p.iter().zip(&self.lexicon).map(|(p, w)| p * (w.len() + 1) as f64).sum() };
        let mut word = unigram.clone();
        let mut nats: f64 = unigram.iter().map(|&p| surprise(p)).sum();
        let mut length = characters(&word);
        for _ in 1..self.spec.length {
            nats += word.iter().zip(&conditional).map(|(p, h)| p * h).sum::<f64>();
            let mut next: Vec<f64> = unigram.iter().map(|p| (1.0 - follow) * p).collect();
            for (w, p) in word.iter().enumerate() {
                followers(w).iter().zip(&habits).for_each(|(&f, habit)| next[f as usize] += p * follow * habit);
            }
            word = next;
            length += characters(&word);
        }
        nats / length
    }
}

/// -p ln p.
fn surprise(p: f64) -> f64 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
}

fn normalised(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

fn lexicon(words: usize, letters: Span, key: Key) -> Vec<String> {
    let (mut rng, mut seen, mut lexicon) = (key.rng(), HashSet::new(), Vec::with_capacity(words));
    while lexicon.len() < words {
        let length = rng.random_range(letters.min..=letters.max);
        let word: String = (0..length).map(|_| letter(rng.random_range(0..26u32) as usize)).collect();
        if seen.insert(word.clone()) {
            lexicon.push(word);
        }
    }
    lexicon
}

/// `n` distinct followers of each word, drawn uniformly.
fn followers(words: u32, n: usize, key: Key) -> Vec<u32> {
    let mut rng = key.rng();
    let mut pool: Vec<u32> = (0..words).collect();
    let mut all = Vec::with_capacity(words as usize * n);
    for _ in 0..words {
        shuffle_front(&mut pool, n, &mut rng);
        all.extend_from_slice(&pool[..n]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All sentences of a small language one by one.
    #[test]
    fn entropy_is_that_of_all_sentences() {
        let spec = Text {
            words: 4,
            letters: Span { min: 1, max: 3 },
            zipf: 1.0,
            length: 3,
            follow: 0.7,
            successors: vec![4.0, 1.0],
        };
        let world = World::new(&spec, Key::new(3)).unwrap();
        let total: f64 = (1..=4).map(|r| 1.0 / f64::from(r)).sum();
        let unigram = |w: usize| 1.0 / (w + 1) as f64 / total;
        let next = |w: usize, v: usize| {
            let habit: f64 =
                [0.8, 0.2].iter().zip(&world.followers[2 * w..]).filter(|(_, f)| **f as usize == v).map(|p| p.0).sum();
            0.3 * unigram(v) + 0.7 * habit
        };
        let (mut nats, mut characters, mut mass) = (0.0, 0.0, 0.0);
        for a in 0..4 {
            for b in 0..4 {
                for c in 0..4 {
                    let p = unigram(a) * next(a, b) * next(b, c);
                    let text = [a, b, c].map(|w| world.lexicon[w].as_str()).join(" ") + ";";
                    nats -= p * p.ln();
                    characters += p * text.len() as f64;
                    mass += p;
                }
            }
        }
        assert!((mass - 1.0).abs() < 1e-12);
        assert!((world.entropy() - nats / characters).abs() < 1e-12, "{} {}", world.entropy(), nats / characters);
    }
}
