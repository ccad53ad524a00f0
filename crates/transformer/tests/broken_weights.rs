//! Weights that are no numbers: named with file, tensor and place, and never an answer.

#![allow(clippy::unwrap_used)]

use saltus_checkpoint::Checkpoint;
use saltus_lm::{GenerateRequest, LanguageModel, NoText, Sampling, ScoreRequest};
use saltus_random::Key;
use saltus_transformer::{Architecture, Config, LocalModel, Model, Overflow, Weights};
use std::sync::Arc;

/// What a model says whose weight number `at` is `value`: to a score, and to a generation of each kind.
fn errors(at: impl Fn(&Config) -> usize, value: f32) -> Vec<String> {
    let config = Config {
        vocabulary: 11,
        context: 24,
        width: 8,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        mlp_hidden: 16,
        tied_embedding: false,
        architecture: Architecture::llama(4, 1000.0, 1e-5),
    };
    let mut weights = Weights::init(&config, Key::new(1));
    weights.values[at(&config)] = value;
    let folder = tempfile::tempdir().unwrap();
    weights.save(folder.path()).unwrap();
    let model = Model::open(Arc::new(Checkpoint::open(folder.path()).unwrap())).unwrap();
    let model = LocalModel::of(model, Arc::new(NoText { vocabulary: 11 }), Overflow::Refuse);
    let mut errors =
        vec![model.score(&[ScoreRequest { context: vec![1, 2, 3], continuation: vec![4, 5] }]).unwrap_err()];
    let random = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 1 };
    for sampling in [Sampling::Greedy, random] {
        let (context, stop, stop_text) = (vec![1, 2, 3], Vec::new(), Vec::new());
        errors.push(
            model.generate(&[GenerateRequest { context, max_tokens: 3, stop, stop_text, sampling }]).unwrap_err(),
        );
    }
    let path = folder.path().display().to_string();
    errors.into_iter().map(|error| error.to_string().replace(&path, "MODEL")).collect()
}

#[test]
fn the_tensor_is_named() {
    let start = |config: &Config, name: &str| {
        config.tensors().into_iter().find(|tensor| tensor.name.contains(name)).unwrap().range.start
    };
    for name in ["layers.1.self_attn.q_proj", "layers.0.self_attn.v_proj", "layers.1.mlp.down_proj", "lm_head"] {
        for value in [f32::NAN, f32::INFINITY] {
            for error in errors(|config| start(config, name) + 3, value) {
                let shown = if value.is_nan() { "NaN" } else { "inf" };
                assert!(
                    error.starts_with("the model's logits are no numbers: MODEL: tensor `")
                        && error.contains(name)
                        && error.ends_with(&format!(".weight`: value 3 is {shown}: get the file again")),
                    "{error}"
                );
            }
        }
    }
}
