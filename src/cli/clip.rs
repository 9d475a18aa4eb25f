//! `capstan clip`: a span of a device as one file, from the running daemon, or from the archive under the root's lock.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;

use super::{
    Common, complain,
    fetch::{Daemon, Reply, get},
    output::{Aside, Bar},
    say,
};
use crate::{
    capture::{Progress, Spawner, command::Preset},
    clock::{Clock, TICKS_PER_SECOND, Utc90k},
    config::Settings,
    error::{Error, Kind, Result},
    ids::DeviceId,
    limits::WorkGroup,
    media::VideoCodec,
    merge::recover,
    playback::{
        ClipCache, TableCache,
        clip::{Clip, Made},
        virtual_mp4::{Cut, Gaps},
    },
    storage::{DeviceIndex, Volume, inventory, layout::HotLayout},
    web::{
        ANY_PLAYER, Form, address,
        checks::bytes,
        control::{Request, ask},
        moment,
        reader::Readers,
        recode::{Scratch, Tools, encode as recode},
        to_the_tick,
    },
};

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;
/// For the daemon to say that it runs.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(500);
/// Redirects tell the end there is; that end does not move.
const REDIRECTS_MAX: usize = 4;
/// Encoding without a daemon, where nobody else waits for it.
const ENCODE_LIMIT: Duration = Duration::from_secs(24 * 3600);

#[derive(Args)]
pub struct Wish {
    #[command(flatten)]
    pub common: Common,
    /// Whose footage
    device: DeviceId,
    /// RFC 3339 (2026-11-20T03:50:00Z) or seconds since 1970
    #[arg(long, value_name = "T", value_parser = time)]
    start: Utc90k,
    /// The same; what is not there yet is left out
    #[arg(long, value_name = "T", value_parser = time)]
    end: Utc90k,
    /// The file to write; replaced when it exists, and only by a whole clip
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// keep: a gap lasts as long as it lasted; skip: it goes on at once
    #[arg(long, default_value = "keep", value_parser = gap)]
    gap: Gaps,
    /// Encode anew: fast, medium, high, low or pi_optimized [default: as recorded]
    #[arg(long, value_parser = preset)]
    preset: Option<Preset>,
    /// h264: encode anew what is H.265, if anything is, so that any player takes it [default: as recorded]
    #[arg(long, value_parser = codec)]
    codec: Option<H264>,
}

/// The one codec that can be asked for.
#[derive(Clone, Copy)]
struct H264;

fn time(text: &str) -> std::result::Result<Utc90k, String> {
    moment("time", text, Clock::system().wall()).map_err(|error| error.message)
}

fn gap(text: &str) -> std::result::Result<Gaps, String> {
    match text {
        "keep" => Ok(Gaps::Keep),
        "skip" => Ok(Gaps::Skip),
        _ => Err("must be keep or skip".into()),
    }
}

fn preset(text: &str) -> std::result::Result<Preset, String> {
    Preset::parse(text).ok_or_else(|| "must be fast, medium, high, low or pi_optimized".into())
}

fn codec(text: &str) -> std::result::Result<H264, String> {
    if text == "h264" { Ok(H264) } else { Err("must be h264".into()) }
}

pub fn run(settings: Settings, wish: Wish) -> Result<ExitCode> {
    if wish.start >= wish.end {
        complain(&"--end must be after --start");
        return Ok(ExitCode::from(USAGE));
    }
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    let aside = Aside::beside(&wish.output)?;
    let (aside, until) = if ask(&socket, &Request::State, ASK_LIMIT)?.is_some() {
        from_daemon(&settings, &wish, aside)?
    } else {
        from_files(settings, &wish, aside)?
    };
    let size = aside.publish()?;
    let shown = wish.output.display();
    match until.filter(|until| *until < wish.end) {
        Some(until) => say(format_args!("{shown}: {}, up to {until}: there is no more yet", bytes(size))),
        None => say(format_args!("{shown}: {}", bytes(size))),
    }
    Ok(ExitCode::SUCCESS)
}

impl Wish {
    fn cut(&self) -> Cut {
        Cut { span: self.start..self.end, gaps: self.gap, sound_only: false }
    }

    fn form(&self) -> Form {
        match (self.preset, self.codec) {
            (Some(preset), _) => Form::Encoded(preset),
            (None, Some(H264)) => Form::H264,
            (None, None) => Form::File,
        }
    }
}

/// Over HTTP: the daemon may be writing what is wanted, and knows what is whole.
fn from_daemon(settings: &Settings, wish: &Wish, mut aside: Aside) -> Result<(Aside, Option<Utc90k>)> {
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    let pass = ask(&socket, &Request::Pass, ASK_LIMIT)?.and_then(|pass| pass.as_str().map(str::to_owned));
    let certificate = settings.server.tls_cert.clone();
    let daemon = &Daemon { address: reachable(settings.server.listen), pass, certificate };
    let mut path = address(&wish.device, &wish.cut(), wish.form());
    let (mut until, mut redirects) = (None, 0);
    let mut bar = Bar::new();
    let mut reply = loop {
        let reply = get(daemon, &path)?;
        match (reply.status, reply.location()) {
            (307, Some(explicit)) if redirects < REDIRECTS_MAX => {
                until = end_of(explicit).or(until);
                path = explicit.to_owned();
                redirects += 1;
            }
            (202, Some(job)) => {
                path = job.to_owned();
                let told = reply.json()?;
                let share = told["progress"].as_f64().unwrap_or(0.0);
                bar.show(share, told["state"].as_str().unwrap_or("waiting"));
                std::thread::sleep(LOOK);
            }
            // A job that is done.
            (200, _) if reply.is_json => {
                bar.finish();
                let done = reply.json()?;
                let url = done["url"].as_str().ok_or_else(|| Error::new(Kind::Internal, "the job has no result"))?;
                break get(daemon, url)?;
            }
            _ => break reply,
        }
    };
    if reply.status != 200 {
        return Err(refused(reply));
    }
    let Some(total) = reply.length else { return Err(Error::new(Kind::Internal, "the daemon tells no length")) };
    let mut had = 0_u64;
    let mut piece = vec![0; 128 << 10];
    loop {
        let count = io::Read::read(&mut reply.body, &mut piece).map_err(|error| lost(&error.to_string()))?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        aside.write(read)?;
        had += count as u64;
        bar.show(had as f64 / total.max(1) as f64, &bytes(had));
    }
    bar.finish();
    if had != total {
        return Err(lost(&format!("{had} of {total} bytes came")));
    }
    Ok((aside, until))
}

fn lost(why: &str) -> Error {
    Error::new(Kind::Unavailable, format!("the daemon hung up: {why}"))
}

/// An address that we can ask: a daemon on all addresses is here too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// The daemon's own words. Never `Invalid`: that would be told as a fault of the settings.
fn refused(reply: Reply) -> Error {
    let status = reply.status;
    if status == 409 {
        return match reply.json() {
            Ok(told) => mixed(told["error"]["spans"].as_array().into_iter().flatten().filter_map(|span| {
                Some(format!(
                    "{} from {} to {}",
                    span["codec"].as_str()?,
                    span["start"].as_str()?,
                    span["end"].as_str()?
                ))
            })),
            Err(error) => error,
        };
    }
    let kind = if status == 404 { Kind::NotFound } else { Kind::Unavailable };
    let told = reply.json().ok();
    let message = told.as_ref().and_then(|told| told["error"]["message"].as_str()).map(str::to_owned);
    Error::new(kind, message.unwrap_or_else(|| format!("the daemon answers {status}")))
}

/// Spans are those of one codec each.
fn mixed(spans: impl Iterator<Item = String>) -> Error {
    let spans: Vec<_> = spans.collect();
    Error::new(
        Kind::Conflict,
        format!(
            "its pictures are of several codecs, which no player takes in one file: --codec h264 encodes all of it \
             anew, shorter spans stay as they are:\n  {}",
            spans.join("\n  ")
        ),
    )
}

/// The end that an explicit address tells.
fn end_of(address: &str) -> Option<Utc90k> {
    let text = address.split(['?', '&']).find_map(|part| part.strip_prefix("end="))?;
    moment("end", text, Utc90k(i64::MAX / 2)).ok()
}

/// No daemon runs: the files themselves, while the lock keeps one from starting.
fn from_files(settings: Settings, wish: &Wish, aside: Aside) -> Result<(Aside, Option<Utc90k>)> {
    let root = &settings.storage.root;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotFound, "the archive's root is not there").at(root.display()));
    }
    let volume = Volume::open_with_library(&settings.storage, &Clock::system())?;
    let (clip, until) = cut(&settings, wish, &volume)?;
    let aside = match wish.form() {
        Form::Encoded(preset) => encode(settings, clip, preset, wish, aside)?,
        Form::H264 if clip.has_others_than_h264() => encode(settings, clip, ANY_PLAYER, wish, aside)?,
        _ if clip.is_mixed() => {
            let told = |(codec, span): (VideoCodec, std::ops::Range<Utc90k>)| {
                format!("{} from {} to {}", codec.name(), to_the_tick(span.start), to_the_tick(span.end))
            };
            return Err(mixed(clip.stretches().into_iter().map(told)));
        }
        _ => copy(&clip, aside)?,
    };
    Ok((aside, until))
}

fn cut(settings: &Settings, wish: &Wish, volume: &Volume) -> Result<(Clip, Option<Utc90k>)> {
    let index = DeviceIndex::new(wish.device.clone());
    for key in inventory::load(volume, &index)?.in_temp {
        if let Some(chunk) = recover::look(volume, &wish.device, key)? {
            index.put_if_absent(chunk);
        }
    }
    inventory::load_library(volume, &index)?;
    if let Some(away) = volume.library().filter(|away| away.is_ok()) {
        inventory::load_away(away, &index)?;
    }
    let nothing = || {
        let (device, start, end) = (&wish.device, wish.start, wish.end);
        Error::new(Kind::NotFound, format!("{device} has no footage from {start} to {end}"))
    };
    let newest = index.snapshot().newest().map(|chunk| chunk.end).ok_or_else(nothing)?;
    let mut cut = wish.cut();
    cut.span.end = cut.span.end.min(newest + 1);
    let seconds = (cut.span.end - cut.span.start) / TICKS_PER_SECOND;
    let most = settings.limits.clip_seconds;
    if u64::try_from(seconds).is_ok_and(|seconds| seconds > most) {
        return Err(Error::new(Kind::Full, format!("a clip is at most {most} s long ([limits] clip_seconds)")));
    }
    let (tables, clips, mut until) = (TableCache::default(), ClipCache::default(), None);
    loop {
        match Clip::make(volume, &index, (&tables, &clips), cut.clone())? {
            Made::Clip(clip) => return Ok((*clip, until)),
            Made::Until(end) if until.is_none() => {
                until = Some(end);
                cut.span.end = end;
            }
            Made::Until(_) | Made::Nothing => return Err(nothing()),
        }
    }
}

fn copy(clip: &Clip, mut aside: Aside) -> Result<Aside> {
    let mut bar = Bar::new();
    aside.write(&clip.movie.head)?;
    let (mut had, total) = (clip.movie.head.len() as u64, clip.len());
    let mut piece = vec![0; 128 << 10];
    for (file, range) in clip.slices() {
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(piece.len());
            let read = piece.get_mut(..len).unwrap_or_default();
            std::os::unix::fs::FileExt::read_exact_at(&**file, read, at)
                .map_err(|error| Error::io("reading a chunk", "", error))?;
            aside.write(read)?;
            at += len as u64;
            had += len as u64;
            bar.show(had as f64 / total.max(1) as f64, &bytes(had));
        }
    }
    bar.finish();
    Ok(aside)
}

fn encode(settings: Settings, clip: Clip, preset: Preset, wish: &Wish, aside: Aside) -> Result<Aside> {
    let failed = |error| Error::io("starting an encoder", "", error);
    let spawner = Spawner::start(WorkGroup::default())?;
    let readers = Readers::start().map_err(failed)?;
    let duration_us = (clip.wish.span.end - clip.movie.start).max(1) as f64 * 100.0 / 9.0;
    let bar = Arc::new(std::sync::Mutex::new(Bar::new()));
    let shown = bar.clone();
    let hear = Box::new(move |progress: Progress| {
        if let Ok(mut bar) = shown.lock() {
            bar.show(progress.out_time_us.max(0) as f64 / duration_us, &bytes(progress.bytes));
        }
    });
    let scratch = |number| {
        let mut name = wish.output.clone().into_os_string();
        name.push(format!(".{number}"));
        let place = Aside::beside(std::path::Path::new(&name))?;
        Ok(Scratch { path: place.path(), keep: Box::new(place) })
    };
    let (tools, output) = (Tools { spawner: &spawner, readers: &readers, settings: &settings }, aside.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(recode(tools, clip, preset, &output, scratch, hear, ENCODE_LIMIT))?;
    if let Ok(mut bar) = bar.lock() {
        bar.finish();
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_on_all_addresses_is_asked_on_this_machine() {
        let check = |listen: &str, expected: &str| {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        };
        check("0.0.0.0:8080", "127.0.0.1:8080");
        check("[::]:80", "[::1]:80");
        check("192.0.2.7:8080", "192.0.2.7:8080");
    }

    #[test]
    fn explicit_addresses_tell_their_end() {
        let check = |address: &str, expected: Option<i64>| {
            assert_eq!(end_of(address).map(Utc90k::as_ms), expected, "{address}");
        };
        check("/api/host/clip/cam.mp4?start=1&end=2023-11-14T22:13:20.125Z&gap=skip", Some(1_700_000_000_125));
        check("/api/host/clip/cam.mp4?start=1&end=1700000000.5", Some(1_700_000_000_500));
        check("/api/host/clip/cam.mp4?start=1", None);
        check("/x?end=soon", None);
    }
}
