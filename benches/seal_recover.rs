//! Wall time to seal, recover, verify and read the fragment table of a 160 MB chunk (warm cache).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;

use std::time::Duration;

use capstan::{
    clock::Clock,
    merge::recover::{Recovered, recover, verify_file},
    playback::FragmentTable,
};

fn main() {
    let segments = common::folders().remove(0).1;
    let files = common::minute(segments.path());
    for (name, folder) in common::folders() {
        let volume = common::volume(folder.path());
        let writer = common::footage::ten_minutes(&volume, &files);
        let (device, path) = (writer.spec().device.clone(), writer.path().clone());
        let absolute = volume.root().join(&path);
        let bytes = writer.published_len();
        drop(writer);
        let growing = std::fs::read(&absolute).unwrap();
        let (mut recovering, mut recovering_cpu) = (Vec::new(), Vec::new());
        let (mut sealing, mut verifying) = (Vec::new(), Vec::new());
        let (mut scanning, mut reading, mut weight) = (Vec::new(), Vec::new(), 0);
        for _ in 0..7 {
            std::fs::write(&absolute, &growing).unwrap();
            std::fs::File::open(&absolute).unwrap().sync_all().unwrap();
            let before = common::cpu();
            let (taken, recovered) = timed(|| recover(&volume, &device, &|_| true).unwrap().pop());
            recovering_cpu.push(common::cpu() - before);
            recovering.push(taken);
            let Some(Ok(Recovered::Open(writer))) = recovered else { panic!("not recovered") };
            let file = std::fs::File::open(&absolute).unwrap();
            scanning.push(timed(|| FragmentTable::read(&file, bytes).unwrap()).0);
            let (taken, sealed) = timed(|| writer.seal().unwrap());
            sealing.push(taken);
            let (taken, table) = timed(|| FragmentTable::read(&file, sealed.bytes).unwrap());
            reading.push(taken);
            weight = table.weight();
            let (taken, verdict) = timed(|| verify_file(&volume, &sealed.path).unwrap());
            assert!(verdict.is_whole());
            verifying.push(taken);
        }
        let ms = |values| common::median(values).as_secs_f64() * 1e3;
        let (recover_ms, seal_ms) = (ms(recovering), ms(sealing));
        if name == "disk" {
            println!("claim\tseal\t\t{seal_ms:.2} ms");
            println!("claim\trecover\t\t{recover_ms:.1} ms");
        }
        println!(
            "{name:5} {:.0} MB   recover {recover_ms:.1} ms ({:.1} ms CPU)   seal {seal_ms:.2} ms   verify {:.1} ms",
            bytes as f64 / 1e6,
            ms(recovering_cpu),
            ms(verifying)
        );
        println!(
            "      table of the growing chunk {:.1} ms, of the sealed one {:.1} ms, {} KiB",
            ms(scanning),
            ms(reading),
            weight >> 10
        );
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let clock = Clock::system();
    let before = clock.mono();
    let out = work();
    (clock.mono().since(before), out)
}
