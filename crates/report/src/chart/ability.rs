//! Figures of single abilities, of their smooth twins, and of where they emerge.

use super::distinct;
use crate::figure::{Axis, Figure, Format, Layer, Shape, ramp, tidied, tidy};
use crate::findings::{Ability, Artefact, Point, Threshold};
use crate::words;

/// Colour of a shape, by the names of the style sheet; what is not known is drawn as undetermined.
pub(crate) fn shape_colour(shape: &str) -> &'static str {
    match shape {
        "flat" => "flat",
        "smooth" => "blue",
        "emergent" => "vermillion",
        "inverse" => "purple",
        "u-shaped" => "green",
        "inverted-u" => "orange",
        _ => "undetermined",
    }
}

/// One ability by one metric: seeds, interval band, fitted shape, chance, threshold.
pub(crate) fn ability(id: &str, a: &Ability) -> Figure {
    let metric = words::metric(&a.metric);
    let mut y = Axis::new(&metric.axis, metric.format, false);
    if metric.format == Format::Share {
        y = y.within(0.0, 1.0);
    }
    if !a.higher_is_better {
        y.label.push_str(", lower is better");
    }
    let mut layers = Vec::new();
    if let Some(t) = a.threshold {
        // The verdict above the figure says it in words.
        layers.push(span(t, shape_colour(&a.shape), ""));
    }
    if let Some(chance) = a.chance {
        layers.push(Layer::Rule { y: tidy(chance), label: "chance".to_owned() });
    }
    layers.push(band(&a.points, "95% interval"));
    layers.push(seeds(&a.points));
    if !a.fit.is_empty() {
        layers.push(Layer::Line {
            colour: shape_colour(&a.shape).to_owned(),
            x: tidied(a.fit.iter().map(|p| p.0)),
            y: tidied(a.fit.iter().map(|p| p.1)),
            dash: a.shape == "undetermined",
            thin: false,
            label: Some("fitted".to_owned()),
            end: None,
        });
    }
    layers.push(means(&a.points, "blue", Shape::Circle, "mean"));
    Figure {
        id: id.to_owned(),
        title: format!("{}, {}", words::ability_name(a), metric.name),
        caption: metric.name.clone(),
        quiet: true,
        alt: describe(a),
        height: 170,
        x: Axis::scale(&a.scale),
        y,
        layers,
    }
}

/// What the figure of an ability shows, in a sentence or three.
pub(crate) fn describe(a: &Ability) -> String {
    let metric = words::metric(&a.metric);
    let mut text = match (a.points.first(), a.points.last()) {
        (Some(first), Some(last)) => format!(
            "{} by size: {} at {} to {} at {} {}, {} measured.",
            metric.name,
            words::value(metric.format, first.value),
            words::count(first.params),
            words::value(metric.format, last.value),
            words::count(last.params),
            words::scale_name(&a.scale),
            words::plural(a.points.len(), "size"),
        ),
        _ => format!("{}: no point was measured.", metric.name),
    };
    text.push_str(&format!(" Shape: {}.", a.shape));
    if let Some(t) = a.threshold {
        text.push_str(&format!(" Emerges at {}.", words::threshold(t)));
    }
    text
}

/// Exact match with its smooth twins over size.
pub(crate) fn twin_curves(id: &str, a: &Ability, smooth: Option<&Ability>, artefact: &Artefact) -> Figure {
    let mut layers = Vec::new();
    if let Some(s) = smooth {
        let name = words::metric(&s.metric).name;
        layers.push(line(&s.points, "green", false, &name));
        layers.push(means(&s.points, "green", Shape::Square, &name));
    }
    layers.push(Layer::Points {
        colour: "orange".to_owned(),
        shape: Shape::Diamond,
        x: tidied(artefact.twin.iter().map(|t| t.params)),
        y: tidied(artefact.twin.iter().map(|t| t.p_power_l)),
        low: Vec::new(),
        high: Vec::new(),
        names: artefact.twin.iter().map(|t| format!("seed {}", t.seed)).collect(),
        label: Some("p^L of each seed".to_owned()),
        seeds: false,
    });
    layers.push(line(&a.points, "blue", false, "exact match"));
    layers.push(seeds(&a.points));
    layers.push(means(&a.points, "blue", Shape::Circle, "exact match"));
    Figure {
        id: id.to_owned(),
        title: format!("{}: exact match and its smooth twin", words::ability_name(a)),
        caption: "Exact match and its smooth twin".to_owned(),
        quiet: false,
        alt: format!("Exact match and per-token measures by size. {}", artefact.evidence),
        height: 230,
        x: Axis::size(),
        y: Axis::new("Share of items or of answer tokens", Format::Share, false).within(0.0, 1.0),
        layers,
    }
}

/// Exact match against p^L, a dot for each model, coloured by size.
pub(crate) fn twin_scatter(id: &str, a: &Ability, artefact: &Artefact) -> Figure {
    let sizes = distinct(artefact.twin.iter().map(|t| t.params));
    let mut layers = vec![Layer::Diagonal { label: "all of the jump is the metric's".to_owned() }];
    for (i, &size) in sizes.iter().enumerate() {
        let here: Vec<_> = artefact.twin.iter().filter(|t| t.params == size).collect();
        layers.push(Layer::Points {
            colour: ramp(i, sizes.len()),
            shape: Shape::nth(i),
            x: tidied(here.iter().map(|t| t.p_power_l)),
            y: tidied(here.iter().map(|t| t.exact_match)),
            low: Vec::new(),
            high: Vec::new(),
            names: here.iter().map(|t| format!("{} parameters, seed {}", words::count(size), t.seed)).collect(),
            label: Some(words::count(size)),
            seeds: false,
        });
    }
    Figure {
        id: id.to_owned(),
        title: format!("{}: exact match against p^L", words::ability_name(a)),
        caption: "Exact match against p^L".to_owned(),
        quiet: false,
        alt: format!("One dot for each model. {}", artefact.evidence),
        height: 230,
        x: Axis::new("p^L, from per-token accuracy", Format::Share, false).within(0.0, 1.0),
        y: Axis::new("Exact match, measured", Format::Share, false).within(0.0, 1.0),
        layers,
    }
}

/// Where abilities emerge: one row each, earliest first.
pub(crate) fn thresholds(id: &str, rows: &[(String, Threshold)]) -> Figure {
    Figure {
        id: id.to_owned(),
        title: "Where abilities emerge".to_owned(),
        caption: "Where abilities emerge".to_owned(),
        quiet: false,
        alt: rows.iter().map(|(name, t)| format!("{name} at {}. ", words::threshold(*t))).collect(),
        height: 34 * rows.len() as u32,
        x: Axis::size(),
        y: Axis::new("", Format::Number, false),
        layers: vec![Layer::Ranges {
            colour: "vermillion".to_owned(),
            x: tidied(rows.iter().map(|r| r.1.scale)),
            low: tidied(rows.iter().map(|r| r.1.low)),
            high: tidied(rows.iter().map(|r| r.1.high)),
            names: rows.iter().map(|r| r.0.clone()).collect(),
        }],
    }
}

/// One line for each number of shots, over size.
pub(crate) fn shots(id: &str, title: &str, by_shots: &[&Ability]) -> Figure {
    let metric = by_shots.first().map_or_else(|| words::metric("exact_match"), |a| words::metric(&a.metric));
    let mut y = Axis::new(&metric.axis, metric.format, false);
    if metric.format == Format::Share {
        y = y.within(0.0, 1.0);
    }
    let mut layers = Vec::new();
    if let Some(chance) = by_shots.iter().find_map(|a| a.chance) {
        layers.push(Layer::Rule { y: tidy(chance), label: "chance".to_owned() });
    }
    for (i, a) in by_shots.iter().enumerate() {
        let name = words::plural(a.shots as usize, "shot");
        let colour = ramp(i, by_shots.len());
        let mut course = line(&a.points, &colour, false, &name);
        if let Layer::Line { end, .. } = &mut course {
            *end = Some(name.clone());
        }
        layers.push(course);
        layers.push(means(&a.points, &colour, Shape::nth(i), &name));
    }
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: title.to_owned(),
        quiet: false,
        alt: by_shots
            .iter()
            .map(|a| format!("{}: {} ", words::plural(a.shots as usize, "shot"), describe(a)))
            .collect(),
        height: 260,
        x: Axis::size(),
        y,
        layers,
    }
}

/// A threshold as a vertical band.
pub(crate) fn span(t: Threshold, colour: &str, verb: &str) -> Layer {
    Layer::Span {
        colour: colour.to_owned(),
        at: tidy(t.scale),
        low: tidy(t.low),
        high: tidy(t.high),
        label: if verb.is_empty() { String::new() } else { format!("{verb} {}", words::count(t.scale)) },
    }
}

fn band(points: &[Point], label: &str) -> Layer {
    Layer::Band {
        colour: "blue".to_owned(),
        x: tidied(points.iter().map(|p| p.params)),
        low: tidied(points.iter().map(|p| p.low)),
        high: tidied(points.iter().map(|p| p.high)),
        label: Some(label.to_owned()),
    }
}

fn line(points: &[Point], colour: &str, dash: bool, label: &str) -> Layer {
    Layer::Line {
        colour: colour.to_owned(),
        x: tidied(points.iter().map(|p| p.params)),
        y: tidied(points.iter().map(|p| p.value)),
        dash,
        thin: false,
        label: Some(label.to_owned()),
        end: None,
    }
}

fn means(points: &[Point], colour: &str, shape: Shape, label: &str) -> Layer {
    Layer::Points {
        colour: colour.to_owned(),
        shape,
        x: tidied(points.iter().map(|p| p.params)),
        y: tidied(points.iter().map(|p| p.value)),
        low: tidied(points.iter().map(|p| p.low)),
        high: tidied(points.iter().map(|p| p.high)),
        names: points
            .iter()
            .map(|p| {
                format!(
                    "{}: {}, {} each",
                    size_name(p),
                    words::plural(p.seeds as usize, "seed"),
                    words::plural(p.n as usize, "item")
                )
            })
            .collect(),
        label: Some(label.to_owned()),
        seeds: false,
    }
}

/// A size by its name, or by its number where scores from a table have none.
fn size_name(p: &Point) -> String {
    if p.rung.is_empty() { words::count(p.params) } else { p.rung.clone() }
}

fn seeds(points: &[Point]) -> Layer {
    let dots = || points.iter().flat_map(|p| p.by_seed.iter().map(move |s| (p, s)));
    Layer::Points {
        colour: "blue".to_owned(),
        shape: Shape::Ring,
        x: tidied(dots().map(|(p, _)| p.params)),
        y: tidied(dots().map(|(_, s)| s.value)),
        low: Vec::new(),
        high: Vec::new(),
        names: dots().map(|(p, s)| format!("{}, seed {}", size_name(p), s.seed)).collect(),
        label: Some("seeds".to_owned()),
        seeds: true,
    }
}
