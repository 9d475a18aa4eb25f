//! Users over their whole life, on a real database, with a clock that is moved.

use std::{net::IpAddr, sync::Arc, time::Duration};

use slog::{Discard, Logger, o};

use super::*;
use crate::{
    clock::ManualClock,
    config::Storage,
    events::Events,
    registry::RegistryParts,
    storage::{Retention, Volume},
};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const HOUR: Duration = Duration::from_secs(3600);

struct Rig {
    access: Arc<Access>,
    registry: Arc<Registry>,
    manual: ManualClock,
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

impl Rig {
    fn on(folder: &std::path::Path) -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
        let (clock, log) = (manual.clock(), Logger::root(Discard, o!()));
        let storage = Storage { root: folder.to_owned(), ..Storage::default() };
        let volume = Volume::open(&storage, &clock).unwrap();
        let metrics = Arc::new(Metrics::new());
        let registry = Registry::start(RegistryParts {
            retention: Arc::new(Retention::at(clock.wall(), clock.clone())),
            volume,
            clock: clock.clone(),
            metrics: metrics.clone(),
            events: Events::new(clock.clone()),
            log: log.clone(),
        })
        .unwrap();
        let auth = Auth { session_hours: 24, ..Auth::default() };
        let access = Access::start(AccessParts { auth, registry: registry.clone(), clock, metrics, log }).unwrap();
        wait(access.open());
        Self { access, registry, manual }
    }

    fn add(&self, name: &str, role: Role) {
        let rights = Rights::default();
        let new = NewUser { name: name.into(), password: Some(format!("{name}-password")), role, rights };
        wait(self.access.add_user(&Caller::local(), new)).unwrap();
    }

    fn login(&self, name: &str, password: &str) -> Result<Opened> {
        wait(self.access.login(name, password.into(), HERE))
    }

    fn audit(&self) -> Vec<String> {
        wait(self.registry.read(|connection| {
            let mut statement =
                connection.prepare("SELECT who || ': ' || action || ' ' || subject FROM audit ORDER BY id").unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            Ok(rows.map(std::result::Result::unwrap).collect())
        }))
        .unwrap()
    }

    /// A second life on the same disk.
    fn again(self, folder: &std::path::Path) -> Self {
        self.registry.finish();
        let now = self.manual.clock().wall();
        drop(self);
        let rig = Self::on(folder);
        rig.manual.step_wall(now);
        rig
    }
}

#[test]
fn sessions_last_while_they_are_used_and_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path());
    rig.add("lena", Role::Viewer);
    let said = rig.login("lena", "lena-password").unwrap().secret;
    for _ in 0..5 {
        rig.manual.advance(20 * HOUR);
        assert_eq!(rig.access.session(&said).unwrap().name(), "lena", "used within a day");
    }
    let rig = rig.again(folder.path());
    assert!(rig.access.session(&said).is_some());
    rig.manual.advance(25 * HOUR);
    assert!(rig.access.session(&said).is_none(), "not used for a day");

    let opened = rig.login("lena", "lena-password").unwrap();
    wait(rig.access.logout(&opened.caller)).unwrap();
    assert!(rig.access.session(&opened.secret).is_none() && rig.access.again(&opened.caller).is_none());
    let rig = rig.again(folder.path());
    assert!(rig.access.session(&opened.secret).is_none());
}

#[test]
fn what_takes_rights_away_holds_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path());
    rig.add("lena", Role::Operator);
    let by = Caller::local();
    let opened = rig.login("lena", "lena-password").unwrap();
    let expires = rig.access.now() + 3600 * TICKS_PER_SECOND;
    let new = NewToken { user: "lena".into(), name: "robot".into(), scope: Role::Operator, expires };
    let token = wait(rig.access.add_token(&by, new)).unwrap()["token"].as_str().unwrap().to_owned();
    assert_eq!(rig.access.token(&token).unwrap().role(), Some(Role::Operator));

    let weaker = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    wait(rig.access.change_user(&by, "lena", weaker)).unwrap();
    assert_eq!(rig.access.session(&opened.secret).unwrap().role(), Some(Role::Viewer));
    assert_eq!(rig.access.token(&token).unwrap().role(), Some(Role::Viewer), "no token may more than its user");

    let other = UserChange { password: Some("another-password".into()), ..UserChange::default() };
    wait(rig.access.change_user(&by, "lena", other)).unwrap();
    assert!(rig.access.session(&opened.secret).is_none());
    assert_eq!(rig.login("lena", "lena-password").err().unwrap().kind, Kind::Unauthorized);
    let opened = rig.login("lena", "another-password").unwrap();

    rig.manual.advance(2 * HOUR);
    assert!(rig.access.token(&token).is_none(), "expired");
    wait(rig.access.remove_user(&by, "lena")).unwrap();
    assert!(rig.access.session(&opened.secret).is_none());
    assert_eq!(rig.login("lena", "another-password").err().unwrap().kind, Kind::Unauthorized);
    let told = rig.audit();
    for what in ["user_added lena", "user_changed lena", "password_changed lena", "user_removed lena"] {
        assert!(told.contains(&format!("local: {what}")), "{what}: {told:?}");
    }
    assert!(told.iter().any(|line| line == "lena: signed_in 127.0.0.1"), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("-password")), "{told:?}");
}

#[test]
fn the_last_admin_stays() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path());
    let by = Caller::local();
    assert_eq!(rig.access.users().len(), 1, "the first start made one");
    assert_eq!(wait(rig.access.remove_user(&by, "admin")).unwrap_err().kind, Kind::Conflict);
    let weaker = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    assert_eq!(wait(rig.access.change_user(&by, "admin", weaker)).unwrap_err().kind, Kind::Conflict);
    assert_eq!(rig.access.one_user("admin").unwrap()["role"], "admin", "nothing of what was refused holds");
    rig.add("second", Role::Admin);
    wait(rig.access.remove_user(&by, "admin")).unwrap();
    let rig = rig.again(folder.path());
    assert_eq!(rig.access.users().len(), 1, "no other is made while there is one");
}

#[test]
fn failures_are_told_alike_and_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path());
    rig.add("lena", Role::Viewer);
    let clock = Clock::system();
    let took = |name: &str| {
        let began = clock.mono();
        let error = rig.login(name, "wrong-password").err().unwrap();
        assert_eq!((error.kind, &*error.message), (Kind::Unauthorized, "the name or the password is wrong"));
        clock.mono().since(began)
    };
    // In turn, and the fastest of each: what else runs on this machine only slows down.
    let [mut known, mut unknown] = [Duration::MAX; 2];
    for _ in 0..12 {
        known = known.min(took("lena"));
        unknown = unknown.min(took("nobody"));
        rig.manual.advance(HOUR);
    }
    println!("a wrong password takes {known:?}, an unknown user {unknown:?}");
    assert!(known.abs_diff(unknown) < known.min(unknown) / 2, "{known:?} {unknown:?}");
    let kinds: Vec<_> = (0..20).map(|_| rig.login("lena", "wrong-password").err().unwrap().kind).collect();
    assert!(kinds.contains(&Kind::TooMany), "{kinds:?}");
    assert_eq!(rig.login("lena", "lena-password").err().unwrap().kind, Kind::TooMany);
    rig.manual.advance(HOUR);
    assert!(rig.login("lena", "lena-password").is_ok());
    wait(rig.access.write_refused());
    let told = rig.audit();
    assert!(told.iter().any(|line| line == "lena: refused_to_sign_in 127.0.0.1"), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("(unknown): refused")), "{told:?}");
}

#[test]
fn a_flood_of_logins_ends_soon() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path());
    let all = (0..200_u8).map(|n| rig.access.login("admin", "wrong-password".into(), IpAddr::from([10, 0, n, 1])));
    let kinds = wait(futures_util::future::join_all(all));
    let kinds: Vec<_> = kinds.into_iter().map(|it| it.err().unwrap().kind).collect();
    let count = |kind: Kind| kinds.iter().filter(|it| **it == kind).count();
    // One is at work, eight wait, and those are forgiven whom nobody looked at.
    assert!((1..=10).contains(&count(Kind::Unauthorized)), "{kinds:?}");
    assert_eq!(count(Kind::Unauthorized) + count(Kind::TooMany) + count(Kind::Unavailable), 200, "{kinds:?}");
}

#[test]
fn passwords_have_a_length() {
    let hasher = Hasher::start().unwrap();
    let check =
        |password: String, fine: bool| assert_eq!(wait(hasher.hash(password.clone())).is_ok(), fine, "{password:.20}");
    check("1234567".into(), false);
    check("12345678".into(), true);
    check("é".repeat(8), true);
    check("x".repeat(512), true);
    check("x".repeat(513), false);
    let kept = wait(hasher.hash("correct horse".into())).unwrap();
    assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    assert!(wait(hasher.verify(Some(kept.clone()), "correct horse".into())).unwrap());
    assert!(!wait(hasher.verify(Some(kept), "correct horsf".into())).unwrap());
    assert!(!wait(hasher.verify(None, String::new())).unwrap());
}
