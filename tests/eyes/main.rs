//! The labelled corpus: what is black, frozen, silent or without signal is found, within a second, and nothing else is.
//!
//! `make test` runs a short round of it; `make bench-eyes` all, with ten minutes of each clip that holds no trouble.
//! `CAPSTAN_EYES_ONLY=part_of_a_name` runs some, and tells every frame.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod clips;
mod score;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use capstan::config::{self, Detect};
use clips::Clip;
use score::Row;
use watch::Spell;

const F1_MIN: f64 = 0.98;
const OFF_MAX_SECONDS: f64 = 1.0;

#[test]
fn trouble_is_found_and_nothing_else() {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut table = String::new();
    let clips = clips::corpus();
    for (clip, found) in clips.iter().zip(watch_all(&clips)) {
        let mut own = BTreeMap::new();
        score::score(&clip.spells, &found, &mut own);
        let fine =
            own.values().all(|row| row.missed + row.made_up == 0 && row.start_off.max(row.end_off) <= OFF_MAX_SECONDS);
        let line = format!("{:26} {:>4.0} s  found {found:?}", clip.name, clip.seconds);
        if !fine {
            faults.push(format!("{line}, expected {:?}", clip.spells));
        }
        table += &format!("{}{line}\n", if fine { "  " } else { "! " });
        score::score(&clip.spells, &found, &mut rows);
    }
    println!("{table}\n{}", score::print(&rows));
    let poor = rows.values().any(|row| row.f1() < F1_MIN);
    assert!(!poor && faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Two at a time: most of the time goes to FFmpeg.
fn watch_all(clips: &[Clip]) -> Vec<Vec<Spell>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Vec::new(); clips.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(clip) = clips.get(at) else { return };
                    let spells = play(clip);
                    found.lock().unwrap()[at] = spells;
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn play(clip: &Clip) -> Vec<Spell> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pictures = if clip.input.is_empty() { Vec::new() } else { clips::thumbnails(clip, folder.path()) };
    let pcm = if clip.sound.is_empty() { Vec::new() } else { clips::pcm(clip, folder.path()) };
    let talks = std::env::var_os("CAPSTAN_EYES_ONLY").is_some();
    watch::watch(&pictures, &pcm, &thresholds(clip), &mut |seen| {
        if talks {
            println!("{} {:.2} {seen:?}", clip.name, watch::seconds(seen.at));
        }
    })
}

fn thresholds(clip: &Clip) -> Detect {
    let mut camera = config::parse("[[camera]]\nid = \"cam\"\nsource = { kind = \"test\" }").unwrap().camera.remove(0);
    camera.detect = clip.detect.clone();
    Detect::default().of(&camera)
}
