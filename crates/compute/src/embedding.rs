//! Columns looked up and put back: the embedding, and the positions that the loss asks for.

use crate::{BLOCK, Real};

/// `x[c, t] = table[tokens[t], c]`: table `[vocabulary, channels]`, x `[channels, tokens.len()]`. Every token is below
/// the vocabulary.
pub fn embed<T: Real>(table: &[T], channels: usize, tokens: &[u32], x: &mut [T]) {
    for (start, block) in (0..).step_by(BLOCK).zip(tokens.chunks(BLOCK)) {
        for (c, row) in x.chunks_exact_mut(tokens.len()).enumerate() {
            for (x, token) in row[start..].iter_mut().zip(block) {
                *x = table[*token as usize * channels + c];
            }
        }
    }
}

/// Gradient of [`embed`]: `dtable[tokens[t], c] += dx[c, t]`.
pub fn embed_backward<T: Real>(dx: &[T], channels: usize, tokens: &[u32], dtable: &mut [T]) {
    for (t, token) in tokens.iter().enumerate() {
        let row = &mut dtable[*token as usize * channels..][..channels];
        for (dtable, dx) in row.iter_mut().zip(dx[t..].iter().step_by(tokens.len())) {
            *dtable += *dx;
        }
    }
}

/// `y[c, i] = x[c, columns[i]]`, zero after the last of `columns`: x `[channels, positions]`, y `[channels, to]`.
pub fn gather<T: Real>(x: &[T], positions: usize, columns: &[u32], to: usize, y: &mut [T]) {
    for (x, y) in x.chunks_exact(positions).zip(y.chunks_exact_mut(to)) {
        for (y, column) in y.iter_mut().zip(columns) {
            *y = x[*column as usize];
        }
        y[columns.len()..].fill(T::ZERO);
    }
}

/// Gradient of [`gather`]: `dx[c, columns[i]] += dy[c, i]`: dy `[channels, from]`, dx `[channels, positions]`.
pub fn scatter_add<T: Real>(dy: &[T], from: usize, columns: &[u32], positions: usize, dx: &mut [T]) {
    for (dx, dy) in dx.chunks_exact_mut(positions).zip(dy.chunks_exact(from)) {
        for (dy, column) in dy.iter().zip(columns) {
            dx[*column as usize] += *dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_gradient, numbers};

    #[test]
    fn embedding_gradient_is_that_of_finite_differences() {
        let (channels, tokens) = (3, Vec::from_iter((0..BLOCK as u32).map(|t| t * t % 5)));
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
        let columns = [1, 2, 7, 31];
        let (x, dy) = (numbers(1, 2 * 2 * BLOCK), numbers(2, 2 * BLOCK));
        let mut dx = vec![0.0; x.len()];
        scatter_add(&dy, BLOCK, &columns, 2 * BLOCK, &mut dx);
        assert_gradient(&x, &dx, |x| {
            let mut y = vec![9.0; 2 * BLOCK];
            gather(x, 2 * BLOCK, &columns, BLOCK, &mut y);
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
        });
    }
}
