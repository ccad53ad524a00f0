//! Keys and values of sequences in pages that sequences may share.
//!
//! A sequence is a list of pages and a length. Forking copies the list, not the pages; who writes to a page that others
//! read takes a copy of it first; truncating gives pages back. The prefix tree of an evaluation is made of forks.

use crate::Config;
use saltus_compute::{PAGE, Pages, SECOND_POOL, value_stride};
use std::{ops::Range, sync::Arc};

/// The pages of all layers, of which each sequence has its own.
pub struct Cache {
    /// For each layer keys and values, see [`Pages`]. Memory that no page has used yet is not touched.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// For each page how many sequences have it.
    shared: Vec<u32>,
    /// Pages that nobody has; the next one to use is the last.
    free: Vec<u32>,
    kv_heads: usize,
    head_dim: usize,
    pub(crate) buffers: Buffers,
    /// Another cache, whose pages sequences may have too, and where nothing is written.
    pub(crate) base: Option<Arc<Cache>>,
}

/// Activations of one pass that the next may use: fresh memory costs more than what is computed in a small layer.
#[derive(Default)]
pub(crate) struct Buffers(Vec<Vec<f32>>);

impl Buffers {
    /// `length` numbers of any value.
    pub(crate) fn take(&mut self, length: usize) -> Vec<f32> {
        let fits = |(at, buffer): (usize, &Vec<f32>)| (buffer.capacity() >= length).then(|| (buffer.capacity(), at));
        let smallest = self.0.iter().enumerate().filter_map(fits).min();
        let mut buffer = smallest.map(|(_, at)| self.0.swap_remove(at)).unwrap_or_default();
        buffer.resize(length, 0.0);
        buffer
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        self.0.push(buffer);
    }
}

/// What one reader has read: made by [`Cache::begin`] or [`Cache::fork`], given back by [`Cache::end`].
#[derive(Debug, Default)]
pub struct Sequence {
    pages: Vec<u32>,
    length: usize,
    /// A page that others read, and its copy to be written: copied layer by layer, when the layer is written, so that what
    /// is copied may itself be written in the same pass.
    copy: Option<(u32, u32)>,
}

impl Sequence {
    /// Positions read.
    pub fn length(&self) -> usize {
        self.length
    }
    pub(crate) fn pages(&self) -> &[u32] {
        &self.pages
    }
    /// What [`Cache::write`] did in every layer needs no copy any more.
    pub(crate) fn written(&mut self) {
        self.copy = None;
    }
}

impl Cache {
    /// Room for `pages` pages of [`PAGE`] positions. Memory is taken when it is first used.
    pub fn new(config: &Config, pages: usize) -> Self {
        let keys = pages * config.kv_heads * config.head_dim * PAGE;
        let values = pages * config.kv_heads * PAGE * value_stride(config.head_dim);
        Cache {
            layers: (0..config.layers).map(|_| (vec![0.0; keys], vec![0.0; values])).collect(),
            shared: vec![0; pages],
            free: (0..pages as u32).rev().collect(),
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            buffers: Buffers::default(),
            base: None,
        }
    }

    /// Bytes that one page takes in all layers.
    pub fn page_bytes(config: &Config) -> usize {
        4 * config.layers * config.kv_heads * PAGE * (config.head_dim + value_stride(config.head_dim))
    }

    /// Pages that `positions` positions take.
    pub fn pages_of(positions: usize) -> usize {
        positions.div_ceil(PAGE)
    }

    /// Pages that nobody has.
    pub fn free_pages(&self) -> usize {
        self.free.len()
    }

    /// A sequence that has read nothing.
    pub fn begin(&self) -> Sequence {
        Sequence::default()
    }

    /// A second reader of what `sequence` has read.
    pub fn fork(&mut self, sequence: &Sequence) -> Sequence {
        for page in sequence.pages.iter().filter(|page| **page & SECOND_POOL == 0) {
            self.shared[*page as usize] += 1;
        }
        Sequence { pages: sequence.pages.clone(), length: sequence.length, copy: None }
    }

    /// A reader of what a sequence of the base has read.
    pub(crate) fn fork_of_base(&self, sequence: &Sequence) -> Sequence {
        let pages = sequence.pages.iter().map(|page| page | SECOND_POOL).collect();
        Sequence { pages, length: sequence.length, copy: None }
    }

    /// Forgets what was read from position `length` on.
    pub fn truncate(&mut self, sequence: &mut Sequence, length: usize) {
        if length < sequence.length {
            self.finish_copy(sequence);
            for page in sequence.pages.drain(length.div_ceil(PAGE)..) {
                give_back(&mut self.shared, &mut self.free, page);
            }
            sequence.length = length;
        }
    }

    /// Gives the sequence's pages back.
    pub fn end(&mut self, mut sequence: Sequence) {
        self.truncate(&mut sequence, 0);
    }

    /// Makes `sequence` longer by `more` positions, to be written; false, with nothing changed, if there is no room.
    pub(crate) fn extend(&mut self, sequence: &mut Sequence, more: usize) -> bool {
        let (used, total) = (sequence.length % PAGE, (sequence.length + more).div_ceil(PAGE));
        let of_others = |page: u32| page & SECOND_POOL != 0 || self.shared[page as usize] > 1;
        let shared = |page: &u32| used > 0 && more > 0 && of_others(*page);
        let copied = sequence.pages.last().copied().filter(shared);
        if total - sequence.pages.len() + usize::from(copied.is_some()) > self.free.len() {
            return false;
        }
        if let Some(page) = copied {
            sequence.pages.pop();
            let own = self.take();
            sequence.copy = Some((page, own));
            give_back(&mut self.shared, &mut self.free, page);
            sequence.pages.push(own);
        }
        while sequence.pages.len() < total {
            let page = self.take();
            sequence.pages.push(page);
        }
        sequence.length += more;
        true
    }

    fn take(&mut self) -> u32 {
        let page = self.free.pop().unwrap_or_default();
        self.shared[page as usize] = 1;
        page
    }

    /// Copies in all layers what was to be copied while writing.
    fn finish_copy(&mut self, sequence: &mut Sequence) {
        if let Some(copy) = sequence.copy.take() {
            (0..self.layers.len()).for_each(|layer| self.copy(layer, copy));
        }
    }

    /// Copies a page of one layer.
    fn copy(&mut self, layer: usize, (from, to): (u32, u32)) {
        let (k, v) = &mut self.layers[layer];
        let base = self.base.as_ref().map(|base| &base.layers[layer]);
        let number = (from & !SECOND_POOL) as usize;
        for (pool, base) in [(k, base.map(|b| &b.0)), (v, base.map(|b| &b.1))] {
            let size = pool.len() / self.shared.len();
            let (at, to) = (number * size, to as usize * size);
            match base {
                Some(base) if from & SECOND_POOL != 0 => pool[to..to + size].copy_from_slice(&base[at..at + size]),
                _ => pool.copy_within(at..at + size, to),
            }
        }
    }

    pub(crate) fn pages(&self, layer: usize) -> Pages<'_, f32> {
        let (k, v) = &self.layers[layer];
        let (base_k, base_v): (&[f32], &[f32]) =
            self.base.as_ref().map_or((&[], &[]), |base| (&base.layers[layer].0, &base.layers[layer].1));
        Pages { k: [k, base_k], v: [v, base_v] }
    }

    /// Writes the last positions of each sequence in `layer`: `k` and `v` are `[kv_heads * head_dim, columns]`, and the
    /// positions are as many as the columns beside the sequence.
    pub(crate) fn write(&mut self, layer: usize, parts: &[(&Sequence, Range<usize>)], k: &[f32], v: &[f32]) {
        let written = Written { kv_heads: self.kv_heads, head_dim: self.head_dim, k, v };
        let mut waiting = Vec::new();
        for (sequence, columns) in parts {
            if let Some(copy) = sequence.copy {
                // What is copied may be written by a part before.
                written.to(&mut self.layers[layer], std::mem::take(&mut waiting));
                self.copy(layer, copy);
            }
            waiting.extend(runs(sequence, columns.clone()));
        }
        written.to(&mut self.layers[layer], waiting);
    }
}

/// Columns that go to one page.
struct Run {
    page: usize,
    /// The first position in the page.
    slot: usize,
    columns: Range<usize>,
}

/// Where the last positions of a sequence, which are some columns, lie.
fn runs(sequence: &Sequence, columns: Range<usize>) -> impl Iterator<Item = Run> {
    let (from, end) = (sequence.length - columns.len(), sequence.length);
    (from / PAGE..end.div_ceil(PAGE)).map(move |number| {
        let positions = from.max(number * PAGE)..end.min((number + 1) * PAGE);
        let page = sequence.pages[number] as usize;
        let first = columns.start + positions.start - from;
        Run { page, slot: positions.start % PAGE, columns: first..first + positions.len() }
    })
}

/// At most so many runs are written by one thread.
const RUNS: usize = 8;

/// Keys and values to be written, `[kv_heads * head_dim, columns]`.
struct Written<'a> {
    kv_heads: usize,
    head_dim: usize,
    k: &'a [f32],
    v: &'a [f32],
}

impl Written<'_> {
    /// Writes runs of different pages.
    fn to(&self, (pool_k, pool_v): &mut (Vec<f32>, Vec<f32>), mut runs: Vec<Run>) {
        runs.sort_unstable_by_key(|run| run.page);
        self.runs((pool_k, pool_v), 0, &runs);
    }

    /// Writes runs of different pages, the lower numbers first, to the pools from page `first` on: every line of a page
    /// comes from memory, which two threads wait for half as long.
    fn runs(&self, (k, v): (&mut [f32], &mut [f32]), first: usize, runs: &[Run]) {
        let channels = self.kv_heads * self.head_dim;
        let (size_k, size_v) = (channels * PAGE, self.kv_heads * PAGE * value_stride(self.head_dim));
        if runs.len() <= RUNS {
            for run in runs {
                let page = run.page - first;
                self.run(&mut k[page * size_k..][..size_k], &mut v[page * size_v..][..size_v], run);
            }
            return;
        }
        let (left, right) = runs.split_at(runs.len() / 2);
        let middle = right[0].page;
        let (left_k, right_k) = k.split_at_mut((middle - first) * size_k);
        let (left_v, right_v) = v.split_at_mut((middle - first) * size_v);
        rayon::join(|| self.runs((left_k, left_v), first, left), || self.runs((right_k, right_v), middle, right));
    }

    fn run(&self, page_k: &mut [f32], page_v: &mut [f32], Run { page: _, slot, columns }: &Run) {
        let (slot, width) = (*slot, value_stride(self.head_dim));
        let all = self.k.len() / (self.kv_heads * self.head_dim);
        for (to, from) in page_k.chunks_exact_mut(PAGE).zip(self.k.chunks_exact(all)) {
            to[slot..slot + columns.len()].copy_from_slice(&from[columns.clone()]);
        }
        for (to, from) in page_v.chunks_exact_mut(PAGE * width).zip(self.v.chunks_exact(self.head_dim * all)) {
            for (c, from) in from.chunks_exact(all).enumerate() {
                for (to, from) in to[slot * width + c..].iter_mut().step_by(width).zip(&from[columns.clone()]) {
                    *to = *from;
                }
            }
        }
    }
}

/// One reader less of a page; those of the base are not counted.
fn give_back(shared: &mut [u32], free: &mut Vec<u32>, page: u32) {
    if page & SECOND_POOL != 0 {
        return;
    }
    shared[page as usize] -= 1;
    if shared[page as usize] == 0 {
        free.push(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::small;
    use proptest::prelude::*;

    proptest! {
        /// What many sequences write lies where each position belongs, be they new, or forks that copy a page first.
        #[test]
        fn what_is_written_lies_in_its_place(
            lengths in proptest::collection::vec((0usize..50, 1usize..200), 1..20), forks in any::<bool>(),
        ) {
            let config = small(false);
            let channels = config.kv_heads * config.head_dim;
            // Column c of a pass that begins with number `first` holds first + c in every channel.
            let numbers = |first: usize, columns: usize| -> Vec<f32> {
                (0..channels * columns).map(|i| (first + i % columns) as f32).collect()
            };
            let mut cache = Cache::new(&config, 400);
            // Pages that were used before come in another order.
            let mut used = cache.begin();
            cache.extend(&mut used, 399 * PAGE);
            cache.end(used);
            let mut base = cache.begin();
            cache.extend(&mut base, 50);
            let past = numbers(1, 50);
            cache.write(1, &[(&base, 0..50)], &past, &past);
            let (mut sequences, mut columns) = (Vec::new(), 0);
            for (shared, more) in lengths {
                let mut sequence = if forks { cache.fork(&base) } else { cache.begin() };
                cache.truncate(&mut sequence, shared);
                let shared = sequence.length();
                prop_assert!(cache.extend(&mut sequence, more));
                sequences.push((sequence, shared, columns..columns + more));
                columns += more;
            }
            let now = numbers(1000, columns);
            let parts: Vec<_> = sequences.iter().map(|(sequence, _, span)| (sequence, span.clone())).collect();
            cache.write(1, &parts, &now, &now);
            let (k, v) = &cache.layers[1];
            let width = value_stride(config.head_dim);
            for (sequence, shared, span) in &sequences {
                for position in 0..sequence.length() {
                    let is = if position < *shared { 1 + position } else { 1000 + span.start + position - shared };
                    let (page, slot) = (sequence.pages[position / PAGE] as usize, position % PAGE);
                    for channel in 0..channels {
                        let (head, c) = (channel / config.head_dim, channel % config.head_dim);
                        let at = ((page * config.kv_heads + head) * PAGE + slot) * width + c;
                        prop_assert_eq!((k[(page * channels + channel) * PAGE + slot], v[at]), (is as f32, is as f32));
                    }
                }
            }
        }

        /// Whatever is forked, extended, truncated and ended: pages are counted right, and none is lost.
        #[test]
        fn pages_are_counted(steps in proptest::collection::vec((0usize..4, 0usize..8, 0usize..40), 1..60)) {
            let mut cache = Cache::new(&small(false), 24);
            let mut sequences = vec![cache.begin()];
            for (what, which, much) in steps {
                let at = which % sequences.len();
                match what {
                    0 => {
                        let before = (sequences[at].length(), cache.free_pages());
                        if !cache.extend(&mut sequences[at], much) {
                            prop_assert_eq!(before, (sequences[at].length(), cache.free_pages()));
                        }
                    }
                    1 => cache.truncate(&mut sequences[at], much),
                    2 => {
                        let fork = cache.fork(&sequences[at]);
                        sequences.push(fork);
                    }
                    _ => cache.end(std::mem::take(&mut sequences[at])),
                }
                let mut counts = [0; 24];
                for sequence in &sequences {
                    prop_assert_eq!(sequence.pages.len(), Cache::pages_of(sequence.length));
                    sequence.pages.iter().for_each(|page| counts[*page as usize] += 1);
                }
                prop_assert_eq!(&counts[..], &cache.shared[..]);
                prop_assert_eq!(cache.free.len(), counts.iter().filter(|c| **c == 0).count());
            }
            for sequence in sequences {
                cache.end(sequence);
            }
            prop_assert_eq!(cache.free_pages(), 24);
        }
    }
}
