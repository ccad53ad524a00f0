//! The residual stream behind each layer, at some places of some texts.

use crate::{Error, read};
use saltus_compute::{BLOCK, embed};
use saltus_lm::TokenId;
use saltus_transformer::{Activations, Model, Site, Taps};

/// A text, and the places in it where the stream is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) tokens: Vec<TokenId>,
    /// The first token of the second sentence; the length, where there is one sentence.
    pub(crate) second: usize,
    /// Ascending.
    pub(crate) at: Vec<usize>,
}

/// Residual streams: for each layer asked for a table `[places, width]`.
pub(crate) struct Streams {
    pub(crate) width: usize,
    /// Rows of each table.
    pub(crate) places: usize,
    /// One for each layer, in the order asked for.
    pub(crate) tables: Vec<Vec<f32>>,
}

impl Streams {
    /// Some rows of a table side by side, `[width, rows.len()]`; their number is a multiple of the block.
    pub(crate) fn columns(&self, table: usize, rows: &[u32]) -> Vec<f32> {
        let mut x = vec![0.0; self.width * rows.len()];
        embed(&self.tables[table], self.width, rows, &mut x);
        x
    }
}

/// Rows in groups of at most `most`, each filled up to whole blocks by its first row: (rows, rows in use).
pub(crate) fn groups(rows: &[u32], most: usize) -> impl Iterator<Item = (Vec<u32>, usize)> {
    rows.chunks(most).map(|rows| {
        let mut filled = rows.to_vec();
        filled.resize(rows.len().next_multiple_of(BLOCK), rows[0]);
        (filled, rows.len())
    })
}

/// Tokens read side by side.
const PASS: usize = 1024;

/// The streams behind `layers` (0: the embedding) at the places of `texts`, text by text. `passed` is told the share of the
/// texts that is read.
///
/// # Errors
/// As [`read`].
pub(crate) fn streams(
    model: &Model,
    texts: &[Places],
    layers: &[usize],
    passed: &mut dyn FnMut(f64),
) -> Result<Streams, Error> {
    let width = model.config().width;
    let mut collector = Collector { layers, wanted: Vec::new(), tables: vec![Vec::new(); layers.len()] };
    let (mut start, mut places) = (0, 0);
    while start < texts.len() {
        let (mut end, mut tokens) = (start, 0);
        while end < texts.len() && (end == start || tokens + texts[end].tokens.len() <= PASS) {
            tokens += texts[end].tokens.len();
            end += 1;
        }
        let group = &texts[start..end];
        collector.wanted = group.iter().map(|text| text.at.clone()).collect();
        places += collector.wanted.iter().map(Vec::len).sum::<usize>();
        let given: Vec<(&[TokenId], usize)> = group.iter().map(|text| (&text.tokens[..], text.second)).collect();
        read(model, &given, &mut collector)?;
        start = end;
        passed(start as f64 / texts.len() as f64);
    }
    Ok(Streams { width, places, tables: collector.tables })
}

/// Copies what it is handed.
struct Collector<'a> {
    layers: &'a [usize],
    /// The places of each text of the pass.
    wanted: Vec<Vec<usize>>,
    tables: Vec<Vec<f32>>,
}

fn layer_of(site: Site) -> Option<usize> {
    match site {
        Site::ResidualBefore(0) => Some(0),
        Site::ResidualAfter(number) => Some(number + 1),
        _ => None,
    }
}

impl Taps for Collector<'_> {
    fn wants(&self, site: Site) -> bool {
        layer_of(site).is_some_and(|layer| self.layers.contains(&layer))
    }

    fn at(&mut self, site: Site, activations: Activations<'_>) {
        let layer = layer_of(site);
        for (table, _) in self.tables.iter_mut().zip(self.layers).filter(|(_, wanted)| layer == Some(**wanted)) {
            for (span, places) in activations.spans.iter().zip(&self.wanted) {
                places.iter().for_each(|place| table.extend(activations.column(span.start + place)));
            }
        }
    }
}
