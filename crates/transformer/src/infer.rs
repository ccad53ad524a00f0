//! The forward pass of any model: new tokens of many sequences, behind what each has read, to the stream at the wanted
//! columns and to logits.
//!
//! Columns of the activations are the new tokens of all sequences, one sequence after another. The last layer computes
//! only its keys and values for columns that nobody wants.

use crate::{
    Cache, Sequence,
    architecture::{Activation, Architecture, EmbeddingKind, Mlp, NormPlace, Positions, QkNorm, Residual},
    model::{LayerWeights, Model, NormWeights, apply_all},
    taps::{Activations, Site, Taps},
};
use rayon::prelude::*;
use saltus_compute::{
    BLOCK, Heads, Pages, Reader, Weighing, activate, activate_gated, attention_paged, gather, rms_norm, rope_partial,
};
use saltus_lm::TokenId;
use std::{ops::Range, sync::atomic::Ordering};

mod columns;
mod head;

use columns::Columns;
pub use head::Hidden;

/// New tokens of one sequence.
pub struct Chunk<'a> {
    /// What was read before; it will have read the tokens too.
    pub sequence: &'a mut Sequence,
    /// What is read now; not empty.
    pub tokens: &'a [TokenId],
    /// Of these tokens, those behind which the stream is wanted.
    pub wanted: Range<usize>,
    /// The first of these that is of the second sentence (BERT's segments); as many as there are, if none is.
    pub second: usize,
}

impl Chunk<'_> {
    /// The chunk as attention sees it.
    fn reader<'a>(&'a self, columns: &'a Columns, span: &Range<usize>, heads: Range<usize>) -> Reader<'a> {
        Reader {
            pages: self.sequence.pages(),
            keys: self.sequence.length(),
            columns: span.clone(),
            positions: &columns.positions[span.clone()],
            heads,
        }
    }
}

/// What goes through the layers.
struct Pass<'a, 'b> {
    model: &'a Model,
    cache: &'a mut Cache,
    chunks: &'a [Chunk<'b>],
    all: Columns,
    wanted: Columns,
    /// The wanted columns among all.
    picked: Vec<u32>,
    taps: &'a mut dyn Taps,
}

impl Model {
    /// Reads the chunks' tokens; the stream behind the wanted ones. `None` if the cache has no room, with nothing read.
    ///
    /// # Panics
    /// When a token is not below the vocabulary, or a chunk is empty.
    pub fn forward(&self, chunks: &mut [Chunk<'_>], cache: &mut Cache, taps: &mut dyn Taps) -> Option<Hidden> {
        for (number, chunk) in chunks.iter_mut().enumerate() {
            assert!(!chunk.tokens.is_empty(), "a chunk without tokens");
            if !cache.extend(chunk.sequence, chunk.tokens.len()) {
                for chunk in &mut chunks[..number] {
                    let before = chunk.sequence.length() - chunk.tokens.len();
                    cache.truncate(chunk.sequence, before);
                }
                return None;
            }
        }
        let hidden = self.read(chunks, cache, taps);
        chunks.iter_mut().for_each(|chunk| chunk.sequence.written());
        Some(hidden)
    }

    /// [`Model::forward`] where the sequences have been made longer by their tokens before. A chunk may go on where
    /// another, before it in `chunks`, ends.
    pub(crate) fn read(&self, chunks: &[Chunk<'_>], cache: &mut Cache, taps: &mut dyn Taps) -> Hidden {
        let all = Columns::all(self, chunks);
        self.tokens_read.fetch_add(all.used as u64, Ordering::Relaxed);
        let columns =
            chunks.iter().zip(&all.spans).flat_map(|(chunk, span)| chunk.wanted.clone().map(|t| span.start + t));
        let picked: Vec<u32> = columns.map(|column| column as u32).collect();
        let wanted = Columns::wanted(chunks, &all, &picked);
        let mut pass = Pass { model: self, cache, chunks, all, wanted, picked, taps };
        let (stream, narrow) = pass.layers();
        pass.finish(stream, narrow)
    }
}

impl Pass<'_, '_> {
    /// The stream behind the last layer, and whether at the wanted columns alone.
    fn layers(&mut self) -> (Vec<f32>, bool) {
        let mut stream = self.embed();
        let (layers, few) = (self.model.layers.len(), self.picked.len() < self.all.used);
        let mut narrow = false;
        for number in 0..layers {
            narrow = few && number + 1 == layers && !self.taps.wants_all_columns();
            stream = self.layer(number, stream, narrow);
        }
        (stream, narrow)
    }

    /// Hands an activation to the taps, if they want it.
    fn tap(&mut self, site: Site, narrow: bool, values: &mut [f32]) {
        if self.taps.wants(site) {
            let columns = if narrow { &self.wanted } else { &self.all };
            let channels = values.len() / columns.count.max(1);
            let spans = &columns.spans;
            self.taps.at(
                site,
                Activations { values, channels, columns: columns.count, spans, positions: &columns.positions },
            );
        }
    }

    fn embed(&mut self) -> Vec<f32> {
        let Architecture { positions, embedding, .. } = &self.model.config.architecture;
        let EmbeddingKind { scale, norm: _, segments } = embedding;
        let (width, count) = (self.model.config.width, self.all.count);
        let mut x = self.take(width * count);
        x.fill(0.0);
        let mut row = vec![0.0; width];
        let mut column = 0;
        for chunk in self.chunks {
            for (number, token) in chunk.tokens.iter().enumerate() {
                assert!((*token as usize) < self.model.config.vocabulary, "a token below the vocabulary");
                let mut add = |row: &[f32], factor: f32| {
                    for (to, from) in x[column..].iter_mut().step_by(count).zip(row) {
                        *to += factor * from;
                    }
                };
                self.model.embedding.row(*token as usize, &mut row);
                add(&row, scale.map_or(1.0, |scale| scale as f32));
                if let (Positions::Learned, Some(table)) = (positions, &self.model.positions) {
                    table.row(self.all.positions[column] as usize, &mut row);
                    add(&row, 1.0);
                }
                if let (1.., Some(table)) = (*segments, &self.model.segments) {
                    table.row(usize::from(number >= chunk.second), &mut row);
                    add(&row, 1.0);
                }
                column += 1;
            }
        }
        if let Some(norm) = &self.model.embedding_norm {
            self.norm_in_place(norm, count, &mut x);
        }
        x
    }

    /// One layer; `narrow`: its queries and its MLP are those of the wanted columns alone.
    fn layer(&mut self, number: usize, mut stream: Vec<f32>, narrow: bool) -> Vec<f32> {
        let model = self.model;
        let weights = &model.layers[number];
        let (place, residual) = (model.config.architecture.norm.place, model.config.architecture.residual);
        self.tap(Site::ResidualBefore(number), false, &mut stream);
        let normed = self.normed(weights.attention_norm.as_ref(), self.all.count, &stream);
        let mut attended = self.attend(number, weights, &normed, narrow);
        self.give(normed);
        let columns = if narrow { self.wanted.count } else { self.all.count };
        if narrow {
            let picked = self.pick(&stream);
            self.give(std::mem::replace(&mut stream, picked));
            if stream.is_empty() {
                self.give(attended);
                return stream;
            }
        }
        if let (Some(norm), NormPlace::After | NormPlace::Both) = (&weights.after_attention, place) {
            self.norm_in_place(norm, columns, &mut attended);
        }
        self.tap(Site::AttentionOutput(number), narrow, &mut attended);
        let parallel = residual == Residual::Parallel;
        // A parallel MLP reads the stream before attention has written.
        let mut input = if parallel { self.normed(weights.mlp_norm.as_ref(), columns, &stream) } else { Vec::new() };
        add(&mut stream, &attended);
        self.give(attended);
        if let (Some(norm), NormPlace::Stream) = (&weights.after_attention, place) {
            self.norm_in_place(norm, columns, &mut stream);
        }
        self.tap(Site::ResidualBetween(number), narrow, &mut stream);

        if !parallel {
            input = self.normed(weights.mlp_norm.as_ref(), columns, &stream);
        }
        self.tap(Site::MlpInput(number), narrow, &mut input);
        let mut output = self.mlp(number, weights, &input, narrow);
        self.give(input);
        if let (Some(norm), NormPlace::After | NormPlace::Both) = (&weights.after_mlp, place) {
            self.norm_in_place(norm, columns, &mut output);
        }
        self.tap(Site::MlpOutput(number), narrow, &mut output);
        add(&mut stream, &output);
        self.give(output);
        if let (Some(norm), NormPlace::Stream) = (&weights.after_mlp, place) {
            self.norm_in_place(norm, columns, &mut stream);
        }
        self.tap(Site::ResidualAfter(number), narrow, &mut stream);
        stream
    }

    fn take(&mut self, length: usize) -> Vec<f32> {
        self.cache.buffers.take(length)
    }

    fn give(&mut self, buffer: Vec<f32>) {
        self.cache.buffers.give(buffer);
    }

    /// `norm(x)`, or x where there is no norm.
    fn normed(&mut self, norm: Option<&NormWeights>, columns: usize, x: &[f32]) -> Vec<f32> {
        let mut y = self.take(x.len());
        match norm {
            Some(norm) if columns > 0 => norm.apply(columns, x, &mut y),
            _ => y.copy_from_slice(x),
        }
        y
    }

    fn norm_in_place(&mut self, norm: &NormWeights, columns: usize, x: &mut Vec<f32>) {
        let y = self.normed(Some(norm), columns, x);
        self.give(std::mem::replace(x, y));
    }

    /// The wanted columns of `[channels, all]`.
    fn pick(&mut self, x: &[f32]) -> Vec<f32> {
        let (from, to) = (self.all.count, self.wanted.count);
        let mut y = self.take(x.len() / from.max(1) * to);
        if to > 0 {
            gather(x, from, &self.picked, to, &mut y);
        }
        y
    }

    fn mlp(&mut self, number: usize, weights: &LayerWeights, input: &[f32], narrow: bool) -> Vec<f32> {
        let config = &self.model.config;
        let columns = if narrow { self.wanted.pair() } else { self.all.pair() };
        let mlp = config.architecture.mlp;
        let units = config.mlp_hidden * columns.0;
        let mut before = self.take(units * if mlp.gated { 2 } else { 1 });
        weights.gate_up.apply(columns, input, &mut before);
        let mut hidden = self.take(units);
        activate_all(mlp, &before, &mut hidden);
        self.give(before);
        self.tap(Site::MlpHidden(number), narrow, &mut hidden);
        let mut output = self.take(config.width * columns.0);
        weights.down.apply(columns, &hidden, &mut output);
        self.give(hidden);
        output
    }

    /// What attention writes, before any norm of it.
    fn attend(&mut self, number: usize, weights: &LayerWeights, normed: &[f32], narrow: bool) -> Vec<f32> {
        let config = &self.model.config;
        let Heads { heads, kv_heads, head_dim } = config.attention_heads();
        let windowed = config.window(number).is_some();
        let mut kv = self.take(2 * kv_heads * head_dim * self.all.count);
        let columns = if narrow { self.wanted.pair() } else { self.all.pair() };
        let mut q = self.take(heads * head_dim * columns.0);
        if narrow {
            weights.kv.apply(self.all.pair(), normed, &mut kv);
        } else {
            apply_all(&mut [(&weights.q, &mut q[..]), (&weights.kv, &mut kv[..])], columns, normed);
        }
        self.clip(&mut kv);
        let (k, v) = kv.split_at_mut(kv_heads * head_dim * self.all.count);
        self.turn(k, weights.qk_gains.as_ref().map(|gains| &gains.1[..]), windowed, false);
        let parts = self.chunks.iter().zip(&self.all.spans).map(|(chunk, span)| (&*chunk.sequence, span.clone()));
        self.cache.write(number, &parts.collect::<Vec<_>>(), k, v);
        self.give(kv);
        if columns.0 == 0 {
            return q;
        }
        if narrow {
            let picked = self.pick(normed);
            weights.q.apply(columns, &picked, &mut q);
            self.give(picked);
        }
        self.clip(&mut q);
        self.turn(&mut q, weights.qk_gains.as_ref().map(|gains| &gains.0[..]), windowed, narrow);
        let mut mixed = self.take(q.len());
        self.weigh(number, &q, &mut mixed, narrow);
        self.give(q);
        self.tap(Site::HeadOutput(number), narrow, &mut mixed);
        let mut attended = self.take(config.width * columns.0);
        weights.o.apply(columns, &mixed, &mut attended);
        self.give(mixed);
        attended
    }

    fn clip(&self, x: &mut [f32]) {
        if let Some(most) = self.model.config.architecture.attention.clip {
            x.iter_mut().for_each(|x| *x = x.clamp(-most as f32, most as f32));
        }
    }

    /// Norms queries or keys where the model does, and turns their positions in.
    fn turn(&self, x: &mut [f32], gain: Option<&[f32]>, windowed: bool, narrow: bool) {
        let config = &self.model.config;
        let columns = if narrow { &self.wanted } else { &self.all };
        if let Some(gain) = gain {
            let channels = match config.architecture.attention.qk_norm {
                QkNorm::Head => config.head_dim,
                _ => x.len() / columns.count.max(1),
            };
            let mut inverse = vec![0.0; columns.count];
            let mut normed = vec![0.0; channels * columns.count];
            for head in x.chunks_exact_mut((channels * columns.count).max(1)) {
                rms_norm(head, gain, config.architecture.norm.eps as f32, &mut inverse, &mut normed);
                head.copy_from_slice(&normed);
            }
        }
        if let Positions::Rotary(rotary) = &config.architecture.positions
            && columns.count > 0
        {
            let (cos, sin) = &columns.tables[usize::from(windowed)];
            rope_partial(x, config.head_dim, columns.count, rotary.pairing, (cos, sin));
        }
    }

    /// Attention of all heads to what the sequences have read: q and mixed `[heads * head_dim, columns]`.
    fn weigh(&mut self, number: usize, q: &[f32], mixed: &mut [f32], narrow: bool) {
        let config = &self.model.config;
        let (heads, attention) = (config.attention_heads(), &config.architecture.attention);
        let by = Weighing {
            heads,
            scale: attention.scale.unwrap_or(1.0 / (heads.head_dim as f64).sqrt()) as f32,
            soft_cap: attention.soft_cap.map(|cap| cap as f32),
            causal: attention.causal,
            window: config.window(number),
            slopes: &self.model.slopes,
        };
        let columns = if narrow { &self.wanted } else { &self.all };
        let pages = self.cache.pages(number);
        let rows = heads.head_dim * columns.count;
        if self.taps.wants(Site::AttentionPattern(number)) {
            for (which, (chunk, span)) in self.chunks.iter().zip(&columns.spans).enumerate() {
                let mut pattern = vec![0.0; heads.heads * span.len() * chunk.sequence.length()];
                attention_paged(by, pages, chunk.reader(columns, span, 0..heads.heads), q, mixed, &mut pattern);
                self.taps.pattern(number, which, chunk.sequence.length(), &pattern);
            }
            return;
        }
        let products: usize =
            self.chunks.iter().zip(&columns.spans).map(|(c, span)| c.sequence.length() * span.len()).sum();
        let threads = rayon::current_num_threads();
        let alone = threads == 1 || products * heads.heads * heads.head_dim < 1 << 18;
        if !alone && self.chunks.len() >= 2 * threads {
            return self.weigh_in_groups((by, pages), q, mixed, columns);
        }
        let one = |(head, (q, mixed)): (usize, (&[f32], &mut [f32]))| {
            for (chunk, span) in self.chunks.iter().zip(&columns.spans).filter(|(_, span)| !span.is_empty()) {
                attention_paged(by, pages, chunk.reader(columns, span, head..head + q.len() / rows), q, mixed, &mut []);
            }
        };
        // Heads that share keys are weighed together, unless there are fewer groups than threads.
        let group = heads.heads / heads.kv_heads;
        let together = if alone || heads.kv_heads >= threads { group } else { 1 };
        if alone {
            let parts = q.chunks(together * rows).zip(mixed.chunks_mut(together * rows)).enumerate();
            parts.for_each(|(i, part)| one((i * together, part)));
        } else {
            let parts = q.par_chunks(together * rows).zip(mixed.par_chunks_mut(together * rows)).enumerate();
            parts.for_each(|(i, part)| one((i * together, part)));
        }
    }

    /// Attention of many chunks: some of them for each thread, as their number and not that of the heads allows.
    fn weigh_in_groups(
        &self,
        (by, pages): (Weighing<'_, f32>, Pages<'_, f32>),
        q: &[f32],
        mixed: &mut [f32],
        columns: &Columns,
    ) {
        let (heads, size) = (by.heads.heads, self.chunks.len().div_ceil(4 * rayon::current_num_threads()));
        let groups: Vec<Range<usize>> =
            (0..self.chunks.len()).step_by(size).map(|from| from..(from + size).min(self.chunks.len())).collect();
        let span = |group: &Range<usize>| columns.spans[group.start].start..columns.spans[group.end - 1].end;
        let one = |group: &Range<usize>| {
            let span = span(group);
            let picked: Vec<u32> = span.clone().map(|column| column as u32).collect();
            let own = pick(q, columns.count, &picked, span.len().next_multiple_of(BLOCK));
            let mut mixed = vec![0.0; own.len()];
            let parts = self.chunks[group.clone()].iter().zip(&columns.spans[group.clone()]);
            for (chunk, columns_of) in parts.filter(|(_, span)| !span.is_empty()) {
                let reader = chunk.reader(columns, columns_of, 0..heads).moved_left(span.start);
                attention_paged(by, pages, reader, &own, &mut mixed, &mut []);
            }
            mixed
        };
        let parts: Vec<Vec<f32>> = groups.par_iter().map(one).collect();
        for (group, part) in groups.iter().zip(&parts).filter(|(_, part)| !part.is_empty()) {
            let span = span(group);
            let own = span.len().next_multiple_of(BLOCK);
            for (to, from) in mixed.chunks_exact_mut(columns.count).zip(part.chunks_exact(own)) {
                to[span.clone()].copy_from_slice(&from[..span.len()]);
            }
        }
    }

    /// The stream at the wanted columns, normed for the head.
    fn finish(mut self, mut stream: Vec<f32>, narrow: bool) -> Hidden {
        let model = self.model;
        self.tap(Site::FinalNormInput, narrow, &mut stream);
        if !narrow {
            let picked = self.pick(&stream);
            self.give(std::mem::replace(&mut stream, picked));
        }
        let values = model.normed_for_head(&stream, self.wanted.pair());
        self.give(stream);
        Hidden::new(values, self.wanted.count, self.picked.len())
    }
}

fn normed_by(norm: &NormWeights, columns: usize, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    if columns > 0 {
        norm.apply(columns, x, &mut y);
    }
    y
}

/// Some columns of x `[channels, columns]`: `[channels, to]`, zero after the last of `picked`.
fn pick(x: &[f32], columns: usize, picked: &[u32], to: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / columns.max(1) * to];
    if to > 0 {
        gather(x, columns, picked, to, &mut y);
    }
    y
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Numbers activated by one thread at a time.
const ACTIVATED: usize = 1 << 16;

/// The nonlinearity of the MLP, shared between the threads where that pays.
fn activate_all(mlp: Mlp, before: &[f32], hidden: &mut [f32]) {
    let activation = compute_activation(mlp.activation);
    let (gate, up) = before.split_at(hidden.len());
    let parts = hidden.par_chunks_mut(ACTIVATED).zip(gate.par_chunks(ACTIVATED)).enumerate();
    parts.for_each(|(part, (hidden, gate))| match mlp.gated {
        true => activate_gated(activation, gate, &up[part * ACTIVATED..][..gate.len()], hidden),
        false => activate(activation, gate, hidden),
    });
}

pub(crate) fn compute_activation(activation: Activation) -> saltus_compute::Activation {
    match activation {
        Activation::Silu => saltus_compute::Activation::Silu,
        Activation::Gelu => saltus_compute::Activation::Gelu,
        Activation::GeluTanh => saltus_compute::Activation::GeluTanh,
        Activation::Relu => saltus_compute::Activation::Relu,
    }
}

#[cfg(test)]
mod tests;
