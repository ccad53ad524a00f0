//! Figures of a fitted law: the data with their curves, the residuals, the best splits.

use crate::figure::{Axis, Figure, Format, Layer, Shape, ramp, tidied};
use crate::fit::{LawFit, Residual, Split};
use crate::words;

/// More names than this at the ends of curves would cover each other.
const NAMED: usize = 12;

/// The data of every group, and the curve through them.
pub(crate) fn fitted(fit: &LawFit) -> Figure {
    let mut layers = Vec::new();
    let every = fit.groups.len().div_ceil(NAMED);
    for (i, group) in fit.groups.iter().enumerate() {
        let colour = ramp(i, fit.groups.len());
        // The last is named, and every so many before it.
        let named = (fit.groups.len() - 1 - i).is_multiple_of(every.max(1));
        if !group.curve.is_empty() {
            layers.push(Layer::Line {
                colour: colour.clone(),
                x: tidied(group.curve.iter().map(|p| p.0)),
                y: tidied(group.curve.iter().map(|p| p.1)),
                dash: false,
                thin: fit.groups.len() > NAMED,
                label: None,
                end: named.then(|| group.name.clone()),
            });
        }
        layers.push(points(&colour, Shape::nth(i), &group.points, vec![group.name.clone(); group.points.len()], None));
    }
    figure(
        "figure-fit",
        "Data and law",
        &format!("{} groups of data with the fitted curve of each.", fit.groups.len()),
        Axis::new(&fit.x_label, Format::Count, true),
        Axis::new(&fit.y_label, Format::Number, false),
        layers,
    )
}

/// A quantity of a run.
type Of = fn(&Residual) -> f64;

/// What is left of each run, against size, tokens and compute.
pub(crate) fn residuals(fit: &LawFit) -> Vec<Figure> {
    let axes: [(&str, &str, Of); 3] = [
        ("params", "Parameters", |r| r.params),
        ("tokens", "Training tokens", |r| r.tokens),
        ("flops", "Training FLOPs", |r| r.flops),
    ];
    let shown = |of: Of| fit.residuals.iter().any(|r| of(r).is_finite() && of(r) > 0.0);
    axes.into_iter()
        .filter(|(_, _, of)| shown(*of))
        .map(|(id, label, of)| {
            let layer = |influential: bool| {
                let here: Vec<&Residual> = fit.residuals.iter().filter(|r| r.influential == influential).collect();
                let all: Vec<(f64, f64)> = here.iter().map(|r| (of(r), r.value)).collect();
                let names = here.iter().map(|r| r.name.clone()).collect();
                let (colour, shape, label) = match influential {
                    true => ("vermillion", Shape::Diamond, "moves an exponent by its standard error"),
                    false => ("blue", Shape::Circle, "one run"),
                };
                (!all.is_empty()).then(|| points(colour, shape, &all, names, Some(label)))
            };
            let rule = Layer::Rule { y: 0.0, label: "the law".to_owned() };
            let layers = std::iter::once(rule).chain([layer(false), layer(true)].into_iter().flatten()).collect();
            figure(
                &format!("figure-residuals-{id}"),
                &format!("Residuals against {}", label.to_lowercase().replace("flops", "FLOPs")),
                &format!("{} runs.", fit.residuals.len()),
                Axis::new(label, Format::Count, true),
                Axis::new("ln loss less ln law", Format::Number, false),
                layers,
            )
        })
        .collect()
}

/// A quantity that goes with the budget.
pub(crate) fn split(i: usize, split: &Split) -> Figure {
    let mut layers = Vec::new();
    let x = || tidied(split.line.iter().map(|p| p.0));
    let bounded = split.line.iter().all(|p| p.1.low.is_some() && p.1.high.is_some());
    if !split.line.is_empty() {
        if bounded {
            layers.push(Layer::Band {
                colour: "vermillion".to_owned(),
                x: x(),
                low: tidied(split.line.iter().filter_map(|p| p.1.low)),
                high: tidied(split.line.iter().filter_map(|p| p.1.high)),
                label: Some("95% band".to_owned()),
            });
        }
        layers.push(Layer::Line {
            colour: "vermillion".to_owned(),
            x: x(),
            y: tidied(split.line.iter().map(|p| p.1.value)),
            dash: false,
            thin: false,
            label: Some("fitted".to_owned()),
            end: None,
        });
    }
    if !split.found.is_empty() {
        let found: Vec<(f64, f64)> = split.found.iter().map(|p| (p.0, p.1.value)).collect();
        let mut layer =
            points("blue", Shape::Circle, &found, vec![String::new(); found.len()], Some("found in the data"));
        if let Layer::Points { low, high, .. } = &mut layer
            && split.found.iter().all(|p| p.1.low.is_some() && p.1.high.is_some())
        {
            *low = tidied(split.found.iter().filter_map(|p| p.1.low));
            *high = tidied(split.found.iter().filter_map(|p| p.1.high));
        }
        layers.push(layer);
    }
    let ends = match (split.line.first(), split.line.last()) {
        (Some(a), Some(b)) => format!(
            "From {} at {} FLOPs to {} at {} FLOPs.",
            words::count(a.1.value),
            words::number(a.0),
            words::count(b.1.value),
            words::number(b.0)
        ),
        _ => format!("{} budgets.", split.found.len()),
    };
    let loss = split.label.to_lowercase().contains("loss");
    let y = Axis::new(&split.label, if loss { Format::Number } else { Format::Count }, !loss);
    figure(
        &format!("figure-split-{i}"),
        &split.title,
        &ends,
        Axis::new("Training FLOPs", Format::Number, true),
        y,
        layers,
    )
}

fn figure(id: &str, title: &str, alt: &str, x: Axis, y: Axis, layers: Vec<Layer>) -> Figure {
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: title.to_owned(),
        quiet: false,
        alt: alt.to_owned(),
        height: 300,
        x,
        y,
        layers,
    }
}

fn points(colour: &str, shape: Shape, all: &[(f64, f64)], names: Vec<String>, label: Option<&str>) -> Layer {
    Layer::Points {
        colour: colour.to_owned(),
        shape,
        x: tidied(all.iter().map(|p| p.0)),
        y: tidied(all.iter().map(|p| p.1)),
        low: Vec::new(),
        high: Vec::new(),
        names,
        label: label.map(str::to_owned),
        seeds: false,
    }
}
