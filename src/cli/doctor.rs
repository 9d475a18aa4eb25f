//! `capstan doctor`: asks the running daemon for its checks; without one, judges what the bare host shows.

use std::{path::Path, process::ExitCode, time::Duration};

use super::{bad_answer, check::in_force, say, unhealthy_unless};
use crate::{
    config::Settings,
    error::Result,
    registry::inspect,
    storage::{
        layout::{ColdLayout, HotLayout},
        tmpfs::hot_facts,
    },
    web::{
        checks::{ArchiveFacts, Check, HostFacts, Verdict, healthy, judge},
        control::{Request, ask},
        facts,
    },
};

/// The daemon bounds its own checks to 5 s.
const LIMIT: Duration = Duration::from_secs(15);

pub fn run(settings: &Settings) -> Result<ExitCode> {
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    let checks = match ask(&socket, &Request::Health, LIMIT) {
        Ok(Some(answer)) => {
            let mut checks = vec![Check::host("daemon", Ok("answers".into()))];
            checks.extend(serde_json::from_value::<Vec<Check>>(answer).map_err(|error| bad_answer(&error))?);
            checks
        }
        Ok(None) => alone(settings, Err(format!("none answers at {}", socket.display()))),
        Err(error) => alone(settings, Err(error.to_string())),
    };
    for check in &checks {
        let verdict = if check.ok { "ok  " } else { "FAIL" };
        let device = check.device.as_ref().map(|device| format!(" {device}")).unwrap_or_default();
        say(format_args!("{verdict} {}{device}: {}", check.name, check.message));
    }
    Ok(unhealthy_unless(healthy(&checks)))
}

/// What can be told of a host on which no daemon answers. Touches nothing.
fn alone(settings: &Settings, daemon: Verdict) -> Vec<Check> {
    let host = HostFacts {
        hot: facts::hot(settings),
        archive: archive(&in_force(settings).0),
        ffmpeg: facts::ffmpeg_version(&settings.ffmpeg.path),
        database: inspect(&ColdLayout::new(&settings.storage.root).database())
            .unwrap_or_else(|| Ok("there is none yet".into())),
        transcoder: None,
        actors: Vec::new(),
        devices: Vec::new(),
    };
    let mut checks = vec![Check::host("daemon", daemon)];
    checks.extend(judge(&host).into_iter().filter(|check| check.name != "actors"));
    checks
}

fn archive(settings: &Settings) -> ArchiveFacts {
    let root = &settings.storage.root;
    let volume = writable(root);
    ArchiveFacts {
        root: root.clone(),
        // Space of a folder that is missing would be its parent's: none.
        free_bytes: volume.as_ref().ok().and_then(|()| hot_facts(root).ok()).map_or(0, |facts| facts.free_bytes),
        volume,
        min_free_bytes: settings.archive.min_free_bytes.0,
        keeping: None,
    }
}

fn writable(root: &Path) -> Result<(), String> {
    if !root.is_dir() {
        return Err("is not there".into());
    }
    rustix::fs::access(root, rustix::fs::Access::WRITE_OK).map_err(|error| format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Storage;

    #[test]
    fn without_a_daemon_the_host_is_judged_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage { root: dir.path().join("root"), hot: dir.path().join("hot"), ..Storage::default() };
        let settings = Settings { storage, ..Settings::default() };
        let checks = alone(&settings, Err("none answers".into()));
        let failed: Vec<&str> = checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
        assert!(failed.starts_with(&["daemon"]) && failed.contains(&"archive"), "{checks:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
