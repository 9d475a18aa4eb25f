//! What the product makes of pictures and sound: its eyes and ears, frame by frame, and its incidents.

use std::collections::BTreeMap;

use capstan::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config::Detect,
    frames::{Eyes, Hearing, Observation, Seen},
    ids::{Epoch, SegmentKey},
    incident::{Change, Incident, Owner, Signal, State},
};

/// `(kind, from, to)`, seconds of the clip.
pub type Spell = (String, f64, f64);

const RUN: Epoch = Epoch(1);
/// Pictures carry hundredths of a second in their names.
const HUNDREDTH_90K: i64 = TICKS_PER_SECOND / 100;
/// 16 kHz, mono, two bytes.
const PCM_BYTES_PER_SECOND: i64 = 32_000;
/// Where there is only sound, so often is it asked for.
const ASKED_90K: i64 = TICKS_PER_SECOND / 5;

pub fn seconds(at: Utc90k) -> f64 {
    at.0 as f64 / TICKS_PER_SECOND as f64
}

/// The incidents of a clip. `each` is told of every frame.
pub fn watch(
    pictures: &[(Utc90k, Vec<u8>)],
    pcm: &[u8],
    detect: &Detect,
    each: &mut dyn FnMut(&Observation),
) -> Vec<Spell> {
    let (mut eyes, hearing) = (Eyes::new(), Hearing::new());
    let mut state = State::new(Owner { host: "host".into(), device: "cam".parse().unwrap() });
    let mut found = BTreeMap::new();
    let mut heard = 0;
    let mut next_tick = Utc90k(0);
    let sound_end = Utc90k(pcm.len() as i64 * TICKS_PER_SECOND / PCM_BYTES_PER_SECOND);
    let frames: Vec<(Utc90k, Option<&[u8]>)> = if pictures.is_empty() {
        (0..=sound_end.0 / ASKED_90K).map(|n| (Utc90k(n * ASKED_90K), None)).collect()
    } else {
        pictures.iter().map(|(at, jpeg)| (*at, Some(jpeg.as_slice()))).collect()
    };
    for &(at, jpeg) in &frames {
        let until = (at.0 * PCM_BYTES_PER_SECOND / TICKS_PER_SECOND) as usize & !1;
        hearing.hear(RUN, pcm.get(heard..until.min(pcm.len())).unwrap_or_default());
        heard = until.max(heard);
        let seen = jpeg.map_or_else(Seen::default, |jpeg| eyes.look(at, jpeg, detect).unwrap());
        let observation = Observation {
            key: SegmentKey { epoch: RUN, number: (at.0 / HUNDREDTH_90K) as u64 },
            at,
            black: seen.black,
            black_percent: seen.black_percent,
            freeze: seen.freeze,
            still_since: seen.still_since,
            freeze_diff: seen.freeze_diff,
            no_signal: seen.no_signal,
            sound: hearing.around(RUN, at.0, detect),
            ..Observation::default()
        };
        each(&observation);
        note(&mut found, state.observe(&observation, detect));
        if at >= next_tick {
            note(&mut found, state.tick(at, Some(at), Signal::There, detect));
            next_tick = at + TICKS_PER_SECOND;
        }
    }
    let end = frames.last().map_or(Utc90k(0), |(at, _)| *at);
    // Those that are open are so until the clip ends.
    let spell = |incident: Incident| {
        (incident.kind.name().to_owned(), seconds(incident.start), seconds(incident.end.unwrap_or(end)))
    };
    found.into_values().map(spell).collect()
}

fn note(found: &mut BTreeMap<(Utc90k, String), Incident>, changes: Vec<Change>) {
    for Change { incident, .. } in changes {
        found.insert((incident.start, incident.id.clone()), incident);
    }
}
