//! The registry on real files: what is saved is found, what people say stays, damage is survived.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use futures_util::FutureExt;

use super::*;
use crate::{
    clock::ManualClock,
    config::Storage,
    events::Heard,
    incident::{IncidentKind, Severity},
};

mod cameras;
mod damage;
mod filters;
mod pins;

/// 2023-11-14T22:13:20Z
pub(super) const NOW: Utc90k = Utc90k::from_seconds(1_700_000_000);

/// A registry in a folder of its own.
pub(super) struct Rig {
    pub registry: Arc<Registry>,
    pub volume: Arc<Volume>,
    pub manual: ManualClock,
    pub metrics: Arc<Metrics>,
    pub events: Events,
}

impl Rig {
    pub fn on(root: PathBuf) -> Self {
        let manual = ManualClock::at(NOW);
        let storage = Storage { root, ..Storage::default() };
        let volume = Volume::open(&storage, &manual.clock()).unwrap();
        let (metrics, events) = (Arc::new(Metrics::new()), Events::new(manual.clock()));
        let registry = Registry::start(RegistryParts {
            volume: volume.clone(),
            retention: Arc::new(Retention::at(NOW, manual.clock())),
            clock: manual.clock(),
            metrics: metrics.clone(),
            events: events.clone(),
            log: Logger::root(slog::Discard, slog::o!()),
        })
        .unwrap();
        registry.shared.inbox.wait_opened(Duration::from_secs(20));
        Self { registry, volume, manual, metrics, events }
    }

    /// Ends the registry and lets go of the folder's lock.
    pub fn end(self) {
        self.registry.finish();
    }

    pub fn list(&self, filter: Filter) -> Vec<Incident> {
        let filter = Filter { limit: filter.limit.max(100), ..filter };
        wait(self.registry.incidents(filter)).unwrap().incidents
    }

    /// Until nothing waits.
    pub fn settle(&self) {
        self.registry.retry();
        until("all is written", || self.registry.status().queue == 0);
    }
}

/// On a runtime of its own.
pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}

pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("{what}: not within 20 s");
}

/// Began so many seconds before now.
pub(super) fn incident(device: &str, kind: IncidentKind, ago: i64, lasted: Option<i64>) -> Incident {
    let (device, start) = (device.parse().unwrap(), NOW + -ago * 90_000);
    Incident {
        id: Incident::id_of(&device, kind, start),
        host: "hall-7".into(),
        device,
        kind,
        start,
        end: lasted.map(|seconds| start + seconds * 90_000),
        last_bad: start + lasted.unwrap_or(0) * 90_000,
        severity: Severity::of_seconds(lasted.unwrap_or(0)),
        evidence: Vec::new(),
        acknowledged: false,
        discarded: false,
        comment: String::new(),
    }
}

fn ids(incidents: &[Incident]) -> Vec<&str> {
    incidents.iter().map(|incident| incident.id.as_str()).collect()
}

#[test]
fn what_is_saved_is_there_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let old = incident("cam", IncidentKind::Freeze, 500, Some(20));
    let mut young = incident("cam", IncidentKind::Blackscreen, 100, None);
    rig.registry.save(&old);
    rig.registry.save(&young);
    assert_eq!(rig.list(Filter::default()), [young.clone(), old.clone()], "before it is written");
    rig.settle();
    assert_eq!(rig.list(Filter::default()), [young.clone(), old.clone()]);
    assert_eq!(rig.registry.open_incidents().unwrap(), [young.clone()]);
    assert_eq!(rig.registry.status().open["blackscreen"], 1);

    young.end = Some(NOW);
    young.severity = Severity::Critical;
    rig.registry.save(&young);
    rig.end();
    let mode = fs::metadata(folder.path().join("capstan.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!folder.path().join("capstan.db-wal").exists(), "at rest it is one file");

    let rig = Rig::on(folder.path().into());
    assert_eq!(rig.list(Filter::default()), [young.clone(), old]);
    assert_eq!(rig.registry.open_incidents().unwrap(), []);
    assert_eq!(rig.registry.status().open.len(), 0);
}

#[test]
fn what_people_say_outlasts_what_is_saved_later() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let mut it = incident("cam", IncidentKind::Silence, 100, None);
    rig.registry.save(&it);
    let mut heard = rig.events.listen(None);
    let said = Edit { acknowledged: Some(true), comment: Some("the \"mixer\" is off".into()), ..Edit::default() };
    let changed = wait(rig.registry.edit(vec![it.id.clone(), "none".into()], said, "local")).unwrap();
    (it.acknowledged, it.comment) = (true, "the \"mixer\" is off".into());
    assert_eq!(changed, [it.clone()]);
    let Some(Some(Heard::Event(event))) = heard.next().now_or_never() else { panic!("nothing was told") };
    assert_eq!(
        (event.kind, &event.json()["incident"]["comment"]),
        ("incident_changed", &json!("the \"mixer\" is off"))
    );

    let unsaid = Incident { end: Some(NOW), acknowledged: false, comment: String::new(), ..it.clone() };
    rig.registry.save(&unsaid);
    it.end = Some(NOW);
    assert_eq!(rig.list(Filter::default()), [it.clone()], "while it waits");
    rig.settle();
    assert_eq!(rig.list(Filter::default()), [it.clone()]);
    let nothing = wait(rig.registry.edit(vec![it.id.clone()], Edit::default(), "local")).unwrap();
    assert_eq!(nothing, [it]);
}

#[test]
fn maintenance_ends_what_lasts_hides_what_comes_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let device: DeviceId = "cam".parse().unwrap();
    let before = incident("cam", IncidentKind::Blackscreen, 100, None);
    rig.registry.save(&before);
    rig.registry.save(&incident("other", IncidentKind::Blackscreen, 100, None));
    let until_90k = NOW + 600 * 90_000;
    let upkeep = wait(rig.registry.maintain(device.clone(), until_90k, "new lens".into(), "local")).unwrap();
    assert_eq!((upkeep.from, upkeep.until), (NOW, until_90k));
    let closed = rig.list(Filter { device: Some(device.clone()), ..Filter::default() });
    assert_eq!((closed[0].end, closed[0].comment.as_str()), (Some(NOW), "maintenance"));

    // The one that watches does not know: nothing of it is taken.
    rig.registry.save(&before);
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 0, None));
    rig.registry.save(&Incident { end: Some(NOW + 90_000), ..before.clone() });
    rig.settle();
    assert_eq!(rig.list(Filter { device: Some(device.clone()), ..Filter::default() }), closed);
    assert_eq!(rig.registry.status().open["blackscreen"], 1, "the other device's");
    rig.end();

    let rig = Rig::on(folder.path().into());
    assert!(rig.registry.in_maintenance(&device, NOW), "it survives a restart");
    assert!(!rig.registry.in_maintenance(&device, NOW + -1) && !rig.registry.in_maintenance(&device, until_90k));
    let longer = wait(rig.registry.maintain(device.clone(), until_90k + 90_000, String::new(), "local")).unwrap();
    assert_eq!((longer.from, longer.until), (NOW, until_90k + 90_000), "it goes on");
    assert!(wait(rig.registry.end_maintenance(device.clone())).unwrap());
    assert!(!wait(rig.registry.end_maintenance(device.clone())).unwrap());
    assert!(!rig.registry.in_maintenance(&device, NOW));
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 0, None));
    rig.settle();
    assert_eq!(rig.registry.open_incidents().unwrap().len(), 2, "the other device's, and this one's again");
}

#[test]
fn old_incidents_are_let_go_of_with_their_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let day = 24 * 3600;
    let old = incident("cam", IncidentKind::Freeze, 91 * day, Some(5));
    let old = Incident { evidence: vec!["cam/evidence/2023-08-15/1-freeze-first.jpg".into()], ..old };
    let kept = [
        incident("cam", IncidentKind::Freeze, 89 * day, Some(5)),
        incident("cam", IncidentKind::Silence, 99 * day, None),
    ];
    [&old, &kept[0], &kept[1]].into_iter().for_each(|it| rig.registry.save(it));
    rig.settle();
    rig.registry.tidy();
    until("it is let go of", || rig.list(Filter::default()).len() == 2);
    assert_eq!(ids(&rig.list(Filter::default())), ids(&kept));
    assert_eq!(rig.registry.expired(), [old]);
    assert_eq!(rig.registry.expired(), []);
}

#[test]
fn a_quiet_registry_writes_nothing_and_holds_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 100, None));
    rig.settle();
    rig.registry.tidy();
    until("the copy is made", || folder.path().join("capstan.db.bak").exists());
    let held = || {
        let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|file| file.starts_with(folder.path().join("capstan.db")))
    };
    until("it is closed", || !held() && !folder.path().join("capstan.db-wal").exists());
    let modified = || fs::metadata(folder.path().join("capstan.db")).unwrap().modified().unwrap();
    let written = || {
        let text = rig.metrics.render();
        let line = text.lines().find(|line| line.contains("kind=\"db\"")).unwrap();
        line.split(' ').next_back().unwrap().parse::<u64>().unwrap()
    };
    let copied = rig.volume.metadata(&rig.volume.layout().database_backup()).unwrap().modified;
    rig.manual.step_wall(copied + 90_000);
    // After it the thread has counted what closing wrote.
    wait(rig.registry.write(|_| Ok(()))).unwrap();
    until("it is closed", || !held());
    let before = (modified(), written());
    assert!(before.1 > 4096, "{before:?}");
    // The same again is no change, and a second look at a fresh copy makes no other.
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 100, None));
    rig.settle();
    rig.registry.tidy();
    wait(rig.registry.write(|_| Ok(()))).unwrap();
    until("it is closed again", || !held());
    assert_eq!(modified(), before.0);
    // SQLite sizes the index of its log in RAM by single bytes, each time it opens the file.
    assert!(written() - before.1 < 64, "{} after {}", written(), before.1);
}

#[test]
fn too_many_questions_are_refused_and_slow_ones_ended() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let manual = rig.manual.clone();
    let slow = rig.registry.read(move |connection| {
        manual.advance(Duration::from_secs(3));
        connection.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(sqlite::failed("counting for ever"))
    });
    let error = wait(slow).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Unavailable, "counting for ever took too long"));

    let (held, hold) = mpsc::sync_channel::<()>(0);
    let hold = Arc::new(std::sync::Mutex::new(hold));
    let mut refused = 0;
    for _ in 0..100 {
        let hold = hold.clone();
        let asked = rig.registry.readers.ask(move |_| Ok(hold.lock().unwrap().recv()), |_| ());
        refused += u32::from(asked.is_err_and(|error| error.kind == Kind::Unavailable));
    }
    assert!((31..=36).contains(&refused), "five run, 64 wait: {refused}");
    drop(held);
    until("it answers again", || wait(rig.registry.read(|_| Ok(()))).is_ok());

    let (held, hold) = mpsc::sync_channel::<()>(0);
    let mut answers = Vec::new();
    let mut ask = |work: Box<dyn FnOnce() -> bool + Send>| {
        let (sender, answer) = oneshot::channel();
        let asked = rig.registry.shared.inbox.ask(move |_| Ok(work()), move |outcome| drop(sender.send(outcome)));
        answers.push(answer);
        asked.is_err_and(|error| error.kind == Kind::Unavailable)
    };
    // The writer takes all that waits at once: it must be at work on the first before the others come.
    let (begins, begun) = mpsc::sync_channel::<()>(1);
    let blocked =
        ask(Box::new(move || begins.send(()).and_then(|()| hold.recv().map_err(|_| mpsc::SendError(()))).is_ok()));
    assert!(blocked || begun.recv().is_ok());
    let refused = (0..100).filter(|_| ask(Box::new(|| true))).count();
    assert!(!blocked && (35..=37).contains(&refused), "64 wait: {refused}");
    drop(held);
    let done = answers.into_iter().filter_map(|answer| answer.blocking_recv().ok()).filter(Result::is_ok).count();
    assert_eq!(done, 101 - refused, "who was taken is answered");
}

#[test]
fn an_edit_that_panics_costs_its_asker_the_answer_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 100, None));
    let lost = wait(rig.registry.write(|_| -> Result<()> { panic!("on purpose") }));
    assert_eq!(lost.unwrap_err().kind, Kind::Unavailable);
    let refused = wait(rig.registry.write(|connection| {
        connection.execute("UPDATE incident SET comment = 'half'", []).unwrap();
        Err::<(), _>(Error::new(Kind::Invalid, "no"))
    }));
    assert_eq!(refused.unwrap_err().kind, Kind::Invalid);
    rig.settle();
    assert_eq!(rig.list(Filter::default())[0].comment, "");
    assert_eq!(wait(rig.registry.write(|_| Ok(7))).unwrap(), 7);
}
