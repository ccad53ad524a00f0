//! Figures of what changes an ability: with and without a condition, and the difference.

use super::ability::span;
use crate::figure::{Axis, Figure, Format, Layer, Shape, tidied};
use crate::findings::{Effect, EffectPoint};
use crate::words;

/// What the two sides of a kind of effect are called.
pub(crate) fn sides(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "chain-of-thought" => ("step by step", "direct"),
        "shots" => ("more shots", "fewer shots"),
        "depth" => ("deeper", "shallower"),
        _ => ("with", "without"),
    }
}

/// With and without, by size.
pub(crate) fn both(id: &str, e: &Effect) -> Figure {
    let (with, without) = sides(&e.kind);
    let metric = words::metric(&e.metric);
    let mut y = Axis::new(&metric.axis, metric.format, false);
    if metric.format == Format::Share {
        y = y.within(0.0, 1.0);
    }
    let mut layers = Vec::new();
    if let Some(t) = e.switches_on {
        layers.push(span(t, "vermillion", "from"));
    }
    layers.extend(side(&e.points, "grey", Shape::Square, without, |p| p.without));
    layers.extend(side(&e.points, "blue", Shape::Circle, with, |p| p.with));
    Figure {
        id: id.to_owned(),
        title: format!("{}: both conditions", words::label(&e.label)),
        caption: "Both conditions".to_owned(),
        quiet: false,
        alt: e.summary.clone(),
        height: 220,
        x: Axis::size(),
        y,
        layers,
    }
}

/// The paired difference with its interval.
pub(crate) fn difference(id: &str, e: &Effect) -> Figure {
    let (with, without) = sides(&e.kind);
    let metric = words::metric(&e.metric);
    let x = tidied(e.points.iter().map(|p| p.params));
    let low = tidied(e.points.iter().map(|p| p.difference.low));
    let high = tidied(e.points.iter().map(|p| p.difference.high));
    let y = tidied(e.points.iter().map(|p| p.difference.value));
    let mut layers = Vec::new();
    if let Some(t) = e.switches_on {
        layers.push(span(t, "vermillion", "from"));
    }
    layers.push(Layer::Rule { y: 0.0, label: "no difference".to_owned() });
    layers.push(Layer::Band {
        colour: "blue".to_owned(),
        x: x.clone(),
        low: low.clone(),
        high: high.clone(),
        label: Some("95% interval".to_owned()),
    });
    layers.push(Layer::Line {
        colour: "blue".to_owned(),
        x: x.clone(),
        y: y.clone(),
        dash: false,
        thin: false,
        label: None,
        end: None,
    });
    layers.push(Layer::Points {
        colour: "blue".to_owned(),
        shape: Shape::Circle,
        x,
        y,
        low,
        high,
        names: e.points.iter().map(|p| p.rung.clone()).collect(),
        label: None,
        seeds: false,
    });
    Figure {
        id: id.to_owned(),
        title: format!("{}: difference", words::label(&e.label)),
        caption: "Difference".to_owned(),
        quiet: false,
        alt: e.summary.clone(),
        height: 220,
        x: Axis::size(),
        y: Axis::new(&format!("Difference in {}, {with} minus {without}", metric.name), metric.format, false),
        layers,
    }
}

/// Effects that were measured at one or two sizes only: a row for each, the difference with its interval.
pub(crate) fn rows(id: &str, effects: &[&Effect]) -> Figure {
    let (with, without) = effects.first().map_or(("with", "without"), |e| sides(&e.kind));
    let metric = words::metric(effects.first().map_or("", |e| e.metric.as_str()));
    let points = || effects.iter().flat_map(|e| e.points.iter().map(move |p| (e, p)));
    let names: Vec<String> = points()
        .map(|(e, p)| format!("{} ({}, {} parameters)", words::label(&e.label), p.rung, words::count(p.params)))
        .collect();
    let mut x = Axis::new(&format!("Difference in {}, {with} minus {without}", metric.name), metric.format, false);
    x.lo = Some(0.0);
    Figure {
        id: id.to_owned(),
        title: format!("Differences, {with} minus {without}"),
        caption: format!("Differences, {with} minus {without}"),
        quiet: false,
        alt: effects.iter().map(|e| format!("{} ", e.summary)).collect(),
        height: 34 * names.len() as u32,
        x,
        y: Axis::new("", Format::Number, false),
        layers: vec![Layer::Ranges {
            colour: "blue".to_owned(),
            x: tidied(points().map(|(_, p)| p.difference.value)),
            low: tidied(points().map(|(_, p)| p.difference.low)),
            high: tidied(points().map(|(_, p)| p.difference.high)),
            names,
        }],
    }
}

fn side(points: &[EffectPoint], colour: &str, shape: Shape, label: &str, value: fn(&EffectPoint) -> f64) -> [Layer; 2] {
    let x = tidied(points.iter().map(|p| p.params));
    let y = tidied(points.iter().map(value));
    [
        Layer::Line {
            colour: colour.to_owned(),
            x: x.clone(),
            y: y.clone(),
            dash: false,
            thin: false,
            label: Some(label.to_owned()),
            end: None,
        },
        Layer::Points {
            colour: colour.to_owned(),
            shape,
            x,
            y,
            low: Vec::new(),
            high: Vec::new(),
            names: points.iter().map(|p| p.rung.clone()).collect(),
            label: Some(label.to_owned()),
            seeds: false,
        },
    ]
}
