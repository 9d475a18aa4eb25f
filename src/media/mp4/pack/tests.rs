//! Packs written and read back: growing, sealed, cut at every byte, with every byte broken.

use proptest::prelude::*;

use super::*;

const START: Utc90k = Utc90k::from_seconds(1_795_147_200);

fn head() -> PackHead {
    PackHead {
        device: "cam".parse().expect("a legal id"),
        start: START,
        generation: 0,
        size: [320, 180],
        interval_90k: 900_000,
    }
}

/// Stills of 100, 101… bytes, 10 s apart, the first `first_s` after the chunk's start.
fn growing(count: u8, first_s: i64) -> (Vec<u8>, Vec<StillRef>) {
    let (mut bytes, mut stills) = (head().encode(), Vec::new());
    for number in 0..count {
        let at = START + (first_s + 10 * i64::from(number)) * 90_000;
        let jpeg = vec![number; 100 + usize::from(number)];
        stills.push(StillRef { at, offset: bytes.len() as u64 + STILL_HEADER, bytes: jpeg.len() as u32 });
        put_still(&mut bytes, at, &jpeg);
    }
    (bytes, stills)
}

fn whole(bytes: &[u8]) -> Pack {
    let told = read(bytes, bytes.len() as u64).expect("no error").expect("a pack");
    assert_eq!(check(bytes, bytes.len() as u64).expect("no error").as_ref(), Some(&told));
    told
}

#[test]
fn a_pack_lists_the_same_while_it_grows_and_sealed() {
    for first_s in [3, 0, -5] {
        let (mut bytes, stills) = growing(60, first_s);
        assert_eq!(bytes[..STILLS_AT as usize], head().encode());
        let len = bytes.len() as u64;
        assert_eq!(whole(&bytes), Pack { head: head(), stills: stills.clone(), len, is_sealed: false });
        bytes.extend(seal(&head(), &stills).expect("a table"));
        assert_eq!(whole(&bytes), Pack { head: head(), stills, len, is_sealed: true });
    }
    let (none, _) = growing(0, 0);
    assert_eq!(whole(&none).stills, []);
    assert_eq!(seal(&head(), &[]), None);
}

/// `kill -9` or a power cut may leave any prefix.
#[test]
fn cut_anywhere_it_ends_at_a_whole_still() {
    let (mut bytes, stills) = growing(3, 0);
    let media_end = bytes.len();
    bytes.extend(seal(&head(), &stills).expect("a table"));
    for cut in 0..bytes.len() {
        let torn = &bytes[..cut];
        let told = check(torn, cut as u64).expect("no error");
        let Some(told) = told else {
            assert!(cut < STILLS_AT as usize, "{cut}");
            continue;
        };
        let fits = stills.iter().filter(|still| still.offset + u64::from(still.bytes) <= cut as u64);
        assert_eq!((told.stills.as_slice(), told.is_sealed), (&stills[..fits.count()], false), "{cut}");
        assert!(told.len <= cut.min(media_end) as u64);
    }
}

#[test]
fn a_broken_byte_costs_what_comes_after_it_and_never_shows_wrong_bytes() {
    let (mut bytes, stills) = growing(3, 0);
    bytes.extend(seal(&head(), &stills).expect("a table"));
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x20;
        let told = check(broken.as_slice(), broken.len() as u64).expect("no error");
        let stills_told = told.map(|pack| pack.stills).unwrap_or_default();
        assert!(stills.starts_with(&stills_told), "byte {at}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), real: bool) {
        if real {
            let (pack, _) = growing(2, 0);
            bytes.splice(0..0, pack);
        }
        for told in [read(&bytes, bytes.len() as u64), check(&bytes, bytes.len() as u64)] {
            if let Some(pack) = told.expect("no error") {
                prop_assert!(pack.len <= bytes.len() as u64);
                prop_assert!(pack.stills.iter().all(|still| still.offset + u64::from(still.bytes) <= pack.len));
            }
        }
        let _ = jpeg_size(&bytes);
    }
}

/// The seeds of the fuzz target `siblings` are packs as we write them today, byte for byte: a change of layout is meant,
/// or caught here.
#[test]
fn the_bytes_on_disk_are_those_of_the_seeds() {
    let (growing, stills) = growing(3, 4);
    let sealed = [growing.clone(), seal(&head(), &stills).expect("a table")].concat();
    for (name, bytes) in [("growing.mp4", growing), ("sealed.mp4", sealed)] {
        let path = std::path::Path::new("fuzz/seeds/siblings").join(name);
        if std::env::var_os("CAPSTAN_BLESS").is_some() {
            std::fs::write(&path, &bytes).expect("a writable tree");
        }
        assert!(std::fs::read(&path).is_ok_and(|seed| seed == bytes), "{name} changed; CAPSTAN_BLESS=1 if meant");
    }
}

#[test]
fn sizes_of_jpegs() {
    let frame = |marker: u8| [&[0xFF, marker, 0, 11, 8, 0, 180, 1, 64][..], &[1, 1, 0x11, 0]].concat();
    let check = |parts: &[&[u8]], expected| {
        let jpeg = [&[0xFF, 0xD8][..], &parts.concat(), &[0xFF, 0xD9]].concat();
        assert_eq!(jpeg_size(&jpeg), expected, "{parts:?}");
        assert_eq!(jpeg_size(&jpeg[..jpeg.len() - 1]), None, "cut");
    };
    let comment = [0xFF, 0xFE, 0, 4, b'h', b'i'];
    check(&[&comment, &frame(0xC0)], Some([320, 180]));
    check(&[&[0xFF], &comment, &frame(0xC2)], Some([320, 180]));
    check(&[&comment], None);
    check(&[&[0xFF, 0xDA, 0, 2], &frame(0xC0)], None);
    check(&[&[0xFF, 0xC4, 0xFF, 0xFF], &frame(0xC0)], None);
    check(&[&frame(0xC4)], None);
    check(&[], None);
    assert_eq!(jpeg_size(&[]), None);
}
