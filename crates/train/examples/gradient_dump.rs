//! Material for a comparison with another implementation: small models as Hugging Face folders, a batch, the gradient of
//! its mean loss for every tensor, and the losses and weights of ten AdamW steps.
//! `cargo run --release -p saltus-train --example gradient_dump -- FOLDER`
//!
//! ```text
//! FOLDER/<case>/model/{config.json, model.safetensors}   the model before training
//!               gradient/{config.json, model.safetensors} gradient of the mean loss, saved as if it were a model
//!               batch.json                               {"context", "tokens": [[..]], "targets": [[..]]; null: not scored,
//!                                                         "factor_bits": bits of each factor that count in products}
//!               training.json                            {"losses": [10], "gradient_norms": [10], "learning_rates": [10],
//!                                                         betas, eps, weight_decay, clip}
//!               trained/{config.json, model.safetensors} the model after the ten steps on the same batch
//! ```

use saltus_compute::training_bits;
use saltus_corpus::{Batch, IGNORE};
use saltus_train::{Optimiser, Rung, Trainer, learning_rate};
use saltus_transformer::{Architecture, Config, Rows, Weights, Workspace, loss_and_gradient};
use std::{error::Error, fs, path::Path};

type Outcome<T> = Result<T, Box<dyn Error>>;

const STEPS: u64 = 10;

fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).ok_or("give a folder to write to")?;
    for (name, config) in cases() {
        dump(&rung(name, config), &Path::new(&folder).join(name))?;
        println!("{name}");
    }
    Ok(())
}

fn cases() -> [(&'static str, Config); 5] {
    let base = Config {
        vocabulary: 61,
        context: 24,
        width: 32,
        layers: 3,
        heads: 4,
        kv_heads: 4,
        head_dim: 8,
        mlp_hidden: 88,
        tied_embedding: false,
        architecture: Architecture::llama(8, 1000.0, 1e-5),
    };
    let grouped = Config { kv_heads: 2, ..base.clone() };
    let tied = Config { tied_embedding: true, architecture: Architecture::llama(8, 10_000.0, 1e-5), ..base.clone() };
    let narrow_heads = Config {
        head_dim: 4,
        kv_heads: 1,
        layers: 1,
        tied_embedding: true,
        architecture: Architecture::llama(4, 1000.0, 1e-5),
        ..base.clone()
    };
    let both_ways = Config { architecture: grouped.architecture.clone().bidirectional(), ..grouped.clone() };
    [("plain", base), ("grouped", grouped), ("tied", tied), ("narrow-heads", narrow_heads), ("both-ways", both_ways)]
}

fn rung(name: &str, config: Config) -> Rung {
    Rung {
        ladder: "gradients".into(),
        name: name.into(),
        seed: 3,
        config,
        rows: 6,
        steps: STEPS,
        peak_learning_rate: 0.003,
        warmup_steps: 3,
        final_rate: 0.1,
        optimiser: Optimiser { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.1, clip: 1.0 },
        early_stop: None,
        checkpoints: vec![STEPS],
    }
}

fn dump(rung: &Rung, folder: &Path) -> Outcome<()> {
    let weights = Weights::init(&rung.config, rung.init_key());
    let batch = batch(rung);
    let [model, gradient, trained] = ["model", "gradient", "trained"].map(|name| folder.join(name));
    for folder in [&model, &gradient, &trained] {
        fs::create_dir_all(folder)?;
    }
    weights.save(&model)?;
    write_gradient(&weights, &batch, &gradient)?;
    fs::write(folder.join("batch.json"), batch_json(&batch).to_string())?;
    let mut trainer = Trainer::with_weights(rung, weights, 2);
    let outcomes: Vec<_> = (0..STEPS).map(|_| trainer.step(rung, &batch)).collect::<Result<_, _>>()?;
    let o = rung.optimiser;
    let training = serde_json::json!({
        "losses": outcomes.iter().map(|o| o.loss).collect::<Vec<_>>(),
        "gradient_norms": outcomes.iter().map(|o| o.gradient_norm).collect::<Vec<_>>(),
        "learning_rates": (1..=STEPS).map(|s| learning_rate(rung, s)).collect::<Vec<_>>(),
        "betas": [o.beta1, o.beta2], "eps": o.eps, "weight_decay": o.weight_decay, "clip": o.clip,
    });
    fs::write(folder.join("training.json"), training.to_string())?;
    trainer.weights().save(&trained)?;
    Ok(())
}

/// Tokens with some structure, so that the losses fall; every fifth position is not scored.
fn batch(rung: &Rung) -> Batch {
    let n = rung.tokens_per_step() as u32;
    let token = |i: u32| (i * i / 3 + 7 * i) % rung.config.vocabulary as u32;
    let targets = (0..n).map(|i| if i % 5 == 0 { IGNORE } else { token(i + 1) });
    Batch { context: rung.config.context, tokens: (0..n).map(token).collect(), targets: targets.collect() }
}

fn batch_json(batch: &Batch) -> serde_json::Value {
    let target = |&t: &u32| (t != IGNORE).then_some(t);
    serde_json::json!({
        "context": batch.context,
        "factor_bits": training_bits(),
        "tokens": batch.tokens.chunks(batch.context).collect::<Vec<_>>(),
        "targets": batch.targets.chunks(batch.context).map(|r| r.iter().map(target).collect()).collect::<Vec<Vec<_>>>(),
    })
}

/// Saves the gradient of the mean loss as a model, so that names, shapes and layout are those of the weights.
fn write_gradient(weights: &Weights<f32>, batch: &Batch, folder: &Path) -> Outcome<()> {
    let mut gradient = Weights { config: weights.config.clone(), values: vec![0.0; weights.values.len()] };
    let mut workspace = Workspace::new(&weights.config, batch.context);
    let rows = Rows { context: batch.context, tokens: &batch.tokens, targets: &batch.targets };
    let scored = batch.targets.iter().filter(|&&t| t != IGNORE).count();
    loss_and_gradient(weights, None, rows, 1.0 / scored as f32, &mut workspace, &mut gradient.values);
    gradient.save(folder)?;
    Ok(())
}
