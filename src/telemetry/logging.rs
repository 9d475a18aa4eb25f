//! The logger: readable lines on a terminal, JSON lines elsewhere; writing never makes the daemon wait.
//!
//! Lines go through a bounded queue to one thread that owns stderr. A full queue drops the new line, counts it, and
//! says so once there is room again: a blocked journal must not stop a recorder.

use std::{
    io::{self, IsTerminal, LineWriter},
    panic::AssertUnwindSafe,
    str::FromStr,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use slog::{BorrowedKV, Drain, FnValue, Level, Logger, OwnedKVList, PushFnValue, Record, RecordStatic, o, warn};
use slog_async::{AsyncCore, AsyncError, AsyncGuard};

use crate::clock::Clock;

/// Lines that may wait for the writer: about 1 MiB of them.
const QUEUE_LINES: usize = 4096;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal, in colour.
    Term,
    /// One object a line: `ts` (RFC 3339, when it was said), `level`, `msg`, and the fields.
    Json,
}

impl Format {
    /// By what stderr is.
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() { Self::Term } else { Self::Json }
    }
}

/// The root logger and the thread behind it.
pub struct Logging {
    pub log: Logger,
    guard: AsyncGuard,
}

impl Logging {
    /// Logs to stderr at the level of `CAPSTAN_LOG` (error, warning, info, debug; default info), and takes in what
    /// dependencies say through the `log` crate. Call it once.
    pub fn start(clock: Clock, dropped: Counter) -> Self {
        let wanted = std::env::var("CAPSTAN_LOG").ok();
        let level = wanted.as_deref().map_or(Some(Level::Info), parse_level);
        let logging = Self::to_stderr(Format::for_stderr(), level.unwrap_or(Level::Info), clock, dropped);
        if level.is_none() {
            warn!(logging.log, "CAPSTAN_LOG is not error, warning, info or debug; using info"; "value" => wanted);
        }
        let bridge = slog::Filter::new(logging.log.clone(), move |record| is_ours(level, record)).ignore_res();
        let bridge = Logger::root(bridge, o!());
        slog_scope::set_global_logger(bridge).cancel_reset();
        // Dependencies speak up for trouble only, unless somebody debugs. Fails when a logger is set already: fine.
        let bridged = if level == Some(Level::Debug) { log::Level::Info } else { log::Level::Warn };
        let _ = slog_stdlog::init_with_level(bridged);
        logging
    }

    fn to_stderr(format: Format, level: Level, clock: Clock, dropped: Counter) -> Self {
        match format {
            Format::Json => Self::json(LineWriter::new(io::stderr()), level, clock, dropped),
            Format::Term => {
                let clock = AssertUnwindSafe(clock);
                let now = move |out: &mut dyn io::Write| {
                    let clock = &clock;
                    write!(out, "{}", clock.wall())
                };
                let decorator = slog_term::TermDecorator::new().stderr().build();
                let drain = slog_term::CompactFormat::new(decorator).use_custom_timestamp(now).build();
                Self::through_queue(drain, level, None, dropped, QUEUE_LINES)
            }
        }
    }

    fn json(out: impl io::Write + Send + 'static, level: Level, clock: Clock, dropped: Counter) -> Self {
        Self::through_queue(json_drain(out), level, Some(clock), dropped, QUEUE_LINES)
    }

    fn through_queue<D>(drain: D, level: Level, stamp: Option<Clock>, dropped: Counter, lines: usize) -> Self
    where
        D: Drain + Send + 'static,
    {
        // A write that fails has nowhere to be told.
        let (core, guard) =
            AsyncCore::custom(drain.ignore_res()).chan_size(lines).thread_name("log".into()).build_with_guard();
        let queue = Queue { core, stamp: stamp.map(AssertUnwindSafe), dropped, unreported: AtomicU64::new(0) };
        Self { log: Logger::root(slog::LevelFilter::new(queue, level).ignore_res(), o!()), guard }
    }

    /// Writes out what waits; gives up after `limit`, because stderr may be blocked for ever.
    pub fn flush(self, limit: Duration) {
        let (done, wait) = mpsc::channel();
        let flusher = move || {
            drop(self.guard);
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("log-flush".into()).spawn(flusher).is_ok() {
            let _ = wait.recv_timeout(limit);
        }
    }
}

/// False for what actix-http says of each client that speaks no HTTP: at level error, so a port scan would fill the
/// journal. The client is told, with 400.
fn is_ours(level: Option<Level>, record: &Record) -> bool {
    level == Some(Level::Debug) || !record.tag().starts_with("actix_http")
}

fn json_drain<W: io::Write>(out: W) -> slog_json::Json<W> {
    let values = o!(
        "level" => FnValue(|record| record.level().as_str().to_lowercase()),
        "msg" => PushFnValue(|record, value| value.emit(record.msg())),
    );
    slog_json::Json::new(out).add_key_value(values).build()
}

fn parse_level(text: &str) -> Option<Level> {
    match text.trim().to_lowercase().as_str() {
        "warn" => Some(Level::Warning),
        other => Level::from_str(other).ok(),
    }
}

/// The front of the queue: stamps, drops and counts.
struct Queue {
    core: AsyncCore,
    /// Stamps each line when it is said, not when it is written.
    /// Asserted: a clock is only read, there is no half-made state to see after a panic.
    stamp: Option<AssertUnwindSafe<Clock>>,
    dropped: Counter,
    unreported: AtomicU64,
}

impl Queue {
    /// False when the line was dropped.
    fn put(&self, record: &Record, values: &OwnedKVList) -> bool {
        let Some(clock) = &self.stamp else { return self.offer(record, values) };
        let location = RecordStatic { location: record.location(), tag: record.tag(), level: record.level() };
        let stamped = (slog::SingleKV::from(("ts", clock.wall().rfc3339())), record.kv());
        self.offer(&Record::new(&location, record.msg(), BorrowedKV(&stamped)), values)
    }

    fn offer(&self, record: &Record, values: &OwnedKVList) -> bool {
        !matches!(self.core.log(record, values), Err(AsyncError::Full))
    }
}

impl Drain for Queue {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record, values: &OwnedKVList) -> Result<(), slog::Never> {
        let unreported = self.unreported.swap(0, Ordering::Relaxed);
        if unreported > 0 {
            let report = slog::record_static!(Level::Warning, "");
            let kv = slog::b!("lines" => unreported);
            if !self.put(&Record::new(&report, &format_args!("log lines dropped"), kv), values) {
                self.unreported.fetch_add(unreported, Ordering::Relaxed);
            }
        }
        if !self.put(record, values) {
            self.dropped.inc();
            self.unreported.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use slog::info;

    use super::*;
    use crate::clock::{ManualClock, Utc90k};

    /// A writer that can be blocked.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap().clone();
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
        }
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_json_line_is_stamped_when_it_is_said() {
        let manual = ManualClock::at(Utc90k::from_ms(1_700_000_000_125));
        let page = Page::default();
        let logging = Logging::json(page.clone(), Level::Info, manual.clock(), Counter::default());
        let log = logging.log.new(o!("device" => "cam1"));
        let blocked = page.0.lock().unwrap();
        warn!(log, "ffmpeg exited"; "code" => 255);
        slog::debug!(log, "not at this level");
        manual.advance(Duration::from_secs(60));
        drop(blocked);
        logging.flush(LIMIT);
        assert_eq!(
            page.lines(),
            [json!({"level": "warning", "msg": "ffmpeg exited", "device": "cam1", "code": 255,
                "ts": "2023-11-14T22:13:20.125Z"})]
        );
    }

    #[test]
    fn a_blocked_writer_costs_lines_not_time() {
        let dropped = Counter::default();
        let page = Page::default();
        let clock = ManualClock::at(Utc90k::default()).clock();
        let logging = Logging::through_queue(json_drain(page.clone()), Level::Info, Some(clock), dropped.clone(), 8);
        let blocked = page.0.lock().unwrap();
        for number in 0..100 {
            info!(logging.log, "line"; "number" => number);
        }
        // The queue holds 8, the writer at most one more.
        let lost = dropped.get();
        assert!((91..=92).contains(&lost), "{lost} dropped");
        drop(blocked);
        until(&page, |lines| lines.len() >= 8);
        info!(logging.log, "after");
        logging.flush(LIMIT);
        let lines = page.lines();
        let reports = lines.iter().filter(|line| line["msg"] == "log lines dropped");
        assert_eq!(reports.map(|line| line["lines"].as_u64().unwrap()).sum::<u64>(), lost);
        assert_eq!(lines.last().unwrap()["msg"], "after");
    }

    fn until(page: &Page, wanted: impl Fn(&[Value]) -> bool) {
        let clock = Clock::system();
        let began = clock.mono();
        while !wanted(&page.lines()) {
            assert!(clock.mono().since(began) < LIMIT, "{:?}", page.lines());
            std::thread::yield_now();
        }
    }

    #[test]
    fn levels_by_name() {
        for (text, expected) in [
            ("debug", Some(Level::Debug)),
            (" INFO ", Some(Level::Info)),
            ("warn", Some(Level::Warning)),
            ("warning", Some(Level::Warning)),
            ("error", Some(Level::Error)),
            ("loud", None),
        ] {
            assert_eq!(parse_level(text), expected, "{text}");
        }
    }
}
