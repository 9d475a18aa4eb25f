//! Random lives of a camera: losses, restarts, resets, clock steps, in any order.

use proptest::prelude::*;

use super::*;

/// What may happen to a camera between two segments.
#[derive(Clone, Debug)]
enum Event {
    Segments(usize),
    Late(i64),
    Lost,
    Pause(i64),
    Restart,
    Reset(i64),
    Mute(bool),
    Step(i64),
    Commit,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..20_usize).prop_map(Event::Segments),
        (0..5 * S).prop_map(Event::Late),
        Just(Event::Lost),
        (1..30_i64).prop_map(Event::Pause),
        Just(Event::Restart),
        (-20 * S..1 << 34).prop_map(Event::Reset),
        any::<bool>().prop_map(Event::Mute),
        prop_oneof![Just(3600_i64), Just(-3600), Just(86_400), Just(-86_400), -20..20_i64].prop_map(Event::Step),
        Just(Event::Commit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens: no picture lost or doubled, decode times in order, presentation exact to the tick.
    #[test]
    fn every_picture_lands_once(events in proptest::collection::vec(event(), 1..30)) {
        let (mut timeline, mut disk, mut camera) = fresh(60, 0);
        let mut made = 0;
        for event in events {
            match event {
                Event::Segments(count) => for _ in 0..count {
                    let input = camera.next();
                    made += 25;
                    disk.apply(timeline.push(input, &|_| false));
                },
                Event::Late(delay_90k) => camera.delay_90k = delay_90k,
                Event::Lost => drop(camera.next()),
                Event::Pause(seconds) => camera.pause(seconds),
                Event::Restart => camera.restart(),
                Event::Reset(to) => (camera.pts_90k, camera.sound_at) = (to, to),
                Event::Mute(mute) => camera.audio = (!mute).then(|| aac(48_000)),
                Event::Step(seconds) => {
                    if seconds.abs() > 1 {
                        let before = SegmentKey { number: camera.key.number.saturating_sub(1), ..camera.key };
                        timeline.step(Step { delta_90k: seconds * S, before, after: camera.key });
                    }
                    camera.wall = camera.wall + seconds * S;
                }
                Event::Commit => disk.apply(timeline.flush().map(Output::Append)),
            }
        }
        disk.apply(timeline.flush().map(Output::Append));
        prop_assert_eq!(disk.pictures(), made);
        assert_in_order(&disk);
        for (opening, fragments) in &disk.chunks {
            let video: Vec<_> = samples(fragments, |planned| planned.video.as_ref()).collect();
            for run in fragments.iter().filter_map(|planned| planned.video.as_ref()) {
                let list: Vec<_> = samples(std::slice::from_ref(&Planned { video: Some(run.clone()), audio: None }), |planned| planned.video.as_ref())
                    .map(|(at, sample)| at as i64 + i64::from(sample.cts)).collect();
                prop_assert!(list.windows(2).all(|pair| pair[1] - pair[0] == 3600));
            }
            prop_assert!(video.first().is_none_or(|(_, first)| first.sync));
            prop_assert!(video.iter().all(|(at, sample)| *at as i64 + i64::from(sample.cts) >= 0), "{:?}", opening.start);
        }
    }
}
