//! H.265 headers: what a NAL unit is, what an SPS says, the decoder record and codec string MP4 needs.
//!
//! Clauses are of ITU-T H.265 (08/2021) and ISO/IEC 14496-15:2022.

use super::{
    bits::{Bits, rbsp},
    h264::push_nal,
};

pub const NAL_VPS: u8 = 32;
pub const NAL_SPS: u8 = 33;
pub const NAL_PPS: u8 = 34;

/// `nal_unit_type` (table 7-1); 63 (unspecified) for no bytes.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |header| header >> 1 & 0x3f)
}

/// Carries picture data: slice segments.
pub fn is_vcl(nal_type: u8) -> bool {
    nal_type < 32
}

/// An intra random access point: BLA, IDR or CRA (16–21; 22 and 23 are reserved).
pub fn is_irap(nal_type: u8) -> bool {
    (16..=21).contains(&nal_type)
}

/// The 12 bytes of `profile_tier_level` that name a conformance point (clause 7.3.3), as `hvcC` stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// profile_space (2 bits), tier_flag (1), profile_idc (5).
    pub profile: u8,
    pub compatibility: u32,
    pub constraints: [u8; 6],
    pub level_idc: u8,
}

/// What a sequence parameter set says about every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    pub profile: ProfileTierLevel,
    pub temporal_layers: u8,
    pub temporal_id_nested: bool,
    pub chroma_format_idc: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    /// Cropped to the conformance window, in pixels.
    pub width: u16,
    pub height: u16,
    /// VUI `(time_scale, num_units_in_tick)`: frames per second as a fraction; None when absent or zero.
    pub frame_rate: Option<(u32, u64)>,
}

impl Sps {
    /// Parses a whole NAL unit (2-byte header included, still escaped), clause 7.3.2.2.1. None when it is cut or absurd.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        if nal_type(nal) != NAL_SPS {
            return None;
        }
        let bytes = rbsp(nal.get(2..)?);
        let mut bits = Bits::new(&bytes);
        bits.read(4)?; // sps_video_parameter_set_id
        let max_sub_layers_minus1 = bits.read(3)?;
        let temporal_id_nested = bits.flag()?;
        let profile = read_profile_tier_level(&mut bits, max_sub_layers_minus1)?;
        bits.unsigned()?; // sps_seq_parameter_set_id
        let chroma_format_idc = u8::try_from(bits.unsigned()?).ok().filter(|idc| *idc <= 3)?;
        if chroma_format_idc == 3 {
            bits.flag()?; // separate_colour_plane_flag
        }
        let (width, height) = read_size(&mut bits, chroma_format_idc)?;
        let bit_depth_luma = read_bit_depth(&mut bits)?;
        let bit_depth_chroma = read_bit_depth(&mut bits)?;
        Some(Self {
            profile,
            temporal_layers: max_sub_layers_minus1 as u8 + 1,
            temporal_id_nested,
            chroma_format_idc,
            bit_depth_luma,
            bit_depth_chroma,
            width,
            height,
            // What follows is long and only the frame rate is of use: damage there costs no more than that.
            frame_rate: read_to_vui(&mut bits, max_sub_layers_minus1).and_then(|()| read_frame_rate(&mut bits)),
        })
    }
}

/// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 clause 8.3.3.1) with 4-byte NAL lengths. None without a usable
/// SPS, a VPS and a PPS. `array_completeness` is 1 because `hvc1` demands it; repeats in-band do no harm.
pub fn hvcc(parameter_sets: &[Vec<u8>]) -> Option<Vec<u8>> {
    let sps = parameter_sets.iter().find_map(|nal| Sps::parse(nal))?;
    let mut record = vec![1, sps.profile.profile];
    record.extend(sps.profile.compatibility.to_be_bytes());
    record.extend(sps.profile.constraints);
    record.push(sps.profile.level_idc);
    record.extend([0xf0, 0]); // min_spatial_segmentation_idc: unknown
    record.push(0xfc); // parallelismType: unknown
    record.push(0xfc | sps.chroma_format_idc);
    record.push(0xf8 | (sps.bit_depth_luma - 8));
    record.push(0xf8 | (sps.bit_depth_chroma - 8));
    record.extend([0, 0]); // avgFrameRate: unspecified
    record.push(sps.temporal_layers << 3 | u8::from(sps.temporal_id_nested) << 2 | 3);
    record.push(3);
    for wanted in [NAL_VPS, NAL_SPS, NAL_PPS] {
        let fits = |nal: &&Vec<u8>| nal_type(nal) == wanted && u16::try_from(nal.len()).is_ok();
        let list: Vec<_> = parameter_sets.iter().filter(fits).take(usize::from(u16::MAX)).collect();
        if list.is_empty() {
            return None;
        }
        record.push(0x80 | wanted);
        record.extend((list.len() as u16).to_be_bytes());
        list.iter().for_each(|nal| push_nal(&mut record, nal));
    }
    Some(record)
}

/// `hvc1.1.6.L93.B0` (ISO/IEC 14496-15 annex E.3). None without a usable SPS.
pub fn codec_string(parameter_sets: &[Vec<u8>]) -> Option<String> {
    let ptl = parameter_sets.iter().find_map(|nal| Sps::parse(nal))?.profile;
    let space = ["", "A", "B", "C"][usize::from(ptl.profile >> 6)];
    let tier = if ptl.profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = ptl.compatibility.reverse_bits();
    let mut text = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", ptl.profile & 0x1f, ptl.level_idc);
    let used = ptl.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in ptl.constraints.iter().take(used) {
        text.push_str(&format!(".{byte:X}"));
    }
    Some(text)
}

fn read_profile_tier_level(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<ProfileTierLevel> {
    let profile = bits.read(8)? as u8;
    let compatibility = bits.read(32)?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.read(8)? as u8;
    }
    let level_idc = bits.read(8)? as u8;
    let mut sub_layer_bits = 0;
    for _ in 0..max_sub_layers_minus1 {
        sub_layer_bits += 88 * usize::from(bits.flag()?) + 8 * usize::from(bits.flag()?);
    }
    if max_sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - max_sub_layers_minus1 as usize))?; // reserved_zero_2bits up to 8 layers
    }
    bits.skip(sub_layer_bits)?;
    Some(ProfileTierLevel { profile, compatibility, constraints, level_idc })
}

fn read_size(bits: &mut Bits<'_>, chroma_format_idc: u8) -> Option<(u16, u16)> {
    let (mut width, mut height) = (bits.unsigned()?, bits.unsigned()?);
    if bits.flag()? {
        // Conformance window offsets count chroma samples (table 6-1).
        let (unit_x, unit_y) = match chroma_format_idc {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = [bits.unsigned()?, bits.unsigned()?, bits.unsigned()?, bits.unsigned()?];
        width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
        height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    }
    let in_range = |size: u32| u16::try_from(size).ok().filter(|size| *size > 0);
    Some((in_range(width)?, in_range(height)?))
}

fn read_bit_depth(bits: &mut Bits<'_>) -> Option<u8> {
    let minus8 = bits.unsigned()?;
    (minus8 <= 7).then_some(8 + minus8 as u8)
}

/// Everything between the bit depths and `vui_parameters_present_flag`.
fn read_to_vui(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<()> {
    let poc_lsb_bits = bits.unsigned()?.checked_add(4).filter(|bits| *bits <= 16)?;
    let ordering_of_all_layers = bits.flag()?;
    for _ in 0..if ordering_of_all_layers { max_sub_layers_minus1 + 1 } else { 1 } {
        for _ in 0..3 {
            bits.unsigned()?; // buffering, reordering, latency
        }
    }
    for _ in 0..6 {
        bits.unsigned()?; // block sizes and hierarchy depths
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // pcm bit depths
        bits.unsigned()?;
        bits.unsigned()?;
        bits.flag()?;
    }
    skip_short_term_ref_pic_sets(bits)?;
    if bits.flag()? {
        // At most 32 long-term pictures (clause 7.4.3.2.1).
        for _ in 0..bits.unsigned().filter(|count| *count <= 32)? {
            bits.skip(poc_lsb_bits as usize + 1)?;
        }
    }
    bits.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
}

/// Clause 7.3.4.
fn skip_scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size_id in 0..4u32 {
        for _ in 0..if size_id == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.unsigned()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size_id > 1 {
                bits.signed()?; // scaling_list_dc_coef_minus8
            }
            for _ in 0..(1u32 << (4 + (size_id << 1))).min(64) {
                bits.signed()?;
            }
        }
    }
    Some(())
}

/// Clause 7.3.7. Only the number of pictures of each set is followed: a set predicted from the one before needs it.
fn skip_short_term_ref_pic_sets(bits: &mut Bits<'_>) -> Option<()> {
    let sets = bits.unsigned().filter(|count| *count <= 64)?;
    let mut pictures = 0u32;
    for set in 0..sets {
        if set > 0 && bits.flag()? {
            bits.flag()?; // delta_rps_sign
            bits.unsigned()?; // abs_delta_rps_minus1
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = bits.flag()?;
                if used || bits.flag()? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            let negative = bits.unsigned().filter(|count| *count <= 16)?;
            let positive = bits.unsigned().filter(|count| *count <= 16)?;
            pictures = negative + positive;
            for _ in 0..pictures {
                bits.unsigned()?; // delta_poc_minus1
                bits.flag()?; // used_by_curr_pic_flag
            }
        }
    }
    Some(())
}

/// VUI timing, clause E.2.1. Unlike H.264 a tick is a whole frame.
fn read_frame_rate(bits: &mut Bits<'_>) -> Option<(u32, u64)> {
    bits.skip_vui_picture_description()?;
    bits.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.unsigned()?; // default display window
        }
    }
    if !bits.flag()? {
        return None;
    }
    let num_units_in_tick = bits.read(32)?;
    let time_scale = bits.read(32)?;
    (num_units_in_tick > 0 && time_scale > 0).then_some((time_scale, u64::from(num_units_in_tick)))
}
