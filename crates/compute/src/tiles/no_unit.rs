//! The tile unit where there is none: what `unit.rs` has, on other CPUs and systems.

use super::{Square, Tile};

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

    pub(super) fn multiply(&self, _left: &[Tile], _right: &[Tile], _to: &mut Square) {
        match *self {}
    }
}
