//! What one block of each format means, as ggml's `dequantize_row_*` say it.

use super::Format;

/// Half precision to single, for every bit pattern.
#[inline(always)]
pub(super) fn half(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let magnitude = (bits & 0x7fff) << 13;
    // Exponent and mantissa lie as in f32, with another bias: a product mends it, for subnormal numbers too.
    let scaled = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let infinite = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(scaled | infinite | (bits & 0x8000) << 16)
}

#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    half(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Every block of `bytes` to its numbers. A macro, because a function that is passed along is not inlined into the
/// instruction set chosen outside.
macro_rules! blocks {
    ($bytes:ident, $to:ident, $read:ident, $size:literal, $numbers:literal) => {
        for (to, block) in $to.as_chunks_mut::<$numbers>().0.iter_mut().zip($bytes.as_chunks::<$size>().0) {
            $read(block, to);
        }
    };
}

/// Blocks of 32 numbers with a half-precision factor at byte 0 and, in some formats, a minimum at byte 2. The factors of
/// eight blocks are converted side by side: one by one they would take longer than the numbers.
macro_rules! scaled_blocks {
    ($bytes:ident, $to:ident, $read:ident, $size:literal) => {
        for (to, bytes) in $to.chunks_mut(8 * 32).zip($bytes.chunks(8 * $size)) {
            let blocks = bytes.as_chunks::<$size>().0;
            let (mut factors, mut minima) = ([0; 8], [0; 8]);
            for ((block, factor), minimum) in blocks.iter().zip(&mut factors).zip(&mut minima) {
                *factor = u16::from_le_bytes([block[0], block[1]]);
                *minimum = u16::from_le_bytes([block[2], block[3]]);
            }
            let (factors, minima) = (halves(factors), halves(minima));
            let scales = factors.iter().zip(&minima);
            for ((to, block), (d, m)) in to.as_chunks_mut::<32>().0.iter_mut().zip(blocks).zip(scales) {
                $read(block, (*d, *m), to);
            }
        }
    };
}

#[inline(always)]
fn halves(bits: [u16; 8]) -> [f32; 8] {
    let mut values = [0.0; 8];
    for (value, bits) in values.iter_mut().zip(bits) {
        *value = half(bits);
    }
    values
}

#[inline(always)]
pub(super) fn expand(format: Format, bytes: &[u8], to: &mut [f32]) {
    match format {
        Format::F32 => blocks!(bytes, to, single, 4, 1),
        Format::F16 => blocks!(bytes, to, f16, 2, 1),
        Format::BF16 => blocks!(bytes, to, bf16, 2, 1),
        Format::Q4_0 => scaled_blocks!(bytes, to, q4_0, 18),
        Format::Q4_1 => scaled_blocks!(bytes, to, q4_1, 20),
        Format::Q5_0 => scaled_blocks!(bytes, to, q5_0, 22),
        Format::Q5_1 => scaled_blocks!(bytes, to, q5_1, 24),
        Format::Q8_0 => scaled_blocks!(bytes, to, q8_0, 34),
        Format::Q2K => blocks!(bytes, to, q2_k, 84, 256),
        Format::Q3K => blocks!(bytes, to, q3_k, 110, 256),
        Format::Q4K => blocks!(bytes, to, q4_k, 144, 256),
        Format::Q5K => blocks!(bytes, to, q5_k, 176, 256),
        Format::Q6K => blocks!(bytes, to, q6_k, 210, 256),
    }
}

#[inline(always)]
fn single(block: &[u8; 4], to: &mut [f32; 1]) {
    to[0] = f32::from_le_bytes(*block);
}

#[inline(always)]
fn f16(block: &[u8; 2], to: &mut [f32; 1]) {
    to[0] = half(u16::from_le_bytes(*block));
}

#[inline(always)]
fn bf16(block: &[u8; 2], to: &mut [f32; 1]) {
    to[0] = f32::from_bits(u32::from(u16::from_le_bytes(*block)) << 16);
}

/// 32 numbers of 4 bits: the low halves first, then the high ones.
#[inline(always)]
fn nibbles(low_high: &[u8]) -> [i32; 32] {
    let mut numbers = [0; 32];
    let (low, high) = numbers.split_at_mut(16);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(low_high) {
        *low = i32::from(byte & 15);
        *high = i32::from(byte >> 4);
    }
    numbers
}

/// The fifth bits of 32 numbers, in place.
#[inline(always)]
fn fifths(bits: [u8; 4]) -> [i32; 32] {
    let bits = u32::from_le_bytes(bits);
    let mut numbers = [0; 32];
    for (j, number) in numbers.iter_mut().enumerate() {
        *number = ((bits >> j & 1) << 4).cast_signed();
    }
    numbers
}

#[inline(always)]
fn q4_0(block: &[u8; 18], (d, _): (f32, f32), to: &mut [f32; 32]) {
    for (to, q) in to.iter_mut().zip(nibbles(&block[2..])) {
        *to = d * (q - 8) as f32;
    }
}

#[inline(always)]
fn q4_1(block: &[u8; 20], (d, m): (f32, f32), to: &mut [f32; 32]) {
    for (to, q) in to.iter_mut().zip(nibbles(&block[4..])) {
        *to = d * q as f32 + m;
    }
}

#[inline(always)]
fn q5_0(block: &[u8; 22], (d, _): (f32, f32), to: &mut [f32; 32]) {
    let fifth = fifths([block[2], block[3], block[4], block[5]]);
    for ((to, q), fifth) in to.iter_mut().zip(nibbles(&block[6..])).zip(fifth) {
        *to = d * (q + fifth - 16) as f32;
    }
}

#[inline(always)]
fn q5_1(block: &[u8; 24], (d, m): (f32, f32), to: &mut [f32; 32]) {
    let fifth = fifths([block[4], block[5], block[6], block[7]]);
    for ((to, q), fifth) in to.iter_mut().zip(nibbles(&block[8..])).zip(fifth) {
        *to = d * (q + fifth) as f32 + m;
    }
}

#[inline(always)]
fn q8_0(block: &[u8; 34], (d, _): (f32, f32), to: &mut [f32; 32]) {
    let Some(numbers) = block.last_chunk::<32>() else { return };
    // Two steps over whole arrays: in one, the compiler converts byte by byte.
    let whole: [i32; 32] = std::array::from_fn(|i| i32::from(numbers[i].cast_signed()));
    for (to, q) in to.iter_mut().zip(whole) {
        *to = d * q as f32;
    }
}

#[inline(always)]
fn q2_k(block: &[u8; 84], to: &mut [f32; 256]) {
    let (scales, rest) = block.split_at(16);
    let (d, min) = (half_at(block, 80), half_at(block, 82));
    for (group, to) in to.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (d, m) = (d * f32::from(scales[group] & 15), min * f32::from(scales[group] >> 4));
        let (from, shift) = (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2);
        for (to, q) in to.iter_mut().zip(&rest[from..from + 16]) {
            *to = d * f32::from(q >> shift & 3) - m;
        }
    }
}

#[inline(always)]
fn q3_k(block: &[u8; 110], to: &mut [f32; 256]) {
    let (high, rest) = block.split_at(32);
    let (low, rest) = rest.split_at(64);
    let d = half_at(block, 108);
    for (group, to) in to.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        // Six bits each: four in the first eight bytes, two in the last four.
        let four = rest[group % 8] >> (group / 8 * 4) & 15;
        let two = rest[8 + group % 4] >> (group / 4 * 2) & 3;
        let d = d * (i32::from(four | two << 4) - 32) as f32;
        let (from, shift) = (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2);
        let bit = group / 2;
        for (l, to) in to.iter_mut().enumerate() {
            let third = high[group % 2 * 16 + l] >> bit & 1;
            *to = d * (i32::from(low[from + l] >> shift & 3 | third << 2) - 4) as f32;
        }
    }
}

/// The scale and the minimum of group `j` of a block of 4 or 5 bits, six bits each.
#[inline(always)]
fn scale_and_minimum(scales: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (scales[j] & 63, scales[j + 4] & 63)
    } else {
        (scales[j + 4] & 15 | scales[j - 4] >> 6 << 4, scales[j + 4] >> 4 | scales[j] >> 6 << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

#[inline(always)]
fn q4_k(block: &[u8; 144], to: &mut [f32; 256]) {
    let (d, min) = (half_at(block, 0), half_at(block, 2));
    for (group, to) in to.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let (d, m, shift) = (d * scale, min * minimum, group % 2 * 4);
        for (to, q) in to.iter_mut().zip(&block[16 + group / 2 * 32..]) {
            *to = d * f32::from(q >> shift & 15) - m;
        }
    }
}

#[inline(always)]
fn q5_k(block: &[u8; 176], to: &mut [f32; 256]) {
    let (d, min) = (half_at(block, 0), half_at(block, 2));
    for (group, to) in to.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let (d, m, shift) = (d * scale, min * minimum, group % 2 * 4);
        for (l, to) in to.iter_mut().enumerate() {
            let four = block[48 + group / 2 * 32 + l] >> shift & 15;
            let fifth = block[16 + l] >> group & 1;
            *to = d * f32::from(four | fifth << 4) - m;
        }
    }
}

#[inline(always)]
fn q6_k(block: &[u8; 210], to: &mut [f32; 256]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let d = half_at(block, 208);
    for (group, to) in to.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let d = d * f32::from(rest[group].cast_signed());
        // Quarters of 32 numbers: two in the low halves of 64 bytes, two in their high halves.
        let (part, quarter, from) = (group / 8, group % 8 / 2, group % 2 * 16);
        let (low, high) = (&low[part * 64 + quarter % 2 * 32 + from..], &high[part * 32 + from..]);
        for ((to, low), high) in to.iter_mut().zip(low).zip(high) {
            let q = low >> (quarter / 2 * 4) & 15 | (high >> (quarter * 2) & 3) << 4;
            *to = d * (i32::from(q) - 32) as f32;
        }
    }
}
