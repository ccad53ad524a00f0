//! Activation patching: what is seen at a tap is kept, and what is kept overwrites what another pass computes there.

use saltus_transformer::{Activations, Site, Taps};
use std::{collections::BTreeMap, sync::Arc};

/// What is to stand at one place of one text, at any site but a pattern of attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Where in the model.
    pub site: Site,
    /// Which token, from 0.
    pub position: usize,
    /// What stands there: as many numbers as the site has channels.
    pub values: Arc<[f32]>,
}

/// Overwrites activations. The last layer is computed where it is wanted, and no patch elsewhere matters there.
#[derive(Debug, Default)]
pub struct Patched {
    /// By site, each with the number of its text.
    patches: BTreeMap<Site, Vec<(usize, Patch)>>,
}

impl Patched {
    /// Patches with the number of the text, among those read side by side, in which each stands; of several at one place
    /// the last one holds.
    pub fn new(patches: impl IntoIterator<Item = (usize, Patch)>) -> Self {
        let mut all = Patched::default();
        for (text, patch) in patches {
            all.patches.entry(patch.site).or_default().push((text, patch));
        }
        all
    }
}

impl Taps for Patched {
    fn wants(&self, site: Site) -> bool {
        self.patches.contains_key(&site)
    }

    fn at(&mut self, site: Site, mut activations: Activations<'_>) {
        for (text, Patch { position, values, .. }) in self.patches.get(&site).into_iter().flatten() {
            let mut span = activations.spans[*text].clone();
            if let Some(column) = span.find(|column| activations.positions[*column] as usize == *position) {
                activations.set_column(column, values);
            }
        }
    }

    fn wants_all_columns(&self) -> bool {
        false
    }
}

/// Keeps activations of one text that is read alone.
#[derive(Debug, Default)]
pub struct Captured {
    sites: Vec<Site>,
    positions: Vec<usize>,
    seen: BTreeMap<(Site, usize), Arc<[f32]>>,
}

impl Captured {
    /// Will keep `sites` at `positions`.
    pub fn new(sites: Vec<Site>, positions: Vec<usize>) -> Self {
        Captured { sites, positions, seen: BTreeMap::new() }
    }

    /// What was seen there, to be put there again.
    ///
    /// # Panics
    /// If the place was not among those to keep, or nothing was read.
    pub fn patch(&self, site: Site, position: usize) -> Patch {
        Patch { site, position, values: Arc::clone(&self.seen[&(site, position)]) }
    }
}

impl Taps for Captured {
    fn wants(&self, site: Site) -> bool {
        self.sites.contains(&site)
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        for column in activations.spans[0].clone() {
            let position = activations.positions[column] as usize;
            if self.positions.contains(&position) {
                self.seen.insert((site, position), activations.column(column).into());
            }
        }
    }
}
