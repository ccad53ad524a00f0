//! The parts of a whole factor, made once for all products that read it.

use super::{
    Depth, EXACT, Factor, SIDE, STEP, TRAINING, Tile, grow, serves,
    split::{left_panel, right_panels},
    suits,
};
use crate::matmul::{Matrix, NARROW};
use pulp::{Simd, WithSimd};
use std::sync::Mutex;

/// [`SIDE`] rows or columns after [`SIDE`], each with all its steps.
pub(crate) struct Panels {
    tiles: Vec<Tile>,
    /// Parts of each number.
    parts: usize,
    /// Numbers contracted.
    length: usize,
}

impl Panels {
    fn new(mut tiles: Vec<Tile>, parts: usize, (count, length): (usize, usize)) -> Self {
        grow(&mut tiles, count.div_ceil(SIDE) * Depth::of(length).tiles(parts));
        Panels { tiles, parts, length }
    }

    /// Tiles of a panel.
    fn panel_tiles(&self) -> usize {
        Depth::of(self.length).tiles(self.parts)
    }

    /// A part of the contracted index of the rows or columns from `SIDE * number` on.
    pub(super) fn panel(&self, number: usize, depth: Depth) -> &[Tile] {
        let first = number * self.panel_tiles() + depth.first / STEP * 2 * self.parts;
        &self.tiles[first..][..depth.tiles(self.parts)]
    }
}

/// Activations as the tile unit's products take them: the parts of all columns, made once for all maps that read them.
/// They count as they are, to the last bit of an f32.
pub struct Parts {
    panels: Panels,
    positions: usize,
}

/// Some columns of [`Parts`], to be made by one thread.
pub struct PartsShare<'a> {
    tiles: &'a mut [Tile],
    inputs: usize,
    positions: usize,
    first: usize,
}

/// Room that is not in use: to have the system clear it anew would take a good part of a product's time.
static ROOM: Mutex<Vec<Vec<Tile>>> = Mutex::new(Vec::new());

impl Parts {
    /// Room for those of x `[inputs, positions]`; none where its products do not run on a tile unit.
    pub fn room(inputs: usize, positions: usize) -> Option<Self> {
        if positions <= NARROW || !serves(inputs) {
            return None;
        }
        let room = ROOM.lock().ok().and_then(|mut room| room.pop()).unwrap_or_default();
        Some(Parts { panels: Panels::new(room, EXACT, (positions, inputs)), positions })
    }

    /// All columns in at least `count` shares, if there are so many columns; whoever multiplies has made them all before.
    pub fn shares(&mut self, count: usize) -> impl Iterator<Item = PartsShare<'_>> {
        let (positions, inputs, panel) = (self.positions, self.panels.length, self.panels.panel_tiles());
        let panels = positions.div_ceil(SIDE);
        let each = (panels / count.max(1)).max(1);
        let shares = self.panels.tiles[..panels * panel].chunks_mut(each * panel).enumerate();
        shares.map(move |(number, tiles)| PartsShare { tiles, inputs, positions, first: number * each * SIDE })
    }

    pub(super) fn panels(&self) -> &Panels {
        &self.panels
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Ok(mut room) = ROOM.lock() {
            room.push(std::mem::take(&mut self.panels.tiles));
        }
    }
}

impl PartsShare<'_> {
    /// Makes them from x `[inputs, positions]`.
    pub fn make(self, x: &[f32]) {
        debug_assert_eq!(x.len(), self.inputs * self.positions);
        pulp::Arch::new().dispatch(Make(self, x));
    }
}

struct Make<'a>(PartsShare<'a>, &'a [f32]);

impl WithSimd for Make<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Make(PartsShare { tiles, inputs, positions, first }, x) = self;
        let factor = Factor::Plain(Matrix { data: x, stride: positions });
        right_panels::<S, EXACT>(simd, factor, (positions, inputs), first, Depth::of(inputs), tiles);
    }
}

/// A weight as the tile unit's products in training take it, made once for all micro-batches of a step: for the map
/// itself, and for its gradient by its input. Nothing where these do not run on a tile unit.
#[derive(Default)]
pub struct WeightParts {
    forward: Option<Panels>,
    backward: Option<Panels>,
}

impl WeightParts {
    /// Makes them from `weight` `[outputs, inputs]`, in the room of those of a weight of the same shape.
    pub fn make(&mut self, outputs: usize, inputs: usize, weight: &[f32]) {
        debug_assert_eq!(weight.len(), outputs * inputs);
        pulp::Arch::new().dispatch(MakeWeight { parts: self, shape: (outputs, inputs), weight });
    }

    pub(crate) fn forward(&self) -> Option<&Panels> {
        self.forward.as_ref()
    }

    pub(crate) fn backward(&self) -> Option<&Panels> {
        self.backward.as_ref()
    }
}

struct MakeWeight<'a> {
    parts: &'a mut WeightParts,
    shape: (usize, usize),
    weight: &'a [f32],
}

impl WithSimd for MakeWeight<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let MakeWeight { parts, shape: (outputs, inputs), weight } = self;
        let matrix = Matrix { data: weight, stride: inputs };
        for (panels, factor, (count, length)) in [
            (&mut parts.forward, Factor::Plain(matrix), (outputs, inputs)),
            (&mut parts.backward, Factor::Turned(matrix), (inputs, outputs)),
        ] {
            if !suits::<S>(length) {
                continue;
            }
            let panels = panels.get_or_insert_with(|| Panels::new(Vec::new(), TRAINING, (count, length)));
            let depth = Depth::of(length);
            for (number, to) in panels.tiles.chunks_exact_mut(depth.tiles(TRAINING)).enumerate() {
                left_panel::<S, TRAINING>(simd, factor, (count, length), number * SIDE, depth, to);
            }
        }
    }
}
