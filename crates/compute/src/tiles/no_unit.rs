//! The tile unit where there is none: what `unit.rs` has, on other CPUs and systems.

use super::Tile;
use crate::Write;

/// There is none.
pub(super) fn available() -> bool {
    false
}

/// No value of it exists.
pub(super) enum Unit {}

impl Unit {
    pub(super) fn begin() -> Option<Self> {
        None
    }

    pub(super) fn expect(&self, _: Option<&f32>) {
        match *self {}
    }

    pub(super) fn multiply(&self, _: usize, _: (&[Tile], &[Tile]), _: (&mut [f32], usize), _: Write) {
        match *self {}
    }
}
