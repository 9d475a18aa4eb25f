//! Filters and pages against the rule they follow, and how long a long history takes.

use proptest::{
    collection::vec,
    option,
    prelude::{Strategy, any, prop_assert_eq, proptest},
    sample::select,
};
use rusqlite::params;

use super::*;
use crate::registry::{sqlite, store};

const HOUR: i64 = 3600;

fn incidents() -> impl Strategy<Value = Vec<Incident>> {
    let lasted = option::of(select(vec![0, 1, 5, 70, HOUR, HOUR + 1, 5 * HOUR]));
    let one =
        (select(vec!["cam", "lobby"]), select(IncidentKind::ALL.to_vec()), 0..6 * HOUR, lasted, any::<[bool; 2]>());
    let one = one.prop_map(|(device, kind, ago, lasted, [acknowledged, discarded])| Incident {
        acknowledged,
        discarded,
        ..incident(device, kind, ago, lasted)
    });
    vec(one, 0..40).prop_map(|mut all| {
        all.sort_by(|a, b| (b.start, &b.id).cmp(&(a.start, &a.id)));
        all.dedup_by(|a, b| a.id == b.id);
        all
    })
}

fn filters() -> impl Strategy<Value = Filter> {
    let moment = || option::of((-HOUR..7 * HOUR).prop_map(|ago| NOW + -ago * 90_000));
    let device = option::of(select(vec!["cam", "lobby", "none"]).prop_map(|id| id.parse().unwrap()));
    let words = (device, option::of(select(IncidentKind::ALL.to_vec())), any::<[Option<bool>; 3]>());
    (words, moment(), moment(), 1_usize..9).prop_map(
        |((device, kind, [open, acknowledged, discarded]), from, to, limit)| Filter {
            only: None,
            device,
            kind,
            open,
            from,
            to,
            acknowledged,
            discarded,
            after: None,
            limit,
        },
    )
}

fn database() -> (tempfile::TempDir, rusqlite::Connection) {
    let folder = tempfile::tempdir().unwrap();
    Rig::on(folder.path().into()).end();
    let connection = sqlite::open(&folder.path().join("capstan.db")).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    (folder, connection)
}

fn write(connection: &rusqlite::Connection, it: &Incident) {
    incidents::save(connection, it).unwrap();
    let said = Edit { acknowledged: Some(it.acknowledged), discarded: Some(it.discarded), comment: None };
    incidents::edit(connection, std::slice::from_ref(&it.id), &said, "local", NOW).unwrap();
}

#[test]
fn every_filter_finds_what_its_rule_says_page_by_page() {
    let (_folder, connection) = database();
    proptest!(|(all in incidents(), filter in filters(), waits in vec(any::<bool>(), 40))| {
        connection.execute_batch("DELETE FROM incident; BEGIN").unwrap();
        all.iter().for_each(|it| write(&connection, it));
        connection.execute_batch("COMMIT").unwrap();
        // Some are told anew and wait: their start is what it was, they may be over now.
        let mut now = all.clone();
        let mut waiting = Vec::new();
        for (it, _) in now.iter_mut().zip(&waits).filter(|(_, waits)| **waits) {
            it.end = it.end.or(Some(it.start + 7 * 90_000));
            waiting.push(Incident { acknowledged: false, discarded: false, ..it.clone() });
        }
        let expected: Vec<_> = now.iter().filter(|it| filter.matches(it)).map(|it| it.id.clone()).collect();
        let mut found = Vec::new();
        let mut page = Filter { after: None, ..filter.clone() };
        loop {
            let told = incidents::list(&connection, &page, &waiting).unwrap();
            prop_assert_eq!(told.incidents.len() == filter.limit || told.next.is_none(), true);
            found.extend(told.incidents.into_iter().map(|it| it.id));
            match told.next {
                Some(next) => {
                    prop_assert_eq!(next.to_string().parse::<Cursor>(), Ok(next.clone()));
                    page.after = Some(next);
                }
                None => break,
            }
        }
        prop_assert_eq!(found, expected);
    });
}

#[test]
fn cursors_are_taken_only_as_they_were_given() {
    let check = |text: &str, good: bool| assert_eq!(text.parse::<Cursor>().is_ok(), good, "{text}");
    check("153000000000000.cam-1700000000000-freeze", true);
    check("-5.cam--1-freeze", true);
    for bad in ["", ".", "1.", "x.cam", "1.a b", "1.\0", "1.a.b", "99999999999999999999.cam", "1"] {
        check(bad, false);
    }
    check(&format!("1.{}", "x".repeat(incidents::ID_MAX)), true);
    check(&format!("1.{}", "x".repeat(incidents::ID_MAX + 1)), false);
}

/// Printed, and held to far more than the promise: tests run beside each other on slow machines.
#[test]
fn a_hundred_thousand_incidents_are_listed_as_fast_as_ten() {
    let (_folder, connection) = database();
    connection.execute_batch("BEGIN").unwrap();
    let kinds = IncidentKind::ALL;
    for number in 0..100_000_usize {
        let device = format!("cam-{}", number % 16);
        let ago = i64::try_from(number * 70).unwrap();
        write(
            &connection,
            &Incident { acknowledged: number % 3 == 0, ..incident(&device, kinds[number % 4], ago, Some(9)) },
        );
    }
    connection.execute_batch("COMMIT").unwrap();
    let device = || Some("cam-5".parse().unwrap());
    let middle = NOW + -3_500_000 * 90_000;
    let cases = [
        ("newest", Filter::default()),
        ("of a device", Filter { device: device(), ..Filter::default() }),
        ("of a kind", Filter { kind: Some(IncidentKind::Silence), ..Filter::default() }),
        ("of both", Filter { device: device(), kind: Some(IncidentKind::Freeze), ..Filter::default() }),
        ("open", Filter { open: Some(true), ..Filter::default() }),
        ("a day long ago", Filter { from: Some(middle), to: Some(middle + 86_400 * 90_000), ..Filter::default() }),
        ("unseen", Filter { acknowledged: Some(false), discarded: Some(false), ..Filter::default() }),
        ("a late page", Filter { after: Some(Cursor { start: middle, id: "x".into() }), ..Filter::default() }),
        ("discarded, of which there are none", Filter { discarded: Some(true), ..Filter::default() }),
    ];
    let clock = Clock::system();
    for (name, filter) in cases {
        let filter = Filter { limit: 100, ..filter };
        let mut took: Vec<_> = (0..100)
            .map(|_| {
                let began = clock.mono();
                incidents::list(&connection, &filter, &[]).unwrap();
                clock.mono().since(began)
            })
            .collect();
        took.sort();
        println!("{name}: median {:?}, p99 {:?}", took[50], took[98]);
        assert!(took[50] < Duration::from_millis(100), "{name}: {:?}", took[50]);
    }
}

#[test]
fn rows_that_make_no_sense_hide_no_others() {
    let (_folder, connection) = database();
    for ago in 1..4 {
        write(&connection, &incident("cam", IncidentKind::Freeze, ago, Some(1)));
    }
    let id = incident("cam", IncidentKind::Freeze, 2, None).id;
    for (column, value) in [("kind", "blueness"), ("device", "../x"), ("severity", "")] {
        connection.execute(&format!("UPDATE incident SET {column} = ? WHERE id = ?"), params![value, id]).unwrap();
        let page = incidents::list(&connection, &Filter { limit: 9, ..Filter::default() }, &[]).unwrap();
        assert_eq!(page.incidents.len(), 2);
    }
    assert!(store::inspect(&_folder.path().join("capstan.db")).unwrap().is_ok());
}
