//! Cross-entropy over scored positions and divergence from given distributions, with their gradients, and what a model
//! says about given tokens.

use crate::{
    IGNORE,
    real::{Real, V, vectorized},
};
use pulp::Simd;

/// Turns logits `[vocabulary, positions]` into e^(logit - max); gives the maxima and the sums `[positions]`.
#[inline(always)]
fn exponentials<S: Simd, T: Real>(simd: S, logits: &mut [T], positions: usize) -> (Vec<T>, Vec<T>) {
    let (mut max, mut sum) = (logits[..positions].to_vec(), vec![T::ZERO; positions]);
    for row in logits.chunks_exact(positions) {
        for (max, x) in T::lanes_mut(simd, &mut max).iter_mut().zip(T::lanes(simd, row)) {
            *max = V::<S, T>::new(simd, *x).max(V::new(simd, *max)).value;
        }
    }
    // Sums of some rows, and then the sum of these: one sum over 260,000 rows rounds away 2e-4 of a nat.
    let mut part = vec![T::ZERO; positions];
    for rows in logits.chunks_mut(256 * positions) {
        part.fill(T::ZERO);
        for row in rows.chunks_exact_mut(positions) {
            let lanes = T::lanes_mut(simd, &mut part).iter_mut().zip(T::lanes(simd, &max));
            for (x, (sum, max)) in T::lanes_mut(simd, row).iter_mut().zip(lanes) {
                let e = (V::<S, T>::new(simd, *x) - V::new(simd, *max)).exp();
                *x = e.value;
                *sum = (e + V::new(simd, *sum)).value;
            }
        }
        for (sum, part) in T::lanes_mut(simd, &mut sum).iter_mut().zip(T::lanes(simd, &part)) {
            *sum = (V::<S, T>::new(simd, *sum) + V::new(simd, *part)).value;
        }
    }
    (max, sum)
}

vectorized! {
    /// Summed cross-entropy in nats over the positions whose target is not [`IGNORE`], and their number; logits
    /// `[vocabulary, targets.len()]` are replaced by the gradient of `scale` times that sum.
    pub fn cross_entropy<T>(simd, logits: &'a mut [T], targets: &'a [u32], scale: T) -> (f64, u64) {
        let positions = targets.len();
        let scored = || targets.iter().enumerate().filter(|(_, target)| **target != IGNORE);
        let right: Vec<f64> = scored().map(|(t, y)| logits[*y as usize * positions + t].to_f64()).collect();
        let (max, mut sum) = exponentials(simd, logits, positions);
        let mut nats = 0.0;
        for ((t, _), right) in scored().zip(&right) {
            nats += sum[t].to_f64().ln() + max[t].to_f64() - right;
        }
        for (sum, target) in sum.iter_mut().zip(targets) {
            *sum = if *target == IGNORE { T::ZERO } else { scale / *sum };
        }
        for row in logits.chunks_exact_mut(positions) {
            for (x, factor) in T::lanes_mut(simd, row).iter_mut().zip(T::lanes(simd, &sum)) {
                // A select and not a product: where nothing is scored, even an infinite exponential gives no gradient.
                let factor = V::<S, T>::new(simd, *factor);
                *x = (V::new(simd, *x) * factor).where_not_zero(factor).value;
            }
        }
        for (t, target) in scored() {
            logits[*target as usize * positions + t] += -scale;
        }
        (nats, right.len() as u64)
    }
}

vectorized! {
    /// Logits `[vocabulary, positions]` become probabilities.
    pub fn softmax<T>(simd, logits: &'a mut [T], positions: usize) {
        let (_, sum) = exponentials(simd, logits, positions);
        for row in logits.chunks_exact_mut(positions) {
            for (x, sum) in T::lanes_mut(simd, row).iter_mut().zip(T::lanes(simd, &sum)) {
                *x = (V::<S, T>::new(simd, *x) / V::new(simd, *sum)).value;
            }
        }
    }
}

vectorized! {
    /// Kullback-Leibler divergence KL(p || softmax(logits)) in nats at each position, p and logits `[vocabulary,
    /// positions]`; the logits are replaced by the gradient of `weights[position]` times it.
    pub fn divergence<T>(simd, p: &'a [T], logits: &'a mut [T], weights: &'a [T]) -> Vec<f64> {
        let positions = weights.len();
        // sum_v p log p - sum_v p (logit - log sum exp)
        let mut nats = vec![0.0; positions];
        for (p, logits) in p.chunks_exact(positions).zip(logits.chunks_exact(positions)) {
            for ((nats, p), logit) in nats.iter_mut().zip(p).zip(logits) {
                let p = p.to_f64();
                *nats += if p > 0.0 { p * (p.ln() - logit.to_f64()) } else { 0.0 };
            }
        }
        let (max, sum) = exponentials(simd, logits, positions);
        for (nats, (max, sum)) in nats.iter_mut().zip(max.iter().zip(&sum)) {
            *nats += max.to_f64() + sum.to_f64().ln();
        }
        for (p, row) in p.chunks_exact(positions).zip(logits.chunks_exact_mut(positions)) {
            let lanes = T::lanes(simd, p).iter().zip(T::lanes(simd, &sum).iter().zip(T::lanes(simd, weights)));
            for (x, (p, (sum, weight))) in T::lanes_mut(simd, row).iter_mut().zip(lanes) {
                let q = V::<S, T>::new(simd, *x) / V::new(simd, *sum);
                *x = ((q - V::new(simd, *p)) * V::new(simd, *weight)).value;
            }
        }
        nats
    }
}

/// What a model says at one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Natural-log probability of the target.
    pub logprob: f64,
    /// The most probable token, the lowest of equals.
    pub argmax: u32,
}

/// What a model says at some positions about the rows of its vocabulary seen so far; the logits need never lie in memory
/// all at once.
#[derive(Clone, Debug)]
pub struct Readout<T> {
    /// For each position the largest logit.
    most: Vec<T>,
    /// The lowest row that has it.
    argmax: Vec<u32>,
    /// The sum of e^(logit - largest); not a number if one of the logits is none, or infinite.
    sum: Vec<f64>,
    /// For each target its logit; meaningless while its row has not been seen.
    logits: Vec<T>,
}

vectorized! {
    /// Reads some rows of the vocabulary, `first` and those behind it: logits `[rows, positions]`. A target is a position and
    /// a row.
    pub fn readout<T>(
        simd,
        first: u32,
        logits: &'a [T],
        positions: usize,
        targets: &'a [(usize, u32)],
    ) -> Readout<T> {
        let rows = (logits.len() / positions) as u32;
        let mut most = logits[..positions].to_vec();
        // Numbers of rows below 2^24 are exact in either type.
        let mut best = vec![T::ZERO; positions];
        // 0, or not a number: the exponential of -infinity is one.
        let mut sound = vec![T::ZERO; positions];
        for (i, row) in logits.chunks_exact(positions).enumerate() {
            let row_number = V::<S, T>::splat(simd, T::from_f64(i as f64));
            let lanes = T::lanes_mut(simd, &mut best).iter_mut().zip(T::lanes_mut(simd, &mut most));
            let lanes = lanes.zip(T::lanes_mut(simd, &mut sound));
            for (x, ((best, most), sound)) in T::lanes(simd, row).iter().zip(lanes) {
                let (x, old) = (V::<S, T>::new(simd, *x), V::new(simd, *most));
                *best = V::new(simd, *best).where_at_most(x, old, row_number).value;
                *most = x.max(old).value;
                *sound = x.fma(V::zero(simd), V::new(simd, *sound)).value;
            }
        }
        let mut sum: Vec<f64> = sound.iter().map(|x| x.to_f64()).collect();
        // Sums of some rows, and then the sum of these: one sum over 260,000 rows rounds away 2e-4 of a nat.
        let mut part = vec![T::ZERO; positions];
        for rows in logits.chunks(256 * positions) {
            part.fill(T::ZERO);
            for row in rows.chunks_exact(positions) {
                let lanes = T::lanes_mut(simd, &mut part).iter_mut().zip(T::lanes(simd, &most));
                for (x, (sum, most)) in T::lanes(simd, row).iter().zip(lanes) {
                    let e = (V::<S, T>::new(simd, *x) - V::new(simd, *most)).exp();
                    *sum = (e + V::new(simd, *sum)).value;
                }
            }
            for (sum, part) in sum.iter_mut().zip(&part) {
                *sum += part.to_f64();
            }
        }
        let logits = targets.iter().map(|(position, row)| match row.checked_sub(first) {
            Some(row) if row < rows => logits[row as usize * positions + position],
            _ => T::ZERO,
        });
        Readout { logits: logits.collect(), argmax: best.iter().map(|b| first + b.to_f64() as u32).collect(), most, sum }
    }
}

impl<T: Real> Readout<T> {
    /// Takes in what was read of later rows, from `first` on.
    pub fn join(&mut self, first: u32, later: &Self, targets: &[(usize, u32)]) {
        for t in 0..self.most.len() {
            let (old, new) = (self.most[t].to_f64(), later.most[t].to_f64());
            let most = old.max(new);
            self.sum[t] = self.sum[t] * (old - most).exp() + later.sum[t] * (new - most).exp();
            if new > old {
                (self.most[t], self.argmax[t]) = (later.most[t], later.argmax[t]);
            }
        }
        for ((logit, later), (_, row)) in self.logits.iter_mut().zip(&later.logits).zip(targets) {
            if *row >= first {
                *logit = *later;
            }
        }
    }

    /// One [`Prediction`] for each target.
    pub fn predictions(&self, targets: &[(usize, u32)]) -> Vec<Prediction> {
        let said = |(logit, (t, _)): (&T, &(usize, u32))| Prediction {
            logprob: logit.to_f64() - self.most[*t].to_f64() - self.sum[*t].ln(),
            argmax: self.argmax[*t],
        };
        self.logits.iter().zip(targets).map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BLOCK,
        check::{assert_close, assert_gradient, numbers},
    };

    fn targets() -> Vec<u32> {
        (0..BLOCK as u32).map(|t| if t % 3 == 0 { IGNORE } else { t % 7 }).collect()
    }

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let (logits, targets) = (numbers(1, 7 * BLOCK), targets());
        let mut gradient = logits.clone();
        let (nats, scored) = cross_entropy(&mut gradient, &targets, 0.3);
        assert_eq!(scored, targets.iter().filter(|t| **t != IGNORE).count() as u64);
        assert!(nats > 0.0);
        assert_gradient(&logits, &gradient, |x| 0.3 * cross_entropy(&mut x.to_vec(), &targets, 1.0).0);
    }

    #[test]
    fn divergence_is_zero_only_from_itself_and_has_its_gradient() {
        let (logits, mut p, weights) = (numbers(1, 7 * BLOCK), numbers(2, 7 * BLOCK), numbers(3, BLOCK));
        softmax(&mut p, BLOCK);
        let sums: Vec<f64> = (0..BLOCK).map(|t| p.iter().skip(t).step_by(BLOCK).sum()).collect();
        assert_close(&sums, &[1.0; BLOCK], 1e-12);
        let mut gradient = logits.clone();
        let nats = divergence(&p, &mut gradient, &weights);
        assert!(nats.iter().all(|nats| *nats > 0.0), "{nats:?}");
        assert_gradient(&logits, &gradient, |x| {
            divergence(&p, &mut x.to_vec(), &weights).iter().zip(&weights).map(|(nats, w)| nats * w).sum()
        });
        let mut own: Vec<f64> = p.iter().map(|p| p.ln() + 3.0).collect();
        assert_close(&divergence(&p, &mut own, &weights), &[0.0; BLOCK], 1e-12);
        assert_close(&own, &vec![0.0; own.len()], 1e-12);
    }

    /// Read in slabs of three rows.
    fn predictions<T: Real>(logits: &[T], targets: &[u32]) -> Vec<Prediction> {
        let positions = targets.len();
        let scored = targets.iter().copied().enumerate().filter(|(_, target)| *target != IGNORE);
        let targets: Vec<(usize, u32)> = scored.collect();
        let mut all: Option<Readout<T>> = None;
        for (slab, first) in logits.chunks(3 * positions).zip((0..).step_by(3)) {
            let part = readout(first, slab, positions, &targets);
            match &mut all {
                Some(all) => all.join(first, &part, &targets),
                None => all = Some(part),
            }
        }
        all.unwrap().predictions(&targets)
    }

    #[test]
    fn predictions_agree_with_the_loss_and_take_the_lowest_of_equals() {
        let (mut logits, targets) = (numbers(1, 7 * BLOCK), targets());
        for row in [2, 5] {
            logits[row * BLOCK + 1] = 3.0;
        }
        let said = predictions(&logits, &targets);
        assert_eq!(said[0].argmax, 2);
        let total: f64 = said.iter().map(|p| -p.logprob).sum();
        assert_close(&[total], &[cross_entropy(&mut logits.clone(), &targets, 1.0).0], 1e-12);
        let single: Vec<f32> = logits.iter().map(|&x| x as f32).collect();
        let said32 = predictions(&single, &targets);
        assert_eq!(Vec::from_iter(said32.iter().map(|p| p.argmax)), Vec::from_iter(said.iter().map(|p| p.argmax)));
        for (t, p) in targets.iter().enumerate().filter(|(_, t)| **t != IGNORE).map(|(t, _)| t).zip(&said) {
            let column: Vec<f64> = (0..7).map(|v| logits[v * BLOCK + t]).collect();
            assert!(column.iter().all(|x| *x <= column[p.argmax as usize]));
        }
    }

    #[test]
    fn large_vocabularies_keep_their_digits() {
        let logits: Vec<f32> = numbers(1, 200_000 * BLOCK).iter().map(|x| *x as f32).collect();
        let exact: f64 = (0..200_000).map(|row| f64::from(logits[row * BLOCK + 3]).exp()).sum::<f64>().ln();
        let said = predictions(&logits, &[7; BLOCK]);
        let expect = f64::from(logits[7 * BLOCK + 3]) - exact;
        assert!((said[3].logprob - expect).abs() < 3e-6, "{} {expect}", said[3].logprob);
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut logits: Vec<f32> = numbers(1, 9 * BLOCK).iter().map(|x| *x as f32).collect();
            logits[4 * BLOCK + 2] = bad;
            let said = predictions(&logits, &[1; BLOCK]);
            assert!(said.iter().enumerate().all(|(t, p)| p.logprob.is_nan() == (t == 2)), "{said:?}");
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let mut logits = vec![-1e4f32; 7 * BLOCK];
        logits[..BLOCK].fill(1e4);
        let (nats, scored) = cross_entropy(&mut logits, &targets(), 1.0);
        assert!(nats.is_finite() && nats / scored as f64 > 1e4 && logits.iter().all(|x| x.is_finite()));
    }
}
