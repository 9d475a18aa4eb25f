//! Supervision shown on a device with three stages: what a panic, a hang, a lost arbiter and an order to end do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler, Message};

use super::*;
use crate::{clock::Clock, telemetry::Metrics};

/// Fast enough for tests, slow enough that a busy machine is not taken for a hang.
const TIMING: Timing = Timing {
    beat_every: Duration::from_millis(20),
    look_every: Duration::from_millis(50),
    hang_after: Duration::from_millis(1500),
    wind_down: Duration::from_millis(200),
};

/// Fast restarts, and failed on the third failure.
fn limits() -> Limits {
    Limits { first_delay: Duration::from_millis(1), failures_max: 2, ..Limits::default() }
}

/// What a stage is told to do wrong.
#[derive(Clone, Copy, PartialEq, Message)]
#[rtype(result = "()")]
enum Do {
    Work,
    Panic,
    PanicAlsoInStopped,
    Hang,
    StopSelf,
    LoseArbiter,
}

/// What outlives the stages of one device, as the chunk writer and FFmpeg do in earnest.
#[derive(Default)]
struct Shared {
    stages: [Slot<Stage>; 3],
    diary: Mutex<Vec<String>>,
    /// So many starts panic.
    bad_starts: AtomicU32,
}

impl Shared {
    fn note(&self, text: String) {
        self.diary.lock().unwrap().push(text);
    }

    fn diary(&self) -> Vec<String> {
        self.diary.lock().unwrap().clone()
    }
}

struct Stage {
    shared: Arc<Shared>,
    name: &'static str,
    token: Token,
    panic_in_stopped: bool,
}

impl Actor for Stage {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let bad = self.shared.bad_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(bad.is_err(), "bad start");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.shared.note(format!("{} stopped", self.name));
        assert!(!self.panic_in_stopped, "in stopped");
    }
}

impl Handler<Do> for Stage {
    type Result = ();

    fn handle(&mut self, order: Do, ctx: &mut Self::Context) {
        match order {
            Do::Work => self.shared.note(format!("{} works in generation {}", self.name, self.token.generation())),
            Do::Panic => panic!("told to"),
            Do::PanicAlsoInStopped => {
                self.panic_in_stopped = true;
                panic!("told to");
            }
            Do::Hang => {
                // A handler that never comes back, until its tree is replaced.
                while self.token.is_current() {
                    std::thread::yield_now();
                }
                self.shared.note(format!("{} woke up revoked", self.name));
            }
            Do::StopSelf => actix::ActorContext::stop(ctx),
            Do::LoseArbiter => {
                actix_rt::Arbiter::current().stop();
            }
        }
    }
}

impl Handler<Finish> for Stage {
    type Result = ();

    fn handle(&mut self, _: Finish, _: &mut Self::Context) {
        self.shared.note(format!("{} finished", self.name));
    }
}

/// The whole of a device: three stages that fail apart and end in the order of the data.
struct Device {
    birth: Birth,
    shared: Arc<Shared>,
    keepers: Vec<Keeper>,
}

impl Actor for Device {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        for (name, slot) in ["ffmpeg", "merger", "archiver"].into_iter().zip(&self.shared.stages) {
            let shared = self.shared.clone();
            let spec = ChildSpec::new(name, slot, move |birth| Stage {
                shared: shared.clone(),
                name,
                token: birth.token,
                panic_in_stopped: false,
            });
            self.keepers.push(self.birth.scope.start(spec.limits(limits()).finish_within(Duration::from_secs(2))));
        }
    }
}

impl Handler<Finish> for Device {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Self::Context) -> Self::Result {
        let keepers = self.keepers.clone();
        Box::pin(async move {
            for keeper in keepers {
                keeper.stop().await;
            }
        })
    }
}

impl Handler<Do> for Device {
    type Result = ();

    fn handle(&mut self, order: Do, _: &mut Self::Context) {
        assert!(order != Do::Panic, "the device panics");
    }
}

struct House {
    supervisor: Supervisor,
    a: Arc<Shared>,
    b: Arc<Shared>,
    device_a: Slot<Device>,
    injector: Injector,
}

impl House {
    /// Two devices of three stages each.
    async fn start() -> Self {
        let injector = Injector::enabled();
        let ground = Ground {
            clock: Clock::system(),
            log: slog::Logger::root(slog::Discard, slog::o!()),
            metrics: Arc::new(Metrics::new()),
            board: StateBoard::new(),
            injector: injector.clone(),
            timing: TIMING,
        };
        let supervisor = Supervisor::start(ground).unwrap();
        let house = Self { supervisor, a: Arc::default(), b: Arc::default(), device_a: Slot::new(), injector };
        for (name, slot, shared) in
            [("device/a", &house.device_a, house.a.clone()), ("device/b", &Slot::new(), house.b.clone())]
        {
            let factory = move |birth| Device { birth, shared: shared.clone(), keepers: Vec::new() };
            let spec = ChildSpec::new(name, slot, factory).limits(limits()).finish_within(Duration::from_secs(5));
            house.supervisor.add(spec).unwrap();
        }
        for stage in ["ffmpeg", "merger", "archiver"] {
            house.until(&format!("device/a/{stage}"), |node| node.state == NodeState::Running).await;
            house.until(&format!("device/b/{stage}"), |node| node.state == NodeState::Running).await;
        }
        house
    }

    /// Waits until the node is as wanted, and returns it.
    async fn until(&self, name: &str, wanted: impl Fn(&Node) -> bool) -> Node {
        let clock = Clock::system();
        let began = clock.mono();
        loop {
            if let Some(node) = self.supervisor.board().node(name).filter(&wanted) {
                return node;
            }
            assert!(
                clock.mono().since(began) < Duration::from_secs(20),
                "{name}: {:#?}",
                self.supervisor.board().snapshot()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for that generation of the node, and returns the exit of the one before.
    async fn exit_before(&self, name: &str, generation: u64) -> Exit {
        self.until(name, |node| node.generation == generation && node.state == NodeState::Running)
            .await
            .last_exit
            .unwrap()
            .exit
    }

    fn generations(&self) -> Vec<(String, u64)> {
        self.supervisor.board().snapshot().iter().map(|node| (node.name.clone(), node.generation)).collect()
    }

    /// All nodes are in generation 1 but those named.
    fn assert_only_restarted(&self, restarted: &[&str]) {
        for (name, generation) in self.generations() {
            let expected = if restarted.contains(&name.as_str()) { 2 } else { 1 };
            assert_eq!(generation, expected, "{name}");
        }
    }
}

const MERGER: usize = 1;
const TREE_A: [&str; 4] = ["device/a", "device/a/archiver", "device/a/ffmpeg", "device/a/merger"];

#[actix_rt::test]
async fn a_panic_restarts_that_actor_and_no_other() {
    let house = House::start().await;
    let merger = house.a.stages[MERGER].clone();
    merger.try_send(Do::Panic).unwrap();
    assert_eq!(house.exit_before("device/a/merger", 2).await, Exit::Panic("told to".into()));
    // The slot leads to the successor; who asks the dead one is told so.
    merger.send(Do::Work, Duration::from_secs(5)).await.unwrap();
    assert_eq!(house.a.diary(), ["merger stopped", "merger works in generation 2"]);
    house.assert_only_restarted(&["device/a/merger"]);
}

#[actix_rt::test]
async fn whoever_waits_for_a_panicking_actor_is_told() {
    let house = House::start().await;
    let answer = house.a.stages[MERGER].send(Do::Panic, Duration::from_secs(5)).await;
    assert_eq!(answer, Err(Undelivered::Lost));
}

#[actix_rt::test]
async fn a_second_panic_in_stopped_does_not_abort_the_process() {
    let house = House::start().await;
    house.a.stages[MERGER].try_send(Do::PanicAlsoInStopped).unwrap();
    assert_eq!(house.exit_before("device/a/merger", 2).await, Exit::Panic("told to".into()));
    house.assert_only_restarted(&["device/a/merger"]);
}

#[actix_rt::test]
async fn panics_in_started_end_in_a_failed_stage_and_a_running_neighbour() {
    let house = House::start().await;
    house.a.bad_starts.store(2, Ordering::SeqCst);
    house.a.stages[MERGER].try_send(Do::Panic).unwrap();
    let failed = house.until("device/a/merger", |node| node.state == NodeState::Failed).await;
    assert_eq!(failed.last_exit.unwrap().exit, Exit::Panic("bad start".into()));
    assert_eq!(house.a.stages[MERGER].try_send(Do::Work), Err(Undelivered::Vacant));
    assert!(house.supervisor.board().has_failed("device/a"));
    assert!(!house.supervisor.board().has_failed("device/b"));
}

#[actix_rt::test]
async fn an_actor_that_stops_itself_is_started_again() {
    let house = House::start().await;
    house.a.stages[MERGER].try_send(Do::StopSelf).unwrap();
    assert_eq!(house.exit_before("device/a/merger", 2).await, Exit::Normal);
}

#[actix_rt::test]
async fn a_panic_of_the_device_replaces_its_tree() {
    let house = House::start().await;
    house.device_a.try_send(Do::Panic).unwrap();
    assert_eq!(house.exit_before("device/a", 2).await, Exit::Panic("the device panics".into()));
    assert_eq!(house.exit_before("device/a/ffmpeg", 2).await, Exit::Stopped);
    house.until("device/a/archiver", |node| node.generation == 2).await;
    house.assert_only_restarted(&TREE_A);
}

#[actix_rt::test]
async fn a_hang_replaces_the_tree_on_a_fresh_arbiter() {
    let house = House::start().await;
    house.a.stages[MERGER].try_send(Do::Hang).unwrap();
    assert_eq!(house.exit_before("device/a", 2).await, Exit::Hang("device/a/merger".into()));
    assert_eq!(house.exit_before("device/a/merger", 2).await, Exit::Hang("device/a/merger".into()));
    house.until("device/a/archiver", |node| node.generation == 2).await;
    house.a.stages[MERGER].send(Do::Work, Duration::from_secs(5)).await.unwrap();
    for line in ["merger woke up revoked", "merger works in generation 2"] {
        house.until("device/a", |_| house.a.diary().contains(&line.into())).await;
    }
    house.assert_only_restarted(&TREE_A);
}

#[actix_rt::test]
async fn a_lost_arbiter_replaces_the_tree() {
    let house = House::start().await;
    house.a.stages[MERGER].try_send(Do::LoseArbiter).unwrap();
    assert!(matches!(house.exit_before("device/a", 2).await, Exit::ArbiterLost(_)));
    house.until("device/a/merger", |node| node.generation == 2).await;
    house.until("device/a/archiver", |node| node.generation == 2).await;
    house.assert_only_restarted(&TREE_A);
}

#[actix_rt::test]
async fn a_device_ends_its_stages_in_order() {
    let house = House::start().await;
    house.supervisor.remove("device/a").await.unwrap();
    let finished: Vec<_> = house.a.diary().into_iter().filter(|line| line.ends_with("finished")).collect();
    assert_eq!(finished, ["ffmpeg finished", "merger finished", "archiver finished"]);
    assert_eq!(house.a.stages[MERGER].try_send(Do::Work), Err(Undelivered::Vacant));
    assert!(house.generations().iter().all(|(name, _)| !name.starts_with("device/a")));
    assert_eq!(house.supervisor.board().node("device/b").unwrap().state, NodeState::Running);
    house.supervisor.stop().await;
    assert!(house.supervisor.board().snapshot().iter().all(|node| node.state == NodeState::Stopped));
}

#[actix_rt::test]
async fn every_actor_of_a_device_can_be_poisoned_at_once() {
    let house = House::start().await;
    for stage in ["device/a/ffmpeg", "device/a/merger", "device/a/archiver", "device/a"] {
        house.injector.inject(stage, Poison::Panic).unwrap();
    }
    assert_eq!(house.exit_before("device/a", 2).await, Exit::Panic("injected panic".into()));
    for slot in &house.a.stages {
        house.until("device/a/archiver", |_| slot.generation() >= Some(2)).await;
    }
    assert_eq!(house.injector.inject("device/c", Poison::Panic).unwrap_err().kind, crate::error::Kind::NotFound);
}

#[actix_rt::test]
async fn a_panic_or_hang_of_the_supervisor_leaves_the_trees_alone() {
    let house = House::start().await;
    house.injector.inject("supervisor", Poison::Panic).unwrap();
    assert_eq!(house.exit_before("supervisor", 2).await, Exit::Panic("injected panic".into()));
    house.injector.inject("supervisor", Poison::Hang { ms: 5000 }).unwrap();
    assert_eq!(house.exit_before("supervisor", 3).await, Exit::Hang("supervisor".into()));
    let devices = house.generations().into_iter().filter(|(name, _)| name != "supervisor");
    assert!(devices.into_iter().all(|(_, generation)| generation == 1));
    house.until("supervisor", |_| house.supervisor.is_alive(Duration::from_millis(500))).await;
}

#[actix_rt::test]
async fn a_full_mailbox_refuses_at_its_capacity() {
    struct Sleeper;
    impl Actor for Sleeper {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            actix::AsyncContext::wait(ctx, actix::fut::wrap_future(std::future::pending::<()>()));
        }
    }
    impl Handler<Do> for Sleeper {
        type Result = ();
        fn handle(&mut self, _: Do, _: &mut Self::Context) {}
    }
    let house = House::start().await;
    let slot = Slot::new();
    house.supervisor.add(ChildSpec::new("sleeper", &slot, |_| Sleeper).mailbox(3)).unwrap();
    house.until("sleeper", |_| slot.generation() == Some(1)).await;
    let answers: Vec<_> = (0..6).map(|_| slot.clone().try_send(Do::Work).is_ok()).collect();
    assert_eq!(answers, [true, true, true, false, false, false]);
    // Waiting for ever on a future is a hang, too: beats come from the context.
    assert_eq!(house.exit_before("sleeper", 2).await, Exit::Hang("sleeper".into()));
    assert!(house.supervisor.add(ChildSpec::new("sleeper", &slot, |_| Sleeper)).is_err());
}
