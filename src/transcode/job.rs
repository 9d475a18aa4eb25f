//! The work on one chunk: FFmpeg prints HEVC, our writer makes the successor of it, and nothing is believed unverified.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use slog::Logger;

use crate::{
    capture::{
        Spawner,
        command::{self, Transcode},
    },
    clock::Clock,
    error::{Error, Kind},
    media::{ConfigChange, VideoConfig, VideoTrack, mpegts},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, SealedChunk},
};

use super::{
    Encode, Encoders, Failure, Job, Made, Options, Reason, Steer, Working,
    child::{Keeper, judge},
    lay::Layer,
    pieces::Cutter,
    source::{Source, used_bytes},
    verify,
};

/// Bytes between two flushes: a recorder's commit never waits for more of ours than this.
const COMMIT_BYTES: u64 = 4 << 20;

/// Encodes by FFmpeg.
pub struct Transcoder {
    spawner: Spawner,
    clock: Clock,
    options: ArcSwap<Options>,
    encoders: Encoders,
}

impl Transcoder {
    /// Nothing is tried yet: the first job finds out which encoder works.
    pub fn new(spawner: Spawner, clock: Clock, options: Options, log: &Logger) -> Self {
        let encoders = Encoders::new(spawner.clone(), log);
        Self { spawner, clock, options: ArcSwap::from_pointee(options), encoders }
    }

    /// For the next job.
    pub fn set_options(&self, options: Options) {
        self.options.store(Arc::new(options));
    }

    pub fn options(&self) -> Arc<Options> {
        self.options.load_full()
    }

    /// Tries all encoders anew. Blocks.
    pub fn probe(&self) -> Arc<[Working]> {
        self.encoders.probe(&self.options().ffmpeg)
    }

    fn make(&self, job: &Job, control: &dyn Steer) -> Result<Made, Failure> {
        let options = self.options();
        let working =
            self.encoders.choose(&options).map_err(|error| Failure::new(Reason::Cancelled, error.to_string()))?;
        // Of a job that a crash ended; start-up looks for markers, not for these.
        match job.volume.unlink(&job.successor) {
            Err(error) if error.kind != Kind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let source = Source::open(job, control)?;
        let encoded = match self.encode(job, &source, &options, working, control) {
            // A driver that stumbles where software may not.
            Err(failure) if working.hardware_decode && matches!(failure.reason, Reason::Encoder | Reason::Frames) => {
                let _ = job.volume.unlink(&job.successor);
                self.encode(job, &source, &options, Working { hardware_decode: false, ..working }, control)
            }
            encoded => encoded,
        };
        let sealed = encoded?;
        let keeper = self.keeper(control, &options, options.limits.decode(source.seconds()));
        let ssim = verify::verify(job, &source, &sealed, &options, &keeper)?;
        let entry = sealed.entry(job.source.place);
        Ok(Made { entry, encoder: working.encoder.name(), ssim })
    }

    fn encode(
        &self,
        job: &Job,
        source: &Source,
        options: &Options,
        working: Working,
        control: &dyn Steer,
    ) -> Result<SealedChunk, Failure> {
        let keys_us = source.plan.keys_us();
        let command = command::transcode(
            &options.ffmpeg,
            &Transcode {
                encoder: working.encoder,
                hardware_decode: working.hardware_decode,
                effort: options.preset,
                quality: options.quality,
                threads: options.thread_count(),
                fps: source.fps(),
                source_kbps: source.kbps(),
                kbps_max: options.kbps_max(source.kbps()),
                keys_us: &keys_us,
            },
        );
        let keeper = self.keeper(control, options, options.limits.encode(source.seconds()));
        let mut out = Out {
            job,
            source,
            control,
            bytes_max: bytes_allowed(source.used_bytes(), options.min_savings_percent),
            layer: Layer::new(&source.plan, &source.table, &source.file),
            writer: None,
            near_90k: 0,
        };
        let mut speed = 0.0;
        let (mut cutter, count) = (Cutter::default(), source.plan.shown.len().max(1) as f64);
        let exit = keeper.run(command, source.handle()?, None, &mut |bytes, active| {
            let before = out.layer.pictures();
            cutter.push(bytes, &mut |piece| out.piece(piece))?;
            let pictures = out.layer.pictures();
            if pictures > before {
                let share = pictures as f64 / count;
                speed = share * source.seconds() / active.as_secs_f64().max(0.001);
                control.tell(share, speed);
            }
            Ok(())
        })?;
        judge(&exit, !working.hardware_decode)?;
        cutter.finish(&mut |piece| out.piece(piece))?;
        let sealed = out.finish()?;
        control.tell(1.0, speed);
        Ok(sealed)
    }

    fn keeper<'a>(&'a self, control: &'a dyn Steer, options: &Options, limit: Duration) -> Keeper<'a> {
        Keeper { spawner: &self.spawner, clock: &self.clock, control, silence: options.limits.silence, limit }
    }
}

impl Encode for Transcoder {
    fn ready(&self) -> Result<(), String> {
        self.encoders.choose(&self.options()).map(drop).map_err(|error| error.to_string())
    }

    fn run(&self, job: &Job, control: &dyn Steer) -> Result<Made, Failure> {
        let path = job.source.path(job.volume.layout(), &job.device);
        let made = match self.make(job, control) {
            // Deleted or moved meanwhile: whatever happened then, the source is not to blame.
            outcome if !job.volume.exists(&path) && !is_cancelled(&outcome) => {
                Err(Failure::new(Reason::Cancelled, "its source went meanwhile"))
            }
            outcome => outcome,
        };
        if made.is_err() {
            // Best effort: what stays is removed before the next job, and is never taken for a chunk.
            let _ = job.volume.unlink(&job.successor);
        }
        made
    }
}

fn is_cancelled(outcome: &Result<Made, Failure>) -> bool {
    matches!(outcome, Err(failure) if failure.reason == Reason::Cancelled)
}

/// The most that a successor may take.
pub fn bytes_allowed(source_bytes: u64, min_savings_percent: f64) -> u64 {
    (source_bytes as f64 * (1.0 - min_savings_percent.clamp(0.0, 100.0) / 100.0)) as u64
}

/// The successor in the making.
struct Out<'a> {
    job: &'a Job,
    source: &'a Source,
    control: &'a dyn Steer,
    bytes_max: u64,
    layer: Layer<'a>,
    writer: Option<(ChunkWriter, VideoConfig)>,
    near_90k: i64,
}

impl Out<'_> {
    /// One GOP as a transport stream.
    fn piece(&mut self, ts: &[u8]) -> Result<(), Failure> {
        let wrong = |what: String| Failure::new(Reason::Encoder, format!("ffmpeg printed {what}"));
        let segment = mpegts::demux(ts, Some(self.near_90k)).map_err(|error| wrong(error.to_string()))?;
        if segment.faults.total() > 0 {
            return Err(wrong("a damaged stream".into()));
        }
        let Some(track) = segment.video else { return Err(wrong("no pictures".into())) };
        self.near_90k = track.samples.last().map_or(self.near_90k, |sample| sample.pts_90k);
        self.open(&track)?;
        let laid = self.layer.lay(&track)?;
        for run in &laid.before {
            self.append(&run.alone())?;
        }
        self.append(&laid.fragment(&track.es))?;
        for run in &laid.after {
            self.append(&run.alone())?;
        }
        self.check_size()
    }

    /// The first GOP tells what the successor's head must say; the others must agree.
    fn open(&mut self, track: &VideoTrack) -> Result<(), Failure> {
        let structure = |message: String| Err(Failure::new(Reason::Structure, message));
        let Some(config) = &track.config else { return structure("a GOP without parameter sets".into()) };
        if let Some((_, first)) = &self.writer {
            return match first.change_to(config) {
                ConfigChange::NewPart => structure("the encoder changed its parameters".into()),
                ConfigChange::Same | ConfigChange::InBand => Ok(()),
            };
        }
        let tracks = &self.source.table.tracks;
        let size = tracks.video.as_ref().map(|video| [video.width, video.height]);
        if size != Some([config.width, config.height]) {
            return structure(format!("the pictures became {}×{}", config.width, config.height));
        }
        let meta = &self.source.table.meta;
        let spec = ChunkSpec {
            device: meta.device.clone(),
            start: meta.start,
            generation: meta.generation + 1,
            video: Some(config.clone()),
            audio: tracks.audio.clone(),
            fps: self.source.fps(),
        };
        let writer = ChunkWriter::create_at(Arc::clone(&self.job.volume), spec, self.job.successor.clone());
        let writer = writer.map_err(failed)?;
        self.control.wrote(u64::from(writer.meta().table_offset));
        self.writer = Some((writer, config.clone()));
        Ok(())
    }

    fn append(&mut self, fragment: &Fragment<'_>) -> Result<(), Failure> {
        let Some((writer, _)) = &mut self.writer else { return Ok(()) };
        let before = writer.uncommitted_bytes();
        writer.append(fragment).map_err(failed)?;
        self.control.wrote(writer.uncommitted_bytes() - before);
        if writer.uncommitted_bytes() >= COMMIT_BYTES {
            // Nobody goes on with it after a crash, so it promises nothing about segments.
            commit(writer, MarkInfo::default(), self.control)?;
        }
        Ok(())
    }

    /// Hours may still be ahead when it is clear that nothing is gained.
    fn check_size(&self) -> Result<(), Failure> {
        let Some((writer, _)) = &self.writer else { return Ok(()) };
        let bytes = used_bytes(writer.meta(), writer.published_len()) + writer.uncommitted_bytes();
        if bytes <= self.bytes_max {
            return Ok(());
        }
        let message = format!("{bytes} bytes and not finished; the source has {}", self.source.used_bytes());
        Err(Failure::new(Reason::Savings, message))
    }

    /// Seals it: complete and durable, but not verified.
    fn finish(mut self) -> Result<SealedChunk, Failure> {
        if self.writer.is_none() {
            return Err(Failure::new(Reason::Encoder, "ffmpeg printed nothing"));
        }
        for run in self.layer.finish()? {
            self.append(&run.alone())?;
        }
        let Some((mut writer, _)) = self.writer else {
            return Err(Failure::new(Reason::Encoder, "ffmpeg printed nothing"));
        };
        let mark = self.source.table.meta.sealed.and_then(|sealed| sealed.last_mark).unwrap_or_default();
        commit(&mut writer, mark, self.control)?;
        let sealed = writer.seal().map_err(failed)?;
        self.control.wrote(sealed.written_bytes);
        Ok(sealed)
    }
}

/// What was appended was told when it was.
fn commit(writer: &mut ChunkWriter, mark: MarkInfo, control: &dyn Steer) -> Result<(), Failure> {
    let appended = writer.uncommitted_bytes();
    let committed = writer.commit(mark).map_err(failed)?;
    control.wrote(committed.written_bytes.saturating_sub(appended));
    Ok(())
}

/// What an error of writing says.
fn failed(error: Error) -> Failure {
    let reason = match error.kind {
        Kind::Full => Reason::Full,
        Kind::Invalid | Kind::Corrupt | Kind::Internal => Reason::Structure,
        _ => Reason::Disk,
    };
    Failure::new(reason, error.to_string())
}
