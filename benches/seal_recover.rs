//! Wall time to seal, recover, verify and read the fragment table of a 160 MB chunk (warm cache).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;

use std::{sync::Arc, time::Duration};

use capstan::{
    clock::Clock,
    ids::{Epoch, SegmentKey},
    media::mp4::{MarkInfo, scan, scan::Piece},
    merge::{
        chunk::{ChunkWriter, Fragment, OutSample, TrackRun},
        recover::{Recovered, recover, verify_file},
    },
    playback::FragmentTable,
};

fn main() {
    let segments = common::folders().remove(0).1;
    let files = common::minute(segments.path());
    for (name, folder) in common::folders() {
        let volume = common::volume(folder.path());
        let writer = ten_minutes(&volume, &files);
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

/// One merged minute, appended ten times.
fn ten_minutes(volume: &Arc<capstan::storage::volume::Volume>, files: &[std::path::PathBuf]) -> ChunkWriter {
    let (first, _) = common::merge(volume, files);
    let mut spec = first.spec().clone();
    let minute = std::fs::read(volume.root().join(first.path())).unwrap();
    let data_offset = first.meta().data_offset;
    first.discard().unwrap();
    spec.generation = 1;
    let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
    let pieces = scan::shallow(&minute, data_offset, minute.len() as u64).unwrap();
    // Back to Annex B, as the writer takes it.
    let mut video_es = minute.clone();
    for turn in 0..10u64 {
        for piece in &pieces {
            let Piece::Fragment(fragment) = piece else { continue };
            let [video, audio] = [&fragment.video, &fragment.audio].map(|run| run.as_ref().unwrap());
            let video_samples = samples(video);
            for sample in &video_samples {
                start_codes(&mut video_es[sample.data.clone()]);
            }
            let audio_samples = samples(audio);
            let shifted = |base: u64, rate: u64| base + turn * 61 * rate;
            writer
                .append(&Fragment {
                    video: Some(TrackRun { base: shifted(video.base, 90_000), samples: &video_samples, es: &video_es }),
                    audio: Some(TrackRun { base: shifted(audio.base, 48_000), samples: &audio_samples, es: &minute }),
                })
                .unwrap();
        }
        let last = SegmentKey { epoch: Epoch(1), number: turn };
        writer.commit(MarkInfo { last, ..MarkInfo::default() }).unwrap();
    }
    writer
}

fn samples(run: &capstan::media::mp4::table::Run) -> Vec<OutSample> {
    let mut at = run.offset as usize;
    let samples = run.samples.iter().map(|sample| {
        let data = at..at + sample.size as usize;
        at = data.end;
        OutSample { duration: sample.duration, cts: sample.cts, sync: sample.sync, data }
    });
    samples.collect()
}

/// Four length bytes become a four-byte start code.
fn start_codes(mut sample: &mut [u8]) {
    while let Some((length, rest)) = sample.split_first_chunk_mut::<4>() {
        let size = u32::from_be_bytes(*length) as usize;
        let already = *length == [0, 0, 0, 1];
        *length = [0, 0, 0, 1];
        if already {
            return;
        }
        sample = &mut rest[size..];
    }
}
