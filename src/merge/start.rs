//! What a device's files on disk say when merging begins: which chunks there are, which goes on, what is committed.

use std::time::Duration;

use crate::{
    error::Result,
    media::mp4::MarkInfo,
    merge::{
        cell::Core,
        chunk::ChunkWriter,
        handover::Ring,
        job,
        lay::Lanes,
        merger_actor::MergerParts,
        recover::{Recovered, recover},
    },
    storage::{Place, inventory, layout::ChunkKey},
};

fn ring(parts: &MergerParts) -> Ring<'_> {
    let archive = &parts.settings.archive;
    Ring {
        device: &parts.device,
        volume: &parts.volume,
        index: &parts.index,
        retention: &parts.retention,
        chunk_seconds: archive.chunk_seconds,
        window: Duration::from_secs(u64::from(archive.window_hours) * 3600),
        stays: parts.stays.as_ref(),
    }
}

/// Looks through ring and `temp`, publishes what is there, tells hot what is committed, and goes on in the newest open
/// chunk. Runs before a device's first commit, and again after a file failed.
pub(super) fn recover_device(parts: &MergerParts, core: &mut Core) -> Result<()> {
    let mut newest = inventory::load(&parts.volume, &parts.index)?.last_segment;
    let mut learn = |mark: Option<MarkInfo>| newest = newest.max(mark.map(|mark| mark.last));
    cut_spent(parts, core);
    let waiting = parts.hot.waiting();
    let hot_has_after =
        |mark: Option<&MarkInfo>| waiting.last().is_some_and(|newest| mark.is_none_or(|mark| newest.key > mark.last));
    let mut open: Vec<ChunkWriter> = Vec::new();
    for found in recover(&parts.volume, &parts.device, &hot_has_after)? {
        match found {
            Ok(Recovered::Open(writer)) => {
                // A mark whose sync failed may read well and still be gone after a power cut.
                if !core.spent.contains_key(&writer.key()) {
                    learn(writer.last_mark());
                }
                parts.index.put(job::open_entry(&writer, writer.end()));
                open.push(*writer);
            }
            Ok(Recovered::Sealed(sealed)) => {
                learn(sealed.sealed.last_mark);
                if parts.index.get(&sealed.key()).is_none() {
                    parts.index.put(sealed.entry(Place::Temp));
                }
                core.sealed.push(*sealed);
            }
            Ok(Recovered::Deleted(path)) => {
                forget(parts, &path);
                slog::info!(parts.log, "an empty chunk was removed"; "path" => %path.display());
            }
            Ok(Recovered::Quarantined { path, why }) => {
                forget(parts, &path);
                slog::warn!(parts.log, "a file was set aside"; "path" => %path.display(), "why" => why);
            }
            Err(error) => slog::warn!(parts.log, "a chunk cannot be recovered now"; "error" => %error),
        }
    }
    if let Some(newest) = newest {
        parts.epochs.seen(newest.epoch);
        parts.hot.mark_committed_up_to(newest);
    }
    choose(parts, core, open);
    parts.beside.recover();
    core.recovered = true;
    Ok(())
}

/// Goes on in the open chunk with the newest mark; the others get sealed.
fn choose(parts: &MergerParts, core: &mut Core, mut open: Vec<ChunkWriter>) {
    open.sort_by_key(|writer| writer.last_mark().map(|mark| mark.last));
    let goes_on = open.pop_if(|writer| writer.last_mark().is_some() && !core.spent.contains_key(&writer.key()));
    for writer in open {
        let key = writer.key();
        match job::seal(parts, writer) {
            Ok(sealed) => {
                core.spent.remove(&key);
                core.sealed.push(sealed);
            }
            Err(error) => {
                slog::warn!(parts.log, "a part is not sealed yet"; "chunk" => key.file_name(), "error" => %error);
            }
        }
    }
    core.writer = None;
    if let Some(writer) = goes_on
        && let Some(mark) = writer.last_mark()
    {
        let [video, audio] = writer.next_decode_times();
        let spec = writer.spec();
        let lanes = Lanes::new(spec.start, spec.video.as_ref().map(|video| video.codec), spec.audio.clone())
            .resume(Some(video).filter(|end| *end > 0), Some(audio).filter(|end| *end > 0));
        core.timeline.resume(lanes, &mark);
        core.writer = Some(writer);
    }
}

/// Takes off what a failed commit may have left behind the committed bytes: those segments go to another part.
fn cut_spent(parts: &MergerParts, core: &Core) {
    for (key, committed_bytes) in core.spent.iter().filter(|(_, bytes)| **bytes > 0) {
        let path = parts.volume.layout().open_chunk(&parts.device, *key);
        let longer = parts.volume.metadata(&path).is_ok_and(|meta| meta.bytes > *committed_bytes);
        if longer && let Ok(file) = parts.volume.open_rw(&path) {
            // When even this fails, the worst is footage twice, never footage lost.
            let _ = file.set_len(*committed_bytes);
        }
    }
}

fn forget(parts: &MergerParts, path: &std::path::Path) {
    if let Some(key) = path.file_name().and_then(|name| ChunkKey::parse(name.to_str()?)) {
        parts.index.remove(&key);
    }
}

/// Sealed chunks go to the ring; one that cannot now is tried again at the next job, and readable meanwhile.
pub(super) fn hand_over_waiting(parts: &MergerParts, core: &mut Core) {
    let ring = ring(parts);
    core.sealed.retain(|sealed| {
        let key = sealed.key();
        parts.beside.complete(key, sealed.meta.start, sealed.sealed.end);
        match ring.hand_over(sealed) {
            Ok(left) => {
                parts.beside.settle(key);
                parts.metrics.chunks_expired.inc_by(left as u64);
                false
            }
            Err(error) => {
                slog::warn!(parts.log, "chunk stays in temp for now"; "chunk" => key.file_name(), "error" => %error);
                true
            }
        }
    });
}
