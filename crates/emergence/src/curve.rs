//! The candidate curves, mean performance over x = ln(scale), and their maximum-likelihood fits.

use crate::Shape;
use crate::evidence::Evidence;
use saltus_stats::minimise::{Stop, nelder_mead};

/// ln of the factor of scale within which the steepest smooth growth rises from 10% to 90%: ln(ln 0.1 / ln 0.9) = 3.08,
/// a factor of 22. It is the rise of exp(-N0/N), an answer whose surprise falls as the first power of scale.
pub const STEEPEST_SMOOTH_RISE: f64 = 3.084_254;

/// 10-90% width of the standard logistic.
const LOGISTIC_RISE: f64 = 4.394_449;

/// How a rise goes from 0 to 1. All three are fitted, as theory favours none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Link {
    /// 1 / (1 + e^-z): symmetric.
    Logistic,
    /// exp(-e^-z): the pass rate whose -log is a power law of scale (PassUntil, arXiv 2310.03262); slow at the top.
    Surprise,
    /// 1 - exp(-e^z): the failure rate's mirror image; slow at the bottom.
    Failure,
}

impl Link {
    const ALL: [Link; 3] = [Link::Logistic, Link::Surprise, Link::Failure];

    /// The rise at `x`, centred on `mid`, going from 10% to 90% within `width`.
    fn rise(self, x: f64, mid: f64, width: f64) -> f64 {
        let z = (x - mid) / width;
        match self {
            Link::Logistic => 1.0 / (1.0 + (-LOGISTIC_RISE * z).exp()),
            Link::Surprise => (-(-STEEPEST_SMOOTH_RISE * z).exp()).exp(),
            Link::Failure => 1.0 - (-(STEEPEST_SMOOTH_RISE * z).exp()).exp(),
        }
    }
}

/// How often a fit begins again at most.
const RESTARTS: usize = 6;

/// A fitted curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Curve {
    /// The same everywhere.
    Level(f64),
    /// A line through (x0, left) and (x1, right).
    Line { x0: f64, x1: f64, left: f64, right: f64 },
    /// From `left` to `right` by a link.
    Step { link: Link, left: f64, right: f64, mid: f64, width: f64 },
    /// Two lines that meet at (at, bend), from `x0` to `x1`, and level beyond; `places` of these two are free.
    Bend { x0: f64, x1: f64, at: f64, left: f64, bend: f64, right: f64, places: usize },
}

impl Curve {
    /// The mean at `x`.
    pub(crate) fn at(&self, x: f64) -> f64 {
        let line = |x0: f64, x1: f64, a: f64, b: f64| a + (b - a) * (x - x0) / (x1 - x0);
        match *self {
            Curve::Level(a) => a,
            Curve::Line { x0, x1, left, right } => line(x0, x1, left, right),
            Curve::Step { link, left, right, mid, width } => left + (right - left) * link.rise(x, mid, width),
            Curve::Bend { x0, left, .. } if x < x0 => left,
            Curve::Bend { x1, right, .. } if x > x1 => right,
            Curve::Bend { x0, at, left, bend, .. } if x < at => line(x0, at, left, bend),
            Curve::Bend { x1, at, bend, right, .. } => line(at, x1, bend, right),
        }
    }

    /// Free parameters.
    pub(crate) fn parameters(&self) -> usize {
        match self {
            Curve::Level(_) => 1,
            Curve::Line { .. } => 2,
            Curve::Bend { bend, right, .. } if bend == right => 3,
            Curve::Bend { places, .. } => 4 + places,
            Curve::Step { .. } => 4,
        }
    }
}

/// A curve with its log-likelihood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    pub(crate) curve: Curve,
    pub(crate) log_likelihood: f64,
}

impl Fit {
    /// Bayesian information criterion at `models` observations, the likelihood tempered by `inflation`.
    pub(crate) fn bic(&self, models: usize, inflation: f64) -> f64 {
        -2.0 * self.log_likelihood / inflation + self.curve.parameters() as f64 * (models as f64).ln()
    }
}

/// What a candidate may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// Lowest and highest possible mean.
    pub(crate) range: (f64, f64),
    /// Chance, for metrics that have one.
    pub(crate) chance: Option<f64>,
    /// How far above chance still counts as at chance; a share of the rise where there is no chance level.
    pub(crate) delta: f64,
    /// A change over the tested sizes smaller than this is no change.
    pub(crate) least: f64,
    /// Whether the two smallest sizes can be at chance at all.
    pub(crate) floor: bool,
}

/// A rise over the tested sizes.
struct Cell {
    link: Link,
    mid: f64,
    width: f64,
    rise: Vec<f64>,
}

/// The search grid for the sizes of one ability, made once and used for every resample.
pub(crate) struct Fitter {
    bounds: Bounds,
    /// Rises no steeper than [`STEEPEST_SMOOTH_RISE`].
    gentle_cells: Vec<Cell>,
    /// Steeper rises that begin after the second size.
    steep_cells: Vec<Cell>,
}

impl Fitter {
    /// `x` rising; steep rises need at least four sizes and are left out below.
    pub(crate) fn new(x: &[f64], bounds: Bounds) -> Fitter {
        let (first, last) = (x[0], x[x.len() - 1]);
        let range = last - first;
        let gentle = grid(x, (first - range, last + range, 16), &[1.0, 1.5, 2.5, 5.0]);
        let steep = if x.len() < 4 { Vec::new() } else { grid(x, (x[1], last, 16), &[0.06, 0.15, 0.35, 0.65, 0.999]) };
        Fitter { bounds, gentle_cells: gentle, steep_cells: steep }
    }

    /// The best curve of each kind that a shape may have; none if none is admissible.
    pub(crate) fn fit(&self, shape: Shape, e: &Evidence) -> Vec<Fit> {
        let curves = match shape {
            Shape::Flat => vec![Some(self.level(e))],
            Shape::Smooth => {
                // What is above chance at the smallest sizes is no jump out of nothing, however steep it becomes.
                let free = if self.bounds.floor { None } else { self.step(e, &self.steep_cells, Rise::Any) };
                vec![self.line(e, true), self.plateau(e, true), self.gentle(e), free]
            }
            Shape::Emergent => vec![self.steep(e)],
            Shape::Inverse => {
                let (gentle, steep) =
                    (self.step(e, &self.gentle_cells, Rise::Fall), self.step(e, &self.steep_cells, Rise::Fall));
                vec![self.line(e, false), self.plateau(e, false), gentle, steep]
            }
            Shape::UShaped => self.bends(e, true),
            Shape::InvertedU => self.bends(e, false),
            Shape::Undetermined => Vec::new(),
        };
        curves.into_iter().flatten().collect()
    }

    /// The likeliest rise no steeper than smooth growth.
    pub(crate) fn gentle(&self, e: &Evidence) -> Option<Fit> {
        self.step(e, &self.gentle_cells, Rise::Gentle)
    }

    /// The likeliest steeper rise out of chance.
    pub(crate) fn steep(&self, e: &Evidence) -> Option<Fit> {
        if self.bounds.floor { self.step(e, &self.steep_cells, Rise::Steep) } else { None }
    }

    fn clip(&self, v: f64) -> f64 {
        v.clamp(self.bounds.range.0, self.bounds.range.1)
    }

    fn inside(&self, values: &[f64]) -> bool {
        values.iter().all(|v| (self.bounds.range.0..=self.bounds.range.1).contains(v))
    }

    fn level(&self, e: &Evidence) -> Fit {
        let total: f64 = e.weight.iter().sum();
        let mean = e.weight.iter().zip(&e.mean).map(|(w, y)| w * y).sum::<f64>() / total;
        let plain = e.mean.iter().sum::<f64>() / e.mean.len() as f64;
        let start = [mean, plain].map(|m| self.clip(m)).map(|m| (e.of_curve(|_| m), m));
        let start = if start[0].0 >= start[1].0 { start[0].1 } else { start[1].1 };
        self.polish(e, &[start], &[spread(e)], |p| self.inside(p).then_some(Curve::Level(p[0])))
            .unwrap_or(Fit { curve: Curve::Level(start), log_likelihood: e.of_curve(|_| start) })
    }

    fn line(&self, e: &Evidence, rising: bool) -> Option<Fit> {
        let (x0, x1) = ends(e);
        let share: Vec<f64> = e.x.iter().map(|x| (x - x0) / (x1 - x0)).collect();
        let (a, b) = least_squares(e, &share, |a| self.clip(a), |b| self.clip(b));
        let make = |p: &[f64]| {
            let change = if rising { p[1] - p[0] } else { p[0] - p[1] };
            let ok = self.inside(p) && change >= self.bounds.least && change > 0.0;
            ok.then_some(Curve::Line { x0, x1, left: p[0], right: p[1] })
        };
        // If the best line runs the other way, start from the least admissible change.
        let (sign, gap) = (if rising { 1.0 } else { -1.0 }, 0.5 * self.bounds.least.max(1e-9) * (1.0 + 1e-6));
        let (a, b) = if sign * (b - a) >= 2.0 * gap {
            (a, b)
        } else {
            let centre = (0.5 * (a + b)).clamp(self.bounds.range.0 + gap, self.bounds.range.1 - gap);
            (centre - sign * gap, centre + sign * gap)
        };
        let step = spread(e);
        self.polish(e, &[a, b], &[-sign * step, sign * step], make)
    }

    fn step(&self, e: &Evidence, cells: &[Cell], rise: Rise) -> Option<Fit> {
        let left_within = |a: f64| match (rise, self.bounds.chance) {
            (Rise::Steep, Some(c)) => self.clip(a.clamp(c - self.bounds.delta, c + self.bounds.delta)),
            _ => self.clip(a),
        };
        // The grid is too coarse to choose among the links: each has its best cell polished.
        let fits = Link::ALL.map(|link| {
            let best = self.best_cell(e, cells.iter().filter(|cell| cell.link == link), rise, left_within)?;
            let Curve::Step { left, right, mid, width, .. } = best.curve else { return Some(best) };
            let make = |p: &[f64]| {
                // The best curve often lies on a limit: what is beyond is moved there, as a simplex cannot walk along a wall.
                let (narrowest, widest) = rise.widths();
                let width = p[3].exp().clamp(narrowest, widest);
                let curve = Curve::Step { link, left: left_within(p[0]), right: self.clip(p[1]), mid: p[2], width };
                self.admits(e, &curve, rise).then_some(curve)
            };
            // The first simplex leads inwards, where all limits are at hand.
            let scale = spread(e) * if right > left { 1.0 } else { -1.0 };
            let narrower = if rise == Rise::Gentle { 0.2 } else { -0.2 };
            let steps = [0.3 * scale, -0.3 * scale, 0.2, narrower];
            let polished = self.polish(e, &[left, right, mid, width.ln()], &steps, make);
            polished.filter(|p| p.log_likelihood >= best.log_likelihood).or(Some(best))
        });
        fits.into_iter().flatten().max_by(|a, b| a.log_likelihood.total_cmp(&b.log_likelihood))
    }

    fn best_cell<'c>(
        &self,
        e: &Evidence,
        cells: impl Iterator<Item = &'c Cell>,
        rise: Rise,
        left_within: impl Fn(f64) -> f64,
    ) -> Option<Fit> {
        let mut best: Option<Fit> = None;
        for cell in cells {
            let (a, b) = least_squares(e, &cell.rise, &left_within, |b| self.clip(b));
            let curve = Curve::Step { link: cell.link, left: a, right: b, mid: cell.mid, width: cell.width };
            let means = cell.rise.iter().map(|r| a + (b - a) * r);
            let least = best.map_or(f64::NEG_INFINITY, |b| b.log_likelihood);
            match e.of_means_if(means, least) {
                Some(log_likelihood) if log_likelihood > least && self.admits(e, &curve, rise) => {
                    best = Some(Fit { curve, log_likelihood });
                }
                _ => {}
            }
        }
        best
    }

    /// Whether a step keeps to its kind's limits.
    fn admits(&self, e: &Evidence, curve: &Curve, rise: Rise) -> bool {
        let Curve::Step { link, left, right, mid, width } = *curve else { return false };
        let (x0, x1) = ends(e);
        let range = x1 - x0;
        let change = (curve.at(x1) - curve.at(x0)).abs();
        let placed =
            self.inside(&[left, right]) && (x0 - range..=x1 + range).contains(&mid) && change >= self.bounds.least;
        let (narrowest, widest) = rise.widths();
        placed
            && (narrowest..=widest).contains(&width)
            && match rise {
                Rise::Any | Rise::Gentle => right > left,
                Rise::Fall => right < left,
                Rise::Steep => {
                    let absent = match self.bounds.chance {
                        Some(c) => {
                            let line = c + self.bounds.delta;
                            left >= c - self.bounds.delta && left <= line && curve.at(e.x[1]) <= line
                        }
                        None => link.rise(e.x[1], mid, width) <= self.bounds.delta,
                    };
                    right > left && mid <= x1 && absent
                }
            }
    }

    /// A line from the smallest size on that ends in a plateau; no steeper from 10% to 90% than smooth growth may be, where
    /// it may start from chance.
    fn plateau(&self, e: &Evidence, rising: bool) -> Option<Fit> {
        let (x0, x1) = ends(e);
        let sign = if rising { 1.0 } else { -1.0 };
        let mut best: Option<Fit> = None;
        let least = x0 + STEEPEST_SMOOTH_RISE / 0.8;
        for &at in e.x[2..e.x.len() - 1].iter().filter(|x| !self.bounds.floor || !rising || **x >= least) {
            let share: Vec<f64> = e.x.iter().map(|x| ((x - x0) / (at - x0)).min(1.0)).collect();
            let (a, b) = least_squares(e, &share, |a| self.clip(a), |b| self.clip(b));
            let make = |p: &[f64]| {
                let change = sign * (p[1] - p[0]);
                let curve = Curve::Bend { x0, x1, at, left: p[0], bend: p[1], right: p[1], places: 0 };
                (self.inside(p) && change > 0.0 && change >= self.bounds.least).then_some(curve)
            };
            let step = 0.3 * sign * spread(e);
            let fit = self.polish(e, &[a, b], &[step, -step], make);
            if let Some(fit) = fit.filter(|f| best.is_none_or(|b| f.log_likelihood > b.log_likelihood)) {
                best = Some(fit);
            }
        }
        best
    }

    /// Worse then better, or the other way: over all sizes, and with one or both ends level. A model too small for what
    /// makes the score fall is level, and so are models that have learnt what there is to learn.
    fn bends(&self, e: &Evidence, down_first: bool) -> Vec<Option<Fit>> {
        let n = e.x.len();
        let mut best = vec![None::<Fit>; 3];
        for (start, end) in (0..n).flat_map(|start| (start + 2..n).map(move |end| (start, end))) {
            let places = usize::from(start > 0) + usize::from(end + 1 < n);
            for k in start + 1..end {
                // Between two sizes only where nothing else is free: the sizes tell no more.
                let beside = (places == 0 && k + 2 < n).then(|| 0.5 * (e.x[k] + e.x[k + 1]));
                for at in [Some(e.x[k]), beside].into_iter().flatten() {
                    let found = self.bend(e, down_first, [start, k, end], at);
                    let least = best[places].map_or(f64::NEG_INFINITY, |b| b.log_likelihood);
                    best[places] = found.filter(|f| f.log_likelihood > least).or(best[places]);
                }
            }
        }
        best
    }

    /// The likeliest two lines from size `start` to size `end` that meet at `at`, next to size `k`; `None` if they would
    /// rather bend less than what counts as a change, as then they only imitate another shape.
    fn bend(&self, e: &Evidence, down_first: bool, [start, k, end]: [usize; 3], at: f64) -> Option<Fit> {
        let (x0, x1) = (e.x[start], e.x[end]);
        let places = usize::from(start > 0) + usize::from(end + 1 < e.x.len());
        let sign = if down_first { 1.0 } else { -1.0 };
        let shallower = |left: f64, bend: f64, right: f64| (sign * (left - bend)).min(sign * (right - bend));
        let make = |p: &[f64]| {
            let curve = Curve::Bend { x0, x1, at, left: p[0], bend: p[1], right: p[2], places };
            (shallower(p[0], p[1], p[2]) > 0.0 && self.inside(p)).then_some(curve)
        };
        let first = [e.mean[start], e.mean[k], e.mean[end]].map(|m| self.clip(m));
        let step = spread(e) * sign;
        let fit = self.polish(e, &first, &[0.5 * step, -0.5 * step, 0.5 * step], make)?;
        let Curve::Bend { left, bend, right, .. } = fit.curve else { return None };
        (shallower(left, bend, right) >= self.bounds.least).then_some(fit)
    }

    /// Climbs from `start`; `None` if no admissible point was met.
    fn polish(&self, e: &Evidence, start: &[f64], step: &[f64], make: impl Fn(&[f64]) -> Option<Curve>) -> Option<Fit> {
        let cost = |p: &[f64]| make(p).map_or(f64::INFINITY, |c| -e.of_curve(|x| c.at(x)));
        let stop = Stop { relative: 0.0, absolute: 0.01, evaluations: 40 * start.len() };
        let mut found = nelder_mead(&cost, start, step, stop);
        // A simplex that has shrunk too early goes on from where it stands: many items make a likelihood sharp.
        for _ in 0..RESTARTS {
            let again = nelder_mead(&cost, &found.x, &step.iter().map(|s| 0.3 * s).collect::<Vec<_>>(), stop);
            let gain = found.value - again.value;
            found = again;
            if gain.is_nan() || gain <= 0.05 {
                break;
            }
        }
        make(&found.x).map(|curve| Fit { curve, log_likelihood: -found.value })
    }
}

/// What kind of step is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rise {
    Gentle,
    Steep,
    Any,
    Fall,
}

impl Rise {
    /// The narrowest and the widest rise from 10% to 90%, in ln(scale).
    fn widths(self) -> (f64, f64) {
        let limit = STEEPEST_SMOOTH_RISE;
        match self {
            Rise::Any | Rise::Steep => (0.05 * limit, limit * (1.0 - 1e-9)),
            Rise::Gentle => (limit, 5.0 * limit),
            Rise::Fall => (0.05 * limit, 5.0 * limit),
        }
    }
}

fn grid(x: &[f64], (from, to, count): (f64, f64, usize), widths: &[f64]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(3 * count * widths.len());
    for link in Link::ALL {
        for width in widths.iter().map(|w| w * STEEPEST_SMOOTH_RISE) {
            for i in 0..count {
                let mid = from + (to - from) * i as f64 / (count - 1) as f64;
                let rise = x.iter().map(|&x| link.rise(x, mid, width)).collect();
                cells.push(Cell { link, mid, width, rise });
            }
        }
    }
    cells
}

fn ends(e: &Evidence) -> (f64, f64) {
    (e.x[0], e.x[e.x.len() - 1])
}

/// Range of the means, as a step size.
fn spread(e: &Evidence) -> f64 {
    let high = e.mean.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = e.mean.iter().copied().fold(f64::INFINITY, f64::min);
    (0.3 * (high - low)).max(1e-3)
}

/// Weighted least squares of mean = a (1 - share) + b share, `a` and `b` kept within their limits.
fn least_squares(e: &Evidence, share: &[f64], a_in: impl Fn(f64) -> f64, b_in: impl Fn(f64) -> f64) -> (f64, f64) {
    let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ((&w, &y), &g) in e.weight.iter().zip(&e.mean).zip(share) {
        let f = 1.0 - g;
        aa += w * f * f;
        ab += w * f * g;
        bb += w * g * g;
        ay += w * f * y;
        by += w * g * y;
    }
    let determinant = aa * bb - ab * ab;
    let free = if determinant > 1e-12 * aa * bb { (bb * ay - ab * by) / determinant } else { e.mean[0] };
    let a = a_in(free);
    let b = if bb > 0.0 { b_in((by - ab * a) / bb) } else { b_in(e.mean[e.mean.len() - 1]) };
    // With `b` at a limit, `a` is no longer the best.
    (if aa > 0.0 { a_in((ay - ab * b) / aa) } else { a }, b)
}
