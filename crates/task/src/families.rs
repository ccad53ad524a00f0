//! The generated task families: what a study file says of one, and the generator that it becomes.

use crate::{Asked, Candidate, Error, Generate, QuestionSet, Segment};
use rand::Rng;
use saltus_random::Key;
use serde::{Deserialize, Serialize};

pub(crate) mod addition;
pub(crate) mod arithmetic;
pub(crate) mod copy;
pub(crate) mod exception;
pub(crate) mod facts;
pub(crate) mod mapping;
pub(crate) mod sum;
pub(crate) mod text;

/// A generated task family with its parameters, as a study file gives them: `family = "addition"` and the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "kebab-case")]
pub enum Family {
    /// Sentences of a made-up language: the held-out loss.
    Text(text::Text),
    /// Adding two numbers.
    Addition(addition::Addition),
    /// Adding several digits modulo 10, at once or step by step.
    Sum(sum::Sum),
    /// Repeating letters.
    Copy(copy::Copy),
    /// Finding out from examples which permutation is meant.
    Mapping(mapping::Mapping),
    /// Facts to be known by heart, common and rare.
    Facts(facts::Facts),
    /// A rule with memorised exceptions.
    Exception(exception::Exception),
    /// `a*b+c*d`, at once or step by step.
    Arithmetic(arithmetic::Arithmetic),
}

/// Both ends are included.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Smallest.
    pub min: u32,
    /// Largest.
    pub max: u32,
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// As a study file has it.
impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{ min = {}, max = {} }}", self.min, self.max)
    }
}

/// A family with its tables: draws training items and evaluation questions.
#[derive(Clone, Debug)]
pub struct Generator(World);

#[derive(Clone, Debug)]
enum World {
    Text(text::World),
    Addition(addition::World),
    Sum(sum::World),
    Copy(copy::World),
    Mapping(mapping::World),
    Facts(facts::World),
    Exception(exception::World),
    Arithmetic(arithmetic::World),
}

macro_rules! each {
    ($world:expr, $bound:ident => $call:expr) => {
        match $world {
            World::Text($bound) => $call,
            World::Addition($bound) => $call,
            World::Sum($bound) => $call,
            World::Copy($bound) => $call,
            World::Mapping($bound) => $call,
            World::Facts($bound) => $call,
            World::Exception($bound) => $call,
            World::Arithmetic($bound) => $call,
        }
    };
}

impl Family {
    /// The family's name, as the study file and the records have it.
    pub fn name(&self) -> &'static str {
        match self {
            Family::Text(_) => text::NAME,
            Family::Addition(_) => addition::NAME,
            Family::Sum(_) => sum::NAME,
            Family::Copy(_) => copy::NAME,
            Family::Mapping(_) => mapping::NAME,
            Family::Facts(_) => facts::NAME,
            Family::Exception(_) => exception::NAME,
            Family::Arithmetic(_) => arithmetic::NAME,
        }
    }

    /// The generator of this family in the study whose tables hang on `key`: give every family of a study the same
    /// key. Tables depend on the key and the family's name, so that two members of a family (plain and reversed
    /// addition; sums direct and step by step) hold out the same items.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a parameter out of its range.
    pub fn generator(&self, key: Key) -> Result<Generator, Error> {
        let key = key.child(self.name());
        Ok(Generator(match self {
            Family::Text(spec) => World::Text(text::World::new(spec, key)?),
            Family::Addition(spec) => World::Addition(addition::World::new(spec, key)?),
            Family::Sum(spec) => World::Sum(sum::World::new(spec, key)?),
            Family::Copy(spec) => World::Copy(copy::World::new(spec)?),
            Family::Mapping(spec) => World::Mapping(mapping::World::new(spec, key)?),
            Family::Facts(spec) => World::Facts(facts::World::new(spec, key)?),
            Family::Exception(spec) => World::Exception(exception::World::new(spec, key)?),
            Family::Arithmetic(spec) => World::Arithmetic(arithmetic::World::new(spec, key)?),
        }))
    }
}

impl Generator {
    /// Draws a training item; never one that is held out.
    pub fn segment(&self, rng: &mut impl Rng) -> Segment {
        let mut segment = Segment::default();
        self.segment_into(rng, &mut segment);
        segment
    }

    /// [`segment`](Self::segment), reusing the memory of `segment`.
    pub fn segment_into(&self, rng: &mut impl Rng, segment: &mut Segment) {
        segment.clear();
        each!(&self.0, world => world.write(rng, segment))
    }

    /// The most characters that a training item can have, its end included.
    pub fn longest(&self) -> usize {
        each!(&self.0, world => world.longest())
    }

    /// The evaluation: one set for each leaf of the family, each with at most `items` questions (fewer where there
    /// are not so many different ones), in an order that depends on `key` alone. Families with a held-out split ask
    /// held-out items only. Give every family of a study the same key: then the same items are asked direct and step
    /// by step. A prompt looks like the beginning of a training row.
    pub fn questions(&self, items: usize, key: Key) -> Vec<QuestionSet> {
        each!(&self.0, world => world.questions(items, key))
    }

    /// Entropy of the text of a [`Text`](text::Text) family, in nats per character: no model's held-out loss can be
    /// below it. `None` for the other families.
    pub fn entropy(&self) -> Option<f64> {
        match &self.0 {
            World::Text(world) => Some(world.entropy()),
            _ => None,
        }
    }
}

/// An open question: the gold answer, and a greedy continuation. Where an answer ends is not learnt (see
/// [`Segment::scored`]), so the continuation is as long as the gold answer: its length is given away.
fn open(prompt: String, answer: String) -> Asked {
    let generate =
        Some(Generate { max_tokens: answer.len(), stop: vec![crate::END.into()], keep_stop: false, temperature: None });
    (prompt, vec![Candidate::target(answer)], generate)
}

/// A question whose answer is one of `choices` digits from 0 on.
fn among_digits(prompt: String, answer: u64, choices: u64) -> Asked {
    let candidates =
        (0..choices).map(|d| Candidate::choice(crate::draw::digit(d), f64::from(u8::from(d == answer)))).collect();
    (prompt, candidates, None)
}
