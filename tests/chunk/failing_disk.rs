//! A disk that refuses: the n-th write, the n-th sync. Earlier commits stay readable, nothing is retried in place.

use std::sync::Arc;

use capstan::{
    error::Kind,
    merge::{
        chunk::ChunkWriter,
        recover::{Recovered, recover, verify_file},
    },
    storage::faults::{Effect, Op},
};

use crate::support::{Place, device, mark, small};

/// Fails the n-th operation of a recording, for every n until none is left to fail.
fn fail_each(op: Op, errno: i32) {
    for skip in 0.. {
        let place = Place::new();
        let media = small(4, true);
        place.volume.mkdir_all(&place.volume.layout().temp(&device())).unwrap();
        place.volume.faults().arm(op, skip, 1, Effect::Fail(errno));
        let mut committed = 0u64;
        let mut attempt = || -> capstan::error::Result<()> {
            let mut writer = ChunkWriter::create(Arc::clone(&place.volume), media.spec.clone())?;
            for (index, batch) in media.gops.chunks(2).enumerate() {
                for gop in batch {
                    writer.append(&gop.as_fragment()).inspect_err(|_| after_failure(&mut writer, errno))?;
                }
                writer.commit(mark(index as u64 + 1)).inspect_err(|_| after_failure(&mut writer, errno))?;
                committed += 1;
            }
            writer.seal().map(drop)
        };
        let result = attempt();
        place.volume.faults().clear();
        let Err(error) = result else { return };
        assert!(matches!(error.kind, Kind::Io | Kind::Full), "{op:?} {skip}: {error}");

        let recovered = recover(&place.volume, &device(), &|_| true).unwrap().pop();
        match recovered.map(|recovered| recovered.unwrap()) {
            None | Some(Recovered::Deleted(_)) => assert_eq!(committed, 0, "{op:?} {skip}"),
            Some(Recovered::Open(writer)) => {
                assert_eq!(writer.last_mark(), Some(mark(committed)), "{op:?} {skip}");
                let sealed = writer.seal().unwrap();
                assert!(verify_file(&place.volume, &sealed.path).unwrap().is_whole(), "{op:?} {skip}");
            }
            // The sync after the flip failed: the flip itself is there.
            Some(Recovered::Sealed(chunk)) => assert_eq!(chunk.sealed.last_mark, Some(mark(committed))),
            Some(other) => panic!("{op:?} {skip}: {other:?}"),
        }
    }
}

/// `Full` leaves a writer that may roll back and try again; anything else ends it.
fn after_failure(writer: &mut ChunkWriter, errno: i32) {
    if errno == libc::ENOSPC && !writer.is_poisoned() {
        writer.rollback().unwrap();
        return;
    }
    assert!(writer.is_poisoned());
    assert_eq!(writer.append(&small(1, true).gops[0].as_fragment()).unwrap_err().kind, Kind::Io);
    assert!(writer.rollback().is_err() && writer.commit(mark(9)).is_err());
}

#[test]
fn each_failed_write_leaves_the_commits_before_it() {
    fail_each(Op::Write, libc::EIO);
    fail_each(Op::Write, libc::ENOSPC);
}

#[test]
fn each_failed_sync_leaves_the_commits_before_it() {
    fail_each(Op::SyncFile, libc::EIO);
    fail_each(Op::SyncDir, libc::EIO);
}

#[test]
fn a_full_disk_is_waited_out_in_the_same_file() {
    let place = Place::new();
    let media = small(3, true);
    let mut writer = ChunkWriter::create(Arc::clone(&place.volume), media.spec.clone()).unwrap();
    writer.append(&media.gops[0].as_fragment()).unwrap();
    writer.commit(mark(1)).unwrap();
    let published = writer.published_len();
    writer.append(&media.gops[1].as_fragment()).unwrap();
    place.volume.faults().arm(Op::Write, 0, 1, Effect::Fail(libc::ENOSPC));
    assert_eq!(writer.append(&media.gops[2].as_fragment()).unwrap_err().kind, Kind::Full);
    writer.rollback().unwrap();
    assert_eq!(std::fs::metadata(place.absolute(writer.path())).unwrap().len(), published);
    for gop in &media.gops[1..] {
        writer.append(&gop.as_fragment()).unwrap();
    }
    writer.commit(mark(2)).unwrap();
    let sealed = writer.seal().unwrap();
    let verdict = verify_file(&place.volume, &sealed.path).unwrap();
    assert_eq!((verdict.problems.len(), verdict.samples), (0, media.samples() as u64));
}

/// The fragment is to blame, not the disk: the writer refuses it and goes on.
#[test]
fn bad_fragments_are_refused_without_harm() {
    let place = Place::new();
    let media = small(2, true);
    let mut writer = ChunkWriter::create(Arc::clone(&place.volume), media.spec.clone()).unwrap();
    writer.append(&media.gops[1].as_fragment()).unwrap();
    let backwards = writer.append(&media.gops[0].as_fragment()).unwrap_err();
    let empty = writer.append(&Default::default()).unwrap_err();
    let mut no_nal = media.gops[1].clone();
    no_nal.video.as_mut().unwrap().base = 1 << 20;
    no_nal.audio = None;
    no_nal.video.as_mut().unwrap().es.fill(1);
    let corrupt = writer.append(&no_nal.as_fragment()).unwrap_err();
    assert_eq!([backwards.kind, empty.kind, corrupt.kind], [Kind::Invalid, Kind::Invalid, Kind::Corrupt]);
    writer.commit(mark(1)).unwrap();
    assert_eq!(verify_file(&place.volume, writer.path()).unwrap().fragments, 1);
    assert_eq!(ChunkWriter::seal(writer).unwrap().sealed.gaps, 0);
}
