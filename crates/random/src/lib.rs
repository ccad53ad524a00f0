//! Explicit split keys for randomness: every random choice of a study hangs on a named path below one seed.
//!
//! There is no ambient generator. A [`Key`] is split by name or number into independent children, and a leaf is
//! turned into a generator; so a choice depends on *where* it is made, never on *when* or on which thread.

use rand::SeedableRng;
pub use rand_chacha::ChaCha8Rng;

/// A point in the tree of randomness. Equal paths give equal generators on every machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key([u8; 32]);

impl Key {
    /// The root for a user's `seed`.
    pub fn new(seed: u64) -> Self {
        Key(blake3::derive_key("saltus 2026 random root", &seed.to_le_bytes()))
    }

    /// The child called `name`; children of different names are independent.
    pub fn child(self, name: &str) -> Self {
        self.split(b"name", name.as_bytes())
    }

    /// The child numbered `index`.
    pub fn index(self, index: u64) -> Self {
        self.split(b"index", &index.to_le_bytes())
    }

    /// The generator of this key: ChaCha with 8 rounds.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }

    fn split(self, kind: &[u8], data: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(kind).update(&[0]).update(data);
        Key(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    fn first(key: Key) -> u64 {
        key.rng().next_u64()
    }

    #[test]
    fn paths_are_reproducible_and_distinct() {
        let root = Key::new(1);
        assert_eq!(first(root.child("a").index(3)), first(Key::new(1).child("a").index(3)));
        let all = [
            root,
            Key::new(2),
            root.child("a"),
            root.child("b"),
            root.index(0),
            root.index(1),
            root.child("a").index(0),
        ];
        for (i, x) in all.iter().enumerate() {
            for y in &all[i + 1..] {
                assert_ne!(first(*x), first(*y));
            }
        }
    }
}
