//! Places inside a model where activations are handed out, and may be overwritten.

use std::ops::Range;

/// A place in the forward pass; the number is that of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// The residual stream before the layer, `[width]` at each column.
    ResidualBefore(usize),
    /// The softmax of attention: not at columns, see [`Taps::pattern`].
    AttentionPattern(usize),
    /// What each head has mixed, `[heads * head_dim]`, before the output matrix.
    HeadOutput(usize),
    /// What attention adds to the stream, `[width]`.
    AttentionOutput(usize),
    /// The stream between attention and MLP (where they stand in parallel: with attention added), `[width]`.
    ResidualBetween(usize),
    /// What the MLP reads, `[width]`.
    MlpInput(usize),
    /// The coefficients of the MLP's hidden units, `[mlp_hidden]`.
    MlpHidden(usize),
    /// What the MLP adds to the stream, `[width]`.
    MlpOutput(usize),
    /// The stream after the layer, `[width]`.
    ResidualAfter(usize),
    /// What the final norm reads, `[width]`.
    FinalNormInput,
}

/// An activation on its way: `[channels, columns]`, to be read or overwritten.
pub struct Activations<'a> {
    /// Channel after channel.
    pub values: &'a mut [f32],
    /// Channels.
    pub channels: usize,
    /// Columns of `values`; those in no span fill up.
    pub columns: usize,
    /// For each chunk of the pass its columns.
    pub spans: &'a [Range<usize>],
    /// The position of each column in its sequence.
    pub positions: &'a [u32],
}

impl Activations<'_> {
    /// The values of one column.
    pub fn column(&self, column: usize) -> Vec<f32> {
        self.values.iter().skip(column).step_by(self.columns).copied().collect()
    }
    /// Overwrites one column.
    pub fn set_column(&mut self, column: usize, values: &[f32]) {
        for (to, from) in self.values.iter_mut().skip(column).step_by(self.columns).zip(values) {
            *to = *from;
        }
    }
}

/// What looks inside a forward pass.
pub trait Taps {
    /// Whether [`Taps::at`] (or [`Taps::pattern`]) is to be called there.
    fn wants(&self, site: Site) -> bool;
    /// Reads or overwrites.
    fn at(&mut self, site: Site, activations: Activations<'_>);
    /// The weights of attention in `layer` for the chunk `chunk`, `[heads, queries, keys]`.
    fn pattern(&mut self, _layer: usize, _chunk: usize, _keys: usize, _pattern: &[f32]) {}
    /// The last layer is computed at all columns, not only at the wanted ones.
    fn wants_all_columns(&self) -> bool {
        true
    }
}

/// Nobody looks.
pub struct NoTaps;

impl Taps for NoTaps {
    fn wants(&self, _: Site) -> bool {
        false
    }
    fn at(&mut self, _: Site, _: Activations<'_>) {}
    fn wants_all_columns(&self) -> bool {
        false
    }
}
