//! Settings of watching: what counts as black, frozen or silent, when that is an incident, and who is told.

use serde::{Deserialize, Serialize};

use super::Camera;

/// How much of the machine watching may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Analysis {
    pub enabled: bool,
    /// Threads of the pool; 0 = one less than there are cores, at least 1.
    pub threads: usize,
    /// Frames of one device that may wait; then the oldest go.
    pub queue: usize,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { enabled: true, threads: 0, queue: 1000 }
    }
}

/// Thresholds. The defaults are those of design §7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detect {
    /// Luma up to which a pixel is dark, of full range (0–255).
    pub black_luma: u8,
    /// A picture is black when more than this part of the rows looked at is dark (0–1).
    pub black_share: f32,
    /// First and last row that is looked at, in percent of the height: below are clocks and tickers.
    pub black_rows: [u8; 2],
    /// A change of fewer connected pixels than this is no motion.
    pub freeze_min_pixels: u32,
    /// When true, a small moving thing (a spinner, a clock) does not count as motion.
    pub ignore_small_motion: bool,
    /// Sound below this is silence, dBFS.
    pub silence_db: f32,
    /// Trouble must last so long, in media time, before it is an incident.
    pub open_after_seconds: f32,
    /// It must be gone so long before the incident is over.
    pub close_after_seconds: f32,
    /// Trouble that comes back within this continues the incident before.
    pub join_gap_seconds: f32,
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            black_luma: 10,
            black_share: 0.95,
            black_rows: [5, 70],
            freeze_min_pixels: 12,
            ignore_small_motion: false,
            silence_db: -50.0,
            open_after_seconds: 2.0,
            close_after_seconds: 1.0,
            join_gap_seconds: 3.0,
        }
    }
}

/// What a camera says differently.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectOverride {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub black_luma: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub black_share: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub black_rows: Option<[u8; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_min_pixels: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_small_motion: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_db: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_after_seconds: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_after_seconds: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_gap_seconds: Option<f32>,
}

impl Detect {
    /// What holds for one camera.
    pub fn of(&self, camera: &Camera) -> Self {
        self.with(&camera.detect)
    }

    /// With what is said differently.
    pub fn with(&self, own: &DetectOverride) -> Self {
        Self {
            black_luma: own.black_luma.unwrap_or(self.black_luma),
            black_share: own.black_share.unwrap_or(self.black_share),
            black_rows: own.black_rows.unwrap_or(self.black_rows),
            freeze_min_pixels: own.freeze_min_pixels.unwrap_or(self.freeze_min_pixels),
            ignore_small_motion: own.ignore_small_motion.unwrap_or(self.ignore_small_motion),
            silence_db: own.silence_db.unwrap_or(self.silence_db),
            open_after_seconds: own.open_after_seconds.unwrap_or(self.open_after_seconds),
            close_after_seconds: own.close_after_seconds.unwrap_or(self.close_after_seconds),
            join_gap_seconds: own.join_gap_seconds.unwrap_or(self.join_gap_seconds),
        }
    }

    /// Each broken rule: key, value, what would be right.
    pub(super) fn problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut out = Vec::new();
        let mut check = |fine: bool, key, value: String, rule| {
            if !fine {
                out.push((key, value, rule));
            }
        };
        let [first, last] = self.black_rows;
        check(
            (0.0..1.0).contains(&self.black_share),
            "black_share",
            self.black_share.to_string(),
            "must be 0 to below 1",
        );
        check(
            first < last && last <= 100,
            "black_rows",
            format!("{:?}", self.black_rows),
            "must be [from, to] in percent",
        );
        check(
            (1..=100_000).contains(&self.freeze_min_pixels),
            "freeze_min_pixels",
            self.freeze_min_pixels.to_string(),
            "must be 1 to 100000",
        );
        check(
            (-120.0..=0.0).contains(&self.silence_db),
            "silence_db",
            self.silence_db.to_string(),
            "must be -120 to 0 dBFS",
        );
        let times = [
            ("open_after_seconds", self.open_after_seconds),
            ("close_after_seconds", self.close_after_seconds),
            ("join_gap_seconds", self.join_gap_seconds),
        ];
        for (key, seconds) in times {
            check((0.0..=3600.0).contains(&seconds), key, seconds.to_string(), "must be 0 to 3600 s");
        }
        out
    }
}

/// Which full-size pictures are copied from hot to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Captures {
    /// Those that prove an incident.
    #[default]
    Incidents,
    /// All of them, for `captures_hours`: more bytes than the video itself.
    All,
    None,
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    pub webhook: Vec<Webhook>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub url: String,
    /// Signs each request (HMAC-SHA256); empty = unsigned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// `device_up device_down incident_opened incident_closed recording_lost`; empty = all of them.
    #[serde(default)]
    pub kinds: Vec<String>,
}

/// Without the secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &super::redact(&self.url)).field("kinds", &self.kinds).finish()
    }
}
