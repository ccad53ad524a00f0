//! Forecasts for many abilities: of a larger model, from the sizes measured.

use crate::abilities::{Ability, Left};
use rayon::prelude::*;
use saltus_emergence::{self as emergence, Analysis};

/// An ability with what a larger model will score.
#[derive(Clone, Debug)]
pub struct Foretold {
    /// The ability.
    pub ability: Ability,
    /// The forecast.
    pub forecast: emergence::Forecast,
}

/// Foretells the score of one new model at `target` on the axis of the abilities, by their shapes. What the data cannot
/// support is given back with the reason. The same key gives the same bits at any thread count.
pub fn forecasts(
    abilities: Vec<Ability>,
    analysis: &Analysis,
    target: f64,
    tell: &(dyn Fn(usize) + Sync),
) -> (Vec<Foretold>, Vec<Left>) {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let one = |ability: Ability| {
        let Ability { family, task, metric, by, .. } = &ability;
        let key = analysis.key.child(family).child(task).child(metric).child(by);
        let result = emergence::forecast(&ability.ability, &Analysis { key, ..*analysis }, target);
        tell(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        match result {
            Ok(forecast) => Ok(Foretold { ability, forecast }),
            Err(why) => {
                let Ability { family, task, metric, by, .. } = ability;
                Err(Left { family, task, metric, by, reason: why.to_string() })
            }
        }
    };
    let results: Vec<_> = abilities.into_par_iter().map(one).collect();
    let (mut foretold, mut left) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(f) => foretold.push(f),
            Err(l) => left.push(l),
        }
    }
    (foretold, left)
}
