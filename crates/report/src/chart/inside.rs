//! Figures of what is inside models: heat maps of layer by model, curves over size and over training.

use crate::figure::{Axis, Figure, Format, Layer, Shape, ramp, tidied};
use crate::inside::{Looked, Number, PromptPicture};
use crate::words;

/// What is drawn of which numbers.
pub(crate) struct Drawn<'a> {
    /// Unique on the page.
    pub(crate) id: String,
    /// Heading.
    pub(crate) title: String,
    /// How values are written.
    pub(crate) format: Format,
    /// Name and unit of the values.
    pub(crate) unit: &'a str,
    /// Ends of the colours, where they are known beforehand.
    pub(crate) range: Option<(f64, f64)>,
}

/// A model's row of a heat map, or a group's.
pub(crate) type Row<'a> = (String, Vec<&'a Number>);

/// Layers across, `rows` downwards.
pub(crate) fn heat_map(drawn: Drawn<'_>, rows: &[Row<'_>]) -> Figure {
    let (mut row, mut x, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (_, of_row)) in rows.iter().enumerate() {
        for number in of_row {
            let Some(layer) = number.layer else { continue };
            row.push(i);
            x.push(layer);
            numbers.push(*number);
        }
    }
    let values = || numbers.iter().map(|n| n.value).filter(|v| v.is_finite());
    let (lo, hi) =
        drawn.range.unwrap_or_else(|| (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max)));
    let end = |of: fn((f64, f64)) -> f64| tidied(numbers.iter().map(|n| n.interval.map_or(f64::NAN, of)));
    let alt = format!("{} rows by layer, from {} to {}.", rows.len(), words::number(lo), words::number(hi));
    let cells = Layer::Cells {
        names: rows.iter().map(|(name, _)| name.clone()).collect(),
        row,
        x,
        value: tidied(numbers.iter().map(|n| n.value)),
        low: end(|(low, _)| low),
        high: end(|(_, high)| high),
        lo,
        hi,
    };
    Figure {
        id: drawn.id,
        title: drawn.title.clone(),
        caption: drawn.title,
        quiet: false,
        alt,
        height: (24 * rows.len() as u32).clamp(48, 720),
        x: Axis::new("Layer", Format::Whole, false),
        y: Axis::new(drawn.unit, drawn.format, false),
        layers: vec![cells],
    }
}

/// A number of whole models against their size; one series for each family.
pub(crate) fn over_size(drawn: Drawn<'_>, points: &[(&Looked, &Number)]) -> Figure {
    let mut families: Vec<&str> = points.iter().map(|(m, _)| m.family.as_str()).collect();
    families.sort_unstable();
    families.dedup();
    let colours = ["blue", "vermillion", "green", "purple", "orange"];
    let layers = families.iter().enumerate().map(|(i, family)| {
        let here: Vec<_> = points.iter().filter(|(m, _)| m.family == *family).copied().collect();
        series(
            colours[i % colours.len()],
            Shape::nth(i),
            (*family).to_owned(),
            here.iter().map(|(model, number)| (model.params_non_embedding as f64, *number, model.model.clone())),
        )
    });
    plain(drawn, Axis::size(), points.len(), layers.collect())
}

/// A number along training; one curve for each model, and its dots.
pub(crate) fn over_training(drawn: Drawn<'_>, curves: &[(String, Vec<(f64, &Number)>)]) -> Figure {
    let mut layers = Vec::new();
    for (i, (name, curve)) in curves.iter().enumerate() {
        let colour = ramp(i, curves.len());
        layers.push(Layer::Line {
            colour: colour.clone(),
            x: tidied(curve.iter().map(|p| p.0)),
            y: tidied(curve.iter().map(|p| p.1.value)),
            dash: false,
            thin: true,
            label: None,
            end: Some(name.clone()),
        });
        layers.push(series(&colour, Shape::nth(i), name.clone(), curve.iter().map(|(x, n)| (*x, *n, name.clone()))));
    }
    let points = curves.iter().map(|(_, curve)| curve.len()).sum();
    plain(drawn, Axis::new("Training tokens", Format::Count, true), points, layers)
}

/// A curve over any axis, such as a position.
pub(crate) fn over_position(drawn: Drawn<'_>, label: &str, values: &[f64]) -> Figure {
    let line = Layer::Line {
        colour: "blue".to_owned(),
        x: tidied((1..=values.len()).map(|i| i as f64)),
        y: tidied(values.iter().copied()),
        dash: false,
        thin: false,
        label: None,
        end: None,
    };
    plain(drawn, Axis::new(label, Format::Whole, false), values.len(), vec![line])
}

/// Numbers by layer, one series for each name.
pub(crate) fn by_layer(drawn: Drawn<'_>, curves: &[(String, Vec<&Number>)]) -> Figure {
    let colours = ["blue", "vermillion", "green", "purple", "orange"];
    let layers = curves.iter().enumerate().map(|(i, (name, numbers))| {
        let points = numbers.iter().filter_map(|n| Some((f64::from(n.layer?), *n, name.clone())));
        series(colours[i % colours.len()], Shape::nth(i + i / colours.len()), name.clone(), points)
    });
    let count = curves.iter().map(|(_, curve)| curve.len()).sum();
    plain(drawn, Axis::new("Layer", Format::Whole, false), count, layers.collect())
}

/// What each layer's attention and MLP add to a logit.
pub(crate) fn attribution(id: String, picture: &PromptPicture) -> Figure {
    let named = |name: &str, colour: &str, shape| {
        let parts: Vec<_> = picture.parts.iter().filter(|p| p.name == name).collect();
        Layer::Points {
            colour: colour.to_owned(),
            shape,
            x: tidied(parts.iter().map(|p| f64::from(p.layer))),
            y: tidied(parts.iter().map(|p| p.amount)),
            low: Vec::new(),
            high: Vec::new(),
            names: parts.iter().map(|p| format!("{name} of layer {}", p.layer)).collect(),
            label: Some(name.to_owned()),
            seeds: false,
        }
    };
    let layers = vec![
        Layer::Rule { y: 0.0, label: "nothing".to_owned() },
        named("attention", "blue", Shape::Circle),
        named("mlp", "vermillion", Shape::Diamond),
        named("embedding", "green", Shape::Square),
    ];
    let drawn = Drawn {
        id,
        title: format!("What each place adds to the logit of {:?}", picture.target),
        format: Format::Number,
        unit: "logit",
        range: None,
    };
    plain(drawn, Axis::new("Layer", Format::Whole, false), picture.parts.len(), layers)
}

fn series<'a>(
    colour: &str,
    shape: Shape,
    label: String,
    points: impl Iterator<Item = (f64, &'a Number, String)>,
) -> Layer {
    let points: Vec<_> = points.collect();
    let end = |of: fn((f64, f64)) -> f64| tidied(points.iter().map(|p| p.1.interval.map_or(f64::NAN, of)));
    Layer::Points {
        colour: colour.to_owned(),
        shape,
        x: tidied(points.iter().map(|p| p.0)),
        y: tidied(points.iter().map(|p| p.1.value)),
        low: end(|(low, _)| low),
        high: end(|(_, high)| high),
        names: points.iter().map(|p| p.2.clone()).collect(),
        label: Some(label).filter(|l| !l.is_empty()),
        seeds: false,
    }
}

fn plain(drawn: Drawn<'_>, x: Axis, points: usize, layers: Vec<Layer>) -> Figure {
    let y = Axis::new(drawn.unit, drawn.format, false);
    Figure {
        id: drawn.id,
        title: drawn.title.clone(),
        caption: drawn.title,
        quiet: false,
        alt: format!("{points} values."),
        height: 220,
        x,
        y: drawn.range.map_or(y.clone(), |(lo, hi)| y.within(lo, hi)),
        layers,
    }
}
