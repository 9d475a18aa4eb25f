//! The rules that types cannot hold, each with the path of its key, the value and what would be right.

use std::path::{Component, Path, PathBuf};

use super::{CAMERAS_MAX, Camera, ENABLED_MAX, Problem, Quality, Settings, Source, TestSource, redact};

impl Settings {
    /// Every broken rule; empty = valid.
    pub fn validate(&self) -> Vec<Problem> {
        let mut out = Problems::default();
        self.server_rules(&mut out);
        self.archive_rules(&mut out);
        self.watching_rules(&mut out);
        self.transcode.rules(&mut out);
        for (i, id) in self.duplicate_ids() {
            out.add(format!("camera[{i}].id"), id, "is used twice; ids must be unique");
        }
        let enabled = self.camera.iter().filter(|camera| camera.enabled).count();
        if enabled > ENABLED_MAX {
            out.add("camera".into(), &enabled, format!("at most {ENABLED_MAX} cameras run on one host"));
        }
        if self.camera.len() > CAMERAS_MAX {
            out.add("camera".into(), &self.camera.len(), format!("at most {CAMERAS_MAX}, those that are off included"));
        }
        for (i, camera) in self.camera.iter().enumerate() {
            camera_rules(camera, &format!("camera[{i}]"), &self.storage.source_dirs, &mut out);
        }
        out.0
    }

    fn server_rules(&self, out: &mut Problems) {
        let server = &self.server;
        out.check(server.workers <= 64, "server.workers", &server.workers, "must be 0 (automatic) to 64");
        out.check(
            server.keep_alive_seconds <= 3600,
            "server.keep_alive_seconds",
            &server.keep_alive_seconds,
            "must be 0 (a connection a request) to 3600",
        );
        self.access_rules(out);
        if let Some(name) = &server.host_name {
            out.check(
                !name.trim().is_empty() && name.chars().count() <= 64 && !name.chars().any(char::is_control),
                "server.host_name",
                name,
                "must be 1 to 64 characters that can be printed",
            );
        }
        let storage = &self.storage;
        out.check(is_place(&storage.root), "storage.root", &storage.root, "must be an absolute path without '..'");
        out.check(is_place(&storage.hot), "storage.hot", &storage.hot, "must be an absolute path without '..'");
        out.check(
            !storage.hot.starts_with(&storage.root) && !storage.root.starts_with(&storage.hot),
            "storage.hot",
            &storage.hot,
            "must not lie inside storage.root, nor the other way round: one is RAM, the other a disk",
        );
        out.check(
            !storage.hot.to_string_lossy().contains('%'),
            "storage.hot",
            &storage.hot,
            "must not contain '%', which FFmpeg takes for the place of a number",
        );
        if let Some(library) = &storage.library_root {
            let apart = |other: &Path| !library.starts_with(other) && !other.starts_with(library);
            out.check(
                is_place(library) && apart(&storage.root) && apart(&storage.hot),
                "storage.library_root",
                library,
                "must be an absolute path without '..', outside storage.root and storage.hot: a disk of its own",
            );
        }
        let hot = &self.hot;
        out.check((3..=3600).contains(&hot.segments), "hot.segments", &hot.segments, "must be 3 to 3600");
        out.check(hot.captures <= 10_000, "hot.captures", &hot.captures, "must be at most 10000");
        out.check(hot.thumbnails <= 10_000, "hot.thumbnails", &hot.thumbnails, "must be at most 10000");
        out.check(hot.device_bytes.0 >= 4 << 20, "hot.device_bytes", &hot.device_bytes, "must be at least 4MiB");
        let capture = &self.capture;
        for (path, fps) in
            [("capture.captures_fps", capture.captures_fps), ("capture.thumbnails_fps", capture.thumbnails_fps)]
        {
            out.check((0.0..=30.0).contains(&fps), path, &fps, "must be 0 to 30 pictures per second");
        }
        let size = capture.thumbnail_size;
        out.check(
            size.width <= 1920 && size.height <= 1080,
            "capture.thumbnail_size",
            &size,
            "must be at most 1920x1080",
        );
        let limits = &self.limits;
        out.check(
            (1..=100_000).contains(&limits.connections_per_worker),
            "limits.connections_per_worker",
            &limits.connections_per_worker,
            "must be 1 to 100000",
        );
        out.check(limits.body_bytes.0 <= 16 << 20, "limits.body_bytes", &limits.body_bytes, "must be at most 16MiB");
        out.check(
            (10..=43_200).contains(&limits.clip_seconds),
            "limits.clip_seconds",
            &limits.clip_seconds,
            "must be 10 to 43200: a sample in a longer clip could need more than 32 bits",
        );
        out.check(limits.encode_queue <= 64, "limits.encode_queue", &limits.encode_queue, "must be at most 64");
        out.check(
            (1..=86_400).contains(&limits.encode_seconds),
            "limits.encode_seconds",
            &limits.encode_seconds,
            "must be 1 to 86400",
        );
        out.check(
            limits.event_listeners <= 10_000,
            "limits.event_listeners",
            &limits.event_listeners,
            "must be at most 10000",
        );
        for (path, rate) in [
            ("limits.state_per_second", limits.state_per_second),
            ("limits.heavy_per_second", limits.heavy_per_second),
            ("limits.writes_per_second", limits.writes_per_second),
        ] {
            out.check(rate <= 100_000, path, &rate, "must be 0 (no limit) to 100000");
        }
        out.check(
            (1..=10_000).contains(&limits.heavy_at_once),
            "limits.heavy_at_once",
            &limits.heavy_at_once,
            "must be 1 to 10000",
        );
        let cache = &self.cache;
        out.check(cache.ttl_seconds <= 3600, "cache.ttl_seconds", &cache.ttl_seconds, "must be 0 (off) to 3600");
        out.check((1..=10_000).contains(&cache.capacity), "cache.capacity", &cache.capacity, "must be 1 to 10000");
    }

    fn access_rules(&self, out: &mut Problems) {
        let (auth, server) = (&self.auth, &self.server);
        let hours = auth.session_hours;
        out.check((1..=8784).contains(&hours), "auth.session_hours", &hours, "must be 1 to 8784");
        out.check(
            !auth.public_view || !auth.public_areas.is_empty(),
            "auth.public_areas",
            &auth.public_areas,
            "must name the areas that everybody may see, or auth.public_view must be false",
        );
        out.check(
            auth.public_areas.iter().all(|area| !area.is_empty()),
            "auth.public_areas",
            &auth.public_areas,
            "must be names of areas",
        );
        if let Some(url) = &server.public_url {
            let rule = "must be like https://cams.example, without a path";
            out.check(is_origin(url), "server.public_url", url, rule);
        }
        for (i, origin) in server.cors_origins.iter().enumerate() {
            let rule = "must be an origin like https://wall.example, without a path; there is no '*'";
            out.check(is_origin(origin), format!("server.cors_origins[{i}]"), origin, rule);
        }
        out.check(
            server.tls_cert.is_some() == server.tls_key.is_some(),
            "server.tls_key",
            &server.tls_key,
            "tls_cert and tls_key belong together",
        );
        for (path, file) in [("server.tls_cert", &server.tls_cert), ("server.tls_key", &server.tls_key)] {
            if let Some(file) = file {
                out.check(is_place(file), path, file, "must be an absolute path without '..'");
            }
        }
    }

    fn watching_rules(&self, out: &mut Problems) {
        let analysis = &self.analysis;
        out.check(analysis.threads <= 64, "analysis.threads", &analysis.threads, "must be 0 (automatic) to 64");
        out.check((1..=100_000).contains(&analysis.queue), "analysis.queue", &analysis.queue, "must be 1 to 100000");
        for (key, value, rule) in self.detect.problems() {
            out.add(format!("detect.{key}"), &value, rule);
        }
        for (i, camera) in self.camera.iter().enumerate() {
            for (key, value, rule) in self.detect.of(camera).problems() {
                // What `[detect]` says wrong is told once, above.
                if self.detect.problems().iter().all(|(told, ..)| *told != key) {
                    out.add(format!("camera[{i}].detect.{key}"), &value, rule);
                }
            }
        }
        const KINDS: [&str; 5] = ["device_up", "device_down", "incident_opened", "incident_closed", "recording_lost"];
        for (i, webhook) in self.notify.webhook.iter().enumerate() {
            url_rules(&webhook.url, &["http://", "https://"], &format!("notify.webhook[{i}].url"), out);
            for kind in &webhook.kinds {
                let at = format!("notify.webhook[{i}].kinds");
                out.check(
                    KINDS.contains(&kind.as_str()),
                    at,
                    kind,
                    "must be one of device_up, device_down, incident_opened, incident_closed, recording_lost",
                );
            }
        }
        out.check(self.notify.webhook.len() <= 16, "notify.webhook", &self.notify.webhook.len(), "at most 16");
        let archive = &self.archive;
        let interval = archive.preview_interval_seconds;
        out.check(interval <= 600, "archive.preview_interval_seconds", &interval, "must be 0 (none) to 600");
        out.check(
            (1..=24).contains(&archive.captures_hours),
            "archive.captures_hours",
            &archive.captures_hours,
            "must be 1 to 24",
        );
    }

    fn archive_rules(&self, out: &mut Problems) {
        let archive = &self.archive;
        out.check(
            (1..=600).contains(&archive.commit_seconds),
            "archive.commit_seconds",
            &archive.commit_seconds,
            "must be 1 to 600",
        );
        out.check(
            (2..=3600).contains(&archive.chunk_seconds) && 3600 % archive.chunk_seconds.max(1) == 0,
            "archive.chunk_seconds",
            &archive.chunk_seconds,
            "must be 2 to 3600 and divide 3600, so that chunks line up with hours",
        );
        out.check(
            archive.commit_seconds <= archive.chunk_seconds,
            "archive.commit_seconds",
            &archive.commit_seconds,
            "must not exceed archive.chunk_seconds",
        );
        out.check(
            (1..=24).contains(&archive.window_hours),
            "archive.window_hours",
            &archive.window_hours,
            "must be 1 to 24",
        );
        out.check(
            (0.0..=36_500.0).contains(&archive.retention_days),
            "archive.retention_days",
            &archive.retention_days,
            "must be 0 (no library) to 36500 days",
        );
        let cleaner = &self.cleaner;
        out.check(
            (1..=3600).contains(&cleaner.interval_seconds),
            "cleaner.interval_seconds",
            &cleaner.interval_seconds,
            "must be 1 to 3600",
        );
        for (path, percent) in
            [("cleaner.max_cpu_percent", cleaner.max_cpu_percent), ("cleaner.max_io_wait", cleaner.max_io_wait)]
        {
            out.check((0.0..=100.0).contains(&percent), path, &percent, "must be 0 to 100 percent");
        }
    }
}

impl Camera {
    /// Every broken rule of this one; empty = valid. Paths count from the camera.
    pub(super) fn problems(&self, settings: &Settings) -> Vec<Problem> {
        const AT: &str = "camera";
        let mut out = Problems::default();
        camera_rules(self, AT, &settings.storage.source_dirs, &mut out);
        for (key, value, rule) in settings.detect.of(self).problems() {
            out.add(format!("{AT}.detect.{key}"), &value, rule);
        }
        for problem in &mut out.0 {
            problem.path = problem.path.trim_start_matches(AT).trim_start_matches('.').to_owned();
        }
        out.0
    }
}

fn camera_rules(camera: &Camera, at: &str, source_dirs: &[PathBuf], out: &mut Problems) {
    let text_ok = |text: &str| text.chars().count() <= 128 && !text.chars().any(char::is_control);
    out.check(text_ok(&camera.name), format!("{at}.name"), &camera.name, "must be at most 128 printable characters");
    out.check(text_ok(&camera.area), format!("{at}.area"), &camera.area, "must be at most 128 printable characters");
    if let Some(fps) = camera.fps {
        out.check((1..=120).contains(&fps), format!("{at}.fps"), &fps, "must be 1 to 120");
    }
    if let Some(size) = camera.size {
        let fits = size.width <= 1920 && size.height <= 1080 && size.width % 2 == 0 && size.height % 2 == 0;
        let tier = camera.quality == Quality::Hd;
        out.check(
            fits && tier,
            format!("{at}.size"),
            &size,
            "needs quality = \"hd\", even numbers and at most 1920x1080",
        );
    }
    if let Some(segments) = camera.live.segments {
        out.check((3..=3600).contains(&segments), format!("{at}.live.segments"), &segments, "must be 3 to 3600");
    }
    source_rules(&camera.source, &format!("{at}.source"), source_dirs, out);
}

fn source_rules(source: &Source, at: &str, source_dirs: &[PathBuf], out: &mut Problems) {
    match source {
        Source::Test(test) => test_rules(test, at, out),
        Source::File(file) => path_rules(&file.path, &format!("{at}.path"), source_dirs, out),
        Source::Replay(replay) => {
            path_rules(&replay.dir, &format!("{at}.dir"), source_dirs, out);
            out.check(
                (0.01..=1000.0).contains(&replay.speed),
                format!("{at}.speed"),
                &replay.speed,
                "must be 0.01 to 1000",
            );
        }
        Source::Rtsp(rtsp) => url_rules(&rtsp.url, &["rtsp://", "rtsps://"], &format!("{at}.url"), out),
        Source::Http(http) => url_rules(&http.url, &["http://", "https://"], &format!("{at}.url"), out),
        Source::V4l2(v4l2) => {
            let device = v4l2.path.starts_with("/dev") && is_plain(&v4l2.path);
            out.check(device, format!("{at}.path"), &v4l2.path, "must be a device node below /dev");
            if let Some(format) = &v4l2.format {
                out.check(
                    is_word(format),
                    format!("{at}.format"),
                    format,
                    "must be a pixel format or codec name like mjpeg",
                );
            }
            if let Some(audio) = &v4l2.audio {
                let known = audio.strip_prefix("alsa:").or_else(|| audio.strip_prefix("pulse:"));
                let fine = known.is_some_and(|name| !name.is_empty() && !name.starts_with('-') && is_printable(name));
                out.check(fine, format!("{at}.audio"), audio, "must be alsa:DEVICE or pulse:SOURCE");
            }
        }
        Source::Screen(screen) => {
            let display = &screen.display;
            let fine = display.contains(':')
                && !display.starts_with('-')
                && display.chars().all(|c| c.is_ascii_alphanumeric() || ":.+,-_".contains(c));
            out.check(fine, format!("{at}.display"), display, "must be an X11 display like :0 or :0.0+10,20");
        }
    }
}

fn test_rules(test: &TestSource, at: &str, out: &mut Problems) {
    let known = TestSource::PATTERNS.contains(&test.pattern.as_str());
    out.check(
        known,
        format!("{at}.pattern"),
        &test.pattern,
        format!("must be one of {}", TestSource::PATTERNS.join(", ")),
    );
    out.check(test.tone <= 20_000, format!("{at}.tone"), &test.tone, "must be 0 (no sound) to 20000 Hz");
    let day = 86_400.0;
    out.check((0.0..=day).contains(&test.period), format!("{at}.period"), &test.period, "must be 0 to 86400 seconds");
    for (name, spells) in [("black", &test.black), ("freeze", &test.freeze), ("silence", &test.silence)] {
        for (i, [from, to]) in spells.iter().enumerate() {
            let fine = (0.0..=day).contains(from) && (0.0..=day).contains(to) && from < to;
            out.check(fine, format!("{at}.{name}[{i}]"), &[from, to], "must be [from, to] in seconds with from < to");
        }
    }
}

fn path_rules(path: &Path, at: &str, source_dirs: &[PathBuf], out: &mut Problems) {
    out.check(is_place(path), at, &path, "must be an absolute path without '..'");
    let inside = source_dirs.is_empty() || source_dirs.iter().any(|dir| path.starts_with(dir));
    out.check(inside, at, &path, "must lie below one of storage.source_dirs");
}

fn url_rules(url: &str, schemes: &[&str], at: &str, out: &mut Problems) {
    let lower = url.to_ascii_lowercase();
    let rest = schemes.iter().find_map(|scheme| lower.strip_prefix(scheme));
    // FFmpeg reads options after '|' and our builder writes one URL per argument: neither character has a use in a host.
    let fine =
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) && is_printable(url) && !url.contains('|');
    out.check(
        fine && url.len() <= 2048,
        at,
        &redact(url),
        format!("must be a URL that starts with {}", schemes.join(" or ")),
    );
}

/// As browsers write one in `Origin`.
fn is_origin(text: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && rest.len() <= 255 && rest.chars().all(fine))
}

fn is_place(path: &Path) -> bool {
    path.is_absolute() && is_plain(path)
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && path.to_str().is_some_and(|text| !text.chars().any(char::is_control))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_printable(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && !c.is_whitespace())
}

#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: String, value: &dyn std::fmt::Debug, rule: impl Into<String>) {
        self.0.push(Problem::new(path, Some(value), rule));
    }

    pub(super) fn check(
        &mut self,
        fine: bool,
        path: impl Into<String>,
        value: &dyn std::fmt::Debug,
        rule: impl Into<String>,
    ) {
        if !fine {
            self.add(path.into(), value, rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_authority() {
        let check = |text: &str, expected: bool| assert_eq!(is_origin(text), expected, "{text}");
        check("https://cams.example", true);
        check("http://10.0.0.2:8080", true);
        check("http://[::1]:8080", true);
        for bad in ["", "*", "null", "cams.example", "https://", "https://a/", "https://A", "https://u:p@a", "ftp://a"]
        {
            check(bad, false);
        }
    }
}
