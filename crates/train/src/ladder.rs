//! Ladder policy as small pure functions: sizes, budgets and rules to rungs.

use crate::{
    error::Invalid,
    rung::{Optimiser, Rung},
    schedule::checkpoint_steps,
    step::SHARDS,
};
use saltus_transformer::{Architecture, Config};
use serde::{Deserialize, Serialize};

/// A size of model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Size {
    /// Width of the residual stream and number of layers.
    Shape {
        /// Width.
        width: usize,
        /// Layers.
        layers: usize,
    },
    /// A target number of non-embedding parameters; see [`Ladder::rungs`] for how width and layers follow.
    Params(u64),
}

/// What the shapes of all models of a ladder have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Width / layers that a [`Size::Params`] aims at.
    pub aspect: f64,
    /// Largest width of an attention head; narrower models use half their width (so that there are two heads).
    pub head_dim: usize,
    /// Query heads that share one key-value head; 1 is multi-head attention.
    pub queries_per_kv: usize,
    /// Base of the rotary positions.
    pub rope_base: f64,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f64,
    /// Whether the head is the embedding.
    pub tied_embedding: bool,
    /// Whether a position sees only those before it; a masked objective needs models that see both ways.
    pub causal: bool,
}

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Budget {
    /// The same number of positions for every size.
    Tokens(u64),
    /// So many positions for each non-embedding parameter.
    TokensPerParameter(f64),
}

/// The peak learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeakRate {
    /// The same for every size.
    Fixed(f64),
    /// This at width 64, times `sqrt(64 / width)` elsewhere.
    AtWidth64(f64),
}

/// Rows in a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Batch {
    /// The same for every size.
    Rows(usize),
    /// `rows` for a training compute of `flops` (6 N D), growing with compute to the power 0.3271 (arXiv 2401.02954,
    /// eq. 1), rounded to a multiple of [`SHARDS`].
    Compute {
        /// Rows at `flops`.
        rows: usize,
        /// The training compute that `rows` is right for.
        flops: f64,
    },
}

/// A family of models that differ in size and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Its name.
    pub name: String,
    /// Sizes.
    pub sizes: Vec<Size>,
    /// Training seeds; every size is trained with each.
    pub seeds: Vec<u64>,
    /// What the shapes have in common.
    pub shape: Shape,
    /// Positions in a row.
    pub context: usize,
    /// Rows in a step.
    pub batch: Batch,
    /// How long to train.
    pub budget: Budget,
    /// The peak learning rate.
    pub learning_rate: PeakRate,
    /// Share of the steps with a rising learning rate.
    pub warmup: f64,
    /// Last learning rate as a share of the peak.
    pub final_rate: f64,
    /// AdamW and clipping.
    pub optimiser: Optimiser,
    /// See [`Rung::early_stop`].
    pub early_stop: Option<f64>,
    /// Checkpoints along the way, each at half the step of the next; see [`checkpoint_steps`].
    pub checkpoints: usize,
    /// Whether the untrained model is kept too, as step 0.
    pub initial_checkpoint: bool,
}

impl Ladder {
    /// The rungs, sizes outermost, for a tokenizer of `vocabulary` tokens.
    ///
    /// A [`Size::Params`] becomes the width and number of layers that minimise
    /// `|ln(parameters / target)| + |ln((width / layers) / aspect)| / 16`: twice the wanted aspect weighs as much as a
    /// miss of the target by 4%. The MLP's hidden width is `8 width / 3` rounded to a multiple of 8.
    pub fn rungs(&self, vocabulary: usize) -> Result<Vec<Rung>, Invalid> {
        self.check()?;
        let mut rungs: Vec<Rung> = Vec::new();
        for &size in &self.sizes {
            let config = self.config(size, vocabulary)?;
            let name = format!("{}x{}", config.width, config.layers);
            if rungs.iter().any(|r| r.name == name) {
                return Err(self.invalid(
                    "sizes",
                    format!("two sizes both mean {name}"),
                    "write each size once; targets must be far enough apart to give different shapes",
                ));
            }
            for &seed in &self.seeds {
                rungs.push(self.rung(&config, &name, seed)?);
            }
        }
        Ok(rungs)
    }

    fn rung(&self, config: &Config, name: &str, seed: u64) -> Result<Rung, Invalid> {
        let tokens = match self.budget {
            Budget::Tokens(tokens) => tokens as f64,
            Budget::TokensPerParameter(ratio) => ratio * config.params_non_embedding() as f64,
        };
        let rows = match self.batch {
            Batch::Rows(rows) => rows,
            Batch::Compute { rows, flops } => {
                let compute = 6.0 * config.params_non_embedding() as f64 * tokens;
                rows_for_compute(rows, compute / flops)
            }
        };
        let steps = (tokens / (rows * self.context) as f64).round() as u64;
        if steps == 0 {
            return Err(self.invalid(
                "budget",
                format!("{tokens:.0} tokens are not even one step of {rows} rows x {} positions", self.context),
                "give more tokens or smaller batches",
            ));
        }
        Ok(Rung {
            ladder: self.name.clone(),
            name: name.to_string(),
            seed,
            config: config.clone(),
            rows,
            steps,
            peak_learning_rate: match self.learning_rate {
                PeakRate::Fixed(rate) => rate,
                PeakRate::AtWidth64(rate) => rate * (64.0 / config.width as f64).sqrt(),
            },
            warmup_steps: (self.warmup * steps as f64).ceil() as u64,
            final_rate: self.final_rate,
            optimiser: self.optimiser,
            early_stop: self.early_stop,
            checkpoints: checkpoint_steps(steps, self.checkpoints, self.initial_checkpoint),
        })
    }

    fn config(&self, size: Size, vocabulary: usize) -> Result<Config, Invalid> {
        match size {
            Size::Shape { width, layers } => {
                self.check_shape(width, layers)?;
                self.possible(self.config_of(width, layers, vocabulary))
            }
            Size::Params(target) => self.config_near(target, vocabulary),
        }
    }

    fn config_of(&self, width: usize, layers: usize, vocabulary: usize) -> Config {
        let head_dim = self.head_dim(width);
        let heads = width / head_dim;
        Config {
            vocabulary,
            context: self.context,
            width,
            layers,
            heads,
            kv_heads: heads / self.shape.queries_per_kv,
            head_dim,
            mlp_hidden: mlp_hidden(width),
            tied_embedding: self.shape.tied_embedding,
            architecture: match Architecture::llama(head_dim, self.shape.rope_base, self.shape.norm_eps) {
                llama if self.shape.causal => llama,
                llama => llama.bidirectional(),
            },
        }
    }

    /// The shape nearest to `target` parameters and the aspect; see [`Ladder::rungs`].
    fn config_near(&self, target: u64, vocabulary: usize) -> Result<Config, Invalid> {
        let distance = |config: &Config| {
            let params = (config.params_non_embedding() as f64 / target as f64).ln().abs();
            let aspect = (config.width as f64 / config.layers as f64 / self.shape.aspect).ln().abs();
            params + aspect / 16.0
        };
        // About 12 layers width^2 parameters: wider or deeper than these bounds is far beyond the target.
        let widest = (target as f64).sqrt() as usize;
        let mut best: Option<(f64, Config)> = None;
        let head_dim = self.shape.head_dim;
        let narrow = (4..(2 * head_dim).min(widest)).step_by(4);
        let wide = (2 * head_dim..=widest).step_by(head_dim);
        let widths: Vec<usize> = narrow.chain(wide).filter(|&w| self.check_shape(w, 1).is_ok()).collect();
        for layers in 1..=256 {
            for &width in &widths {
                let config = self.config_of(width, layers, vocabulary);
                let d = distance(&config);
                if best.as_ref().is_none_or(|(least, _)| d < *least) {
                    best = Some((d, config));
                }
            }
        }
        match best {
            Some((d, config)) if d < 0.5 => self.possible(config),
            _ => Err(self.invalid(
                "sizes",
                format!("no model of about {target} non-embedding parameters has this shape"),
                "give a larger target, or width and layers, for example \"48x2\"",
            )),
        }
    }

    /// Refuses what the transformer cannot be.
    fn possible(&self, config: Config) -> Result<Config, Invalid> {
        match config.problem() {
            Some(problem) => {
                let size = format!("{}x{}: {problem}", config.width, config.layers);
                Err(self.invalid("shape", size, "correct the sizes, the shape or the tokenizer"))
            }
            None => Ok(config),
        }
    }

    fn head_dim(&self, width: usize) -> usize {
        self.shape.head_dim.min(width / 2).max(1)
    }

    /// Whether a width can be divided into heads.
    fn check_shape(&self, width: usize, layers: usize) -> Result<(), Invalid> {
        let head_dim = self.head_dim(width);
        if width == 0 || layers == 0 {
            let remedy = "give a width and a number of layers of at least 1, for example \"48x2\"";
            return Err(self.invalid("sizes", format!("{width}x{layers} is no model"), remedy));
        }
        if !head_dim.is_multiple_of(2) || !width.is_multiple_of(head_dim) {
            let unit = if width < 2 * self.shape.head_dim { 4 } else { self.shape.head_dim };
            let near = ((width + unit / 2) / unit * unit).max(unit);
            return Err(self.invalid(
                "sizes",
                format!("{width}x{layers}: a width of {width} cannot be divided into heads of even width {head_dim}"),
                format!("give a multiple of {unit}, for example \"{near}x{layers}\""),
            ));
        }
        let heads = width / head_dim;
        if !heads.is_multiple_of(self.shape.queries_per_kv) {
            return Err(self.invalid(
                "shape",
                format!(
                    "{width}x{layers} has {heads} heads, which {} queries for each key-value head do not divide",
                    self.shape.queries_per_kv
                ),
                "give a number that divides the heads of every size, or 1",
            ));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Invalid> {
        let o = &self.optimiser;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let fall = format!("a loss that must fall by {}", self.early_stop.unwrap_or_default());
        let stop = |x: f64| x > 0.0 && x < 1.0;
        let rate = match self.learning_rate {
            PeakRate::Fixed(rate) | PeakRate::AtWidth64(rate) => rate,
        };
        let budget = match self.budget {
            Budget::Tokens(tokens) => tokens as f64,
            Budget::TokensPerParameter(ratio) => ratio,
        };
        let (rows, flops) = match self.batch {
            Batch::Rows(rows) => (rows, 1.0),
            Batch::Compute { rows, flops } => (rows, flops),
        };
        let checks: [(bool, &'static str, String, &str); 17] = [
            (!self.sizes.is_empty(), "sizes", "no size".into(), "give at least one, for example \"48x2\""),
            (!self.seeds.is_empty(), "seeds", "no seed".into(), "give at least one, for example [1, 2, 3]"),
            (all_differ(&self.seeds), "seeds", format!("{:?} repeats a seed", self.seeds), "write each seed once"),
            (self.context > 0, "context", "0 positions in a row".into(), "give at least 1, for example 64"),
            (rows > 0, "batch", "0 rows in a step".into(), "give at least 1, for example 16"),
            (positive(flops), "batch", format!("rows for {flops} FLOPs"), "give a number above 0"),
            (positive(budget), "budget", format!("{budget} tokens"), "give a number above 0, for example 4_000_000"),
            (positive(rate), "learning_rate", format!("a rate of {rate}"), "give a number above 0, for example 0.004"),
            (share(self.warmup), "warmup", format!("a warm-up of {}", self.warmup), "give a share between 0 and 1"),
            (share(self.final_rate), "final_rate", format!("{}", self.final_rate), "give a share between 0 and 1"),
            (beta(o.beta1) && beta(o.beta2), "optimiser", "betas".into(), "give two numbers from 0 to below 1"),
            (o.weight_decay >= 0.0, "optimiser", format!("decay {}", o.weight_decay), "give a number of at least 0"),
            (o.clip > 0.0 && o.eps > 0.0, "optimiser", "clip or eps".into(), "give numbers above 0"),
            (self.early_stop.is_none_or(stop), "early_stop", fall, "give a share between 0 and 1"),
            (self.shape.head_dim > 0, "shape", "heads of width 0".into(), "give an even number, for example 16"),
            (self.shape.queries_per_kv > 0, "shape", "0 queries for a key-value head".into(), "give at least 1"),
            (self.checkpoints > 0, "checkpoints", "0 checkpoints".into(), "give at least 1, the trained model"),
        ];
        match checks.into_iter().find(|(ok, ..)| !ok) {
            Some((_, field, problem, remedy)) => Err(self.invalid(field, problem, remedy)),
            None => Ok(()),
        }
    }

    fn invalid(&self, field: &'static str, problem: impl Into<String>, remedy: impl Into<String>) -> Invalid {
        Invalid { ladder: self.name.clone(), field, problem: problem.into(), remedy: remedy.into() }
    }
}

/// Hidden width of the gated MLP: two thirds of 4 `width` (arXiv 2002.05202, section 2), to a multiple of 8.
fn mlp_hidden(width: usize) -> usize {
    ((width as f64 * 8.0 / 3.0 / 8.0).round() as usize * 8).max(8)
}

/// Rows when the compute is `ratio` times that for which `rows` is right.
fn rows_for_compute(rows: usize, ratio: f64) -> usize {
    let shards = SHARDS as f64;
    ((rows as f64 * ratio.powf(0.3271) / shards).round() * shards).max(shards) as usize
}

fn positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

fn beta(x: f32) -> bool {
    (0.0..1.0).contains(&x)
}

fn all_differ(seeds: &[u64]) -> bool {
    seeds.iter().enumerate().all(|(i, s)| !seeds[i + 1..].contains(s))
}
