//! A law's surface as lines to draw: equal losses, the best splits, the loss along one budget.

use super::form::{Form, Repetition};
use super::question::Point;
use super::solve::Surface;

/// Points of equal loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// Nats per token.
    pub loss: f64,
    /// (N, D) by rising N.
    pub points: Vec<(f64, f64)>,
}

/// Lines about a point, N in the law's own convention.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Budgets a factor of ten apart, the point's own in the middle.
    pub budgets: Vec<f64>,
    /// Losses of the best splits of these budgets: each touches the line of its budget there.
    pub contours: Vec<Contour>,
    /// Best splits, over all budgets.
    pub frontier: Vec<Point>,
    /// Loss along the point's own budget, by rising N.
    pub profile: Vec<Point>,
}

/// Decades of budgets to either side.
const DECADES: i32 = 2;
/// Points of a line.
const POINTS: usize = 61;

/// The map about a point, with so many unique tokens if they are few. Contours and the profile are empty for laws that
/// say nothing about other splits than the best.
pub fn map(form: &Form, unique: Option<f64>, about: &Point) -> Map {
    let law = Surface::new(form, unique.map(Repetition::published));
    let budgets: Vec<f64> = (-DECADES..=DECADES).map(|k| about.flops * 10f64.powi(k)).collect();
    let share = |i: usize| i as f64 / (POINTS - 1) as f64;
    let frontier: Vec<Point> = (0..POINTS)
        .map(|i| law.optimum(about.flops * 10f64.powf(f64::from(DECADES) * (2.0 * share(i) - 1.0))))
        .collect();
    if matches!(form, Form::Frontier(..) | Form::Kaplan(..)) {
        return Map { budgets, contours: Vec::new(), frontier, profile: Vec::new() };
    }
    let best = law.optimum(about.flops);
    // To either side of the best size: a factor of 100, as far as the outer budgets reach.
    let sizes: Vec<f64> = (0..POINTS).map(|i| best.params * 10f64.powf(4.0 * share(i) - 2.0)).collect();
    let contours = budgets
        .iter()
        .map(|budget| {
            let loss = law.optimum(*budget).loss;
            let tokens = |n: f64| law.tokens_of_loss(n, loss).ok().map(|d| (n, d));
            let shown = |&(_, d): &(f64, f64)| (best.tokens / 200.0..best.tokens * 200.0).contains(&d);
            Contour { loss, points: sizes.iter().filter_map(|n| tokens(*n)).filter(shown).collect() }
        })
        .collect();
    let profile = (0..POINTS)
        .map(|i| best.params * 10f64.powf(3.0 * share(i) - 1.5))
        .map(|n| law.point(n, about.flops / (6.0 * n)))
        .collect();
    Map { budgets, contours, frontier, profile }
}
