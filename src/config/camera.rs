//! One camera by itself, as it comes and goes over the API: read by the rules of the file, shown without its passwords.

use serde_json::Value;

use super::{Camera, Detect, Live, Problem, Settings, Source, load::camera_from, redact, secret::reveal};

/// Cameras that may run on one host: what its threads, watches and queues are made for.
pub const ENABLED_MAX: usize = 64;
/// And with those that are off.
pub const CAMERAS_MAX: usize = 256;

impl Camera {
    /// From JSON of the shape of `[[camera]]`. The paths of problems count from the camera: `source.url`.
    pub fn read(value: &Value, settings: &Settings) -> Result<Self, Vec<Problem>> {
        let camera = camera_from(value).map_err(|problem| vec![problem])?;
        let problems = camera.problems(settings);
        if problems.is_empty() { Ok(camera) } else { Err(problems) }
    }

    /// Without what opens its source.
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        if let Some(url) = shown.source.url_mut() {
            *url = redact(url);
        }
        shown
    }

    /// Puts the passwords of `stored` where this one shows the mask.
    pub fn reveal(&mut self, stored: Option<&Self>) -> Result<(), Problem> {
        let Some(url) = self.source.url_mut() else { return Ok(()) };
        let whole = reveal(url, stored.and_then(|stored| stored.source.url()));
        let rule = "hides a password that is not known here: type it again";
        *url = whole.ok_or_else(|| Problem::new("source.url", Some(url), rule))?;
        Ok(())
    }

    /// Whether the recorder would do the very same: only names, thresholds and the live window differ.
    pub fn records_like(&self, other: &Self) -> bool {
        let bare = |camera: &Self| Self {
            name: String::new(),
            area: String::new(),
            live: Live::default(),
            detect: Default::default(),
            ..camera.clone()
        };
        bare(self) == bare(other)
    }
}

impl Source {
    /// Where a password may be.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Rtsp(rtsp) => Some(&rtsp.url),
            Self::Http(http) => Some(&http.url),
            Self::Test(_) | Self::File(_) | Self::V4l2(_) | Self::Screen(_) | Self::Replay(_) => None,
        }
    }

    fn url_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Rtsp(rtsp) => Some(&mut rtsp.url),
            Self::Http(http) => Some(&mut http.url),
            Self::Test(_) | Self::File(_) | Self::V4l2(_) | Self::Screen(_) | Self::Replay(_) => None,
        }
    }
}

impl Detect {
    /// What is wrong with these, by the paths of their keys.
    pub fn broken(&self) -> Vec<Problem> {
        let told = self.problems().into_iter();
        told.map(|(key, value, rule)| Problem { path: key.to_owned(), value: Some(value), rule: rule.to_owned() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(value: Value) -> Vec<String> {
        let settings = Settings::default();
        let problems = Camera::read(&value, &settings).expect_err("must be refused");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_paths_of_problems_count_from_the_camera() {
        let check = |value: Value, parts: &[&str]| {
            let told = refused(value).join("; ");
            assert!(parts.iter().all(|part| told.contains(part)), "{told:?} should say {parts:?}");
        };
        check(json!({"source": {"kind": "test"}}), &["id", "missing"]);
        check(json!({"id": "a"}), &["source", "missing"]);
        check(json!({"id": "../a", "source": {"kind": "test"}}), &["id", "../a", "letters"]);
        check(json!({"id": "a", "source": {"kind": "telepathy"}}), &["source", "telepathy"]);
        check(json!({"id": "a", "source": {"kind": "test"}, "colour": 1}), &["colour", "unknown field"]);
        check(json!({"id": "a", "source": {"kind": "rtsp", "url": "file:///x"}}), &["source.url = ", "rtsp://"]);
        check(json!({"id": "a", "source": {"kind": "file", "path": "x.mp4"}}), &["source.path = ", "absolute"]);
        check(json!({"id": "a", "source": {"kind": "test"}, "fps": 500}), &["fps = 500", "120"]);
        check(
            json!({"id": "a", "source": {"kind": "test"}, "detect": {"black_share": 7.0}}),
            &["detect.black_share = ", "7", "below 1"],
        );
        check(json!({"id": "a", "source": {"kind": "test", "tone": "loud"}}), &["source.tone = ", "loud", "u32"]);
        check(json!({"id": "a", "source": {"kind": "screen", "display": ":0", "size": "big"}}), &["source.size = ", "big"]);
        check(json!({"id": "a", "source": {"kind": "test", "colour": 1}}), &["source.colour", "unknown field"]);
        check(json!([]), &["invalid"]);
        check(json!({"id": "a", "source": {"kind": "rtsp", "url": "rtps://u:hidden@h/"}}), &["***@h"]);
        assert!(
            !refused(json!({"id": "a", "source": {"kind": "rtsp", "url": ["rtsp://u:hidden@h/"]}}))[0]
                .contains("hidden")
        );
    }

    #[test]
    fn the_nested_form_is_read_too_and_passwords_come_back_by_their_mask() {
        let settings = Settings::default();
        let read = |url: &str| Camera::read(&json!({"id": "a", "source": {"rtsp": {"url": url}}}), &settings).unwrap();
        let stored = read("rtsp://me:secret@h/one");
        assert_eq!(stored.shown().source.url(), Some("rtsp://***@h/one"));
        let mut again = read("rtsp://***@h/two");
        again.reveal(Some(&stored)).unwrap();
        assert_eq!(again.source.url(), Some("rtsp://me:secret@h/two"));
        let refused = read("rtsp://***@elsewhere/two").reveal(Some(&stored)).unwrap_err();
        assert_eq!(refused.path, "source.url");
    }

    #[test]
    fn names_thresholds_and_the_live_window_change_nothing_of_the_recording() {
        let settings = Settings::default();
        let read = |more: Value| {
            let mut value = json!({"id": "a", "source": {"kind": "test"}});
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Camera::read(&value, &settings).unwrap()
        };
        let check = |more: Value, same: bool| assert_eq!(read(json!({})).records_like(&read(more)), same);
        check(json!({"name": "Lobby", "area": "Ground", "detect": {"black_luma": 3}, "live": {"segments": 9}}), true);
        check(json!({"enabled": false}), false);
        check(json!({"fps": 5}), false);
        check(json!({"source": {"kind": "test", "tone": 0}}), false);
    }
}
