//! Columns looked up and put back: the embedding, and the positions that the loss asks for.

use crate::{
    BLOCK, Real,
    matmul::{Matrix, MatrixMut},
    real::vectorized,
    transpose::transpose,
};

vectorized! {
    /// `x[c, t] = table[tokens[t], c]`: table `[vocabulary, channels]`, x `[channels, tokens.len()]`. Every token is below
    /// the vocabulary.
    pub fn embed<T>(simd, table: &'a [T], channels: usize, tokens: &'a [u32], x: &'a mut [T]) {
        let whole = channels / BLOCK * BLOCK;
        let mut rows = vec![T::ZERO; BLOCK * whole];
        for (start, block) in (0..).step_by(BLOCK).zip(tokens.chunks(BLOCK)) {
            let row = |token: u32| &table[token as usize * channels..][..channels];
            // Full blocks are turned in registers; the rest goes number by number.
            let turned = if block.len() == BLOCK { whole } else { 0 };
            if turned > 0 {
                for (to, token) in rows.chunks_exact_mut(whole).zip(block) {
                    to.copy_from_slice(&row(*token)[..whole]);
                }
                let to = MatrixMut { data: &mut x[start..], stride: tokens.len() };
                transpose(simd, (BLOCK, whole), Matrix { data: &rows, stride: whole }, to);
            }
            for c in turned..channels {
                for (x, token) in x[c * tokens.len() + start..].iter_mut().zip(block) {
                    *x = row(*token)[c];
                }
            }
        }
    }
}

vectorized! {
    /// Gradient of [`embed`]: `dtable[tokens[t], c] += dx[c, t]`.
    pub fn embed_backward<T>(simd, dx: &'a [T], channels: usize, tokens: &'a [u32], dtable: &'a mut [T]) {
        let whole = channels / BLOCK * BLOCK;
        let mut rows = vec![T::ZERO; BLOCK * whole];
        for (start, block) in (0..).step_by(BLOCK).zip(tokens.chunks(BLOCK)) {
            let turned = if block.len() == BLOCK { whole } else { 0 };
            if turned > 0 {
                let from = Matrix { data: &dx[start..], stride: tokens.len() };
                transpose(simd, (whole, BLOCK), from, MatrixMut { data: &mut rows, stride: whole });
            }
            for (i, token) in block.iter().enumerate() {
                let to = &mut dtable[*token as usize * channels..][..channels];
                let (blocks, rest) = to.split_at_mut(turned);
                for (to, from) in blocks.iter_mut().zip(rows.chunks_exact(whole.max(1)).nth(i).unwrap_or_default()) {
                    *to += *from;
                }
                for (c, to) in (turned..).zip(rest) {
                    *to += dx[c * tokens.len() + start + i];
                }
            }
        }
    }
}

/// The first of columns that follow one another, if they fill a block.
fn run(columns: &[u32]) -> Option<usize> {
    let follow = columns.len() == BLOCK && columns.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    follow.then(|| columns[0] as usize)
}

/// `y[c, i] = x[c, columns[i]]`, zero after the last of `columns`: x `[channels, positions]`, y `[channels, to]`.
pub fn gather<T: Real>(x: &[T], positions: usize, columns: &[u32], to: usize, y: &mut [T]) {
    for (start, block) in (0..).step_by(BLOCK).zip(columns.chunks(BLOCK)) {
        let rows = x.chunks_exact(positions).zip(y.chunks_exact_mut(to));
        let run = run(block);
        for (x, y) in rows.map(|(x, y)| (x, &mut y[start..][..block.len()])) {
            // A length known to the compiler: registers instead of a call.
            match (run.and_then(|first| x[first..].first_chunk::<BLOCK>()), y.first_chunk_mut::<BLOCK>()) {
                (Some(x), Some(y)) => *y = *x,
                _ => y.iter_mut().zip(block).for_each(|(y, column)| *y = x[*column as usize]),
            }
        }
    }
    for y in y.chunks_exact_mut(to) {
        y[columns.len()..].fill(T::ZERO);
    }
}

/// Gradient of [`gather`]: `dx[c, columns[i]] += dy[c, i]`: dy `[channels, from]`, dx `[channels, positions]`.
pub fn scatter_add<T: Real>(dy: &[T], from: usize, columns: &[u32], positions: usize, dx: &mut [T]) {
    for (start, block) in (0..).step_by(BLOCK).zip(columns.chunks(BLOCK)) {
        let rows = dx.chunks_exact_mut(positions).zip(dy.chunks_exact(from));
        let run = run(block);
        for (dx, dy) in rows.map(|(dx, dy)| (dx, &dy[start..][..block.len()])) {
            match (run.and_then(|first| dx[first..].first_chunk_mut::<BLOCK>()), dy.first_chunk::<BLOCK>()) {
                (Some(dx), Some(dy)) => (0..BLOCK).for_each(|i| dx[i] += dy[i]),
                _ => dy.iter().zip(block).for_each(|(dy, column)| dx[*column as usize] += *dy),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradient, numbers};

    #[test]
    fn embedding_gradient_is_that_of_finite_differences() {
        // A full block of tokens and a part of one, a full block of channels and a part of one.
        let (channels, tokens) = (BLOCK + 3, Vec::from_iter((0..BLOCK as u32 + 5).map(|t| t * t % 5)));
        let (table, dx) = (numbers(1, 5 * channels), numbers(2, channels * tokens.len()));
        let mut dtable = vec![0.0; table.len()];
        embed_backward(&dx, channels, &tokens, &mut dtable);
        assert_gradient(&table, &dtable, |table| {
            let mut x = vec![0.0; dx.len()];
            embed(table, channels, &tokens, &mut x);
            x.iter().zip(&dx).map(|(x, dx)| x * dx).sum()
        });
    }

    #[test]
    fn gathering_gradient_is_that_of_finite_differences() {
        // Columns that follow one another, then columns that do not.
        let columns: Vec<u32> = (3..3 + BLOCK as u32).chain([1, 2, 7, 31]).collect();
        let (x, dy) = (numbers(1, 2 * 2 * BLOCK), numbers(2, 2 * 2 * BLOCK));
        let mut dx = vec![0.0; x.len()];
        scatter_add(&dy, 2 * BLOCK, &columns, 2 * BLOCK, &mut dx);
        assert_gradient(&x, &dx, |x| {
            let mut y = vec![9.0; 2 * 2 * BLOCK];
            gather(x, 2 * BLOCK, &columns, 2 * BLOCK, &mut y);
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
        });
    }
}
