//! Reading logits `[vocabulary, columns]`: the first and the last choice of each column, and ranks.

use rayon::prelude::*;
use saltus_compute::BLOCK;
use saltus_lm::TokenId;

/// Numbers of logits that lie in memory at a time, at most.
const LOGITS: usize = 1 << 23;

/// Rows of logits looked at by one thread at a time.
const ROWS: usize = 1024;

/// Columns whose logits are computed together: whole blocks, many where memory allows.
pub(crate) fn columns_at_once(vocabulary: usize) -> usize {
    (LOGITS / vocabulary / BLOCK * BLOCK).clamp(BLOCK, 8 * BLOCK)
}

/// What each column says; the lower token goes first on ties.
pub(crate) struct Tally {
    /// Its first choice.
    pub(crate) first: Vec<TokenId>,
    /// Its last choice; the lowest token among equals.
    pub(crate) last: Vec<TokenId>,
    /// The rank of its target, from 1; 0 where there is none.
    pub(crate) ranks: Vec<u32>,
    greatest: Vec<f32>,
    least: Vec<f32>,
}

impl Tally {
    fn new(columns: usize) -> Self {
        let zeros = vec![0; columns];
        let (greatest, least) = (vec![f32::NEG_INFINITY; columns], vec![f32::INFINITY; columns]);
        Tally { first: zeros.clone(), last: zeros.clone(), ranks: zeros, greatest, least }
    }

    /// Takes the rows from `from` on in.
    fn read(&mut self, from: usize, rows: &[f32], targets: &[Target]) {
        let columns = self.first.len();
        for (row, values) in (from as u32..).zip(rows.chunks_exact(columns)) {
            for (column, x) in values.iter().enumerate() {
                let x = *x;
                if x > self.greatest[column] {
                    (self.greatest[column], self.first[column]) = (x, row);
                }
                if x < self.least[column] {
                    (self.least[column], self.last[column]) = (x, row);
                }
            }
            for (column, target) in targets.iter().enumerate() {
                let before = values[column] > target.vote || values[column] == target.vote && row <= target.token;
                self.ranks[column] += u32::from(before);
            }
        }
    }

    /// Takes in what was read of later rows.
    fn join(mut self, later: Tally) -> Self {
        for column in 0..self.first.len() {
            if later.greatest[column] > self.greatest[column] {
                (self.greatest[column], self.first[column]) = (later.greatest[column], later.first[column]);
            }
            if later.least[column] < self.least[column] {
                (self.least[column], self.last[column]) = (later.least[column], later.last[column]);
            }
            self.ranks[column] += later.ranks[column];
        }
        self
    }
}

/// A token whose rank is wanted, and the vote that it has.
struct Target {
    token: TokenId,
    vote: f32,
}

/// What each of `columns` columns of `logits` says, and where its target stands, if `targets` has one for it.
pub(crate) fn tally(logits: &[f32], columns: usize, targets: &[Option<TokenId>]) -> Tally {
    // Nothing is greater than infinity.
    let target = |(column, token): (usize, &Option<TokenId>)| match token {
        Some(token) => Target { token: *token, vote: logits[*token as usize * columns + column] },
        None => Target { token: 0, vote: f32::INFINITY },
    };
    let targets: Vec<Target> = targets.iter().enumerate().map(target).collect();
    let parts: Vec<Tally> = logits
        .par_chunks(ROWS * columns)
        .enumerate()
        .map(|(part, rows)| {
            let mut tally = Tally::new(columns);
            tally.read(part * ROWS, rows, &targets);
            tally
        })
        .collect();
    parts.into_iter().reduce(Tally::join).unwrap_or_else(|| Tally::new(columns))
}

/// The `count` tokens that a column votes for most, and those that it votes against most, each the strongest first.
pub(crate) fn strongest(logits: &[f32], columns: usize, column: usize, count: usize) -> [Vec<(TokenId, f32)>; 2] {
    let mut votes: Vec<(TokenId, f32)> = (0..).zip(logits.iter().skip(column).step_by(columns).copied()).collect();
    let mut ends = |sign: f32| {
        let order = |a: &(TokenId, f32), b: &(TokenId, f32)| (sign * b.1).total_cmp(&(sign * a.1)).then(a.0.cmp(&b.0));
        let count = count.min(votes.len());
        if count < votes.len() {
            votes.select_nth_unstable_by(count, order);
        }
        let mut ends = votes[..count].to_vec();
        ends.sort_by(order);
        ends
    };
    [ends(1.0), ends(-1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_last_and_rank_are_those_of_a_sort() {
        // More rows than one thread takes, with ties; columns of different order.
        let (rows, columns) = (2 * ROWS + 300, BLOCK);
        let value = |row: usize, column: usize| ((row * (7 + 2 * column) + 31 * column) % 509) as f32;
        let logits: Vec<f32> = (0..rows * columns).map(|i| value(i / columns, i % columns)).collect();
        let targets: Vec<Option<TokenId>> =
            (0..columns).map(|c| (c != 3).then_some((c * 997 % rows) as TokenId)).collect();
        let tally = tally(&logits, columns, &targets);
        for (column, target) in targets.iter().enumerate() {
            let mut order: Vec<u32> = (0..rows as u32).collect();
            let at = |row: &u32| value(*row as usize, column);
            order.sort_by(|a, b| at(b).total_cmp(&at(a)).then(a.cmp(b)));
            assert_eq!(tally.first[column], order[0]);
            let rank = target.map_or(0, |t| 1 + order.iter().position(|row| *row == t).unwrap() as u32);
            assert_eq!(tally.ranks[column], rank);
            let [top, bottom] = strongest(&logits, columns, column, 5);
            assert_eq!(top.iter().map(|vote| vote.0).collect::<Vec<_>>(), order[..5]);
            order.sort_by(|a, b| at(a).total_cmp(&at(b)).then(a.cmp(b)));
            assert_eq!(tally.last[column], order[0]);
            assert_eq!(bottom.iter().map(|vote| vote.0).collect::<Vec<_>>(), order[..5]);
        }
    }
}
