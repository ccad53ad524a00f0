//! The distinct prefixes of many token sequences, as a tree: what a model need compute once.

use crate::TokenId;
use std::ops::Range;

/// A run of tokens that the same sequences share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The run before it; none at the beginning of a sequence.
    pub parent: Option<usize>,
    /// A sequence that has it.
    pub sequence: usize,
    /// Its positions in that sequence; not empty.
    pub tokens: Range<usize>,
}

/// Sequences as paths through a tree of runs (a radix tree).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTree {
    /// The runs; a parent before its children, a subtree in one piece.
    pub nodes: Vec<Node>,
    /// For each sequence the run that it ends with; none for an empty sequence.
    pub ends: Vec<Option<usize>>,
}

/// A run that may still grow downwards while the sorted sequences are read.
struct Open {
    number: usize,
    end: usize,
    /// The first of the sorted sequences that has it.
    first: usize,
}

impl PrefixTree {
    /// The tree of `sequences`.
    pub fn new(sequences: &[&[TokenId]]) -> Self {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by(|a, b| sequences[*a].cmp(sequences[*b]));
        // Runs as (first of the sorted sequences, start, end); a run is known when its last sequence has been read.
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let mut last_runs = vec![None; sequences.len()];
        let close = |open: &mut Vec<Open>, runs: &mut Vec<(usize, usize, usize)>, least: usize| {
            let Open { number, end, first } = open.pop()?;
            let start = open.last().map_or(0, |above| above.end).max(least);
            runs[number] = (first, start, end);
            Some(first)
        };
        let begin = |open: &mut Vec<Open>, runs: &mut Vec<(usize, usize, usize)>, end, first| {
            open.push(Open { number: runs.len(), end, first });
            runs.push((0, 0, 0));
        };
        for (at, which) in order.iter().enumerate() {
            let tokens = sequences[*which];
            let shared = if at == 0 { 0 } else { common(sequences[order[at - 1]], tokens) };
            let mut first = at;
            while open.last().is_some_and(|run| run.end > shared) {
                first = close(&mut open, &mut runs, shared).unwrap_or(first);
            }
            if open.last().map_or(0, |run| run.end) < shared {
                begin(&mut open, &mut runs, shared, first);
            }
            if tokens.len() > shared {
                begin(&mut open, &mut runs, tokens.len(), at);
            }
            last_runs[*which] = open.last().map(|run| run.number);
        }
        while close(&mut open, &mut runs, 0).is_some() {}
        Self::in_order(&order, &runs, &last_runs)
    }

    /// The runs in the order of their paths, with their parents.
    fn in_order(order: &[usize], runs: &[(usize, usize, usize)], last_runs: &[Option<usize>]) -> Self {
        let mut sorted: Vec<usize> = (0..runs.len()).collect();
        sorted.sort_by_key(|run| runs[*run]);
        let mut place = vec![0; runs.len()];
        let mut nodes: Vec<Node> = Vec::with_capacity(runs.len());
        let mut path: Vec<usize> = Vec::new();
        for (at, run) in sorted.iter().enumerate() {
            place[*run] = at;
            let (first, start, end) = runs[*run];
            while path.last().is_some_and(|above| nodes[*above].tokens.end > start) {
                path.pop();
            }
            nodes.push(Node { parent: path.last().copied(), sequence: order[first], tokens: start..end });
            path.push(at);
        }
        let ends = last_runs.iter().map(|run| run.map(|run| place[run])).collect();
        PrefixTree { nodes, ends }
    }

    /// Tokens of all runs: what is left to compute when nothing is computed twice.
    pub fn tokens(&self) -> usize {
        self.nodes.iter().map(|node| node.tokens.len()).sum()
    }
}

fn common(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn every_prefix_is_there_once(sequences in proptest::collection::vec(proptest::collection::vec(0u32..3, 0..9), 0..40)) {
            let borrowed: Vec<&[TokenId]> = sequences.iter().map(Vec::as_slice).collect();
            let tree = PrefixTree::new(&borrowed);
            let prefixes: HashSet<&[TokenId]> =
                sequences.iter().flat_map(|s| (1..=s.len()).map(|length| &s[..length])).collect();
            prop_assert_eq!(tree.tokens(), prefixes.len());
            for (tokens, end) in sequences.iter().zip(&tree.ends) {
                // The path upwards is the sequence, backwards.
                let (mut at, mut covered) = (*end, tokens.len());
                while let Some(number) = at {
                    let node = &tree.nodes[number];
                    prop_assert_eq!(node.tokens.end, covered);
                    prop_assert_eq!(&sequences[node.sequence][..covered], &tokens[..covered]);
                    prop_assert!(node.parent.is_none_or(|parent| parent < number));
                    covered = node.tokens.start;
                    at = node.parent;
                }
                prop_assert_eq!(covered, 0);
            }
            // A subtree lies in one piece: who ends where a node begins, or later, is beneath it.
            for (number, node) in tree.nodes.iter().enumerate().skip(1) {
                let before = &tree.nodes[number - 1];
                let mut up = Some(number - 1);
                while up.is_some() && up != node.parent {
                    up = up.and_then(|up| tree.nodes[up].parent);
                }
                prop_assert_eq!(up, node.parent, "{:?} after {:?}", node, before);
            }
        }
    }
}
