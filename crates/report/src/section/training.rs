//! Training curves, a figure for each ladder.

use super::{Section, section};
use crate::chart;
use crate::findings::Curve;
use crate::html::slug;
use crate::page::Page;

/// The section.
pub(crate) fn training(page: &mut Page) -> Option<Section> {
    let f = page.findings;
    let mut ladders: Vec<&str> = Vec::new();
    for c in &f.curves {
        if !ladders.contains(&c.ladder.as_str()) {
            ladders.push(&c.ladder);
        }
    }
    if ladders.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>Lines are training losses, one for each model; markers are held-out losses at the saved checkpoints. \
         The training loss is that of \
         the whole mixture, the held-out loss that of held-out text.</p>\n",
    );
    for (i, ladder) in ladders.iter().enumerate() {
        let mut curves: Vec<&Curve> = f.curves.iter().filter(|c| c.ladder == *ladder).collect();
        curves.sort_by(|a, b| a.params.total_cmp(&b.params).then(a.seed.cmp(&b.seed)));
        let id = format!("figure-training-{i}-{}", slug(ladder));
        body.push_str(&page.figure(chart::law::training(&id, ladder, &curves)));
    }
    section("training", "Training curves", body)
}
