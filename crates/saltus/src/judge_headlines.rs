//! What stands out among judged abilities, as the headlines of their page.

use crate::table::count;
use saltus_atlas::Judged;
use saltus_emergence::{Ruling, Shape};
use saltus_report::findings::{Ability, Headline};

/// Jumps, what gets worse or bends, and scores made by the metric or by one-class answers; `abilities` are those of the
/// page, in the order of `judged`.
pub(crate) fn headlines(judged: &[Judged], abilities: &[Ability]) -> Vec<Headline> {
    let of = |kind: &str, what: &str, is: &dyn Fn(&Judged) -> bool| {
        let about: Vec<String> =
            judged.iter().zip(abilities).filter(|(j, _)| is(j)).map(|(_, a)| a.id.clone()).collect();
        let text = format!("{what}: {} of {} abilities.", about.len(), judged.len());
        (!about.is_empty()).then(|| Headline { kind: kind.to_owned(), text, about })
    };
    let shape = |shape: Shape| move |j: &Judged| j.verdict.shape == shape;
    let ruled = |ruling: Ruling| move |j: &Judged| j.artefact.as_ref().is_some_and(|a| a.ruling == ruling);
    // A jump that the metric alone has made is told as that.
    let emerges = |j: &Judged| shape(Shape::Emergent)(j) && !ruled(Ruling::Yes)(j);
    let all = [
        of("emergent", &emerge(judged.iter().filter(|j| emerges(j))), &emerges),
        of("u-shape", "Worse with scale, then better", &shape(Shape::UShaped)),
        of("inverted-u", "Better with scale, then worse", &shape(Shape::InvertedU)),
        of("inverse", "Worse with scale", &shape(Shape::Inverse)),
        of("artefact", "A jump, or a floor, that the metric makes", &ruled(Ruling::Yes)),
        of("artefact", "Label bias, answers of one class", &ruled(Ruling::LabelBias)),
    ];
    all.into_iter().flatten().collect()
}

/// The sizes from which on what emerges is there.
fn emerge<'a>(judged: impl Iterator<Item = &'a Judged>) -> String {
    let mut from: Vec<f64> = judged.filter_map(|j| j.verdict.threshold).map(|t| t.scale).collect();
    from.sort_by(f64::total_cmp);
    match (from.first(), from.last()) {
        (Some(a), Some(b)) if a < b => format!("Emergent, first seen at {} to {}", count(*a), count(*b)),
        (Some(a), _) => format!("Emergent, first seen at {}", count(*a)),
        _ => "Emergent".to_owned(),
    }
}
