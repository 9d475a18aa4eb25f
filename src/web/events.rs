//! `GET /api/events`: what happens, as server-sent events, for as long as somebody listens.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header, header::HeaderName},
    web,
};
use bytes::Bytes;
use futures_util::stream;
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};

use super::State;
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    events::{Event, Events, Heard, Listener, Topic},
    ids::DeviceId,
    telemetry::Metrics,
};

/// Nothing happened for so long: a comment keeps proxies, which close silent connections after 30 to 60 s, from it.
const SILENCE: Duration = Duration::from_secs(15);
/// What a browser waits before it connects again.
const RETRY: &str = "retry: 2000\n\n";
/// Tells a proxy not to collect what should pass through.
const NO_BUFFER: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The events and the places for those who listen to them over HTTP.
pub struct Feed {
    pub events: Events,
    places: Arc<Semaphore>,
    listeners: Gauge,
    ended: watch::Sender<bool>,
}

impl Feed {
    pub fn new(events: Events, listeners_max: usize, metrics: &Metrics) -> Self {
        let places = Arc::new(Semaphore::new(listeners_max));
        Self { events, places, listeners: metrics.event_listeners.clone(), ended: watch::Sender::new(false) }
    }

    /// The daemon stops: who listens gets the end of the stream, else the server would wait for them.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    topics: Option<String>,
    device: Option<String>,
    after: Option<String>,
}

/// What one listener wants to hear.
#[derive(Debug, PartialEq)]
struct Filter {
    topics: Vec<Topic>,
    device: Option<DeviceId>,
}

/// One place, free again when dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    listeners: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listeners.dec();
    }
}

struct Stream {
    listener: Listener,
    filter: Filter,
    ended: watch::Receiver<bool>,
    state: State,
    caller: Caller,
    /// Of users, their rights and sessions.
    changes: watch::Receiver<u64>,
    _place: Place,
}

/// `GET /api/events?topics=device,job&device=ID&after=N`; `Last-Event-ID` is what a browser says instead of `after`.
pub async fn listen(
    request: HttpRequest,
    state: State,
    caller: Caller,
    query: web::Query<Query>,
) -> Result<HttpResponse> {
    let filter = Filter {
        topics: query.topics.as_deref().map_or_else(|| Ok(Topic::ALL.to_vec()), topics)?,
        device: query.device.as_deref().map(|id| known(&state, id)).transpose()?,
    };
    let after = query.after.as_deref().map(number).transpose()?;
    // A browser that comes back says both: its address as it was at first, and the header with what it heard last.
    let told = request.headers().get(LAST_EVENT_ID).and_then(|id| number(id.to_str().ok()?).ok());
    let mut reply = HttpResponse::Ok();
    reply
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((NO_BUFFER, "no"));
    if request.method() == Method::HEAD {
        return Ok(reply.finish());
    }
    let feed = &state.feed;
    let permit = Arc::clone(&feed.places).try_acquire_owned();
    let permit = permit.map_err(|_| Error::new(Kind::Unavailable, "too many listen to events"))?;
    feed.listeners.inc();
    let place = Place { _permit: permit, listeners: feed.listeners.clone() };
    let listener = feed.events.listen(told.or(after));
    let (ended, changes) = (feed.ended.subscribe(), state.access.changes());
    let first = Stream { listener, filter, ended, state: state.clone(), caller, changes, _place: place };
    let opening = stream::iter([Ok::<_, Error>(Bytes::from_static(RETRY.as_bytes()))]);
    let rest = stream::unfold(first, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok(Bytes::from(text)), stream))
    });
    Ok(reply.streaming(futures_util::StreamExt::chain(opening, rest)))
}

impl Stream {
    /// The next text to send; None at the end.
    async fn next(&mut self) -> Option<String> {
        // Events of no interest do not break the silence: else nothing would tell that the other end is gone.
        let mut silence = std::pin::pin!(sleep(SILENCE));
        loop {
            let heard = tokio::select! {
                _ = self.ended.wait_for(|ended| *ended) => return None,
                // Whoever signed out, or may see less now. That a session ran out is seen within the silence.
                _ = self.changes.changed() => {
                    self.caller = self.state.access.again(&self.caller)?;
                    continue;
                }
                () = &mut silence => {
                    self.caller = self.state.access.again(&self.caller)?;
                    return Some(":\n\n".to_owned());
                }
                heard = self.listener.next() => heard?,
            };
            match heard {
                Heard::Missed(count) => return Some(missed(count)),
                Heard::Event(event) if self.filter.wants(&event) && self.may_hear(&event) => return Some(text(&event)),
                Heard::Event(_) => {}
            }
        }
    }
}

impl Stream {
    /// What is about no device is about the host. A device that is gone was where the event says that it was.
    fn may_hear(&self, event: &Event) -> bool {
        let Some(device) = &event.device else { return true };
        let was = || self.caller.sees(device.as_str(), event.data["area"].as_str().unwrap_or_default());
        self.state.sees(&self.caller, device) || (self.state.device(device.as_str()).is_err() && was())
    }
}

impl Filter {
    fn wants(&self, event: &Event) -> bool {
        self.topics.contains(&event.topic) && (self.device.is_none() || self.device == event.device)
    }
}

fn text(event: &Event) -> String {
    let mut out = String::with_capacity(256);
    // JSON on one line: a line break would end the data.
    let _ = write!(out, "event: {}\nid: {}\ndata: {}\n\n", event.topic.name(), event.id, event.json());
    out
}

/// Of all topics and devices: what they were about is gone with them.
fn missed(count: u64) -> String {
    format!("event: missed\ndata: {}\n\n", json!({"missed": count}))
}

fn topics(text: &str) -> Result<Vec<Topic>> {
    let known = || Topic::ALL.map(Topic::name).join(", ");
    let refuse = || Error::new(Kind::Invalid, format!("must be some of {}", known())).at("topics");
    text.split(',').map(|name| Topic::named(name).ok_or_else(refuse)).collect()
}

fn number(text: &str) -> Result<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| Error::new(Kind::Invalid, "must be the id of an event").at("after"))
}

/// A device that is recorded now: a name that never tells anything would be a mistake that nobody notices.
fn known(state: &State, id: &str) -> Result<DeviceId> {
    let device = state.device(id).map_err(|_| Error::new(Kind::Invalid, "there is no such device").at("device"))?;
    Ok(device.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn topics_and_ids_are_read_strictly() {
        let check = |text: &str, expected: Option<&[Topic]>| {
            assert_eq!(topics(text).ok().as_deref(), expected, "{text}");
        };
        check("device", Some(&[Topic::Device]));
        check("job,lost", Some(&[Topic::Job, Topic::Lost]));
        for bad in ["", "jobs", "job,", ",", "JOB", "job, lost", "\u{fffd}"] {
            check(bad, None);
        }
        assert_eq!(number("17").ok(), Some(17));
        for bad in ["", "-1", "+1", "1.0", "99999999999999999999", "x"] {
            assert_eq!(number(bad).unwrap_err().path.as_deref(), Some("after"), "{bad}");
        }
    }

    #[test]
    fn an_event_is_one_block_of_lines() {
        let events = Events::new(Clock::system());
        let mut listener = events.listen(None);
        let device: DeviceId = "cam".parse().unwrap();
        events.publish(Topic::Device, "device_down", Some(&device), json!({"reason": "two\nlines"}));
        let heard = futures_util::FutureExt::now_or_never(listener.next()).flatten();
        let Some(Heard::Event(event)) = heard else { panic!("{heard:?}") };
        let told = text(&event);
        let lines: Vec<_> = told.lines().collect();
        assert_eq!((lines[0], lines[1]), ("event: device", format!("id: {}", event.id).as_str()));
        assert_eq!(lines[2].strip_prefix("data: ").unwrap(), event.json().to_string());
        assert_eq!(&lines[3..], [""]);
        let wants = |topics: &[Topic], of: Option<&str>| {
            Filter { topics: topics.to_vec(), device: of.map(|id| id.parse().unwrap()) }.wants(&event)
        };
        assert!(wants(&Topic::ALL, None) && wants(&[Topic::Device], Some("cam")));
        assert!(!wants(&[Topic::Job], None) && !wants(&Topic::ALL, Some("other")));
    }
}
