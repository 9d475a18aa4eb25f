//! The panic hook, in a process of its own because it is global: a restarted actor's last exit names the place.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{Actor, Context};
use capstan::{
    clock::Clock,
    supervisor::{ChildSpec, Exit, Ground, Injector, Limits, Slot, StateBoard, Supervisor, Timing, watched},
    telemetry::Metrics,
};

struct Broken;

impl Actor for Broken {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        panic!("boom");
    }
}

/// Keeps the messages of all lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl slog::Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &slog::Record, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record.msg().to_string());
        Ok(())
    }
}

#[actix_rt::test]
async fn a_panic_is_logged_once_and_its_place_is_kept() {
    let lines = Lines::default();
    let log = slog::Logger::root(lines.clone(), slog::o!());
    watched::install_panic_hook(log.clone());
    let board = StateBoard::new();
    let clock = Clock::system();
    let ground = Ground {
        clock: clock.clone(),
        log,
        metrics: Arc::new(Metrics::new()),
        board: board.clone(),
        injector: Injector::disabled(),
        timing: Timing::default(),
    };
    let supervisor = Supervisor::start(ground).unwrap();
    // Failed at its first panic, so that there is exactly one.
    let limits = Limits { failures_max: 0, ..Limits::default() };
    supervisor.add(ChildSpec::new("broken", &Slot::new(), |_| Broken).limits(limits)).unwrap();

    let began = clock.mono();
    let exit = loop {
        if let Some(last) = board.node("broken").and_then(|node| node.last_exit) {
            break last.exit;
        }
        assert!(clock.mono().since(began) < Duration::from_secs(20), "no exit seen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    supervisor.remove("broken").await.unwrap();

    let Exit::Panic(message) = exit else { panic!("{exit:?}") };
    assert!(message.starts_with("boom (tests/panic_hook.rs:"), "{message}");
    let lines = lines.0.lock().expect("lines");
    assert_eq!(lines.iter().take(2).collect::<Vec<_>>(), ["panic", "actor failed"]);
}
