//! Reads single bits and Exp-Golomb numbers out of parameter sets; past the end it says None, never panics.

/// A cursor over the bits of an RBSP (a NAL unit with its emulation prevention taken out).
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.bit / 8)?;
        let flag = byte >> (7 - self.bit % 8) & 1 == 1;
        self.bit += 1;
        Some(flag)
    }

    /// `u(n)`, n ≤ 32.
    pub(crate) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.bit = self.bit.checked_add(count)?;
        (self.bit <= self.bytes.len() * 8).then_some(())
    }

    /// `ue(v)`, ITU-T H.264 clause 9.1.
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        // 2^zeros - 1 + suffix fits: zeros ≤ 31.
        Some(((1u64 << zeros) - 1) as u32 + self.read(zeros)?)
    }

    /// `se(v)`, ITU-T H.264 clause 9.1.1.
    pub(crate) fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 0 { -magnitude } else { magnitude }).ok()
    }

    /// From `vui_parameters_present_flag` to the chroma location, where H.264 (clause E.1.1) and H.265 (clause E.2.1)
    /// agree. None without a VUI, too: what follows is not there then.
    pub(crate) fn skip_vui_picture_description(&mut self) -> Option<()> {
        const EXTENDED_SAR: u32 = 255;
        if !self.flag()? {
            return None;
        }
        if self.flag()? && self.read(8)? == EXTENDED_SAR {
            self.skip(32)?;
        }
        if self.flag()? {
            self.flag()?; // overscan_appropriate_flag
        }
        if self.flag()? {
            self.skip(4)?; // video_format, video_full_range_flag
            if self.flag()? {
                self.skip(24)?; // colour description
            }
        }
        if self.flag()? {
            self.unsigned()?; // chroma_sample_loc_type_top_field
            self.unsigned()?;
        }
        Some(())
    }
}

/// The payload of a NAL unit without emulation prevention bytes (ITU-T H.264 clause 7.4.1: `00 00 03` → `00 00`).
pub(crate) fn rbsp(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
pub(crate) mod testing {
    /// Writes what [`super::Bits`] reads.
    #[derive(Default)]
    pub(crate) struct BitWriter(Vec<bool>);

    impl BitWriter {
        pub(crate) fn put(&mut self, count: u32, value: u32) -> &mut Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        pub(crate) fn ue(&mut self, value: u32) -> &mut Self {
            let bits = u32::BITS - (value + 1).leading_zeros();
            self.put(bits - 1, 0).put(bits, value + 1)
        }

        pub(crate) fn se(&mut self, value: i32) -> &mut Self {
            self.ue(if value > 0 { value as u32 * 2 - 1 } else { value.unsigned_abs() * 2 })
        }

        /// Ends a chain whose value nobody wants.
        pub(crate) fn end(&mut self) {}

        /// Stop bit, header in front, emulation prevention (clause 7.4.1).
        pub(crate) fn into_nal(mut self, header: &[u8]) -> Vec<u8> {
            self.0.push(true);
            let mut nal = header.to_vec();
            let mut zeros = 0;
            for chunk in self.0.chunks(8) {
                let byte = chunk.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << (7 - i));
                if zeros >= 2 && byte <= 3 {
                    nal.push(3);
                    zeros = 0;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                nal.push(byte);
            }
            nal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes() {
        // 1 | 010 | 011 | 00100 | 00101: 0, 1, 2, 3, 4 unsigned.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        assert_eq!([(); 5].map(|()| bits.unsigned()), [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let mut bits = Bits::new(&bytes);
        assert_eq!([(); 5].map(|()| bits.signed()), [Some(0), Some(1), Some(-1), Some(2), Some(-2)]);
    }

    #[test]
    fn the_end_is_none() {
        assert_eq!(Bits::new(&[]).flag(), None);
        assert_eq!(Bits::new(&[0; 8]).unsigned(), None, "64 zeros are no number");
        assert_eq!(Bits::new(&[0xff]).read(9), None);
        assert_eq!(Bits::new(&[0xff]).skip(9), None);
    }

    #[test]
    fn emulation_prevention_goes() {
        assert_eq!(rbsp(&[1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [1, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(rbsp(&[0, 3, 0, 0, 4]), [0, 3, 0, 0, 4]);
    }
}
