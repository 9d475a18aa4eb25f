//! Sessions over a clock that is moved by hand.

use super::*;

const START: Utc90k = Utc90k::from_seconds(1_700_000_000);

fn at(seconds: u64) -> Now {
    let ahead = i64::try_from(seconds).unwrap() * 90_000;
    Now { wall: START + ahead, mono: Mono::ZERO + Duration::from_secs(seconds) }
}

fn cam(name: &str) -> DeviceId {
    name.parse().unwrap()
}

fn client(name: &str) -> Client {
    let last = name.bytes().fold(0, u8::wrapping_add);
    Client { address: [192, 0, 2, last].into(), agent: "vlc".into() }
}

/// What is done at a second, and how many are then counted.
enum Do {
    Start(&'static str, &'static str),
    Beat(&'static str, bool),
    Playlist(Option<&'static str>, &'static str),
    Stop(&'static str, bool),
    Look,
}

#[test]
fn counts_are_true_whoever_is_heard_and_however() {
    use Do::{Beat, Look, Playlist, Start, Stop};
    let check = |what: &str, steps: &[(u64, Do, usize)]| {
        let mut sessions = Sessions::new(8);
        for (number, (second, step, expected)) in steps.iter().enumerate() {
            let now = at(*second);
            match step {
                Start(id, from) => drop(sessions.start((*id).into(), &cam("cam"), &client(from), now).unwrap()),
                Beat(id, known) => assert_eq!(sessions.beat(id, now).is_some(), *known, "{what}: step {number}"),
                Playlist(id, from) => sessions.playlist(*id, &cam("cam"), &client(from), now),
                Stop(id, known) => assert_eq!(sessions.stop(id, now).is_some(), *known, "{what}: step {number}"),
                Look => {}
            }
            let counted = sessions.counts(now).get(&cam("cam")).copied().unwrap_or(0);
            assert_eq!((counted, sessions.active(now).len()), (*expected, *expected), "{what}: step {number}");
        }
    };
    check(
        "heartbeats",
        &[
            (0, Start("a", "x"), 1),
            (14, Beat("a", true), 1),
            (28, Look, 1),
            (29, Look, 0),
            (29, Beat("a", false), 0),
            (30, Start("b", "x"), 1),
            (31, Stop("b", true), 0),
            (31, Stop("b", false), 0),
            (32, Beat("never", false), 0),
        ],
    );
    check(
        "a playlist with the session's id, from anywhere",
        &[(0, Start("a", "x"), 1), (10, Playlist(Some("a"), "elsewhere"), 1), (24, Beat("a", true), 1)],
    );
    check("a playlist of the same client", &[(0, Start("a", "x"), 1), (10, Playlist(None, "x"), 1), (24, Look, 1)]);
    check("a player that says nothing", &[(0, Playlist(None, "x"), 1), (10, Playlist(None, "x"), 1), (25, Look, 0)]);
    check(
        "one that says its name later is the same",
        &[(0, Playlist(None, "x"), 1), (1, Start("a", "x"), 1), (2, Beat("a", true), 1)],
    );
    check("an id that is none", &[(0, Playlist(Some("zz"), "x"), 1), (20, Playlist(Some("zz"), "x"), 1)]);
    check("two of one address", &[(0, Start("a", "x"), 1), (0, Start("b", "x"), 2), (20, Look, 0)]);
}

#[test]
fn places_are_bounded_and_free_again_by_silence() {
    let mut sessions = Sessions::new(2);
    let mut start = |id: &str, second| sessions.start(id.into(), &cam("cam"), &client(id), at(second)).is_ok();
    assert!(start("a", 0) && start("b", 5));
    assert!(!start("c", 10));
    assert!(start("c", 15), "a is silent for 15 s");
    assert_eq!(sessions.refused, 1);
    sessions.playlist(None, &cam("cam"), &client("d"), at(16));
    assert_eq!((sessions.refused, sessions.active(at(16)).len()), (2, 2), "served, not counted");
}

#[test]
fn batches_hold_what_is_news_and_once() {
    let mut sessions = Sessions::new(8);
    let first = sessions.start("a".into(), &cam("cam"), &client("x"), at(0)).unwrap();
    let second = sessions.start("b".into(), &cam("yard"), &client("y"), at(0)).unwrap();
    assert!(second > first, "numbers of one moment differ");
    let batch = |sessions: &mut Sessions| -> Vec<_> {
        let rows = sessions.batch();
        rows.iter().map(|row| (row.number == first, row.last.as_seconds() - START.as_seconds(), row.ended)).collect()
    };
    assert_eq!(batch(&mut sessions), [(true, 0, false), (false, 0, false)]);
    assert_eq!(batch(&mut sessions), []);
    sessions.beat("a", at(7)).unwrap();
    sessions.stop("b", at(9)).unwrap();
    assert_eq!(batch(&mut sessions), [(true, 7, false), (false, 9, true)]);
    sessions.expire(at(40));
    assert_eq!(batch(&mut sessions), [(true, 7, true)], "over when it was last heard of");
}

#[test]
fn what_the_disk_refused_is_written_later_and_not_older() {
    let mut sessions = Sessions::new(8);
    sessions.start("a".into(), &cam("cam"), &client("x"), at(0)).unwrap();
    let rows = sessions.batch();
    sessions.stop("a", at(5)).unwrap();
    sessions.put_back(rows);
    let rows = sessions.batch();
    assert_eq!((rows.len(), rows[0].ended, sessions.waiting()), (1, true, 0));
    let many = |number| Viewing { number, ..rows[0].clone() };
    sessions.put_back((0..i64::try_from(WAITING_MAX).unwrap() + 5).map(many).collect());
    assert_eq!((sessions.waiting(), sessions.forgotten), (WAITING_MAX, 5));
    assert_eq!(sessions.batch()[0].number, 5, "the oldest went");
}

#[test]
fn a_wall_clock_that_is_set_ends_nobody_and_turns_nothing_round() {
    let mut sessions = Sessions::new(8);
    sessions.start("a".into(), &cam("cam"), &client("x"), at(0)).unwrap();
    let back = Now { wall: START + -3600 * 90_000, ..at(10) };
    sessions.beat("a", back).unwrap();
    let viewing = sessions.stop("a", back).unwrap();
    assert_eq!((viewing.began, viewing.last), (START, START));
}
