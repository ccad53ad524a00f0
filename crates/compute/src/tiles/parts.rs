//! The parts of a whole factor, made once for all products that read it.

use super::{Depth, EXACT, Factor, SIDE, STEP, Side, Tile, grow, suits};
use crate::matmul::{Matrix, NARROW};
use pulp::{Simd, WithSimd};
use std::sync::Mutex;

/// Activations as the tile unit's products take them: the parts of all columns, made once for all maps that read them.
/// They count as they are, to the last bit of an f32.
pub struct Parts {
    /// [`SIDE`] columns after [`SIDE`], each with all its steps.
    tiles: Vec<Tile>,
    inputs: usize,
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
        struct Suits(usize);
        impl WithSimd for Suits {
            type Output = bool;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> bool {
                suits::<S>(self.0)
            }
        }
        if positions <= NARROW || !pulp::Arch::new().dispatch(Suits(inputs)) {
            return None;
        }
        let mut tiles = ROOM.lock().ok().and_then(|mut room| room.pop()).unwrap_or_default();
        grow(&mut tiles, positions.div_ceil(SIDE) * panel(inputs));
        Some(Parts { tiles, inputs, positions })
    }

    /// All columns in at least `count` shares, if there are so many columns; whoever multiplies has made them all before.
    pub fn shares(&mut self, count: usize) -> impl Iterator<Item = PartsShare<'_>> {
        let Parts { tiles, inputs, positions } = self;
        let (inputs, positions, panel) = (*inputs, *positions, panel(*inputs));
        let panels = positions.div_ceil(SIDE);
        let each = (panels / count.max(1)).max(1);
        let shares = tiles[..panels * panel].chunks_mut(each * panel).enumerate();
        shares.map(move |(number, tiles)| PartsShare { tiles, inputs, positions, first: number * each * SIDE })
    }

    /// A part of the contracted index of the columns from `SIDE * number` on.
    pub(super) fn panel(&self, number: usize, depth: Depth) -> &[Tile] {
        let first = number * panel(self.inputs) + depth.first / STEP * 2 * EXACT;
        &self.tiles[first..][..depth.tiles(EXACT)]
    }
}

/// Tiles of [`SIDE`] columns.
fn panel(inputs: usize) -> usize {
    Depth { first: 0, count: inputs }.tiles(EXACT)
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Ok(mut room) = ROOM.lock() {
            room.push(std::mem::take(&mut self.tiles));
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
        for (number, to) in tiles.chunks_exact_mut(panel(inputs)).enumerate() {
            let side = Side { factor, left: false, at: first + number * SIDE, limits: (positions, inputs) };
            side.parts::<S, EXACT>(simd, Depth { first: 0, count: inputs }, to);
        }
    }
}
