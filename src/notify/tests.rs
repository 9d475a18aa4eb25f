//! Against receivers on a real socket: in order, signed, through an hour of silence, past one that hangs.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicU16, Ordering},
};

use serde_json::{Value, json};
use slog::{Drain as _, o};

use super::*;
use crate::{
    clock::{ManualClock, Utc90k},
    config::{Webhook, receivers},
    events::Topic,
};

/// A program that takes webhooks: answers what it is told to, remembers what it was sent.
struct Program {
    address: SocketAddr,
    answer: Arc<AtomicU16>,
    /// Takes connections and says nothing.
    hangs: Arc<AtomicBool>,
    got: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
struct Request {
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    answered: u16,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Program {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, hangs) = (Arc::new(AtomicU16::new(200)), Arc::<AtomicBool>::default());
        let got = Arc::<Mutex<Vec<Request>>>::default();
        let (told, silent, remembered) = (answer.clone(), hangs.clone(), got.clone());
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if silent.load(Ordering::SeqCst) {
                    held.push(stream);
                } else {
                    let request = serve(&stream, told.load(Ordering::SeqCst));
                    remembered.lock().unwrap().push(request);
                }
            }
        });
        Self { address, answer, hangs, got }
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    fn taken(&self) -> Vec<Request> {
        self.got().into_iter().filter(|request| request.answered == 200).collect()
    }

    fn webhook(&self, kinds: &[&str]) -> Webhook {
        Webhook {
            url: format!("http://{}/hook/very-secret-path", self.address),
            secret: "very-secret-key".into(),
            kinds: kinds.iter().map(ToString::to_string).collect(),
        }
    }
}

fn serve(stream: &TcpStream, answer: u16) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let mut out = stream;
    let location = "Location: http://127.0.0.1:1/elsewhere\r\n";
    write!(out, "HTTP/1.1 {answer} Whatever\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    Request { path, headers, body, answered: answer }
}

struct Rig {
    manual: ManualClock,
    events: Events,
    metrics: Arc<Metrics>,
    notifier: Notifier,
    lines: Arc<Mutex<Vec<u8>>>,
}

/// A log that is kept.
#[derive(Clone)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Rig {
    fn new(webhooks: &[Webhook]) -> Self {
        let rig = Self::before_it_is_known();
        rig.notifier.replace(&receivers(webhooks, b"")).unwrap();
        rig
    }

    fn before_it_is_known() -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(1_795_143_600));
        let (events, metrics) = (Events::new(manual.clock()), Arc::new(Metrics::new()));
        let lines = Arc::<Mutex<Vec<u8>>>::default();
        let log = Logger::root(Mutex::new(slog_json::Json::default(Kept(lines.clone()))).map(slog::Fuse), o!());
        let notifier = Notifier::start(NotifierParts {
            host: "studio".into(),
            events: &events,
            clock: manual.clock(),
            metrics: metrics.clone(),
            log,
        });
        let notifier = notifier.unwrap();
        Self { manual, events, metrics, notifier, lines }
    }

    fn publish(&self, kind: &'static str, number: usize) {
        let device = "cam".parse().unwrap();
        self.events.publish(Topic::Device, kind, Some(&device), json!({"number": number}));
    }

    #[track_caller]
    fn until(&self, what: &str, met: impl Fn(&Self) -> bool) {
        let clock = Clock::system();
        let began = clock.mono();
        while !met(self) {
            assert!(clock.mono().since(began) < Duration::from_secs(20), "waited in vain for {what}");
            thread::yield_now();
        }
    }

    /// An answer is booked a moment after the receiver gave it: the count, then the queue, then its depth.
    #[track_caller]
    fn until_booked(&self, number: usize) {
        self.until("the books", |rig| {
            let told = &rig.notifier.status()[number];
            let depth = format!("capstan_webhook_queue_depth{{receiver=\"{}\"}} 0\n", told.receiver);
            told.waiting == 0 && rig.metrics.render().contains(&depth)
        });
    }

    fn log(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }
}

fn numbers(requests: &[Request]) -> Vec<u64> {
    requests.iter().map(|request| request.json()["number"].as_u64().unwrap()).collect()
}

#[test]
fn events_arrive_in_order_and_signed() {
    let receiver = Program::start();
    let rig = Rig::new(&[receiver.webhook(&[])]);
    (0..20).for_each(|number| rig.publish(KINDS[number % KINDS.len()], number));
    rig.publish("device_status", 99);
    rig.publish("device_up", 20);
    rig.until("all events", |_| receiver.got().len() == 21);
    let got = receiver.got();
    assert_eq!(numbers(&got), (0..21).collect::<Vec<_>>(), "events of other kinds are not for webhooks");
    for request in &got {
        let (headers, body) = (&request.headers, request.json());
        assert_eq!(request.path, "/hook/very-secret-path");
        assert_eq!((&body["host"], &body["device"]), (&"studio".into(), &"cam".into()));
        assert_eq!(body["kind"], headers["x-capstan-event"].as_str());
        assert_eq!(body["id"].to_string(), headers["x-capstan-delivery"]);
        assert_eq!(headers["x-capstan-timestamp"], "1795143600");
        let expected = sender::signature("very-secret-key", "1795143600", &request.body);
        assert_eq!(headers["x-capstan-signature"], expected);
        assert_eq!(headers["content-type"], "application/json");
    }
    rig.until_booked(0);
    let status = &rig.notifier.status()[0];
    assert_eq!((status.sent, status.failed, status.dropped, status.waiting), (21, 0, 0, 0));
    rig.notifier.stop(&Logger::root(slog::Discard, o!()));
}

#[test]
fn each_gets_the_kinds_that_it_asked_for() {
    let (all, some) = (Program::start(), Program::start());
    let rig = Rig::new(&[all.webhook(&[]), some.webhook(&["device_down", "recording_lost"])]);
    (0..10).for_each(|number| rig.publish(KINDS[number % 5], number));
    rig.until("the events", |_| all.got().len() == 10 && some.got().len() == 4);
    assert_eq!(numbers(&some.got()), [1, 4, 6, 9]);
}

#[test]
fn a_receiver_that_was_down_for_an_hour_gets_the_newest_thousand() {
    let (sick, well) = (Program::start(), Program::start());
    sick.answer.store(503, Ordering::SeqCst);
    let rig = Rig::new(&[sick.webhook(&[]), well.webhook(&[])]);
    for number in 0..1300 {
        rig.publish("device_down", number);
        if number % 100 == 99 {
            rig.until("the other", |_| well.got().len() == number + 1);
        }
    }
    rig.until("the first failure", |rig| rig.notifier.status()[0].error.as_deref() == Some("it answers 503"));
    rig.until("its request", |_| !sick.got().is_empty());
    // An hour of a clock that is moved in small steps: attempts go on, rarely.
    for _ in 0..360 {
        rig.manual.advance(Duration::from_secs(10));
        thread::yield_now();
    }
    let tried = sick.got().len();
    assert!((1..=70).contains(&tried), "{tried} attempts in an hour");
    sick.answer.store(200, Ordering::SeqCst);
    rig.until("all that waits", |rig| {
        rig.manual.advance(Duration::from_secs(10));
        sick.taken().len() == 1000
    });
    assert_eq!(numbers(&sick.taken()), (300..1300).collect::<Vec<_>>());
    rig.until_booked(0);
    let status = &rig.notifier.status()[0];
    assert_eq!((status.sent, status.dropped, status.error.clone()), (1000, 300, None));
    assert!(rig.log().contains("works again"));
    let text = rig.metrics.render();
    let receiver = sick.address;
    assert!(text.contains(&format!("capstan_webhook_dropped_total{{receiver=\"{receiver}\"}} 300")), "{text}");
}

#[test]
fn what_is_refused_is_not_sent_again_and_redirects_are_not_followed() {
    for answer in [400, 404, 302, 307] {
        let receiver = Program::start();
        receiver.answer.store(answer, Ordering::SeqCst);
        let rig = Rig::new(&[receiver.webhook(&[])]);
        rig.publish("device_down", 0);
        rig.until("the refusal", |rig| rig.notifier.status()[0].dropped == 1);
        receiver.answer.store(200, Ordering::SeqCst);
        rig.publish("device_up", 1);
        rig.until("the next", |_| receiver.got().len() == 2);
        assert_eq!(numbers(&receiver.taken()), [1], "{answer}");
    }
}

#[test]
fn one_that_hangs_or_is_gone_delays_neither_others_nor_the_end() {
    let (hanging, well) = (Program::start(), Program::start());
    hanging.hangs.store(true, Ordering::SeqCst);
    let gone = Webhook { url: "http://127.0.0.1:1/".into(), ..well.webhook(&[]) };
    let rig = Rig::new(&[hanging.webhook(&[]), gone, well.webhook(&[])]);
    (0..50).for_each(|number| rig.publish("device_down", number));
    rig.until("the other", |_| well.got().len() == 50);
    rig.until("the failure", |rig| rig.notifier.status()[1].failed > 0);
    let clock = Clock::system();
    let began = clock.mono();
    rig.notifier.stop(&Logger::root(slog::Discard, o!()));
    // A busy host may take its time; the request that hangs takes ten seconds.
    assert!(clock.mono().since(began) < Duration::from_secs(4));
}

/// As people change the list: by ids.
fn list(rig: &Rig, all: &[(&str, &Webhook)]) {
    let receiver = |(id, webhook): &(&str, &Webhook)| {
        let Webhook { url, secret, kinds } = Webhook::clone(webhook);
        crate::config::Receiver { id: (*id).to_owned(), url, secret, kinds }
    };
    rig.notifier.replace(&all.iter().map(receiver).collect::<Vec<_>>()).unwrap();
}

#[test]
fn receivers_come_change_and_go_while_events_do() {
    let (stays, goes, comes) = (Program::start(), Program::start(), Program::start());
    let rig = Rig::new(&[]);
    let (one, two, three) = (stays.webhook(&[]), goes.webhook(&[]), comes.webhook(&["device_down"]));
    list(&rig, &[("a", &one), ("b", &two)]);
    rig.publish("device_up", 0);
    rig.until("both", |_| stays.got().len() == 1 && goes.got().len() == 1);
    // What waits for one that stays is sent, to where it is now; what waits for one that went is not.
    stays.answer.store(503, Ordering::SeqCst);
    goes.answer.store(503, Ordering::SeqCst);
    (1..4).for_each(|number| rig.publish("device_down", number));
    rig.until("the failures", |rig| rig.notifier.status().iter().all(|told| told.failed > 0 && told.waiting == 3));
    list(&rig, &[("c", &three), ("a", &Webhook { url: format!("{}/moved", one.url), ..one.clone() })]);
    stays.answer.store(200, Ordering::SeqCst);
    goes.answer.store(200, Ordering::SeqCst);
    (4..6).for_each(|number| rig.publish(if number == 4 { "device_up" } else { "device_down" }, number));
    // It may have been refused once more before it was well.
    rig.until("all that waited", |rig| {
        rig.manual.advance(Duration::from_secs(10));
        numbers(&stays.taken()) == [0, 1, 2, 3, 4, 5]
    });
    assert!(stays.taken().last().unwrap().path.ends_with("/moved"));
    rig.until("the new one", |_| numbers(&comes.got()) == [5]);
    assert_eq!(goes.taken().len(), 1, "told nothing more");
    rig.until_booked(1);
    let told = rig.notifier.status();
    assert_eq!(told.iter().map(|told| told.id.as_str()).collect::<Vec<_>>(), ["c", "a"]);
    assert_eq!(told[1].sent, 6, "it is still the same");
    let text = rig.metrics.render();
    assert!(!text.contains(&goes.address.to_string()) && text.contains(&comes.address.to_string()), "{text}");
    list(&rig, &[]);
    rig.publish("device_down", 6);
    assert_eq!(rig.notifier.status(), []);
    rig.notifier.stop(&Logger::root(slog::Discard, o!()));
    assert_eq!((stays.taken().len(), comes.got().len()), (6, 1));
}

#[test]
fn what_happens_before_it_is_known_who_is_told_waits() {
    let receiver = Program::start();
    let rig = Rig::before_it_is_known();
    (0..3).for_each(|number| rig.publish("device_down", number));
    rig.until("they are kept", |rig| rig.notifier.desk.lock().early.as_ref().is_some_and(|early| early.len() == 3));
    assert_eq!(rig.notifier.status(), []);
    list(&rig, &[("a", &receiver.webhook(&[]))]);
    rig.publish("device_up", 3);
    rig.until("all of it", |_| numbers(&receiver.got()) == [0, 1, 2, 3]);
}

#[test]
fn one_is_tried_past_its_queue() {
    let receiver = Program::start();
    let rig = Rig::new(&[receiver.webhook(&["device_up"])]);
    let id = rig.notifier.status()[0].id.clone();
    assert_eq!(rig.notifier.test(&id).unwrap(), 200);
    let got = receiver.got().remove(0);
    assert_eq!((&got.json()["kind"], &got.json()["host"]), (&"test".into(), &"studio".into()));
    let expected = sender::signature("very-secret-key", "1795143600", &got.body);
    assert_eq!((&got.headers["x-capstan-signature"], &got.headers["x-capstan-event"]), (&expected, &"test".to_owned()));
    receiver.answer.store(404, Ordering::SeqCst);
    assert_eq!(rig.notifier.test(&id).unwrap(), 404);
    assert_eq!((rig.notifier.status()[0].sent, rig.notifier.status()[0].error.clone()), (0, None), "no event");
    assert_eq!(rig.notifier.test("other").unwrap_err().kind, Kind::NotFound);
    let gone = Webhook { url: "http://127.0.0.1:1/very-secret".into(), ..receiver.webhook(&[]) };
    list(&rig, &[("a", &gone)]);
    let error = rig.notifier.test("a").unwrap_err();
    assert!(error.kind == Kind::Unavailable && !error.to_string().contains("secret"), "{error}");
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let receiver = Program::start();
    let mut webhook = receiver.webhook(&[]);
    webhook.url = format!("http://user:very-secret-word@{}/very-secret-path?key=very-secret-too", receiver.address);
    let rig = Rig::new(&[
        webhook.clone(),
        webhook.clone(),
        Webhook { url: "http://127.0.0.1:1/very-secret".into(), ..webhook },
    ]);
    receiver.answer.store(400, Ordering::SeqCst);
    rig.publish("device_down", 0);
    rig.until("the refusals", |rig| rig.notifier.status().iter().all(|status| status.failed > 0));
    receiver.answer.store(503, Ordering::SeqCst);
    rig.publish("device_down", 1);
    rig.until("the failures", |rig| rig.notifier.status()[0].failed > 1);
    let shown = rig.log() + &json!(rig.notifier.status()).to_string() + &rig.metrics.render();
    assert!(shown.contains(&receiver.address.to_string()) && !shown.contains("very-secret"), "{shown}");
    assert!(shown.contains(&format!("{}#2", receiver.address)));
}
