//! What turns the stream into logits, forwards and backwards.

use saltus_compute::{
    LayerNormed, Linear, Normed, Write, activate, activate_backward, add_bias, layer_norm, layer_norm_backward, linear,
    linear_backward_input, linear_backward_weight, rms_norm, rms_norm_backward, soft_cap, soft_cap_backward,
};
use saltus_transformer::{PlainNorm, Transform, Unembedding};

/// What a forward pass leaves for the backward one; all `[channels, columns]`.
pub(crate) struct Kept {
    /// The stream.
    x: Vec<f32>,
    /// What the transform reads, or else the head.
    normed: Vec<f32>,
    /// The transform before and after its nonlinearity, and after its norm; empty without one.
    stages: [Vec<f32>; 3],
    /// Capped logits; empty without a cap.
    capped: Vec<f32>,
    columns: usize,
}

/// `[vocabulary, columns]` of a stream `[width, columns]`.
pub(crate) fn forward(decoder: &Unembedding, x: Vec<f32>, columns: usize) -> (Vec<f32>, Kept) {
    let width = decoder.width;
    let normed = match &decoder.norm {
        Some(norm) => apply(norm, columns, &x),
        None => x.clone(),
    };
    let stages = match &decoder.transform {
        Some(Transform { matrix, bias, activation, norm }) => {
            let before = map(matrix, bias, (width, columns), &normed);
            let mut after = vec![0.0; before.len()];
            activate(*activation, &before, &mut after);
            let last = apply(norm, columns, &after);
            [before, after, last]
        }
        None => [const { Vec::new() }; 3],
    };
    let input = if decoder.transform.is_some() { &stages[2] } else { &normed };
    let mut logits = map(&decoder.head, &decoder.bias, (width, columns), input);
    let mut capped = Vec::new();
    if let Some(cap) = decoder.soft_cap {
        soft_cap(&mut logits, cap);
        capped.clone_from(&logits);
    }
    (logits, Kept { x, normed, stages, capped, columns })
}

/// Gradients of the trained parts of a decoder, in the order of [`parameters`].
pub(crate) type Gradients = Vec<Vec<f32>>;

/// What is trained in a decoder with a transform: its matrix and bias, its norm's gain and bias, the head and its bias.
pub(crate) fn parameters(decoder: &mut Unembedding) -> Vec<&mut Vec<f32>> {
    let mut all = Vec::new();
    if let Some(Transform { matrix, bias, norm, .. }) = &mut decoder.transform {
        all.extend([matrix, bias, &mut norm.gain, &mut norm.bias]);
    }
    all.extend([&mut decoder.head, &mut decoder.bias]);
    all
}

/// Adds the gradients of all [`parameters`] for those of the logits.
pub(crate) fn backward(decoder: &Unembedding, kept: &Kept, mut logits: Vec<f32>, gradients: &mut Gradients) {
    uncap(decoder, kept, &mut logits);
    let [matrix, bias, gain, shift, head, head_bias] = &mut gradients[..] else { return };
    let Some(transform) = &decoder.transform else { return };
    let (width, columns) = (decoder.width, kept.columns);
    linear_backward_weight(shape(&decoder.head, width, columns), &logits, &kept.stages[2], head);
    add_rows(&logits, columns, head_bias);
    let mut d = back(&decoder.head, (width, columns), &logits);
    through_norm(&transform.norm, (columns, &kept.stages[1]), &mut d, (gain, shift));
    activate_backward(transform.activation, &kept.stages[0], &mut d);
    linear_backward_weight(shape(&transform.matrix, width, columns), &d, &kept.normed, matrix);
    add_rows(&d, columns, bias);
}

/// The gradient of the stream for that of the logits, the decoder standing still.
pub(crate) fn backward_input(decoder: &Unembedding, kept: &Kept, mut logits: Vec<f32>) -> Vec<f32> {
    uncap(decoder, kept, &mut logits);
    let (width, columns) = (decoder.width, kept.columns);
    let mut d = back(&decoder.head, (width, columns), &logits);
    if let Some(transform) = &decoder.transform {
        through_norm(&transform.norm, (columns, &kept.stages[1]), &mut d, (&mut [], &mut []));
        activate_backward(transform.activation, &kept.stages[0], &mut d);
        d = back(&transform.matrix, (width, columns), &d);
    }
    if let Some(norm) = &decoder.norm {
        through_norm(norm, (columns, &kept.x), &mut d, (&mut [], &mut []));
    }
    d
}

fn uncap(decoder: &Unembedding, kept: &Kept, logits: &mut [f32]) {
    if let Some(cap) = decoder.soft_cap {
        soft_cap_backward(&kept.capped, cap, logits);
    }
}

fn shape(matrix: &[f32], width: usize, columns: usize) -> Linear {
    Linear { outputs: matrix.len() / width, inputs: width, positions: columns }
}

/// `W x + b`.
pub(crate) fn map(matrix: &[f32], bias: &[f32], (width, columns): (usize, usize), x: &[f32]) -> Vec<f32> {
    let shape = shape(matrix, width, columns);
    let mut y = vec![0.0; shape.outputs * columns];
    linear(shape, matrix.into(), x, &mut y, Write::Set);
    if !bias.is_empty() {
        add_bias(bias, columns, &mut y);
    }
    y
}

/// `W^T dy`.
fn back(matrix: &[f32], (width, columns): (usize, usize), dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; width * columns];
    linear_backward_input(shape(matrix, width, columns), matrix.into(), dy, &mut dx, Write::Set);
    dx
}

/// Adds to each of `sums` what stands in its row.
pub(crate) fn add_rows(rows: &[f32], columns: usize, sums: &mut [f32]) {
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(columns)) {
        *sum += row.iter().sum::<f32>();
    }
}

fn apply(norm: &PlainNorm, columns: usize, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    match norm.centred {
        true => layer_norm(columns, x, &norm.gain, &norm.bias, norm.eps, &mut y),
        false => rms_norm(x, &norm.gain, norm.eps, &mut vec![0.0; columns], &mut y),
    }
    y
}

/// The gradient of a norm's output to that of its input `x`; adds those of gain and bias where these are not empty.
fn through_norm(
    norm: &PlainNorm,
    (columns, x): (usize, &[f32]),
    d: &mut Vec<f32>,
    (dgain, dbias): (&mut [f32], &mut [f32]),
) {
    if norm.centred {
        let of = LayerNormed { x, positions: columns, gain: &norm.gain, eps: norm.eps };
        return layer_norm_backward(of, d, dgain, dbias);
    }
    let (mut inverse, mut dx) = (vec![0.0; columns], vec![0.0; x.len()]);
    rms_norm(x, &norm.gain, norm.eps, &mut inverse, &mut vec![0.0; x.len()]);
    // The kernel wants room for the gain's gradient even where nobody does.
    let mut unwanted = vec![0.0; norm.gain.len()];
    let dgain = if dgain.is_empty() { &mut unwanted[..] } else { dgain };
    rms_norm_backward(Normed { x, gain: &norm.gain, inverse: &inverse }, d, &mut dx, dgain);
    *d = dx;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use saltus_compute::{Activation, BLOCK};
    use saltus_random::Key;

    fn numbers(name: &str, count: usize) -> Vec<f32> {
        let mut rng = Key::new(1).child(name).rng();
        (0..count).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect()
    }

    fn norm(name: &str, centred: bool, width: usize) -> PlainNorm {
        let bias = if centred { numbers(&format!("{name} bias"), width) } else { Vec::new() };
        PlainNorm { centred, eps: 1e-3, gain: numbers(name, width), bias }
    }

    fn decoder(centred: bool) -> Unembedding {
        let (width, vocabulary) = (6, 9);
        let transform = || Transform {
            matrix: numbers("matrix", width * width),
            bias: numbers("bias", width),
            activation: Activation::Gelu,
            norm: norm("inner", true, width),
        };
        Unembedding {
            width,
            norm: Some(norm("outer", centred, width)),
            transform: centred.then(transform),
            head: numbers("head", vocabulary * width),
            bias: numbers("head bias", vocabulary),
            soft_cap: (!centred).then_some(2.0),
        }
    }

    /// A weighted sum of the logits, in f64.
    fn loss(decoder: &Unembedding, x: &[f32]) -> f64 {
        let (logits, _) = forward(decoder, x.to_vec(), BLOCK);
        let weights = numbers("weights", logits.len());
        logits.iter().zip(&weights).map(|(l, w)| f64::from(*l) * f64::from(*w)).sum()
    }

    #[track_caller]
    fn agree(gradient: f32, above: f64, below: f64) {
        let difference = (above - below) / 0.004;
        assert!((f64::from(gradient) - difference).abs() < 5e-3 * difference.abs().max(1.0), "{gradient} {difference}");
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for centred in [false, true] {
            let mut decoder = decoder(centred);
            let x = numbers("x", decoder.width * BLOCK);
            let (logits, kept) = forward(&decoder, x.clone(), BLOCK);
            let d = numbers("weights", logits.len());
            let dx = backward_input(&decoder, &kept, d.clone());
            for (i, dx) in dx.iter().enumerate() {
                let moved = |by: f32| {
                    let mut x = x.clone();
                    x[i] += by;
                    loss(&decoder, &x)
                };
                agree(*dx, moved(0.002), moved(-0.002));
            }
            if !centred {
                continue;
            }
            let mut gradients: Gradients = parameters(&mut decoder).iter().map(|p| vec![0.0; p.len()]).collect();
            backward(&decoder, &kept, d, &mut gradients);
            for (which, gradient) in gradients.iter().enumerate() {
                for (i, gradient) in gradient.iter().enumerate() {
                    let moved = |by: f32| {
                        let mut decoder = decoder.clone();
                        parameters(&mut decoder)[which][i] += by;
                        loss(&decoder, &x)
                    };
                    agree(*gradient, moved(0.002), moved(-0.002));
                }
            }
        }
    }
}
