//! What the detectors say of pictures and sound that are drawn by numbers, and of files that are no pictures.

use proptest::prelude::*;

use super::{
    Eyes, Seen,
    black::{Darkness, black},
    loudness::{self, Loudness},
    luma::Picture,
};
use crate::{clock::Utc90k, config::Detect, error::Kind};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;
const STEP_90K: i64 = 18_000;

/// A picture with edges, slopes and texture; `shift` moves it to the left.
fn scene(shift: usize) -> Vec<u8> {
    let pixel = |x: usize, y: usize| {
        let x = x + shift;
        let tiles = if (x / 24 + y / 20).is_multiple_of(2) { 40 } else { 0 };
        (60 + tiles + (x * 7 + y * 3) % 50 + y / 4) as u8
    };
    (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| pixel(x, y))).collect()
}

fn flat(luma: u8) -> Vec<u8> {
    vec![luma; WIDTH * HEIGHT]
}

/// Bounded noise of which every frame gets another part.
fn noisy(mut luma: Vec<u8>, seed: u64, strength: i32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for pixel in &mut luma {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let noise = (state >> 33) as i32 % (2 * strength + 1) - strength;
        *pixel = (i32::from(*pixel) + noise).clamp(0, 255) as u8;
    }
    luma
}

fn draw(luma: &mut [u8], x: usize, y: usize, width: usize, height: usize, value: u8) {
    for row in y..y + height {
        luma[row * WIDTH + x..row * WIDTH + x + width].fill(value);
    }
}

fn picture(number: usize, luma: Vec<u8>) -> Picture {
    Picture::from_luma(Utc90k(number as i64 * STEP_90K), WIDTH, HEIGHT, luma)
}

/// The verdicts on as many frames.
fn verdicts(frames: usize, detect: &Detect, frame: impl Fn(usize) -> Vec<u8>) -> Vec<Seen> {
    let mut eyes = Eyes::new();
    (0..frames).map(|number| eyes.look_at(picture(number, frame(number)), detect)).collect()
}

fn still(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.freeze == Some(true)).count()
}

#[test]
fn black_is_dark_and_empty() {
    let check = |name: &str, luma: Vec<u8>, expected: bool| {
        assert_eq!(black(&picture(0, luma), &Detect::default()).black, expected, "{name}");
    };
    let with = |mut luma: Vec<u8>, x, y, w, h| {
        draw(&mut luma, x, y, w, h, 220);
        luma
    };
    check("black", flat(0), true);
    check("TV black that nobody converted", flat(16), true);
    check("the same with noise", noisy(flat(16), 3, 5), true);
    check("dark grey", flat(28), false);
    check("black with noise", noisy(flat(2), 3, 8), true);
    check("a station's logo", with(flat(0), 270, 20, 28, 20), true);
    check("a clock below", with(flat(0), 20, 140, 200, 30), true);
    check("a window in the night", with(flat(4), 60, 40, 80, 60), false);
    check("letterbox", with(flat(0), 0, 30, 320, 120), false);
    let shapes = (0..WIDTH * HEIGHT).map(|at| ((at % WIDTH) / 32) as u8).collect();
    check("shapes in the dark", shapes, false);
    check("a scene", scene(0), false);
}

#[test]
fn what_plays_on_black_is_not_black() {
    let detect = Detect::default();
    let last = |frame: &dyn Fn(usize) -> Vec<u8>| {
        let mut darkness = Darkness::default();
        let verdicts: Vec<_> = (0..20).map(|number| darkness.look(&picture(number, frame(number)), &detect)).collect();
        verdicts[19].black
    };
    let logo = |_| {
        let mut luma = flat(0);
        draw(&mut luma, 270, 20, 28, 20, 220);
        luma
    };
    let credits = |number: usize| {
        let mut luma = flat(0);
        for line in 0..3 {
            draw(&mut luma, 100, 100 - number + line * 20, 120, 3, 220);
        }
        luma
    };
    let clock = |number: usize| {
        let mut luma = flat(0);
        draw(&mut luma, 20 + number % 4, 14, 30, 8, 220);
        luma
    };
    assert!(last(&logo));
    assert!(!last(&credits));
    assert!(last(&clock));
}

#[test]
fn still_is_what_does_not_change_more_than_noise() {
    let blink = |width: usize, height: usize| {
        move |number: usize| {
            let mut luma = scene(0);
            draw(&mut luma, 100, 50, width, height, if number.is_multiple_of(2) { 30 } else { 200 });
            luma
        }
    };
    let detect = Detect::default();
    let small = Detect { ignore_small_motion: true, ..Detect::default() };
    let all = |seen: Vec<Seen>| (still(&seen), seen.len());
    assert_eq!(all(verdicts(20, &detect, |_| scene(0))), (18, 20), "the same");
    assert_eq!(all(verdicts(20, &detect, |number| noisy(scene(0), number as u64, 8))), (18, 20), "noise");
    assert_eq!(all(verdicts(20, &detect, |number| noisy(scene(0), number as u64, 20))), (18, 20), "strong noise");
    assert_eq!(all(verdicts(20, &detect, blink(3, 3))), (18, 20), "fewer pixels than are motion");
    assert_eq!(all(verdicts(20, &detect, blink(3, 4))), (0, 20), "a cursor");
    assert_eq!(all(verdicts(20, &small, blink(3, 4))), (18, 20), "a cursor that is ignored");
    assert_eq!(all(verdicts(20, &small, blink(40, 40))), (0, 20), "too large to be ignored");
    assert_eq!(all(verdicts(20, &detect, scene)), (0, 20), "a pan");
    let fade = |number: usize| scene(0).iter().map(|luma| luma - (number as u8).min(60)).collect();
    assert_eq!(still(&verdicts(20, &detect, fade)[3..]), 0, "a fade");
    let clock = |number: usize| {
        let mut luma = scene(0);
        draw(&mut luma, 200, 20, 3, 5, if (number / 5).is_multiple_of(2) { 30 } else { 200 });
        luma
    };
    let seen = verdicts(40, &detect, clock);
    assert_eq!(still(&seen[6..]), 0, "a clock that shows seconds");
}

#[test]
fn frozen_is_told_since_the_first_picture_that_looks_so() {
    let since = |frames: usize, stops: usize| {
        let seen = verdicts(frames, &Detect::default(), |number| scene(number.min(stops) * 4));
        let first = seen.iter().find(|seen| seen.freeze == Some(true)).unwrap();
        assert!(seen.iter().filter(|seen| seen.freeze == Some(true)).all(|seen| seen.still_since == first.still_since));
        assert!(seen[..stops].iter().all(|seen| seen.still_since.is_none()));
        first.still_since.map(|at| at.0 / STEP_90K)
    };
    assert_eq!((since(10, 0), since(20, 7)), (Some(0), Some(7)));
}

#[test]
fn speckles_all_over_are_less_than_a_clock() {
    // As a codec makes them: single pixels anywhere, and one block of 4×4.
    let speckled = |number: usize, blocks: usize| {
        let mut luma = scene(0);
        for speck in 0..300 {
            luma[(speck * 191 + number * 7919) % (WIDTH * HEIGHT)] ^= 0x20;
        }
        (0..blocks)
            .for_each(|at| draw(&mut luma, 40 + 40 * at, 60, 4, 4, if number.is_multiple_of(2) { 20 } else { 90 }));
        luma
    };
    let detect = Detect::default();
    assert_eq!(still(&verdicts(20, &detect, |number| speckled(number, 1))), 18);
    assert_eq!(still(&verdicts(20, &detect, |number| speckled(number, 2))), 0, "two of them at once move");
}

#[test]
fn slow_motion_adds_up() {
    // A quarter of a pixel in a second: nothing between neighbours.
    let drift = |number: usize| {
        let (a, b, part) = (scene(number / 20), scene(number / 20 + 1), number % 20);
        a.iter().zip(&b).map(|(a, b)| ((usize::from(*a) * (20 - part) + usize::from(*b) * part) / 20) as u8).collect()
    };
    let seen = verdicts(100, &Detect::default(), drift);
    let longest = seen.split(|seen| seen.freeze != Some(true)).map(<[Seen]>::len).max();
    assert!(longest < Some(10), "still for {longest:?} frames: below open_after");
}

#[test]
fn another_beginning_is_unknown() {
    let detect = Detect::default();
    let mut eyes = Eyes::new();
    let mut look = |number: usize, height: usize| {
        let at = Utc90k(number as i64 * STEP_90K);
        eyes.look_at(Picture::from_luma(at, WIDTH, height, scene(0)), &detect).freeze
    };
    let mut found: Vec<_> = [0, 1, 2, 3].map(|number| look(number, HEIGHT)).to_vec();
    found.extend([4, 5, 6].map(|number| look(number, 160)));
    found.push(look(3, 160));
    let known = [None, None, Some(true), Some(true), None, None, Some(true), None];
    assert_eq!(found, known, "of another size, and set back in time");
    eyes.reset();
    assert_eq!(eyes.look_at(picture(9, scene(0)), &detect).freeze, None);
}

#[test]
fn a_slate_is_one_colour_or_bars_for_three_seconds() {
    let check = |name: &str, luma: Vec<u8>, expected: bool| {
        let seen = verdicts(25, &Detect::default(), |_| luma.clone());
        assert_eq!(seen[14].no_signal, Some(false), "{name}: not yet");
        assert_eq!(seen[24].no_signal, Some(expected), "{name}");
    };
    let text = |mut luma: Vec<u8>| {
        (0..8).for_each(|letter| draw(&mut luma, 100 + letter * 14, 80, 7, 14, 235));
        luma
    };
    check("blue with a line of text", text(flat(30)), true);
    check("bars", (0..WIDTH * HEIGHT).map(|at| (230 - at % WIDTH / 40 * 26) as u8).collect(), true);
    check("black", text(flat(0)), false);
    check("a scene", scene(0), false);
    let mut menu = text(flat(40));
    draw(&mut menu, 20, 20, 60, 140, 80);
    draw(&mut menu, 200, 20, 100, 50, 120);
    check("a menu", menu, false);
}

fn jpeg(width: u16, height: u16, luma: &[u8], progressive: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 85);
    encoder.set_progressive(progressive);
    encoder.encode(luma, width, height, jpeg_encoder::ColorType::Luma).unwrap();
    out
}

#[test]
fn what_is_no_picture_is_refused() {
    let detect = Detect::default();
    let mut eyes = Eyes::new();
    let mut check = |name: &str, bytes: &[u8], expected: Result<bool, Kind>| {
        let found = eyes.look(Utc90k(0), bytes, &detect);
        assert_eq!(found.map(|seen| seen.black == Some(true)).map_err(|error| error.kind), expected, "{name}");
    };
    let whole = jpeg(320, 180, &scene(0), false);
    check("grey", &whole, Ok(false));
    check("progressive", &jpeg(320, 180, &scene(0), true), Ok(false));
    check("black", &jpeg(320, 180, &flat(0), false), Ok(true));
    check("large", &jpeg(1920, 1080, &vec![0; 1920 * 1080], false), Ok(true));
    check("padded", &[&whole[..], &[0; 7]].concat(), Ok(false));
    check("empty", &[], Err(Kind::Corrupt));
    check("zeros", &[0; 4096], Err(Kind::Corrupt));
    check("1×1", &jpeg(1, 1, &[0], false), Err(Kind::Invalid));
    check("8K", &jpeg(7680, 4320, &vec![0; 7680 * 4320], false), Err(Kind::Invalid));
    let mut cmyk = Vec::new();
    let ink = vec![9; 64 * 64 * 4];
    jpeg_encoder::Encoder::new(&mut cmyk, 85).encode(&ink, 64, 64, jpeg_encoder::ColorType::Cmyk).unwrap();
    check("CMYK", &cmyk, Err(Kind::Invalid));
    for end in (0..whole.len()).step_by(97) {
        check("truncated", &whole[..end], Err(Kind::Corrupt));
    }
}

#[test]
fn what_cannot_be_decoded_changes_nothing() {
    let detect = Detect::default();
    let mut eyes = Eyes::new();
    let whole = jpeg(320, 180, &scene(0), false);
    for number in 0..6 {
        let at = Utc90k(number * STEP_90K);
        let _ = eyes.look(at + 1, &whole[..whole.len() / 2], &detect);
        let seen = eyes.look(at, &whole, &detect).unwrap();
        assert_eq!(seen.freeze, (number >= 2).then_some(true));
    }
}

/// `seconds` of a square wave of that height.
fn tone(seconds: usize, height: i16) -> Vec<u8> {
    (0..seconds * 16_000).flat_map(|at| if at % 32 < 16 { height } else { -height }.to_le_bytes()).collect()
}

fn levels(pcm: &[u8], step: usize) -> Vec<f32> {
    let (mut loudness, mut found) = (Loudness::new(), Vec::new());
    for part in pcm.chunks(step) {
        loudness.push(part, &mut |level| {
            assert_eq!(level.window, found.len() as u64);
            found.push(level.rms_db);
        });
    }
    found
}

#[test]
fn levels_are_of_full_scale() {
    let check = |height: i16, expected: f32| {
        for step in [1, 7, 3199, 3200, 100_000] {
            let found = levels(&tone(1, height), step);
            assert_eq!(found.len(), 10);
            assert!(found.iter().all(|db| (db - expected).abs() < 0.01), "{height}: {found:?}");
        }
    };
    check(i16::MAX, 0.0);
    check(3277, -20.0);
    check(1, -90.31);
    check(0, -100.0);
}

#[test]
fn half_a_second_below_the_threshold_is_silence() {
    let detect = Detect::default();
    let check = |levels: &[f32], silent: Option<bool>, mean: Option<f32>, percent: Option<u8>| {
        let found = loudness::sound(levels, &detect);
        assert_eq!(
            (found.silent, found.mean_volume_db.map(f32::round), found.volume_percentage),
            (silent, mean, percent)
        );
    };
    let of = |loud: usize, quiet: usize| [vec![-20.0; loud], vec![-80.0; quiet]].concat();
    check(&[], None, None, None);
    check(&of(10, 0), Some(false), Some(-20.0), Some(67));
    check(&of(7, 3), Some(false), Some(-22.0), Some(64));
    check(&of(5, 5), Some(true), Some(-23.0), Some(62));
    check(&of(0, 10), Some(true), Some(-80.0), Some(0));
    check(&of(0, 3), None, Some(-80.0), Some(0));
    check(&of(2, 0), Some(false), Some(-20.0), Some(67));
    check(&[-49.0; 10], Some(false), Some(-49.0), Some(18));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_least_noise_is_not_motion(seed in 0_u64..1000, shift in 0_usize..200) {
        let seen = verdicts(8, &Detect::default(), |number| noisy(scene(shift), seed + number as u64, 1));
        prop_assert_eq!(still(&seen), 6);
    }

    #[test]
    fn four_pixels_are_motion(shift in 0_usize..200, strength in 1_i32..12) {
        let moved = |number: usize| noisy(scene(shift + number * 4), number as u64, strength);
        let seen = verdicts(8, &Detect::default(), moved);
        prop_assert_eq!(still(&seen), 0);
    }

    #[test]
    fn a_logo_leaves_black_black(x in 0_usize..280, y in 9_usize..100, value in 30_u8..255) {
        let mut luma = flat(0);
        draw(&mut luma, x, y, 40, 26, value);
        prop_assert!(black(&picture(0, luma), &Detect::default()).black);
    }

    #[test]
    fn bytes_are_never_a_panic(at in 0_usize..4000, byte in any::<u8>(), cut in 0_usize..4000) {
        let mut bytes = jpeg(320, 180, &scene(3), cut % 2 == 0);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - if cut < 2000 { 0 } else { cut % bytes.len() });
        let _ = Eyes::new().look(Utc90k(0), &bytes, &Detect::default());
    }
}
