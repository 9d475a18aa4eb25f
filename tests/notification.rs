//! From a bad frame to a program that is told of it: the way of a notification, through the real parts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{net::TcpListener, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use capstan::{
    clock::{Clock, Utc90k, ticks_90k},
    config::{Detect, Webhook, receivers},
    events::Events,
    frames::Observation,
    ids::{DeviceId, Epoch, SegmentKey},
    incident::{Book, Incident, Owner, Tracker, TrackerParts},
    notify::{Notifier, NotifierParts},
    storage::{HotDevice, HotLayout, HotLimits},
    telemetry::Metrics,
};
use common::{now, receiver::receive, until};

struct NoBook;

impl Book for NoBook {
    fn save(&self, _: &Incident) {}
}

/// The frames are a burst here; in media time the incident is told with the frame 2.0 s after the first bad one, and
/// what the way from there takes is measured.
#[test]
fn a_black_picture_is_told_within_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let told = receive(listener);
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let events = Events::new(clock.clone());
    let kinds = vec!["incident_opened".into(), "incident_closed".into()];
    let webhooks = [Webhook { url, secret: "key".into(), kinds }];
    let notifier = Notifier::start(NotifierParts {
        host: "studio".into(),
        events: &events,
        clock: clock.clone(),
        metrics: metrics.clone(),
        log: log.clone(),
    });
    let notifier = notifier.unwrap();
    notifier.replace(&receivers(&webhooks, b"")).unwrap();
    let device: DeviceId = "cam".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let limits = HotLimits { segments: 5, segment_max_age: None, captures: 3, thumbnails: 3, device_bytes: 1 << 20 };
    let counters = metrics.device(&device);
    let layout = HotLayout::new(folder.path());
    let hot = Arc::new(HotDevice::new(device.clone(), layout, limits, clock.clone(), counters.clone()));
    let tracker = Tracker::new(TrackerParts {
        owner: Owner { host: "studio".into(), device },
        clock: clock.clone(),
        log,
        detect: Arc::new(ArcSwap::from_pointee(Detect::default())),
        hot,
        book: Arc::new(NoBook),
        events,
        metrics,
        device_metrics: counters,
        evidence: None,
        muted: Arc::new(|_| false),
    });
    let first = Utc90k::from_seconds(1_795_143_600);
    let mut took = Vec::new();
    let mut frame = 0;
    for round in 0..20 {
        let mut show = |count: u32, black: bool| {
            let mut last = first;
            for _ in 0..count {
                last = first + ticks_90k(Duration::from_millis(200 * frame));
                let key = SegmentKey { epoch: Epoch(1), number: 20 * frame };
                let (freeze, no_signal) = (Some(false), Some(false));
                tracker.observe(&Observation {
                    key,
                    at: last,
                    black: Some(black),
                    freeze,
                    no_signal,
                    ..<_>::default()
                });
                frame += 1;
            }
            last
        };
        let began = first + ticks_90k(Duration::from_millis(200 * 60 * round));
        let opened = show(11, true);
        let sent = now();
        let body = told.recv_timeout(Duration::from_secs(10)).unwrap().body;
        took.push(now().since(sent));
        assert_eq!((body["kind"].as_str(), body["host"].as_str()), (Some("incident_opened"), Some("studio")));
        assert_eq!(body["incident"]["start"], began.rfc3339());
        assert_eq!(opened - began, 2 * 90_000, "in the time of the media");
        show(49, false);
        let body = told.recv_timeout(Duration::from_secs(10)).unwrap().body;
        assert_eq!((body["kind"].as_str(), &body["incident"]["state"]), (Some("incident_closed"), &"closed".into()));
    }
    took.sort();
    println!(
        "from the deciding frame to the receiver: median {:?}, worst {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() - 1] < Duration::from_secs(3), "{took:?}");
    until("all are counted", 10, || notifier.status()[0].sent == 40);
}
