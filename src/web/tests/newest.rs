//! Clips that reach into what waits in hot: it is put on the disk once, then served as any other.

use std::sync::atomic::AtomicUsize;

use super::{timeline::recorded_on, *};

impl Host {
    /// Of what `start` put in hot, nothing waits: what is asked for is on the disk, or will not come.
    pub(super) fn nothing_waits(self) -> Self {
        self.device().hot.mark_committed(&[SegmentKey { epoch: Epoch(7), number: 0 }]);
        self
    }

    /// From now on `commit` stands for what the merger does.
    pub(super) fn commits_by(&self, commit: tail::Commit) {
        let device = self.device();
        let WebDevice { id, camera, hot, index, siblings, metrics, latest, status, .. } = device.as_ref();
        let device = WebDevice {
            id: id.clone(),
            camera: camera.clone(),
            hot: hot.clone(),
            index: index.clone(),
            siblings: siblings.clone(),
            metrics: metrics.clone(),
            latest: latest.clone(),
            status: status.clone(),
            recorder: Arc::new(Map::new),
            tail: tail::Tail::new(self.manual.clock(), commit),
        };
        self.state.devices.store(Arc::new(vec![Arc::new(device)]));
    }
}

/// A finished chunk of five pictures from 300 s ago on; the last four seconds wait in hot until a commit takes them.
fn host() -> (Host, Arc<AtomicUsize>) {
    waiting(Host::start())
}

/// The same of a host of one's own.
pub(super) fn waiting(host: Host) -> (Host, Arc<AtomicUsize>) {
    let host = recorded_on(host, &[(300, &[0, 1, 2, 3, 4], true), (4, &[0, 1, 2, 3], false)]);
    let device = host.device();
    let newest = device.index.snapshot().iter().max_by_key(|chunk| chunk.end).unwrap().as_ref().clone();
    device.index.remove(&newest.key);
    let commits = Arc::new(AtomicUsize::new(0));
    let count = commits.clone();
    host.commits_by(Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        device.index.put(newest.clone());
        device.hot.mark_committed(&[SegmentKey { epoch: Epoch(7), number: 0 }]);
        Box::pin(std::future::ready(Ok(())))
    }));
    (host, commits)
}

fn ask(host: &Host, from_ago: i64, to_ago: i64) -> Reply {
    let now = NOW.as_seconds();
    host.get(&format!("/api/host/clip/cam.mp4?start={}&end={}", now - from_ago, now - to_ago))
}

#[test]
fn an_end_that_hot_covers_is_committed_once_and_served_exactly() {
    let (host, commits) = host();
    let committed = || commits.load(Ordering::Relaxed);
    assert_eq!((ask(&host, 299, 297).status, committed()), (200, 0), "it is on the disk");
    assert_eq!((ask(&host, 299, -60).status, committed()), (307, 0), "nobody has recorded the next minute");
    let asked = ask(&host, 3, 1);
    assert_eq!((asked.status, committed()), (200, 1));
    assert_eq!(ask(&host, 3, 1).body, asked.body);
    for (from, to, status) in [(4, 0, 200), (299, 1, 200), (4, -1, 307)] {
        assert_eq!((ask(&host, from, to).status, committed()), (status, 1), "{from} to {to}");
    }
}

#[test]
fn a_clip_over_the_seam_between_disk_and_hot_is_whole() {
    let (host, commits) = host();
    assert_eq!(ask(&host, 298, 2).status, 200);
    let explained = host.get("/api/host/clip/cam.mp4?start=1699999702&end=1699999998&explain=1");
    assert!(explained.text().contains("5 pictures, 0 of sound"), "{}", explained.text());
    assert_eq!(commits.load(Ordering::Relaxed), 1);
}

#[test]
fn a_disk_that_takes_nothing_still_shows_what_it_has() {
    let (host, _) = host();
    host.commits_by(Arc::new(|| Box::pin(std::future::ready(Err(Error::new(Kind::Io, "sick"))))));
    let reply = ask(&host, 299, 1);
    assert_eq!((reply.status, reply.header("location").is_some()), (307, true));
    let (host, _) = self::host();
    host.commits_by(Arc::new(|| Box::pin(std::future::ready(Err(Error::new(Kind::Io, "sick"))))));
    let reply = ask(&host, 3, 1);
    assert_eq!((reply.status, reply.json()["error"]["kind"].as_str()), (503, Some("unavailable")));
}

#[test]
fn an_open_end_leads_to_one_that_needs_no_other() {
    let (host, commits) = host();
    let reply = host.get("/api/host/clip/cam.mp4?start=1699999997");
    assert_eq!((reply.status, commits.load(Ordering::Relaxed)), (307, 1));
    let location = reply.header("location").unwrap().replace("z&", "Z&").replace("t2", "T2").to_uppercase();
    let location =
        location.replace("/API/HOST/CLIP/CAM.MP4?START", "/api/host/clip/cam.mp4?start").replace("END", "end");
    assert_eq!(host.get(&location).status, 200, "{location}");
    let made = host.post("/api/host/restart-video/cam", "application/json", r#"{"duration_seconds": 2}"#).json();
    assert_eq!(host.get(made["video_url"].as_str().unwrap()).status, 200, "{made}");
}
