//! Which examples are the shots of which question.

use super::Open;
use crate::{
    Error, ShotMode,
    lm_eval::{data::Split, file_error, python_random::PythonRandom, value::Value},
};

/// Draws the shots of one question after the other.
pub(super) struct Draw<'o, 't> {
    open: &'o Open<'t>,
    count: usize,
    kind: Kind,
}

enum Kind {
    None,
    Fresh(Box<PythonRandom>),
    /// All of the pool, in order.
    Fixed(Vec<usize>),
}

impl<'o, 't> Draw<'o, 't> {
    pub(super) fn new(open: &'o Open<'t>, mode: ShotMode, count: usize, seed: u64) -> Self {
        let pool = open.pool.documents.len();
        let kind = match mode {
            _ if count == 0 => Kind::None,
            ShotMode::Fresh => Kind::Fresh(Box::new(PythonRandom::new(seed))),
            ShotMode::Fixed if open.task.shots.first_n => Kind::Fixed((0..pool).collect()),
            ShotMode::Fixed => Kind::Fixed(PythonRandom::new(seed).sample(pool, pool)),
        };
        Self { open, count, kind }
    }

    pub(super) fn shots(&mut self, question: usize) -> Result<Vec<usize>, Error> {
        let (open, count) = (self.open, self.count);
        let pool = open.pool.documents.len();
        let other = |shot: &usize| !(open.may_overlap && open.same(question, *shot));
        let drawn: Vec<usize> = match &mut self.kind {
            Kind::None => return Ok(Vec::new()),
            Kind::Fixed(order) => order.iter().copied().filter(other).take(count).collect(),
            Kind::Fresh(random) => {
                let wanted = if open.may_overlap { count + 1 } else { count };
                let drawn = if wanted <= pool { random.sample(pool, wanted) } else { Vec::new() };
                let mut left: Vec<usize> = drawn.into_iter().filter(other).take(count).collect();
                if left.len() < count && wanted <= pool {
                    // Several copies of the question were drawn: again, among what is not the question.
                    let others: Vec<usize> = (0..pool).filter(other).collect();
                    let places = if count <= others.len() { random.sample(others.len(), count) } else { Vec::new() };
                    left = places.into_iter().map(|place| others[place]).collect();
                }
                left
            }
        };
        if drawn.len() < count {
            let problem = format!("{count} shots asked for, but `{}` has {pool} documents", open.pool_name);
            let remedy = "ask for fewer shots, or add examples: a question is not among its own shots";
            return Err(file_error(&open.task.path, String::new(), problem, remedy));
        }
        Ok(drawn)
    }
}

impl Open<'_> {
    /// Whether a document of the questions and one of the pool are equal.
    fn same(&self, question: usize, shot: usize) -> bool {
        if self.questions.columns == self.pool.columns {
            return self.questions.documents[question] == self.pool.documents[shot];
        }
        let map =
            |split: &Split, number| Value::Map(split.named(number).map(|(k, v)| (k.to_owned(), v.clone())).collect());
        map(&self.questions, question) == map(&self.pool, shot)
    }
}
