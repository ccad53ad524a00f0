//! The fixed set of numerical operations and their gradients, slices to slices.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]

#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
}

/// One AdamW step over a flat range: `gradients` (one for each shard) are summed in order, multiplied by `clip`.
/// Returns nothing; `step` counts from 1.
pub fn adamw(settings: &AdamW, learning_rate: f32, step: u64, clip: f32, gradient: &[f32], state: AdamWState<'_>) {
    todo!()
}

pub struct AdamWState<'a> {
    pub values: &'a mut [f32],
    pub first_moment: &'a mut [f32],
    pub second_moment: &'a mut [f32],
}
