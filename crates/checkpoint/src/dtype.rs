//! How the numbers of a tensor are stored.

/// The storage of a tensor's values. Block types hold rows of 32 or 256 values with their scales, as ggml defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an F32.
    BF16,
    /// 32 values: one F16 scale, 4 bits each.
    Q4_0,
    /// 32 values: F16 scale and minimum, 4 bits each.
    Q4_1,
    /// 32 values: one F16 scale, 5 bits each.
    Q5_0,
    /// 32 values: F16 scale and minimum, 5 bits each.
    Q5_1,
    /// 32 values: one F16 scale, 8 bits each.
    Q8_0,
    /// 256 values in 16 sub-blocks with 4-bit scales and minima, 2 bits each.
    Q2K,
    /// 256 values in 16 sub-blocks with 6-bit scales, 3 bits each.
    Q3K,
    /// 256 values in 8 sub-blocks with 6-bit scales and minima, 4 bits each.
    Q4K,
    /// 256 values in 8 sub-blocks with 6-bit scales and minima, 5 bits each.
    Q5K,
    /// 256 values in 16 sub-blocks with 8-bit scales, 6 bits each.
    Q6K,
}

impl Dtype {
    /// Every storage, the plain ones first.
    pub const ALL: [Dtype; 13] = [
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::Q4_0,
        Dtype::Q4_1,
        Dtype::Q5_0,
        Dtype::Q5_1,
        Dtype::Q8_0,
        Dtype::Q2K,
        Dtype::Q3K,
        Dtype::Q4K,
        Dtype::Q5K,
        Dtype::Q6K,
    ];

    /// Values in a block; 1 where each value stands alone. A row is a whole number of blocks.
    pub const fn block_len(self) -> usize {
        match self {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => 1,
            Dtype::Q4_0 | Dtype::Q4_1 | Dtype::Q5_0 | Dtype::Q5_1 | Dtype::Q8_0 => 32,
            Dtype::Q2K | Dtype::Q3K | Dtype::Q4K | Dtype::Q5K | Dtype::Q6K => 256,
        }
    }

    /// Bytes in a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
            Dtype::Q4_0 => 18,
            Dtype::Q4_1 => 20,
            Dtype::Q5_0 => 22,
            Dtype::Q5_1 => 24,
            Dtype::Q8_0 => 34,
            Dtype::Q2K => 84,
            Dtype::Q3K => 110,
            Dtype::Q4K => 144,
            Dtype::Q5K => 176,
            Dtype::Q6K => 210,
        }
    }

    /// The name in the field: `BF16`, `Q4_K`.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
            Dtype::Q4_0 => "Q4_0",
            Dtype::Q4_1 => "Q4_1",
            Dtype::Q5_0 => "Q5_0",
            Dtype::Q5_1 => "Q5_1",
            Dtype::Q8_0 => "Q8_0",
            Dtype::Q2K => "Q2_K",
            Dtype::Q3K => "Q3_K",
            Dtype::Q4K => "Q4_K",
            Dtype::Q5K => "Q5_K",
            Dtype::Q6K => "Q6_K",
        }
    }

    /// Bytes of a tensor of this storage and shape (outermost first), or what is wrong with the shape.
    pub(crate) fn bytes(self, shape: &[usize]) -> Result<usize, String> {
        let values = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(self.block_len()) {
            let (name, block) = (self.name(), self.block_len());
            return Err(format!("shape {shape:?}: {name} expects rows of a multiple of {block} values, found {row}"));
        }
        values
            .and_then(|values| (values / self.block_len()).checked_mul(self.block_bytes()))
            .ok_or_else(|| format!("shape {shape:?} has more values than can be counted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes in a block, added up from what ggml stores in it: scales, minima and quants.
    #[test]
    fn blocks_have_the_bytes_of_their_parts() {
        let parts = [
            (Dtype::Q4_0, 2 + 32 * 4 / 8),
            (Dtype::Q4_1, 2 + 2 + 32 * 4 / 8),
            (Dtype::Q5_0, 2 + 32 * 5 / 8),
            (Dtype::Q5_1, 2 + 2 + 32 * 5 / 8),
            (Dtype::Q8_0, 2 + 32),
            (Dtype::Q2K, 2 + 2 + 16 + 256 * 2 / 8),
            (Dtype::Q3K, 2 + 12 + 256 * 3 / 8),
            (Dtype::Q4K, 2 + 2 + 12 + 256 * 4 / 8),
            (Dtype::Q5K, 2 + 2 + 12 + 256 * 5 / 8),
            (Dtype::Q6K, 2 + 16 + 256 * 6 / 8),
        ];
        for (dtype, bytes) in parts {
            assert_eq!(dtype.block_bytes(), bytes, "{}", dtype.name());
        }
    }

    #[test]
    fn a_shape_is_counted_or_refused() {
        assert_eq!(Dtype::BF16.bytes(&[3, 5]), Ok(30));
        assert_eq!(Dtype::F32.bytes(&[]), Ok(4));
        assert_eq!(Dtype::Q4K.bytes(&[2, 512]), Ok(2 * 2 * 144));
        assert!(Dtype::Q4K.bytes(&[256, 2]).is_err());
        assert!(Dtype::F32.bytes(&[usize::MAX, 2]).is_err());
        assert!(Dtype::F32.bytes(&[usize::MAX]).is_err());
    }
}
