//! `[transcode]`: when old footage is encoded anew, how, and what of it must hold.

use std::{path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Archive, validate::Problems};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcode {
    pub enabled: bool,
    /// Footage younger than this stays as recorded; fractions allowed.
    pub min_age_days: f64,
    /// Local time, `02:00-06:00`, several with commas; empty or `always` = any time.
    pub run_schedule: String,
    /// Percent of the whole machine that others than our own children may take.
    pub max_cpu_percent: f32,
    /// Percent of time in iowait.
    pub max_io_wait: f32,
    /// Whether pictures are compared too (SSIM).
    pub verify_quality: bool,
    pub codec: String,
    pub preset: String,
    /// 0 (best) to 51, as x265 counts; others are mapped.
    pub quality: u32,
    /// What was recorded stays beside its successor so long; 0 = not at all.
    pub keep_original_days: f64,
    pub min_free_space_gb: f64,
    /// Percent; people are warned when less is reached on average.
    pub target_space_savings: f64,
    /// Percent; a successor that saves less is thrown away.
    pub min_savings_percent: f64,
    pub pause_between_seconds: u64,
    /// Between two looks when there was nothing to do.
    pub idle_seconds: u64,
    pub error_pause_seconds: u64,
    /// For cards that wear out; 0 = no limit.
    pub max_write_bytes_per_day: u64,
    /// `[ffmpeg] path` without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ffmpeg_path: Option<PathBuf>,
}

impl Default for Transcode {
    fn default() -> Self {
        Self {
            enabled: true,
            min_age_days: 7.0,
            run_schedule: "02:00-06:00".into(),
            max_cpu_percent: 15.0,
            max_io_wait: 5.0,
            verify_quality: true,
            codec: "auto".into(),
            preset: "medium".into(),
            quality: 23,
            keep_original_days: 1.0,
            min_free_space_gb: 5.0,
            target_space_savings: 40.0,
            min_savings_percent: 10.0,
            pause_between_seconds: 60,
            idle_seconds: 3600,
            error_pause_seconds: 300,
            max_write_bytes_per_day: 0,
            ffmpeg_path: None,
        }
    }
}

const MINUTES: u16 = 24 * 60;

/// Windows of local time in minutes of the day, from and to; one that ends before it begins goes over midnight. Empty:
/// any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunWindows(pub Vec<(u16, u16)>);

impl FromStr for RunWindows {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim() {
            "" | "always" => Ok(Self::default()),
            text => text.split(',').map(window).collect::<Option<_>>().map(Self).ok_or(()),
        }
    }
}

/// `02:00-06:00`
fn window(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.trim().split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < MINUTES && from != to % MINUTES).then_some((from, to % MINUTES))
}

/// `06:00`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= MINUTES).then_some(at)
}

impl Transcode {
    pub const CODECS: [&str; 6] = ["auto", "hevc_qsv", "hevc_vaapi", "hevc_nvenc", "hevc_v4l2m2m", "libx265"];
    pub const PRESETS: [&str; 9] =
        ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

    /// Valid after validation; an invalid text means any time, which nobody gets past.
    pub fn windows(&self) -> RunWindows {
        self.run_schedule.parse().unwrap_or_default()
    }

    /// What stands in the way of every chunk, if something does: no footage ever gets so old.
    pub fn never(&self, archive: &Archive) -> Option<String> {
        let kept = f64::from(archive.window_hours) / 24.0 + archive.retention_days;
        (self.enabled && self.min_age_days > kept).then(|| {
            format!(
                "transcode.min_age_days = {} exceeds what is kept ({} days: archive.window_hours and \
                 archive.retention_days), so nothing will ever be transcoded",
                self.min_age_days,
                (kept * 100.0).round() / 100.0
            )
        })
    }

    pub(super) fn rules(&self, out: &mut Problems) {
        let days = 36_500.0;
        for (key, value) in [("min_age_days", self.min_age_days), ("keep_original_days", self.keep_original_days)] {
            out.check((0.0..=days).contains(&value), format!("transcode.{key}"), &value, "must be 0 to 36500 days");
        }
        for (key, value) in [
            ("max_cpu_percent", f64::from(self.max_cpu_percent)),
            ("max_io_wait", f64::from(self.max_io_wait)),
            ("target_space_savings", self.target_space_savings),
            ("min_savings_percent", self.min_savings_percent),
        ] {
            out.check((0.0..=100.0).contains(&value), format!("transcode.{key}"), &value, "must be 0 to 100 percent");
        }
        out.check(
            self.run_schedule.parse::<RunWindows>().is_ok(),
            "transcode.run_schedule",
            &self.run_schedule,
            "must be local times like \"02:00-06:00\", several with commas, or \"always\"",
        );
        for (key, value, known) in
            [("codec", &self.codec, &Self::CODECS[..]), ("preset", &self.preset, &Self::PRESETS[..])]
        {
            let rule = format!("must be one of {}", known.join(", "));
            out.check(known.contains(&value.as_str()), format!("transcode.{key}"), value, rule);
        }
        out.check(self.quality <= 51, "transcode.quality", &self.quality, "must be 0 (best) to 51");
        let space = self.min_free_space_gb;
        out.check((0.0..=1e6).contains(&space), "transcode.min_free_space_gb", &space, "must be 0 to 1000000");
        for (key, value) in [
            ("pause_between_seconds", self.pause_between_seconds),
            ("idle_seconds", self.idle_seconds),
            ("error_pause_seconds", self.error_pause_seconds),
        ] {
            out.check(value <= 86_400, format!("transcode.{key}"), &value, "must be 0 to 86400");
        }
        if let Some(path) = &self.ffmpeg_path {
            out.check(!path.as_os_str().is_empty(), "transcode.ffmpeg_path", path, "must name a program");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn schedules_are_windows_of_the_day() {
        let check = |text: &str, expected: Option<&[(u16, u16)]>| {
            let found = text.parse::<RunWindows>().ok();
            assert_eq!(found, expected.map(|windows| RunWindows(windows.to_vec())), "{text:?}");
        };
        check("", Some(&[]));
        check("always", Some(&[]));
        check("02:00-06:00", Some(&[(120, 360)]));
        check(" 22:30 - 5:00 , 12:00-13:00", Some(&[(1350, 300), (720, 780)]));
        check("00:00-24:00", None);
        check("20:00-24:00", Some(&[(1200, 0)]));
        for bad in ["02:00", "02:00-02:00", "2-6", "24:00-06:00", "02:60-06:00", "-1:00-06:00", "02:00-06:00,", "x"] {
            check(bad, None);
        }
    }

    #[test]
    fn each_rule_names_its_key() {
        for (line, part) in [
            ("min_age_days = -1.0", "min_age_days"),
            ("min_age_days = nan", "min_age_days"),
            ("run_schedule = \"25:00-06:00\"", "run_schedule"),
            ("max_cpu_percent = 101.0", "max_cpu_percent"),
            ("max_io_wait = -1.0", "max_io_wait"),
            ("codec = \"h264\"", "codec"),
            ("preset = \"warp\"", "preset"),
            ("quality = 52", "quality"),
            ("keep_original_days = 1e9", "keep_original_days"),
            ("min_free_space_gb = -5.0", "min_free_space_gb"),
            ("target_space_savings = 140.0", "target_space_savings"),
            ("min_savings_percent = -1.0", "min_savings_percent"),
            ("pause_between_seconds = 90000", "pause_between_seconds"),
            ("idle_seconds = 90000", "idle_seconds"),
            ("error_pause_seconds = 90000", "error_pause_seconds"),
            ("max_write_bytes_per_day = -1", "max_write_bytes_per_day"),
            ("ffmpeg_path = \"\"", "ffmpeg_path"),
        ] {
            let problems = parse(&format!("[transcode]\n{line}")).expect_err(line);
            assert_eq!(problems[0].path, format!("transcode.{part}"), "{line}");
        }
        assert!(parse("[transcode]\nmin_age_days = 0.02\nrun_schedule = \"\"\nmax_write_bytes_per_day = 5").is_ok());
    }

    #[test]
    fn what_never_qualifies_is_told() {
        let check = |text: &str, never: bool| {
            let settings = parse(text).unwrap();
            assert_eq!(settings.transcode.never(&settings.archive).is_some(), never, "{text}");
        };
        check("", true);
        check("[transcode]\nenabled = false", false);
        check("[transcode]\nmin_age_days = 1.0", false);
        check("[archive]\nretention_days = 5.5", true);
        check("[archive]\nretention_days = 6.0", false);
    }
}
