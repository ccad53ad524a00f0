//! Forecasts for many abilities: of a larger model, from the sizes measured.

use crate::{
    abilities::{Ability, Left},
    broken, two_step,
};
use rayon::prelude::*;
use saltus_emergence::{self as emergence, Analysis, Refusal};
use saltus_stats::{mean, quantile, variance};

/// How a score is foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// From the curves of the shapes, by their weights ([`emergence::forecast`]).
    Shape,
    /// The loss by its law of size and tokens, the score by a sigmoid of the loss (arXiv 2412.04403).
    TwoStep,
    /// A broken power law of the scale (arXiv 2210.14891).
    Broken,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Shape, Method::TwoStep, Method::Broken];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Shape => "shape",
            Method::TwoStep => "two-step",
            Method::Broken => "bnsl",
        }
    }
}

/// The larger model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Its place on the axis of the abilities.
    pub scale: f64,
    /// Its parameters, if told.
    pub params: Option<f64>,
    /// Its training tokens, if told.
    pub tokens: Option<f64>,
}

/// What one new model will score, in the unit of the table's shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The median.
    pub value: f64,
    /// Lower end of the 95% prediction interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation, for a log score.
    pub deviation: f64,
}

/// A forecast is of no use if its interval takes more than this share of what a score can be.
const USELESS: f64 = 0.8;

impl Prediction {
    /// From draws of what the new model scores; `bounded`: they are shares.
    pub(crate) fn of_draws(draws: &[f64], bounded: bool) -> Result<Prediction, String> {
        if draws.is_empty() {
            return Err("the curve cannot be followed so far".into());
        }
        let [low, value, high] = [0.025, 0.5, 0.975].map(|p| quantile(draws, p));
        if bounded && high - low > USELESS {
            return Err(Refusal::Useless { low, high }.to_string());
        }
        let deviation = variance(draws).sqrt().max(1e-9 * mean(draws).abs().max(1.0));
        Ok(Prediction { value, low, high, deviation })
    }
}

/// A forecast of an ability.
#[derive(Clone, Debug)]
pub struct Foretold {
    /// The family.
    pub family: String,
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: String,
    /// What tells it apart besides.
    pub by: String,
    /// How it was made.
    pub method: Method,
    /// The forecast.
    pub prediction: Prediction,
    /// What it stands on.
    pub grounds: String,
}

/// Foretells the score of one new model, by each method. What the data cannot support is given back with the reason. The
/// same key gives the same bits at any thread count.
pub fn forecasts(
    abilities: &[Ability],
    analysis: &Analysis,
    target: &Target,
    methods: &[Method],
    tell: &(dyn Fn(usize) + Sync),
) -> (Vec<Foretold>, Vec<Left>) {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let one = |(ability, method): (&Ability, Method)| {
        let Ability { family, task, metric, by, .. } = ability.clone();
        let key = analysis.key.child(&family).child(&task).child(&metric).child(&by);
        let analysis = Analysis { key, ..*analysis };
        let result = match method {
            Method::Shape => by_shape(ability, &analysis, target.scale),
            Method::TwoStep => two_step::forecast(ability, &analysis, target),
            Method::Broken => broken::forecast(ability, &analysis, target.scale),
        };
        tell(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        match result {
            Ok((prediction, grounds)) => Ok(Foretold { family, task, metric, by, method, prediction, grounds }),
            Err(why) => Err(Left { family, task, metric, by, reason: format!("{}: {why}", method.name()) }),
        }
    };
    let all: Vec<(&Ability, Method)> = abilities.iter().flat_map(|a| methods.iter().map(move |m| (a, *m))).collect();
    let results: Vec<_> = all.into_par_iter().map(one).collect();
    let (mut foretold, mut left) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(f) => foretold.push(f),
            Err(l) => left.push(l),
        }
    }
    (foretold, left)
}

fn by_shape(ability: &Ability, analysis: &Analysis, scale: f64) -> Result<(Prediction, String), String> {
    let emergence::Forecast { value, low, high, deviation, shapes } =
        emergence::forecast(&ability.ability, analysis, scale).map_err(|why| why.to_string())?;
    let shapes: Vec<String> = shapes.iter().map(|(shape, weight)| format!("{shape} {weight:.2}")).collect();
    Ok((Prediction { value, low, high, deviation }, shapes.join(", ")))
}
