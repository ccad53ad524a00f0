//! Scores of many requests: their prefixes form a tree, and every run of the tree is computed once.
//!
//! Whole subtrees that fit one pass are computed side by side, each pass in a cache of its own. What lies above them, the
//! trunk, is computed before, and then only read. The tree is walked in order, in waves as large as the memory for the
//! trunk allows; a run is forgotten when everything beneath it is done.

use crate::{Cache, Chunk, Model, NoTaps, Sequence};
use rayon::prelude::*;
use saltus_compute::{PAGE, Prediction};
use saltus_lm::{Node, PrefixTree, TokenId};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// How much is done at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Tokens up to which small subtrees share a pass, and of the longest run.
    pub(crate) pass: usize,
    /// Tokens up to which one subtree is a pass.
    pub(crate) largest_pass: usize,
    /// Tokens of the trunk that are computed in one pass, on all threads.
    pub(crate) trunk_pass: usize,
    /// Bytes for the keys and values of the trunk, if they suffice for its longest path.
    pub(crate) memory: usize,
}

/// One request in tokens.
pub(crate) struct Asked {
    /// What is read.
    pub(crate) tokens: Vec<TokenId>,
    /// What is scored behind the last of these, one token behind each.
    pub(crate) targets: Vec<TokenId>,
}

impl Asked {
    /// The first token behind which a prediction is wanted.
    fn from(&self) -> usize {
        self.tokens.len() - self.targets.len()
    }
}

/// A prediction with the request and which of its targets it is about.
type Answer = (usize, usize, Prediction);

/// What is to be done next, in the order of the tree.
enum Work {
    /// A run that several passes need.
    Trunk(usize),
    /// Runs of one pass: whole subtrees.
    Pass(Vec<usize>),
}

/// Predictions of all targets of each request.
pub(crate) fn score(model: &Model, asked: &[Asked], limits: Limits) -> Vec<Vec<Prediction>> {
    let scorer = Scorer::new(model, asked, limits);
    let affordable = limits.memory / Cache::page_bytes(&model.config);
    let mut work = plan(&scorer.runs, limits, true);
    if scorer.trunk_pages(&work).0 > affordable {
        work = plan(&scorer.runs, limits, false);
    }
    let (all, path) = scorer.trunk_pages(&work);
    let none = Prediction { logprob: f64::NAN, argmax: 0 };
    let mut said: Vec<Vec<Prediction>> = asked.iter().map(|a| vec![none; a.targets.len()]).collect();
    let mut trunk = Cache::new(&model.config, all.min(affordable).max(path));
    let mut grown: HashMap<usize, Sequence> = HashMap::new();
    let own = Mutex::new(Vec::new());
    let mut rest = &work[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(scorer.wave(rest, trunk.free_pages()));
        let mut answers = scorer.grow(now, &mut trunk, &mut grown);
        let frozen = Arc::new(trunk);
        answers.extend(scorer.passes(now, &frozen, &grown, &own));
        let Some(thawed) = Arc::into_inner(frozen) else { unreachable!("every pass gives the trunk back") };
        trunk = thawed;
        for (request, number, prediction) in answers {
            said[request][number] = prediction;
        }
        scorer.forget(later.first(), &mut trunk, &mut grown);
        rest = later;
    }
    said
}

struct Scorer<'a> {
    model: &'a Model,
    asked: &'a [Asked],
    limits: Limits,
    /// The runs of the tree, none longer than a pass.
    runs: Vec<Node>,
    /// For each run the predictions wanted in it: position, request, number of the target; by position.
    wanted: Vec<Vec<(usize, usize, usize)>>,
}

impl<'a> Scorer<'a> {
    fn new(model: &'a Model, asked: &'a [Asked], limits: Limits) -> Self {
        let sequences: Vec<&[TokenId]> = asked.iter().map(|a| &a.tokens[..]).collect();
        let (runs, ends) = cut(&PrefixTree::new(&sequences), limits.pass);
        let mut wanted = vec![Vec::new(); runs.len()];
        for (request, (asked, end)) in asked.iter().zip(ends).enumerate() {
            let mut at = end;
            while let Some(run) = at {
                let Range { start, end } = runs[run].tokens.clone();
                wanted[run].extend((start.max(asked.from())..end).map(|p| (p, request, p - asked.from())));
                at = runs[run].parent.filter(|_| start > asked.from());
            }
        }
        wanted.iter_mut().for_each(|wanted: &mut Vec<_>| wanted.sort_unstable());
        Scorer { model, asked, limits, runs, wanted }
    }

    /// New pages that a run takes: what is left of a page of its parent is copied.
    fn pages(&self, run: usize) -> usize {
        let tokens = &self.runs[run].tokens;
        Cache::pages_of(tokens.end) - tokens.start / PAGE
    }

    /// Pages of the whole trunk, and of its longest path.
    fn trunk_pages(&self, work: &[Work]) -> (usize, usize) {
        let mut paths: HashMap<usize, usize> = HashMap::new();
        let mut all = 0;
        for work in work {
            if let Work::Trunk(run) = work {
                let above = self.runs[*run].parent.and_then(|parent| paths.get(&parent)).copied().unwrap_or(0);
                paths.insert(*run, above + self.pages(*run));
                all += self.pages(*run);
            }
        }
        (all, paths.values().copied().max().unwrap_or(0))
    }

    /// How much of the work can be done with so many free pages for the trunk.
    fn wave(&self, work: &[Work], free: usize) -> usize {
        let mut used = 0;
        let fits = work.iter().take_while(|work| {
            used += if let Work::Trunk(run) = work { self.pages(*run) } else { 0 };
            used <= free
        });
        fits.count().max(1)
    }

    /// Computes the trunk of a wave, some runs at a time, on all threads.
    fn grow(&self, work: &[Work], trunk: &mut Cache, grown: &mut HashMap<usize, Sequence>) -> Vec<Answer> {
        let runs: Vec<usize> =
            work.iter().filter_map(|w| if let Work::Trunk(run) = w { Some(*run) } else { None }).collect();
        let mut answers = Vec::new();
        let mut rest = &runs[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fit = rest.iter().take_while(|run| {
                tokens += self.runs[**run].tokens.len();
                tokens <= self.limits.trunk_pass
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            answers.extend(self.read(now, trunk, grown, |_, _| None));
            rest = later;
        }
        answers
    }

    /// The passes of a wave, side by side where there are enough of them, each with its own cache on top of the trunk.
    fn passes(
        &self,
        work: &[Work],
        trunk: &Arc<Cache>,
        grown: &HashMap<usize, Sequence>,
        own: &Mutex<Vec<Cache>>,
    ) -> Vec<Answer> {
        let passes: Vec<&Vec<usize>> =
            work.iter().filter_map(|w| if let Work::Pass(runs) = w { Some(runs) } else { None }).collect();
        let pages = |runs: &&Vec<usize>| runs.iter().map(|run| self.pages(*run)).sum();
        let most: usize = passes.iter().map(pages).max().unwrap_or(0);
        let caches = || own.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |runs: &&Vec<usize>| {
            let fitting = caches().pop().filter(|cache: &Cache| cache.free_pages() >= most);
            let mut cache = fitting.unwrap_or_else(|| Cache::new(&self.model.config, most));
            cache.base = Some(Arc::clone(trunk));
            let mut sequences = HashMap::new();
            let of_trunk = |cache: &Cache, parent: usize| Some(cache.fork_of_base(grown.get(&parent)?));
            let answers = self.read(runs, &mut cache, &mut sequences, of_trunk);
            sequences.into_values().for_each(|sequence| cache.end(sequence));
            cache.base = None;
            caches().push(cache);
            answers
        };
        match passes.len() >= rayon::current_num_threads() {
            true => passes.par_iter().flat_map_iter(one).collect(),
            false => passes.iter().flat_map(one).collect(),
        }
    }

    /// Reads some runs in one pass. The sequence that ends with a run's parent is among `sequences`, or comes from
    /// `elsewhere`; those of the runs are added.
    fn read(
        &self,
        runs: &[usize],
        cache: &mut Cache,
        sequences: &mut HashMap<usize, Sequence>,
        elsewhere: impl Fn(&Cache, usize) -> Option<Sequence>,
    ) -> Vec<Answer> {
        for run in runs {
            let parent = self.runs[*run].parent;
            let before = |parent| match sequences.get(&parent) {
                Some(sequence) => Some(cache.fork(sequence)),
                None => elsewhere(cache, parent),
            };
            let mut sequence = match parent.map(before) {
                Some(Some(sequence)) => sequence,
                Some(None) => unreachable!("a parent is computed before its children"),
                None => cache.begin(),
            };
            if !cache.extend(&mut sequence, self.runs[*run].tokens.len()) {
                unreachable!("the cache was made for these runs")
            }
            sequences.insert(*run, sequence);
        }
        let mut own: Vec<Sequence> = runs.iter().filter_map(|run| sequences.remove(run)).collect();
        let (mut targets, mut notes, mut column) = (Vec::new(), Vec::new(), 0);
        let mut chunks = Vec::with_capacity(runs.len());
        for (run, sequence) in runs.iter().zip(&mut own) {
            let Node { sequence: whose, tokens, .. } = &self.runs[*run];
            let wanted = &self.wanted[*run];
            let first = wanted.first().map_or(tokens.start, |(position, ..)| *position);
            let end = wanted.last().map_or(tokens.start, |(position, ..)| position + 1);
            for (position, request, number) in wanted {
                targets.push((column + position - first, self.asked[*request].targets[*number]));
                notes.push((*request, *number));
            }
            column += end - first;
            chunks.push(Chunk {
                sequence,
                tokens: &self.asked[*whose].tokens[tokens.clone()],
                wanted: first - tokens.start..end - tokens.start,
                second: tokens.len(),
            });
        }
        let hidden = self.model.read(&chunks, cache, &mut NoTaps);
        drop(chunks);
        own.iter_mut().for_each(Sequence::written);
        sequences.extend(runs.iter().copied().zip(own));
        let said = self.model.predictions(&hidden, &targets);
        notes.into_iter().zip(said).map(|((request, number), said)| (request, number, said)).collect()
    }

    /// Gives back the runs of the trunk that nothing to come stands on.
    fn forget(&self, next: Option<&Work>, trunk: &mut Cache, grown: &mut HashMap<usize, Sequence>) {
        let mut at = match next {
            Some(Work::Trunk(run)) => Some(*run),
            Some(Work::Pass(runs)) => runs.first().copied(),
            None => None,
        };
        let mut kept = HashSet::new();
        while let Some(run) = at {
            kept.insert(run);
            at = self.runs[run].parent;
        }
        let done: Vec<usize> = grown.keys().copied().filter(|run| !kept.contains(run)).collect();
        for sequence in done.iter().filter_map(|run| grown.remove(run)) {
            trunk.end(sequence);
        }
    }
}

/// The tree with runs of at most `longest` tokens, and where each sequence ends.
fn cut(tree: &PrefixTree, longest: usize) -> (Vec<Node>, Vec<Option<usize>>) {
    let mut runs: Vec<Node> = Vec::with_capacity(tree.nodes.len());
    let mut last = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        let mut parent = node.parent.map(|parent| last[parent]);
        for start in node.tokens.clone().step_by(longest) {
            let tokens = start..(start + longest).min(node.tokens.end);
            runs.push(Node { parent, tokens, ..*node });
            parent = Some(runs.len() - 1);
        }
        last.push(runs.len() - 1);
    }
    let ends = tree.ends.iter().map(|end| end.map(|end| last[end])).collect();
    (runs, ends)
}

/// Which runs are computed together, in the order of the tree. `across`: a pass may hold subtrees of different parts of
/// the trunk, all of which is then in memory.
fn plan(runs: &[Node], limits: Limits, across: bool) -> Vec<Work> {
    // Tokens of each subtree, and where it ends.
    let mut tokens: Vec<usize> = runs.iter().map(|run| run.tokens.len()).collect();
    let mut end: Vec<usize> = (1..=runs.len()).collect();
    for (number, run) in runs.iter().enumerate().rev() {
        if let Some(parent) = run.parent {
            tokens[parent] += tokens[number];
            end[parent] = end[parent].max(end[number]);
        }
    }
    let (mut work, mut pass, mut passed) = (Vec::new(), Vec::new(), 0);
    let mut number = 0;
    while number < runs.len() {
        let trunk = tokens[number] > limits.largest_pass && end[number] > number + 1;
        let full = passed > 0 && (if trunk { !across } else { passed + tokens[number] > limits.pass });
        if full {
            work.push(Work::Pass(std::mem::take(&mut pass)));
            passed = 0;
        }
        if trunk {
            work.push(Work::Trunk(number));
            number += 1;
            continue;
        }
        pass.extend(number..end[number]);
        passed += tokens[number];
        number = end[number];
    }
    if passed > 0 {
        work.push(Work::Pass(pass));
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Weights, config::tests::small};
    use proptest::prelude::*;
    use saltus_random::Key;

    fn model() -> Model {
        Weights::init(&small(false), Key::new(7)).into()
    }

    /// One request alone, read from the beginning.
    fn alone(model: &Model, asked: &Asked) -> Vec<Prediction> {
        let mut cache = Cache::new(&model.config, Cache::pages_of(asked.tokens.len()));
        let mut sequence = cache.begin();
        let wanted = asked.from()..asked.tokens.len();
        let second = asked.tokens.len();
        let mut chunks = [Chunk { sequence: &mut sequence, tokens: &asked.tokens, wanted, second }];
        let hidden = model.forward(&mut chunks, &mut cache, &mut NoTaps).unwrap();
        let targets: Vec<(usize, TokenId)> = asked.targets.iter().copied().enumerate().collect();
        model.predictions(&hidden, &targets)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn shared_prefixes_change_no_score(
            requests in proptest::collection::vec((0usize..4, 0usize..40, proptest::collection::vec(0u32..3, 1..24), 1usize..6), 1..40),
            pass in 1usize..40,
            more in 0usize..60,
            memory in 0usize..40,
        ) {
            let model = model();
            // Some share a long beginning, of which some have only a part.
            let asked: Vec<Asked> = requests
                .into_iter()
                .map(|(shots, part, tail, targets)| {
                    let mut tokens: Vec<TokenId> = (0..part).map(|i| ((i * i + shots) % 11) as TokenId).collect();
                    tokens.extend(tail);
                    let targets = (0..targets.min(tokens.len())).map(|i| (i * 3 % 11) as TokenId).collect();
                    Asked { tokens, targets }
                })
                .collect();
            let memory = memory * Cache::page_bytes(&model.config);
            let limits = Limits { pass, largest_pass: pass + more, trunk_pass: 2 * pass, memory };
            let said = score(&model, &asked, limits);
            for (asked, said) in asked.iter().zip(&said) {
                for (is, should) in said.iter().zip(alone(&model, asked)) {
                    prop_assert!((is.logprob - should.logprob).abs() < 1e-5, "{is:?} {should:?}");
                }
                prop_assert_eq!(said.len(), asked.targets.len());
            }
        }
    }
}
