//! Parameters in one flat vector, and how they begin.

use crate::Config;
use rand::RngExt;
use rand_distr::StandardNormal;
use saltus_compute::Real;
use saltus_random::Key;
use std::ops::Range;

/// All parameters in one flat vector; where each tensor lies is derived from the configuration
/// ([`Config::tensors`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Weights<T = f32> {
    /// The sizes.
    pub config: Config,
    /// The parameters, [`Config::params_total`] of them.
    pub values: Vec<T>,
}

impl Weights<f32> {
    /// Random weights: norms 1; embedding with standard deviation 0.2, matrices 1 / sqrt(inputs), those that write to
    /// the residual stream also / sqrt(2 layers) (Radford et al. 2019, section 2.3), head 0.5 / sqrt(width), a tied
    /// embedding as a head. Each tensor hangs on its own child of `key`.
    pub fn init(config: &Config, key: Key) -> Self {
        let mut values = Vec::with_capacity(config.params_total() as usize);
        for tensor in config.tensors() {
            let deviation = deviation(config, &tensor.name, &tensor.shape);
            let mut rng = key.child(&tensor.name).rng();
            values.extend(tensor.range.map(|_| match deviation {
                Some(deviation) => (deviation * rng.sample::<f64, _>(StandardNormal)) as f32,
                None => 1.0,
            }));
        }
        Weights { config: config.clone(), values }
    }

    /// The ranges of [`Weights::values`] to which weight decay applies: matrices and an untied head, not norms and
    /// embedding.
    pub fn decayed(config: &Config) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for tensor in config.tensors().into_iter().skip(1).filter(|t| t.shape.len() == 2) {
            match ranges.last_mut() {
                Some(last) if last.end == tensor.range.start => last.end = tensor.range.end,
                _ => ranges.push(tensor.range),
            }
        }
        ranges
    }
}

impl<T: Real> Weights<T> {
    /// The same weights in the other precision.
    pub fn cast<U: Real>(&self) -> Weights<U> {
        Weights { config: self.config.clone(), values: self.values.iter().map(|x| U::from_f64(x.to_f64())).collect() }
    }
}

/// Standard deviation of a matrix at the beginning; none for a norm's gain, which begins at 1.
fn deviation(config: &Config, name: &str, shape: &[usize]) -> Option<f64> {
    let [_, inputs] = *shape else { return None };
    let scale = 1.0 / (inputs as f64).sqrt();
    Some(match name {
        "lm_head.weight" => 0.5 * scale,
        "model.embed_tokens.weight" if config.tied_embedding => 0.5 * scale,
        "model.embed_tokens.weight" => 0.2,
        _ if name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight") => {
            scale / (2.0 * config.layers as f64).sqrt()
        }
        _ => scale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::small;

    #[test]
    fn random_weights_have_their_deviations_and_hang_on_the_key() {
        let config = Config { vocabulary: 300, width: 64, mlp_hidden: 176, ..small(false) };
        let weights = Weights::init(&config, Key::new(1));
        assert_eq!(weights, Weights::init(&config, Key::new(1)));
        assert_ne!(weights, Weights::init(&config, Key::new(2)));
        let deviation = |name: &str| {
            let tensor = config.tensors().into_iter().find(|t| t.name == name).unwrap();
            let values = &weights.values[tensor.range];
            (values.iter().map(|x| f64::from(x * x)).sum::<f64>() / values.len() as f64).sqrt()
        };
        let check = |name, expect: f64| assert!((deviation(name) / expect - 1.0).abs() < 0.06, "{name}");
        check("model.embed_tokens.weight", 0.2);
        check("lm_head.weight", 0.5 / 8.0);
        check("model.layers.1.self_attn.q_proj.weight", 1.0 / 8.0);
        check("model.layers.0.self_attn.o_proj.weight", 1.0 / 4.0 / 2.0);
        check("model.layers.1.mlp.down_proj.weight", 1.0 / 176f64.sqrt() / 2.0);
        assert_eq!(deviation("model.norm.weight"), 1.0);
    }

    #[test]
    fn decay_spares_norms_and_embedding() {
        for (config, matrices) in [(small(false), 7 * 2 + 1), (small(true), 7 * 2)] {
            let decayed = Weights::decayed(&config);
            let inside = |r: &Range<usize>| decayed.iter().any(|d| d.start <= r.start && r.end <= d.end);
            let names: Vec<_> = config.tensors().into_iter().filter(|t| inside(&t.range)).map(|t| t.name).collect();
            assert_eq!(names.len(), matrices, "{names:?}");
            assert!(names.iter().all(|n| !n.contains("norm") && !n.contains("embed")), "{names:?}");
            let size: usize = decayed.iter().map(ExactSizeIterator::len).sum();
            let named = config.tensors().into_iter().filter(|t| names.contains(&t.name));
            assert_eq!(size, named.map(|t| t.range.len()).sum::<usize>());
        }
    }
}
