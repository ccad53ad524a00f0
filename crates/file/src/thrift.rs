//! The outline of a record in Thrift's compact protocol, in which Parquet writes what is where.
//!
//! The library that reads Parquet goes over a list as often as its length says, even where its elements take no bytes:
//! a file of a thousand bytes can keep it busy for minutes. So records are walked through before it sees them.

/// Records inside records, at most; the library has the same limit.
const MAX_DEPTH: usize = 64;

/// A record: its length, and its whole numbers with their fields (0 before the field of the record itself).
pub(crate) struct Outline {
    pub(crate) length: usize,
    numbers: Vec<([i64; 2], i64)>,
}

impl Outline {
    /// Walks through the record at the beginning of `bytes`; `None` if it is broken.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let mut walk = Walk { rest: bytes, numbers: Vec::new() };
        walk.record(&[], MAX_DEPTH)?;
        Some(Self { length: bytes.len() - walk.rest.len(), numbers: walk.numbers })
    }

    /// The number in a field of the record, or in a field of a record in it.
    pub(crate) fn number(&self, field: [i64; 2]) -> Option<i64> {
        self.numbers.iter().find(|(f, _)| *f == field).map(|(_, number)| *number)
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    numbers: Vec<([i64; 2], i64)>,
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The fields of a record; `path` has those that it stands in.
    fn record(&mut self, path: &[i64], depth: usize) -> Option<()> {
        let mut field = 0;
        loop {
            let head = self.byte()?;
            let kind = head & 0xf;
            if kind == 0 {
                return Some(());
            }
            field = if head >> 4 == 0 { self.zigzag()? } else { field + i64::from(head >> 4) };
            match (kind, path) {
                (4..=6, []) => {
                    let number = self.zigzag()?;
                    self.numbers.push(([0, field], number));
                }
                (4..=6, [outer]) => {
                    let number = self.zigzag()?;
                    self.numbers.push(([*outer, field], number));
                }
                (12, []) => self.record(&[field], depth.checked_sub(1)?)?,
                // A truth value is in its head.
                (1 | 2, _) => {}
                _ => self.value(kind, depth.checked_sub(1)?)?,
            }
        }
    }

    /// A value that takes at least a byte.
    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.values(&[head & 0xf], count, depth)
            }
            11 => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.values(&[kinds >> 4, kinds & 0xf], count, depth)
                }
            },
            // Nothing deep inside is looked for.
            12 => self.record(&[0, 0], depth),
            13 => self.skip(16),
            _ => None,
        }
    }

    /// As many of each kind in turn: never more than there are bytes, as truth values, which take none, have no place in
    /// Parquet's lists.
    fn values(&mut self, kinds: &[u8], count: u64, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        if count > self.rest.len() as u64 {
            return None;
        }
        for _ in 0..count {
            for &kind in kinds {
                self.value(kind, depth)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_length_and_numbers() {
        // 1: i32 -1, 2: "ab", 5: {1: i64 300, 2: true}, 6: [i32 1, 2], 7: {i32: byte}
        let bytes = [
            0x15, 0x01, 0x18, 2, b'a', b'b', 0x3c, 0x16, 0xd8, 0x04, 0x11, 0, 0x19, 0x25, 2, 4, 0x1b, 1, 0x53, 8, 9, 0,
            77,
        ];
        let outline = Outline::of(&bytes).unwrap();
        assert_eq!(outline.length, bytes.len() - 1);
        assert_eq!([[0, 1], [5, 1], [0, 5]].map(|field| outline.number(field)), [Some(-1), Some(300), None]);
        for end in 0..bytes.len() - 1 {
            assert!(Outline::of(&bytes[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn lists_longer_than_the_file_are_broken() {
        // A list of 2^31 - 1 truth values; 2^20 lists of nothing; a map of truth values.
        assert!(Outline::of(&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0]).is_none());
        assert!(Outline::of(&[0x19, 0xf9, 0x80, 0x80, 0x40, 0, 0, 0]).is_none());
        assert!(Outline::of(&[0x1b, 3, 0x11, 0, 0, 0, 0, 0]).is_none());
        assert!(Outline::of(&[0x1c; 1000]).is_none());
    }
}
