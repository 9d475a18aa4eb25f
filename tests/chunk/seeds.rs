//! The fuzz seeds of `mp4_scan` are chunks as we write them today, byte for byte; damaged, they never cause a panic.

use std::{fs, path::PathBuf};

use capstan::media::mp4::{
    SealedMeta,
    head::Head,
    salvage::{Tail, salvage},
    scan,
};

use crate::{
    mp4_folded::{DATA_OFFSET, Folded, HEAD_LEN, check},
    support::{Place, Random, mark, rounds, small},
};

/// A growing chunk with audio, one without, and a sealed one with its table at the end.
fn chunks() -> Vec<(&'static str, Vec<u8>)> {
    let growing = |gops, has_audio| {
        let place = Place::new();
        let writer = small(gops, has_audio).record(&place, 2);
        Folded::fold(&fs::read(place.absolute(writer.path())).unwrap())
    };
    let both = growing(4, true);
    vec![("sealed", sealed(&both)), ("growing", both), ("growing_video", growing(3, false))]
}

/// Sealed as if the table had outgrown its reserve, because a seed must be small.
fn sealed(growing: &[u8]) -> Vec<u8> {
    let source = Folded(growing);
    let head = Head::read(&source).unwrap().unwrap();
    let pieces = scan::deep(&source, DATA_OFFSET, source.len()).unwrap();
    let kept = salvage(&pieces, &head.tracks, DATA_OFFSET, Tail::Cut);
    let meta = SealedMeta { end: head.end(&kept.tables), gaps: 0, last_mark: Some(mark(2)) };
    let mut out = growing.to_vec();
    let head_len = HEAD_LEN as usize;
    out[40..340].copy_from_slice(&head.sealed_identity(meta).unwrap());
    out[32..40].copy_from_slice(&head.sealing_bytes());
    let free = (DATA_OFFSET - 16 - HEAD_LEN) as u32;
    out[head_len..][..8].copy_from_slice(&[&free.to_be_bytes()[..], b"free"].concat());
    let mdat = source.len() - (DATA_OFFSET - 16);
    out[head_len + 8..][..16].copy_from_slice(&[b"\0\0\0\x01mdat", &mdat.to_be_bytes()[..]].concat());
    out.extend(head.sealed_moov(meta, &kept.tables).unwrap());
    out
}

/// `CAPSTAN_BLESS=1` writes them anew, for a layout that was meant to change.
#[test]
fn the_layout_has_not_changed_by_accident() {
    for (name, bytes) in chunks() {
        let path = PathBuf::from("fuzz/seeds/mp4_scan").join(name);
        if std::env::var_os("CAPSTAN_BLESS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == bytes, "{name}: bytes on disk changed; CAPSTAN_BLESS=1 if meant");
        let verdict = capstan::media::mp4::verify::verify(&Folded(&bytes), Folded(&bytes).len()).unwrap();
        assert_eq!(verdict.problems, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn damaged_chunks_never_panic() {
    for entry in fs::read_dir("fuzz/seeds/mp4_scan").unwrap() {
        let whole = fs::read(entry.unwrap().path()).unwrap();
        check(&whole);
        for round in 0..rounds(200) {
            let mut random = Random(round);
            let mut bytes = whole.clone();
            for _ in 0..=random.below(8) {
                // Where boxes are, not in the middle of nowhere.
                let at = random.below(bytes.len() as u64) as usize;
                let len = (random.below(64) as usize).min(bytes.len() - at);
                match random.below(5) {
                    0 => bytes[at..at + len].fill(0),
                    1 => bytes.truncate(at + 1),
                    2 => {
                        let piece = bytes[at..at + len].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    3 => bytes[at] = [0, 1, 0x7F, 0xFF][random.below(4) as usize],
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            check(&bytes);
        }
    }
}
