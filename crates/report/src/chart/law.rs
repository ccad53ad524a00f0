//! Figures of losses: against size, tokens and compute, and along training.

use super::{distinct, thinned};
use crate::figure::{Axis, Figure, Format, Layer, Shape, ramp, tidied};
use crate::findings::{Allocation, Curve, CurvePoint, Interval, Law, LawPoint};
use crate::words;

/// Label of the compute axis.
const COMPUTE: &str = "Training FLOPs (6 N D)";

/// `Held-out loss, nats per character` or `per token`, as the law's conventions say.
pub(crate) fn loss_label(law: &Law) -> String {
    let characters = law.conventions.get("tokenizer").is_some_and(|t| t.to_lowercase().contains("char"));
    format!("Held-out loss, nats per {}", if characters { "character" } else { "token" })
}

/// L(N): measured losses, the fitted law, its band.
pub(crate) fn loss_by_size(id: &str, law: &Law) -> Figure {
    let mut layers = fitted(&law.curve, "fitted law");
    layers.push(losses(&law.points, |p| p.params, "blue", Shape::Circle, Some("one model")));
    figure(id, "Loss against size", law, Axis::size(), layers)
}

/// L(N,D): loss against tokens, a colour for each size.
pub(crate) fn loss_by_tokens(id: &str, law: &Law) -> Figure {
    let x = Axis::new("Training tokens", Format::Count, true);
    let mut layers = by_size(law, |p| p.tokens, law.by_size.is_empty());
    let sizes = sizes(law);
    for curve in &law.by_size {
        let i = sizes.iter().position(|&s| s == curve.params).unwrap_or(0);
        layers.push(Layer::Line {
            colour: ramp(i, sizes.len()),
            x: tidied(curve.points.iter().map(|p| p.0)),
            y: tidied(curve.points.iter().map(|p| p.1)),
            dash: false,
            thin: false,
            label: None,
            end: Some(words::count(curve.params)),
        });
    }
    figure(id, "Loss against training tokens, by size", law, x, layers)
}

/// The compute frontier: the runs of all sizes against compute, what was fitted to them, and the lowest losses reached.
/// `runs` is the law whose points are the checkpoints of all runs, where there is one.
pub(crate) fn loss_by_compute(id: &str, law: &Law, runs: Option<&Law>) -> Figure {
    let x = Axis::new(COMPUTE, Format::Count, true);
    let mut layers = runs.map_or_else(Vec::new, |runs| by_size(runs, |p| p.flops, true));
    layers.extend(fitted(&law.curve, "frontier"));
    layers.push(losses(&law.points, |p| p.flops, "ink", Shape::Ring, Some("lowest loss measured")));
    figure(id, "The compute frontier", law, x, layers)
}

/// How the best model size, or the best number of tokens, grows with compute.
pub(crate) fn split(
    id: &str,
    title: &str,
    label: &str,
    rows: &[Allocation],
    of: fn(&Allocation) -> Interval,
) -> Figure {
    let curve: Vec<CurvePoint> = rows.iter().map(|a| CurvePoint { x: a.flops, y: of(a) }).collect();
    let ends = match (rows.first(), rows.last()) {
        (Some(a), Some(b)) => format!(
            "From {} at {} FLOPs to {} at {} FLOPs.",
            words::count(of(a).value),
            words::count(a.flops),
            words::count(of(b).value),
            words::count(b.flops)
        ),
        _ => "No data.".to_owned(),
    };
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: title.to_owned(),
        quiet: false,
        alt: format!("{label} against compute. {ends}"),
        height: 220,
        x: Axis::new(COMPUTE, Format::Count, true),
        y: Axis::new(label, Format::Count, true),
        layers: fitted(&curve, "best split"),
    }
}

/// Training curves of one ladder: training loss as lines, held-out loss as dots, coloured by size.
pub(crate) fn training(id: &str, ladder: &str, curves: &[&Curve]) -> Figure {
    let sizes = distinct(curves.iter().map(|c| c.params));
    let mut layers = Vec::new();
    let mut ended = Vec::new();
    for c in curves {
        let i = sizes.iter().position(|&s| s == c.params).unwrap_or(0);
        let kept = thinned(c.train.len(), 120);
        let first = !ended.contains(&i);
        ended.push(i);
        layers.push(Layer::Line {
            colour: ramp(i, sizes.len()),
            x: tidied(kept.iter().map(|&k| c.train[k].0)),
            y: tidied(kept.iter().map(|&k| c.train[k].1)),
            dash: false,
            thin: true,
            label: None,
            end: first.then(|| c.rung.clone()),
        });
        layers.push(Layer::Points {
            colour: ramp(i, sizes.len()),
            shape: Shape::nth(i),
            x: tidied(c.held_out.iter().map(|p| p.0)),
            y: tidied(c.held_out.iter().map(|p| p.1)),
            low: Vec::new(),
            high: Vec::new(),
            names: vec![format!("{}, seed {}, held out", c.rung, c.seed); c.held_out.len()],
            label: Some("held-out loss, at checkpoints".to_owned()),
            seeds: false,
        });
    }
    Figure {
        id: id.to_owned(),
        title: format!("Training curves, ladder {ladder}"),
        caption: format!("Ladder {ladder}"),
        quiet: false,
        alt: format!(
            "Loss against training tokens for {}, {}.",
            words::plural(curves.len(), "model"),
            words::plural(sizes.len(), "size")
        ),
        height: 300,
        x: Axis::new("Training tokens", Format::Count, true),
        y: Axis::new("Loss, nats per scored token", Format::Number, false),
        layers,
    }
}

fn figure(id: &str, title: &str, law: &Law, x: Axis, layers: Vec<Layer>) -> Figure {
    let params: Vec<String> = law.params.iter().map(|(k, v)| format!("{k} = {}", words::interval(*v))).collect();
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: title.to_owned(),
        quiet: false,
        alt: format!("{} measured losses and the law {}. {}.", law.points.len(), law.formula, params.join(", ")),
        height: 300,
        x,
        y: Axis::new(&loss_label(law), Format::Number, false),
        layers,
    }
}

fn fitted(curve: &[CurvePoint], label: &str) -> Vec<Layer> {
    if curve.is_empty() {
        return Vec::new();
    }
    let x = tidied(curve.iter().map(|p| p.x));
    vec![
        Layer::Band {
            colour: "vermillion".to_owned(),
            x: x.clone(),
            low: tidied(curve.iter().map(|p| p.y.low)),
            high: tidied(curve.iter().map(|p| p.y.high)),
            label: Some("95% band".to_owned()),
        },
        Layer::Line {
            colour: "vermillion".to_owned(),
            x,
            y: tidied(curve.iter().map(|p| p.y.value)),
            dash: false,
            thin: false,
            label: Some(label.to_owned()),
            end: None,
        },
    ]
}

fn sizes(law: &Law) -> Vec<f64> {
    distinct(law.points.iter().map(|p| p.params).chain(law.by_size.iter().map(|c| c.params)))
}

/// The measured losses, a series for each size; joined seed by seed where there is no fitted curve to follow.
fn by_size(law: &Law, x: fn(&LawPoint) -> f64, join: bool) -> Vec<Layer> {
    let sizes = sizes(law);
    let mut layers = Vec::new();
    for (i, &size) in sizes.iter().enumerate() {
        let here: Vec<LawPoint> = law.points.iter().filter(|p| p.params == size).cloned().collect();
        let mut seeds: Vec<u64> = here.iter().map(|p| p.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        for (k, seed) in seeds.iter().enumerate().filter(|_| join) {
            let mut path: Vec<&LawPoint> = here.iter().filter(|p| p.seed == *seed).collect();
            path.sort_by(|a, b| x(a).total_cmp(&x(b)));
            layers.push(Layer::Line {
                colour: ramp(i, sizes.len()),
                x: tidied(path.iter().map(|p| x(p))),
                y: tidied(path.iter().map(|p| p.loss)),
                dash: false,
                thin: true,
                label: None,
                end: (k == 0).then(|| words::count(size)),
            });
        }
        layers.push(losses(&here, x, &ramp(i, sizes.len()), Shape::nth(i), None));
    }
    layers
}

fn losses(points: &[LawPoint], x: fn(&LawPoint) -> f64, colour: &str, shape: Shape, label: Option<&str>) -> Layer {
    Layer::Points {
        colour: colour.to_owned(),
        shape,
        x: tidied(points.iter().map(x)),
        y: tidied(points.iter().map(|p| p.loss)),
        low: Vec::new(),
        high: Vec::new(),
        names: points
            .iter()
            .map(|p| {
                format!("{} parameters, {} tokens, seed {}", words::count(p.params), words::count(p.tokens), p.seed)
            })
            .collect(),
        label: label.map(str::to_owned),
        seeds: false,
    }
}
