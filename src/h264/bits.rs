//! Single bits and Exp-Golomb codes, read and written most significant bit first.
//!
//! ```text
//! ue(v)   0  1         se(v)   0  1          n leading zeros, a one, n bits: value = 2^n - 1 + bits
//!         1  010                1  010
//!         2  011               -1  011       v > 0 is 2v - 1, v <= 0 is -2v
//!         3  00100              2  00100
//! ```
//!
//! Both work on the raw byte sequence payload: emulation prevention bytes are removed before reading and inserted after
//! writing ([`super::nal`]). Reading never panics; an error names the bit.
//!
//! Spec: 14496-10 sections 7.2 and 9.1.

/// Why bits cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The payload ends within a field.
    #[error("{needed} bits needed at bit {bit}, {left} are left")]
    Truncated {
        /// Where the field starts.
        bit: usize,
        /// Bits it has.
        needed: usize,
        /// Bits there are.
        left: usize,
    },
    /// An Exp-Golomb code of more than 31 leading zeros: its value would be beyond 2^32 - 2.
    #[error("Exp-Golomb code at bit {bit} has more than 31 leading zeros")]
    Golomb {
        /// Where the code starts.
        bit: usize,
    },
}

/// Reads bits from a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> Reader<'a> {
    /// A reader that stands at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    /// Bits read so far.
    pub fn position(&self) -> usize {
        self.bit
    }

    /// Bits left to read.
    pub fn left(&self) -> usize {
        self.bytes.len() * 8 - self.bit
    }

    /// The next `count` bits, at most 32, as a number.
    pub fn bits(&mut self, count: usize) -> Result<u32, Error> {
        debug_assert!(count <= 32, "{count} bits at once");
        if count > self.left() {
            return Err(Error::Truncated { bit: self.bit, needed: count, left: self.left() });
        }
        let mut value = 0u64;
        let mut missing = count;
        while missing > 0 {
            let offset = self.bit % 8;
            let take = missing.min(8 - offset);
            let byte = self.bytes[self.bit / 8];
            let part = (byte << offset) >> (8 - take);
            value = value << take | u64::from(part);
            self.bit += take;
            missing -= take;
        }
        Ok(value as u32)
    }

    /// The next byte of bits, for fields of `u(8)`.
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.bits(8)? as u8)
    }

    /// The next bit.
    pub fn flag(&mut self) -> Result<bool, Error> {
        Ok(self.bits(1)? == 1)
    }

    /// An unsigned Exp-Golomb code, 0 to 2^32 - 2.
    pub fn ue(&mut self) -> Result<u32, Error> {
        let bit = self.bit;
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::Golomb { bit });
            }
        }
        Ok((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb code.
    pub fn se(&mut self) -> Result<i32, Error> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        // The largest code is 2^32 - 2, so the magnitude is at most 2^31 - 1.
        Ok((if code % 2 == 1 { magnitude } else { -magnitude }) as i32)
    }
}

/// Writes bits into bytes of its own.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 when it is full.
    used: usize,
}

impl Writer {
    /// A writer without bits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bits written so far.
    pub fn position(&self) -> usize {
        if self.used == 0 { self.bytes.len() * 8 } else { (self.bytes.len() - 1) * 8 + self.used }
    }

    /// Appends the low `count` bits of `value`, at most 32.
    pub fn bits(&mut self, value: u32, count: usize) {
        debug_assert!(count <= 32, "{count} bits at once");
        let mut missing = count;
        while missing > 0 {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let free = 8 - self.used;
            let take = missing.min(free);
            let part = (u64::from(value) >> (missing - take)) & ((1 << take) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (free - take)) as u8;
            }
            self.used = (self.used + take) % 8;
            missing -= take;
        }
    }

    /// Appends a byte of bits.
    pub fn u8(&mut self, value: u8) {
        self.bits(u32::from(value), 8);
    }

    /// Appends a bit.
    pub fn flag(&mut self, is_set: bool) {
        self.bits(u32::from(is_set), 1);
    }

    /// Appends an unsigned Exp-Golomb code; the highest value is 2^32 - 2.
    pub fn ue(&mut self, value: u32) {
        debug_assert!(value < u32::MAX, "ue(v) ends at 2^32 - 2");
        let code = u64::from(value) + 1;
        let zeros = code.ilog2() as usize;
        self.bits(0, zeros);
        self.flag(true);
        self.bits((code & ((1 << zeros) - 1)) as u32, zeros);
    }

    /// Appends a signed Exp-Golomb code; the lowest value is -(2^31 - 1).
    pub fn se(&mut self, value: i32) {
        debug_assert!(value > i32::MIN, "se(v) starts at -(2^31 - 1)");
        let magnitude = value.unsigned_abs();
        self.ue(if value > 0 { magnitude * 2 - 1 } else { magnitude.wrapping_mul(2) });
    }

    /// Appends the next `count` bits of `from`.
    pub fn copy(&mut self, from: &mut Reader<'_>, count: usize) -> Result<(), Error> {
        let mut missing = count;
        while missing > 0 {
            let take = missing.min(32);
            self.bits(from.bits(take)?, take);
            missing -= take;
        }
        Ok(())
    }

    /// Ends the payload with a one and zeros up to the byte (section 7.3.2.11), and hands it out.
    pub fn finish(mut self) -> Vec<u8> {
        self.flag(true);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golomb_by_hand() {
        // 1 | 010 | 011 | 00100 | 00111, then the trailing one: 1010 0110 0100 0011 11.. -> A6 43 E0
        let mut writer = Writer::new();
        [0, 1, 2, 3, 6].into_iter().for_each(|value| writer.ue(value));
        assert_eq!(writer.position(), 17);
        assert_eq!(writer.finish(), [0b1010_0110, 0b0100_0011, 0b1100_0000]);
        let mut reader = Reader::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!([reader.se(), reader.se(), reader.se(), reader.se()], [Ok(0), Ok(1), Ok(-1), Ok(2)]);
    }

    #[test]
    fn ends_are_errors() {
        let mut reader = Reader::new(&[0xFF]);
        assert_eq!(reader.bits(3), Ok(7));
        assert_eq!(reader.bits(6), Err(Error::Truncated { bit: 3, needed: 6, left: 5 }));
        assert_eq!(reader.bits(5), Ok(31), "an error reads nothing");
        assert_eq!(Reader::new(&[]).ue(), Err(Error::Truncated { bit: 0, needed: 1, left: 0 }));
        assert_eq!(Reader::new(&[0; 5]).ue(), Err(Error::Golomb { bit: 0 }));
        // 31 zeros, a one and 31 ones are the last code there is.
        assert_eq!(Reader::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE]).ue(), Ok(u32::MAX - 1));
        assert_eq!(Reader::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).ue(), Err(Error::Golomb { bit: 0 }));
    }

    proptest! {
        #[test]
        fn fields_round_trip(fields in prop::collection::vec((any::<u32>(), 0usize..=32), 0..20)) {
            let mut writer = Writer::new();
            for &(value, count) in &fields {
                writer.bits(value, count);
            }
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            for (value, count) in fields {
                let low = if count == 32 { value } else { value & ((1 << count) - 1) };
                prop_assert_eq!(reader.bits(count), Ok(low));
            }
            prop_assert_eq!(reader.flag(), Ok(true));
        }

        #[test]
        fn codes_round_trip(codes in prop::collection::vec((0..u32::MAX, -i32::MAX..=i32::MAX), 0..20)) {
            let mut writer = Writer::new();
            for &(unsigned, signed) in &codes {
                writer.ue(unsigned);
                writer.se(signed);
            }
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            for (unsigned, signed) in codes {
                prop_assert_eq!(reader.ue(), Ok(unsigned));
                prop_assert_eq!(reader.se(), Ok(signed));
            }
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..24)) {
            let mut reader = Reader::new(&bytes);
            while reader.se().is_ok() {}
        }
    }
}
