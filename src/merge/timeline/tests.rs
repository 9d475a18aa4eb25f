//! Made-up sources through the timeline: what lands where in wall time, in which chunk, with which durations.

use super::*;
use crate::{
    ids::Epoch,
    media::{AudioCodec, AudioSample, AudioTrack, VideoSample, VideoTrack, mp4::OutSample},
    merge::lay::PlannedRun,
    storage::layout::RingSlot,
};

mod random;

const S: i64 = TICKS_PER_SECOND;
/// 2026-11-20T04:00:00Z: on every grid.
const HOUR: i64 = 1_795_147_200;

fn video_config(codec: VideoCodec) -> VideoConfig {
    VideoConfig { codec, width: 640, height: 360, parameter_sets: vec![vec![0x67, 1], vec![0x68, 2]] }
}

fn aac(sample_rate: u32) -> AudioConfig {
    AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate,
        channels: 2,
        samples_per_frame: 1024,
        specific: vec![0x11, 0x90],
    }
}

/// A camera: 1 s segments with 25 pictures, sound, and a delay until the file is there.
struct Camera {
    key: SegmentKey,
    /// Run time and wall time of the next segment's start.
    pts_90k: i64,
    wall: Utc90k,
    delay_90k: i64,
    codec: VideoCodec,
    video: bool,
    audio: Option<AudioConfig>,
    sync_first: bool,
    /// Index of the next sound frame since the run began: sound does not restart with segments.
    sound_at: i64,
}

impl Camera {
    fn at(wall_s: i64) -> Self {
        Self {
            key: SegmentKey { epoch: Epoch(1), number: 0 },
            pts_90k: 126_000,
            wall: Utc90k::from_seconds(wall_s),
            delay_90k: S / 10,
            codec: VideoCodec::H264,
            video: true,
            audio: Some(aac(48_000)),
            sync_first: true,
            sound_at: 126_000,
        }
    }

    fn restart(&mut self) {
        self.key = SegmentKey { epoch: Epoch(self.key.epoch.0 + 1), number: 0 };
        (self.pts_90k, self.sound_at) = (126_000, 126_000);
    }

    /// Time passes without a segment.
    fn pause(&mut self, seconds: i64) {
        (self.pts_90k, self.sound_at) = (self.pts_90k + seconds * S, self.sound_at + seconds * S);
        self.wall = self.wall + seconds * S;
    }

    fn next(&mut self) -> Input {
        let samples = (0..25).map(|i| {
            let at = self.pts_90k + i * 3600;
            let data = i as usize * 10..i as usize * 10 + 10;
            VideoSample { pts_90k: at, dts_90k: at, sync: i == 0 && self.sync_first, data }
        });
        let config = Some(video_config(self.codec));
        let video = self.video.then(|| VideoTrack { config, samples: samples.collect(), es: vec![7; 250] });
        let mut audio = Vec::new();
        if let Some(config) = &self.audio {
            let frame = 1024 * S / i64::from(config.sample_rate);
            let mut samples = Vec::new();
            while self.sound_at < self.pts_90k + S {
                samples.push(AudioSample { pts_90k: self.sound_at, data: 0..4 });
                self.sound_at += frame;
            }
            audio.push(AudioTrack { config: config.clone(), samples, es: vec![9; 4] });
        } else {
            self.sound_at = self.pts_90k + S;
        }
        self.pts_90k += S;
        self.wall = self.wall + S;
        let segment = Segment { video, audio, ..Segment::default() };
        let input = Input { key: self.key, arrived: self.wall + self.delay_90k, lead_90k: 0, segment };
        self.key.number += 1;
        input
    }
}

/// What a job would have written.
#[derive(Default)]
struct Disk {
    chunks: Vec<(Opening, Vec<Planned>)>,
}

impl Disk {
    fn apply(&mut self, outputs: impl IntoIterator<Item = Output>) {
        for output in outputs {
            match output {
                Output::Open(opening) => self.chunks.push((opening, Vec::new())),
                Output::Append(laid) => self.chunks.last_mut().unwrap().1.extend(laid.fragments),
            }
        }
    }

    fn starts_s(&self) -> Vec<f64> {
        self.chunks.iter().map(|(opening, _)| seconds(opening.start)).collect()
    }

    fn why(&self) -> Vec<Why> {
        self.chunks.iter().map(|(opening, _)| opening.why).collect()
    }

    fn pictures(&self) -> usize {
        let video = |chunk: &(Opening, Vec<Planned>)| samples(&chunk.1, |planned| planned.video.as_ref()).count();
        self.chunks.iter().map(video).sum()
    }
}

fn seconds(time: Utc90k) -> f64 {
    (time.0 - HOUR * S) as f64 / S as f64
}

/// `(decode time, sample)` of a track.
fn samples<'a>(
    fragments: &'a [Planned],
    track: impl Fn(&'a Planned) -> Option<&'a PlannedRun> + 'a,
) -> impl Iterator<Item = (u64, &'a OutSample)> {
    fragments.iter().filter_map(track).flat_map(|run| {
        run.samples.iter().scan(run.base, |at, sample| {
            let time = *at;
            *at += u64::from(sample.duration);
            Some((time, sample))
        })
    })
}

/// No sample begins before the one in front of it ends.
fn assert_in_order(disk: &Disk) {
    for (_, fragments) in &disk.chunks {
        for runs in [
            fragments.iter().filter_map(|planned| planned.video.as_ref()).collect::<Vec<_>>(),
            fragments.iter().filter_map(|planned| planned.audio.as_ref()).collect(),
        ] {
            for pair in runs.windows(2) {
                assert!(pair[1].base >= pair[0].end(), "{} < {}", pair[1].base, pair[0].end());
            }
        }
    }
}

/// Runs `segments` of a camera, committing every `commit`-th.
fn record(timeline: &mut Timeline, disk: &mut Disk, camera: &mut Camera, segments: usize) {
    for _ in 0..segments {
        disk.apply(timeline.push(camera.next(), &|_| false));
    }
    disk.apply(timeline.flush().map(Output::Append));
}

fn fresh(chunk_seconds: u32, start_s: i64) -> (Timeline, Disk, Camera) {
    (Timeline::new(chunk_seconds), Disk::default(), Camera::at(HOUR + start_s))
}

#[test]
fn chunks_follow_the_utc_grid_and_seams_follow_pts() {
    let (mut timeline, mut disk, mut camera) = fresh(10, 7);
    for _ in 0..5 {
        record(&mut timeline, &mut disk, &mut camera, 5);
    }
    // The label is late by the camera's constant delay, which nothing can know.
    assert_eq!(disk.starts_s(), [7.1, 10.1, 20.1, 30.1]);
    assert_eq!(disk.why(), [Why::First, Why::Grid, Why::Grid, Why::Grid]);
    assert_eq!(disk.pictures(), 25 * 25);
    for (_, fragments) in &disk.chunks {
        let times: Vec<u64> = samples(fragments, |planned| planned.video.as_ref()).map(|(at, _)| at).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3600), "even over commits");
        let sound: Vec<u64> = samples(fragments, |planned| planned.audio.as_ref()).map(|(at, _)| at).collect();
        assert!(sound.windows(2).all(|pair| pair[1] - pair[0] == 1024));
        assert!(fragments.iter().all(|planned| planned.video.as_ref().unwrap().samples[0].sync));
    }
    assert_in_order(&disk);
}

#[test]
fn a_day_has_144_chunks_and_no_slot_is_met_twice() {
    // A source clock 200 ppm off, either way: the label follows the wall clock at each start, PTS inside.
    for drift_90k in [-18, 0, 18] {
        let (mut timeline, mut disk, mut camera) = fresh(600, 3);
        for _ in 0..48 * 3600 / 4 {
            let mut input = camera.next();
            // Segments of 4 s keep the test short: stretch the pictures over them.
            for (i, sample) in input.segment.video.as_mut().unwrap().samples.iter_mut().enumerate() {
                (sample.pts_90k, sample.dts_90k) =
                    (sample.pts_90k + i as i64 * 10_800, sample.dts_90k + i as i64 * 10_800);
            }
            input.segment.audio.clear();
            input.arrived = input.arrived + 3 * S;
            camera.pts_90k += 3 * S + drift_90k * 4;
            camera.wall = camera.wall + 3 * S;
            disk.apply(timeline.push(input, &|_| false));
        }
        let slots: Vec<RingSlot> = disk.chunks.iter().map(|(opening, _)| RingSlot::of(opening.start, 600)).collect();
        assert_eq!(slots.len(), 288, "drift {drift_90k}");
        assert!(slots.windows(2).all(|pair| pair[0] != pair[1]));
        let wrong = disk.chunks.iter().map(|(opening, _)| seconds(opening.start).rem_euclid(600.0));
        assert!(wrong.skip(1).all(|late| late < 4.2), "drift {drift_90k}");
    }
}

#[test]
fn a_new_run_with_the_same_codecs_continues_the_chunk_behind_a_gap() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    record(&mut timeline, &mut disk, &mut camera, 5);
    camera.wall = camera.wall + 3 * S;
    camera.restart();
    record(&mut timeline, &mut disk, &mut camera, 5);
    assert_eq!(disk.why(), [Why::First]);
    let times: Vec<u64> = samples(&disk.chunks[0].1, |planned| planned.video.as_ref()).map(|(at, _)| at).collect();
    assert_eq!(times[125], 8 * S as u64, "5 s of media, 3 s of nothing");
    assert_in_order(&disk);
}

#[test]
fn another_codec_or_audio_configuration_starts_a_part() {
    let check = |change: &dyn Fn(&mut Camera), expected: &[Why]| {
        let (mut timeline, mut disk, mut camera) = fresh(600, 0);
        record(&mut timeline, &mut disk, &mut camera, 3);
        change(&mut camera);
        record(&mut timeline, &mut disk, &mut camera, 3);
        assert_eq!(disk.why(), expected);
        assert_eq!(disk.pictures(), 150);
    };
    check(&|camera| camera.codec = VideoCodec::H265, &[Why::First, Why::Codec]);
    check(&|camera| camera.audio = Some(aac(44_100)), &[Why::First, Why::Codec]);
    check(&|camera| camera.audio = None, &[Why::First]);
}

#[test]
fn sound_that_appears_later_starts_a_part() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    camera.audio = None;
    record(&mut timeline, &mut disk, &mut camera, 3);
    camera.audio = Some(aac(48_000));
    record(&mut timeline, &mut disk, &mut camera, 3);
    assert_eq!(disk.why(), [Why::First, Why::Codec]);
    assert!(disk.chunks[0].0.audio.is_none() && disk.chunks[1].0.audio.is_some());
}

#[test]
fn missing_sound_is_silence_while_pictures_run() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    record(&mut timeline, &mut disk, &mut camera, 3);
    let sound = camera.audio.take();
    record(&mut timeline, &mut disk, &mut camera, 4);
    camera.audio = sound;
    record(&mut timeline, &mut disk, &mut camera, 3);
    assert_eq!(disk.chunks.len(), 1);
    let times: Vec<u64> = samples(&disk.chunks[0].1, |planned| planned.audio.as_ref()).map(|(at, _)| at).collect();
    let holes = times.windows(2).filter(|pair| pair[1] - pair[0] > 2048).count();
    assert_eq!(holes, 0);
    assert!(*times.last().unwrap() > 9 * 48_000 && *times.last().unwrap() < 10 * 48_000);
    assert_in_order(&disk);
}

#[test]
fn a_reset_of_pts_is_anchored_anew() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    record(&mut timeline, &mut disk, &mut camera, 20);
    (camera.pts_90k, camera.sound_at) = (0, 0);
    record(&mut timeline, &mut disk, &mut camera, 20);
    (camera.pts_90k, camera.sound_at) = (1 << 40, 1 << 40);
    record(&mut timeline, &mut disk, &mut camera, 20);
    assert_eq!(disk.why(), [Why::First], "the wall clock went on evenly: one chunk");
    let last = samples(&disk.chunks[0].1, |planned| planned.video.as_ref()).last().unwrap();
    assert_eq!(last.0, 60 * S as u64 - 3600);
    assert_eq!(disk.pictures(), 60 * 25);
    assert_in_order(&disk);
}

#[test]
fn a_reset_inside_a_segment_loses_no_picture() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    record(&mut timeline, &mut disk, &mut camera, 3);
    let mut input = camera.next();
    for sample in &mut input.segment.video.as_mut().unwrap().samples[10..] {
        (sample.pts_90k, sample.dts_90k) = (sample.pts_90k - 300_000, sample.dts_90k - 300_000);
    }
    input.segment.video.as_mut().unwrap().samples[10].sync = true;
    disk.apply(timeline.push(input, &|_| false));
    disk.apply(timeline.flush().map(Output::Append));
    assert_eq!(disk.pictures(), 100);
    assert_in_order(&disk);
}

#[test]
fn wall_steps_start_parts_and_lose_nothing() {
    for step_s in [3600, -3600, 86_400, -86_400, -HOUR] {
        let (mut timeline, mut disk, mut camera) = fresh(600, 60);
        record(&mut timeline, &mut disk, &mut camera, 20);
        let key = camera.key;
        let before = SegmentKey { number: key.number + 2, ..key };
        timeline.step(Step { delta_90k: step_s * S, before, after: SegmentKey { number: key.number + 5, ..key } });
        record(&mut timeline, &mut disk, &mut camera, 4);
        camera.wall = camera.wall + step_s * S;
        record(&mut timeline, &mut disk, &mut camera, 20);
        assert_eq!(disk.why(), [Why::First, Why::Step], "{step_s}");
        let seam = disk.chunks[1].0.start - disk.chunks[0].0.start;
        assert_eq!(seam, (24 + step_s) * S, "{step_s}: the part begins where the first one ends, plus the step");
        assert_eq!(disk.pictures(), 44 * 25);
    }
}

#[test]
fn a_clock_that_was_never_set_relabels_what_waits() {
    let (mut timeline, mut disk, _) = fresh(600, 0);
    let mut camera = Camera::at(30);
    let waiting: Vec<Input> = (0..10).map(|_| camera.next()).collect();
    let (before, after) = (SegmentKey { number: 8, ..camera.key }, SegmentKey { number: 9, ..camera.key });
    timeline.step(Step { delta_90k: HOUR * S, before, after });
    for input in waiting {
        disk.apply(timeline.push(input, &|_| false));
    }
    camera.wall = camera.wall + HOUR * S;
    record(&mut timeline, &mut disk, &mut camera, 5);
    assert_eq!((disk.starts_s(), disk.why()), (vec![30.1], vec![Why::First]));
    assert_eq!(disk.pictures(), 15 * 25);
}

#[test]
fn a_late_first_segment_takes_the_delay_of_those_behind_it() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    camera.delay_90k = 2 * S;
    let mut first = camera.next();
    first.lead_90k = -19 * S / 10;
    disk.apply(timeline.push(first, &|_| false));
    camera.delay_90k = S / 10;
    record(&mut timeline, &mut disk, &mut camera, 20);
    assert_eq!((disk.starts_s(), disk.chunks.len()), (vec![0.1], 1));
}

#[test]
fn pictures_before_the_first_key_frame_are_dropped() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    camera.sync_first = false;
    record(&mut timeline, &mut disk, &mut camera, 2);
    let mut mixed = camera.next();
    mixed.segment.video.as_mut().unwrap().samples[20].sync = true;
    disk.apply(timeline.push(mixed, &|_| false));
    camera.sync_first = true;
    record(&mut timeline, &mut disk, &mut camera, 2);
    assert_eq!((disk.pictures(), timeline.undecodable), (5 + 50, 70));
    assert!(samples(&disk.chunks[0].1, |planned| planned.video.as_ref()).next().unwrap().1.sync);
    assert!(disk.chunks[0].0.start >= Utc90k((HOUR + 2) * S + 3 * S / 10), "nor the sound of those pictures");
}

#[test]
fn behind_a_lost_segment_decoding_begins_at_a_key_frame() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    record(&mut timeline, &mut disk, &mut camera, 2);
    camera.next();
    camera.sync_first = false;
    record(&mut timeline, &mut disk, &mut camera, 1);
    camera.sync_first = true;
    record(&mut timeline, &mut disk, &mut camera, 1);
    assert_eq!((disk.pictures(), disk.chunks.len()), (75, 1));
    let times: Vec<u64> = samples(&disk.chunks[0].1, |planned| planned.video.as_ref()).map(|(at, _)| at).collect();
    assert_eq!(times[50], 4 * S as u64);
}

#[test]
fn long_gops_are_cut_at_ten_seconds_and_never_at_the_grid() {
    let (mut timeline, mut disk, mut camera) = fresh(10, 5);
    record(&mut timeline, &mut disk, &mut camera, 1);
    camera.sync_first = false;
    record(&mut timeline, &mut disk, &mut camera, 14);
    camera.sync_first = true;
    record(&mut timeline, &mut disk, &mut camera, 1);
    assert_eq!(disk.starts_s(), [5.1, 20.1]);
    for planned in disk.chunks.iter().flat_map(|(_, fragments)| fragments) {
        let run = planned.video.as_ref().unwrap();
        assert!(run.end() - run.base <= 10 * S as u64);
    }
}

#[test]
fn devices_with_one_track_work() {
    for (video, audio) in [(true, None), (false, Some(aac(44_100)))] {
        let (mut timeline, mut disk, mut camera) = fresh(10, 8);
        (camera.video, camera.audio) = (video, audio.clone());
        record(&mut timeline, &mut disk, &mut camera, 6);
        camera.pause(2);
        record(&mut timeline, &mut disk, &mut camera, 6);
        assert_eq!(disk.chunks.len(), 3, "{audio:?}");
        assert_eq!(disk.chunks[0].0.video.is_some(), video);
        assert_in_order(&disk);
        let fragments: Vec<_> = disk.chunks.iter().flat_map(|(_, fragments)| fragments).collect();
        assert!(fragments.iter().all(|planned| planned.video.is_some() == video));
    }
}

#[test]
fn b_frames_keep_their_times() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    camera.audio = None;
    for _ in 0..4 {
        let mut input = camera.next();
        // I P B B: decoded 2 frames before the first is shown.
        for (i, sample) in input.segment.video.as_mut().unwrap().samples.iter_mut().enumerate() {
            sample.dts_90k -= 7200;
            sample.pts_90k += [0, 7200, -3600, -3600][i % 4] * i64::from(i % 24 != 0);
        }
        disk.apply(timeline.push(input, &|_| false));
    }
    disk.apply(timeline.flush().map(Output::Append));
    let list: Vec<_> = samples(&disk.chunks[0].1, |planned| planned.video.as_ref()).collect();
    let shown: Vec<i64> = list.iter().take(5).map(|(at, sample)| *at as i64 + i64::from(sample.cts)).collect();
    assert_eq!(list[0].0, 0, "the first decode time is not negative");
    assert_eq!(shown, [0, 10_800, 3600, 7200, 14_400], "and what is shown when did not change");
    assert!(list.windows(2).all(|pair| pair[1].0 - pair[0].0 == 3600));
}

#[test]
fn a_clock_set_back_into_a_taken_millisecond_gets_another_name() {
    let (mut timeline, mut disk, mut camera) = fresh(600, 0);
    disk.apply(timeline.push(camera.next(), &|start_ms| start_ms > (HOUR * 1000) + 97));
    assert_eq!(disk.chunks[0].0.start.as_ms(), HOUR * 1000 + 97);
}
