//! Which column of the activations holds what: sequences of any lengths packed one after another, and the columns
//! whose predictions are wanted.

use crate::{Config, IGNORE};
use saltus_compute::{BLOCK, Real, Segment, gather, rope_table};

/// Columns, their positions in their sequences, and the rotary tables for those positions.
pub(crate) struct Columns<T> {
    /// Number of columns, a multiple of [`BLOCK`].
    pub(crate) count: usize,
    /// Columns in use.
    pub(crate) used: usize,
    /// Position of each column in its sequence; 0 for what fills up.
    pub(crate) positions: Vec<u32>,
    /// The last position that each sees: its own where attention is causal, else the sequence's last.
    pub(crate) sees: Vec<u32>,
    /// Rotary cosines `[head_dim / 2, count]`.
    pub(crate) cos: Vec<T>,
    /// Rotary sines.
    pub(crate) sin: Vec<T>,
    /// Each sequence's keys (in all columns) and queries (in these columns).
    pub(crate) segments: Vec<Segment>,
}

/// The columns of one pass.
pub(crate) struct Plan<T> {
    /// Longest sequence.
    context: usize,
    /// Whether a position sees only those before it.
    causal: bool,
    /// Rotary tables of the whole context, `[head_dim / 2, context]`.
    cos: Vec<T>,
    sin: Vec<T>,
    /// One column for each token; its queries are all of them.
    pub(crate) all: Columns<T>,
    /// Token of each column; 0 for what fills up.
    pub(crate) tokens: Vec<u32>,
    /// The columns with a target: the last layer computes nothing else but keys and values.
    pub(crate) scored: Columns<T>,
    /// For each scored column its number among all.
    pub(crate) columns: Vec<u32>,
    /// Target of each scored column, then [`IGNORE`].
    pub(crate) targets: Vec<u32>,
}

impl<T: Real> Columns<T> {
    fn new() -> Self {
        let (positions, sees, segments) = (Vec::new(), Vec::new(), Vec::new());
        Columns { count: 0, used: 0, positions, sees, cos: Vec::new(), sin: Vec::new(), segments }
    }

    /// Rounds up and looks up the rotary tables.
    fn finish(&mut self, cos: &[T], sin: &[T], context: usize) {
        self.used = self.positions.len();
        self.count = self.used.next_multiple_of(BLOCK);
        self.positions.resize(self.count, 0);
        self.sees.resize(self.count, 0);
        let half = cos.len() / context;
        self.cos.resize(half * self.count, T::ZERO);
        self.sin.resize(half * self.count, T::ZERO);
        if self.count == 0 {
            return;
        }
        gather(cos, context, &self.positions, self.count, &mut self.cos);
        gather(sin, context, &self.positions, self.count, &mut self.sin);
    }
}

impl<T: Real> Plan<T> {
    /// For sequences of at most `context` tokens.
    pub(crate) fn new(config: &Config, context: usize) -> Self {
        let positions: Vec<u32> = (0..context.max(1) as u32).collect();
        let Some((base, _)) = config.architecture.trained(config.head_dim) else {
            unreachable!("weights in one vector are a Llama's")
        };
        let (cos, sin) = rope_table(config.head_dim, base, &positions);
        let (all, scored) = (Columns::new(), Columns::new());
        Plan {
            context: context.max(1),
            causal: config.architecture.attention.causal,
            cos,
            sin,
            all,
            tokens: Vec::new(),
            scored,
            columns: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Lays out sequences of (tokens, targets), [`IGNORE`] where nothing is predicted. What no target's prediction depends
    /// on is left out: what follows a sequence's last target where attention is causal, else sequences without a target.
    pub(crate) fn lay<'a>(&mut self, sequences: impl Iterator<Item = (&'a [u32], &'a [u32])>) {
        for columns in [&mut self.all, &mut self.scored] {
            columns.positions.clear();
            columns.sees.clear();
            columns.segments.clear();
        }
        self.tokens.clear();
        self.columns.clear();
        self.targets.clear();
        for (tokens, targets) in sequences {
            let (keys, queries) = (self.tokens.len(), self.columns.len());
            let last = targets.iter().rposition(|t| *t != IGNORE);
            let length = last.map_or(0, |last| if self.causal { last + 1 } else { tokens.len() });
            let (tokens, targets) = (&tokens[..length], &targets[..length]);
            for (position, target) in (0..).zip(targets) {
                let sees = if self.causal { position } else { length as u32 - 1 };
                self.all.positions.push(position);
                self.all.sees.push(sees);
                if *target != IGNORE {
                    self.columns.push(keys as u32 + position);
                    self.scored.positions.push(position);
                    self.scored.sees.push(sees);
                    self.targets.push(*target);
                }
            }
            self.tokens.extend_from_slice(tokens);
            let keys = keys..self.tokens.len();
            self.all.segments.push(Segment { keys: keys.clone(), queries: keys.clone() });
            self.scored.segments.push(Segment { keys, queries: queries..self.columns.len() });
        }
        self.all.finish(&self.cos, &self.sin, self.context);
        self.scored.finish(&self.cos, &self.sin, self.context);
        self.tokens.resize(self.all.count, 0);
        self.targets.resize(self.scored.count, IGNORE);
    }
}
