//! Figures of a plan: all laws in the plane of parameters and tokens, each law's surface, the loss along the budget.

use crate::budget::{Budget, Estimate, LawPlan, tokens};
use crate::figure::{Axis, Figure, Format, Layer, Shape, ramp, tidied};
use crate::words;

/// Okabe and Ito's colours, in the order of the laws.
const COLOURS: [&str; 7] = ["orange", "blue", "purple", "green", "grey", "vermillion", "ink"];

/// The plane of parameters and tokens: lines of equal compute, the best splits of every law, and the plan of each with its
/// interval along the line of its budget.
pub(crate) fn together(plan: &Budget) -> Figure {
    let mut layers: Vec<Layer> = Vec::new();
    let all = |of: fn(&(f64, f64)) -> f64| plan.laws.iter().flat_map(move |law| law.frontier.iter().map(of));
    let ends = (all(|p| p.0).fold(f64::MAX, f64::min), all(|p| p.0).fold(0.0, f64::max));
    let heights = (all(|p| p.1).fold(f64::MAX, f64::min), all(|p| p.1).fold(0.0, f64::max));
    for budget in budgets(plan) {
        layers.extend(equal_compute(budget, ends, heights));
    }
    for (i, law) in plan.laws.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        layers.push(line(colour, &law.frontier, i >= COLOURS.len(), true, Some(law.law.clone()), None));
        layers.extend(interval(colour, law, &law.law));
        layers.push(mark(colour, i, law));
    }
    Figure {
        id: "figure-laws".to_owned(),
        title: "Parameters and tokens by every law".to_owned(),
        caption: "Parameters and tokens by every law".to_owned(),
        quiet: false,
        alt: format!(
            "Each law's plan as a mark, its interval as a thick line along its budget, its best splits as a thin line. {}",
            plan.laws
                .iter()
                .map(|l| format!(
                    "{}: {} parameters, {} tokens.",
                    l.law,
                    tokens(l.params.value),
                    tokens(l.tokens.value)
                ))
                .collect::<Vec<_>>()
                .join(" ")
        ),
        height: 380,
        x: Axis::new("Parameters, each law's own count", Format::Count, true),
        y: Axis::new("Training tokens", Format::Count, true),
        layers,
    }
}

/// The budgets of the first law's surface, whose middle is the plan's own.
fn budgets(plan: &Budget) -> Vec<f64> {
    plan.laws.first().map_or_else(Vec::new, |law| law.budgets.clone())
}

/// The part of D = C / (6 N) that lies within the ranges.
fn equal_compute(budget: f64, (low, high): (f64, f64), (bottom, top): (f64, f64)) -> Option<Layer> {
    let left = low.max(budget / (6.0 * top));
    let right = high.min(budget / (6.0 * bottom));
    // From right to left, so that its label stands at the upper end, apart from those of the losses.
    let points = [(right, budget / (6.0 * right)), (left, budget / (6.0 * left))];
    (left < right).then(|| line("soft", &points, true, true, None, Some(format!("{budget:.1e}"))))
}

fn line(
    colour: &str,
    points: &[(f64, f64)],
    dash: bool,
    thin: bool,
    label: Option<String>,
    end: Option<String>,
) -> Layer {
    Layer::Line {
        colour: colour.to_owned(),
        x: tidied(points.iter().map(|p| p.0)),
        y: tidied(points.iter().map(|p| p.1)),
        dash,
        thin,
        label,
        end,
    }
}

/// The interval of a plan: along the line of its budget where that is given, else one of N and one of D.
fn interval(colour: &str, law: &LawPlan, label: &str) -> Vec<Layer> {
    let ends = |e: Estimate| e.low.zip(e.high).filter(|(low, high)| low < high).map(|(low, high)| [low, high]);
    let (params, tokens) = (ends(law.params), ends(law.tokens));
    let drawn = |points: [(f64, f64); 2]| line(colour, &points, false, false, Some(label.to_owned()), None);
    let fixed = ends(law.flops).is_none_or(|[low, high]| high / low < 1.0 + 1e-9);
    if fixed {
        return params.map(|ends| drawn(ends.map(|n| (n, law.flops.value / (6.0 * n))))).into_iter().collect();
    }
    let across = params.map(|ends| drawn(ends.map(|n| (n, law.tokens.value))));
    let upwards = tokens.map(|ends| drawn(ends.map(|d| (law.params.value, d))));
    across.into_iter().chain(upwards).collect()
}

fn mark(colour: &str, i: usize, law: &LawPlan) -> Layer {
    Layer::Points {
        colour: colour.to_owned(),
        shape: Shape::nth(i),
        x: tidied([law.params.value]),
        y: tidied([law.tokens.value]),
        low: vec![],
        high: vec![],
        names: vec![format!("{} parameters", law.parameters)],
        label: Some(law.law.clone()),
        seeds: false,
    }
}

/// One law's surface.
pub(crate) fn surface(law: &LawPlan) -> Figure {
    let points = || law.contours.iter().flat_map(|c| &c.1).chain(&law.frontier);
    let ends = (points().map(|p| p.0).fold(f64::MAX, f64::min), points().map(|p| p.0).fold(0.0, f64::max));
    let heights = (points().map(|p| p.1).fold(f64::MAX, f64::min), points().map(|p| p.1).fold(0.0, f64::max));
    let mut layers: Vec<Layer> = law.budgets.iter().filter_map(|&c| equal_compute(c, ends, heights)).collect();
    for (i, (loss, points)) in law.contours.iter().enumerate() {
        let colour = ramp(i, law.contours.len());
        layers.push(line(&colour, points, false, false, None, Some(format!("{loss:.3}"))));
    }
    layers.push(line("ink", &law.frontier, true, true, Some("best splits".to_owned()), None));
    layers.extend(interval("vermillion", law, "95% interval"));
    layers.push(match mark("vermillion", 3, law) {
        Layer::Points { colour, shape, x, y, low, high, names, seeds, .. } => {
            Layer::Points { colour, shape, x, y, low, high, names, seeds, label: Some("this plan".to_owned()) }
        }
        other => other,
    });
    Figure {
        id: format!("figure-surface-{}", crate::html::slug(&law.law)),
        title: format!("Surface of the loss, {}", law.title),
        caption: law.title.clone(),
        quiet: false,
        alt: format!(
            "Lines of equal loss {}, lines of equal compute {} FLOPs, the best splits, and the plan at {} parameters and {} \
             tokens.",
            law.contours.iter().map(|c| format!("{:.3}", c.0)).collect::<Vec<_>>().join(", "),
            law.budgets.iter().map(|c| words::number(*c)).collect::<Vec<_>>().join(", "),
            tokens(law.params.value),
            tokens(law.tokens.value)
        ),
        height: 300,
        x: Axis::new(&format!("Parameters, {}", law.parameters), Format::Count, true),
        y: Axis::new("Training tokens", Format::Count, true),
        layers,
    }
}

/// The loss along the plan's own budget, for the laws that have one; `None` where none has.
pub(crate) fn profiles(plan: &Budget) -> Option<Figure> {
    let shown: Vec<(usize, &LawPlan)> =
        plan.laws.iter().enumerate().filter(|(_, law)| !law.profile.is_empty()).collect();
    if shown.is_empty() {
        return None;
    }
    let mut layers = Vec::new();
    for (i, law) in &shown {
        let colour = COLOURS[i % COLOURS.len()];
        layers.push(line(colour, &law.profile, *i >= COLOURS.len(), false, Some(law.law.clone()), None));
        layers.push(Layer::Points {
            colour: colour.to_owned(),
            shape: Shape::nth(*i),
            x: tidied([law.params.value]),
            y: tidied([law.loss.value]),
            low: law.loss.low.into_iter().collect(),
            high: law.loss.high.into_iter().collect(),
            names: vec![law.title.clone()],
            label: Some(law.law.clone()),
            seeds: false,
        });
    }
    Some(Figure {
        id: "figure-profile".to_owned(),
        title: "Loss along the budget".to_owned(),
        caption: "Loss along the budget, by size".to_owned(),
        quiet: false,
        alt: shown
            .iter()
            .map(|(_, law)| format!("{}: least at {} parameters.", law.law, tokens(law.params.value)))
            .collect::<Vec<_>>()
            .join(" "),
        height: 300,
        x: Axis::new("Parameters, each law's own count", Format::Count, true),
        y: Axis::new("Loss, nats per token of each law's text", Format::Number, false),
        layers,
    })
}
