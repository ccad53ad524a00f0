//! What the tests of measuring have in common.

use saltus_record::ModelKey;

/// The key of a model that does not matter.
pub(crate) fn key() -> ModelKey {
    ModelKey {
        name: "tiny".into(),
        width: 1,
        layers: 1,
        params_non_embedding: 9,
        params_total: 9,
        weights: "0".into(),
        tokenizer: "0".into(),
        training: None,
    }
}
