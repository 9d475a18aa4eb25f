//! What is seen and heard now.

use super::*;
use crate::{
    frames::{Frame, Observation, Sound},
    storage::layout::PictureKind,
};

impl Host {
    fn sees(&self, observation: Observation) {
        let jpeg = bytes::Bytes::new();
        let seen = self.state.clock.mono();
        let frame = Frame { key: observation.key, at: observation.at, seen, jpeg };
        (self.device().latest.witness())(&observation, &frame);
    }
}

fn dark(number: u64) -> Observation {
    Observation {
        key: SegmentKey { epoch: Epoch(7), number },
        at: NOW + -18_000,
        black: Some(true),
        black_percent: Some(99.5),
        sound: Sound {
            silent: Some(false),
            mean_volume_db: Some(-20.5),
            volume_percentage: Some(65),
            ..Sound::default()
        },
        ..Observation::default()
    }
}

#[test]
fn the_newest_verdict_is_told_and_goes_stale() {
    let host = Host::start();
    let path = "/host/stream/cam/captures/latest.json";
    let none = host.get(path);
    assert_eq!((none.status, none.json()["error"]["kind"].as_str()), (503, Some("stale")));
    host.sees(dark(420));
    let told = host.get(path);
    assert_eq!((told.status, told.header("cache-control")), (200, Some("no-store")));
    let expected = serde_json::json!({
        "blackscreen": true, "freeze": null, "audio": true, "volume_percentage": 65, "mean_volume_db": -20.5,
        "no_signal": null, "black_percent": 99.5, "freeze_diff": null, "t": 1_699_999_999.8, "frame": "7_000000420",
    });
    assert_eq!(told.json(), expected);
    host.manual.advance(Duration::from_millis(3000));
    assert_eq!(host.get(path).status, 200);
    host.manual.advance(Duration::from_millis(1));
    let stale = host.get(path);
    assert_eq!((stale.status, stale.header("retry-after")), (503, Some("1")));
    assert_eq!(host.get("/host/stream/other/captures/latest.json").status, 404);
}

#[test]
fn the_state_tells_verdicts_and_counts() {
    let host = Host::start();
    let analysis = |host: &Host| host.get("/api/host/state").json()["devices"][0]["analysis"].clone();
    let unknown = analysis(&host);
    assert!(unknown["blackscreen"].is_null() && unknown["at"].is_null() && unknown["age_seconds"].is_null());
    host.sees(dark(1));
    host.device().metrics.frames_dropped.inc_by(3);
    host.manual.advance(Duration::from_secs(4));
    let told = analysis(&host);
    assert_eq!((told["blackscreen"].as_bool(), told["audio"].as_bool()), (Some(true), Some(true)));
    assert_eq!((told["dropped"].as_u64(), told["age_seconds"].as_f64()), (Some(3), Some(4.0)));
    assert_eq!(told["at"], "2023-11-14T22:13:19.800Z");
}

#[test]
fn the_newest_picture_has_an_address_that_says_so() {
    let host = Host::start();
    let path = "/host/stream/cam/captures/latest.jpg";
    assert_eq!(host.get(path).status, 503);
    host.picture(PictureKind::Capture, 1, b"first");
    let newest = host.get(path);
    assert_eq!((newest.status, newest.text()), (200, "first"));
    assert_eq!(newest.header("content-type"), Some("image/jpeg"));
    host.manual.advance(Duration::from_millis(3001));
    assert_eq!(host.get(path).json()["error"]["kind"], "stale");
}
