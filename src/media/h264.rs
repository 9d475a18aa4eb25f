//! H.264 headers: what a NAL unit is, what an SPS says, the decoder record and codec string MP4 needs.
//!
//! Clauses are of ITU-T H.264 (08/2021) and ISO/IEC 14496-15:2022.

use super::bits::{Bits, rbsp};

pub const NAL_IDR: u8 = 5;
pub const NAL_SPS: u8 = 7;
pub const NAL_PPS: u8 = 8;

/// `nal_unit_type` (table 7-1); 0 (unspecified) for no bytes.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Carries picture data: slices and data partitions.
pub fn is_vcl(nal_type: u8) -> bool {
    (1..=5).contains(&nal_type)
}

/// What a sequence parameter set says about every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    pub profile_idc: u8,
    pub constraints: u8,
    pub level_idc: u8,
    pub chroma_format_idc: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    /// Cropped, in pixels.
    pub width: u16,
    pub height: u16,
    /// `frame_mbs_only_flag`: no picture consists of fields.
    pub whole_frames: bool,
    /// VUI `(time_scale, 2 × num_units_in_tick)`: frames per second as a fraction; None when absent or zero.
    pub frame_rate: Option<(u32, u64)>,
}

impl Sps {
    /// Parses a whole NAL unit (header included, still escaped), clause 7.3.2.1.1. None when it is cut or absurd.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        if nal_type(nal) != NAL_SPS {
            return None;
        }
        let bytes = rbsp(nal.get(1..)?);
        let mut bits = Bits::new(&bytes);
        let profile_idc = bits.read(8)? as u8;
        let constraints = bits.read(8)? as u8;
        let level_idc = bits.read(8)? as u8;
        bits.unsigned()?; // seq_parameter_set_id
        let mut sps = Self {
            profile_idc,
            constraints,
            level_idc,
            chroma_format_idc: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            width: 0,
            height: 0,
            whole_frames: true,
            frame_rate: None,
        };
        if has_chroma_info(profile_idc) {
            sps.read_chroma_info(&mut bits)?;
        }
        skip_picture_order(&mut bits)?;
        bits.unsigned()?; // max_num_ref_frames
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        sps.read_size(&mut bits)?;
        // A damaged VUI costs the frame rate only: the picture can still be decoded and stored.
        sps.frame_rate = read_frame_rate(&mut bits);
        Some(sps)
    }

    fn read_chroma_info(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.chroma_format_idc = u8::try_from(bits.unsigned()?).ok().filter(|idc| *idc <= 3)?;
        if self.chroma_format_idc == 3 {
            bits.flag()?; // separate_colour_plane_flag
        }
        self.bit_depth_luma = read_bit_depth(bits)?;
        self.bit_depth_chroma = read_bit_depth(bits)?;
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if self.chroma_format_idc == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(())
    }

    fn read_size(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let width_mbs = bits.unsigned()?.checked_add(1)?;
        let height_units = bits.unsigned()?.checked_add(1)?;
        let frame_mbs_only = bits.flag()?;
        if !frame_mbs_only {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        self.whole_frames = frame_mbs_only;
        let field_factor = if frame_mbs_only { 1 } else { 2 };
        let (mut width, mut height) = (width_mbs.checked_mul(16)?, height_units.checked_mul(16 * field_factor)?);
        if bits.flag()? {
            // Crop units depend on the chroma format (equations 7-19 to 7-22).
            let (unit_x, unit_y) = match self.chroma_format_idc {
                1 => (2, 2 * field_factor),
                2 => (2, field_factor),
                _ => (1, field_factor),
            };
            let [left, right, top, bottom] = [bits.unsigned()?, bits.unsigned()?, bits.unsigned()?, bits.unsigned()?];
            width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
            height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
        }
        self.width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        self.height = u16::try_from(height).ok().filter(|height| *height > 0)?;
        Some(())
    }
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 clause 5.3.3.1) with 4-byte NAL lengths. `parameter_sets` are whole
/// NAL units; others than SPS and PPS are left out. None without a usable SPS and a PPS.
pub fn avcc(parameter_sets: &[Vec<u8>]) -> Option<Vec<u8>> {
    let of_type = |wanted: u8| {
        let fits = move |nal: &&Vec<u8>| nal_type(nal) == wanted && u16::try_from(nal.len()).is_ok();
        parameter_sets.iter().filter(fits)
    };
    let sps = of_type(NAL_SPS).find_map(|nal| Sps::parse(nal))?;
    // The counts have 5 and 8 bits.
    let sps_list: Vec<_> = of_type(NAL_SPS).take(31).collect();
    let pps_list: Vec<_> = of_type(NAL_PPS).take(255).collect();
    if pps_list.is_empty() {
        return None;
    }
    let mut record = vec![1, sps.profile_idc, sps.constraints, sps.level_idc, 0xfc | 3, 0xe0 | sps_list.len() as u8];
    sps_list.iter().for_each(|nal| push_nal(&mut record, nal));
    record.push(pps_list.len() as u8);
    pps_list.iter().for_each(|nal| push_nal(&mut record, nal));
    if has_chroma_info(sps.profile_idc) {
        record.extend([
            0xfc | sps.chroma_format_idc,
            0xf8 | (sps.bit_depth_luma - 8),
            0xf8 | (sps.bit_depth_chroma - 8),
            0,
        ]);
    }
    Some(record)
}

/// `avc1.64001f` (RFC 6381 clause 3.3). None without a usable SPS.
pub fn codec_string(parameter_sets: &[Vec<u8>]) -> Option<String> {
    let sps = parameter_sets.iter().find_map(|nal| Sps::parse(nal))?;
    Some(format!("avc1.{:02x}{:02x}{:02x}", sps.profile_idc, sps.constraints, sps.level_idc))
}

pub(super) fn push_nal(record: &mut Vec<u8>, nal: &[u8]) {
    record.extend((nal.len() as u16).to_be_bytes());
    record.extend_from_slice(nal);
}

/// Profiles whose SPS carries chroma format and bit depth (clause 7.3.2.1.1).
fn has_chroma_info(profile_idc: u8) -> bool {
    matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn read_bit_depth(bits: &mut Bits<'_>) -> Option<u8> {
    let minus8 = bits.unsigned()?;
    (minus8 <= 6).then_some(8 + minus8 as u8)
}

/// Clause 7.3.2.1.1.1; the list itself is of no interest.
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = (last.wrapping_add(bits.signed()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    bits.unsigned()?; // log2_max_frame_num_minus4
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.signed()?; // offset_for_non_ref_pic
            bits.signed()?; // offset_for_top_to_bottom_field
            // At most 255 (clause 7.4.2.1.1); the reader ends sooner on a lie.
            for _ in 0..bits.unsigned()? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// VUI timing, clause E.1.1. `time_scale` counts field ticks, hence the factor 2.
fn read_frame_rate(bits: &mut Bits<'_>) -> Option<(u32, u64)> {
    bits.skip_vui_picture_description()?;
    if !bits.flag()? {
        return None;
    }
    let num_units_in_tick = bits.read(32)?;
    let time_scale = bits.read(32)?;
    (num_units_in_tick > 0 && time_scale > 0).then_some((time_scale, 2 * u64::from(num_units_in_tick)))
}
