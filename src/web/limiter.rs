//! Who asks too often is told to wait, and what is too much at once is refused: recording needs the machine more.
//!
//! Live playlists, segments and finished chunks are not counted: they cost next to nothing, their connections are
//! bounded, and behind one address there may be a whole school.

use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpResponse,
    dev::RequestHead,
    http::{StatusCode, header},
};
use governor::{Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, state::keyed::HashMapStateStore};

use super::{
    WebState,
    client::{Client, network},
    error::refusal,
    route::Verb,
};
use crate::{
    clock::{Clock, Mono},
    config::Limits,
    telemetry::ClassLabel,
};

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Footage as it lies there, live or finished.
    Footage,
    /// Snapshots, lists, documents.
    State,
    /// Made of footage: clips, stills, mosaics.
    Heavy,
    /// Changes something.
    Write,
}

/// So many seconds' worth may come at once: a page that opens asks for all it shows.
const BURST_SECONDS: u32 = 5;

impl Class {
    /// By the place in the table.
    pub fn of(path: &str, verb: Verb) -> Self {
        const HEAVY: [&str; 6] = ["/clip", "/screenshot/", "/audio/", "/archive_hour_", "_ok.jpg", "_ko.jpg"];
        match verb {
            // What a thousand viewers behind one address say every five seconds, to RAM.
            Verb::Post if path.starts_with("/api/viewer/") => Self::State,
            Verb::Get if HEAVY.iter().any(|part| path.contains(part)) || path.ends_with("/{minute}.jpg") => Self::Heavy,
            // It derives a clip.
            Verb::Post if path.contains("/restart-video/") => Self::Heavy,
            Verb::Get if path.starts_with("/host/stream/") || path.starts_with("/assets/") => Self::Footage,
            // Whoever watches over the daemon is never told to wait.
            Verb::Get if ["/healthz", "/readyz", "/metrics", "/api/host/health"].contains(&path) => Self::Footage,
            Verb::Get => Self::State,
            Verb::Post | Verb::Patch | Verb::Put | Verb::Delete => Self::Write,
        }
    }

    pub const ALL: [Self; 4] = [Self::Footage, Self::State, Self::Heavy, Self::Write];

    pub fn name(self) -> &'static str {
        match self {
            Self::Footage => "footage",
            Self::State => "state",
            Self::Heavy => "heavy",
            Self::Write => "write",
        }
    }
}

/// Our clock as the limiter reads it, so that tests move it.
#[derive(Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.mono().since(Mono::ZERO)
    }
}

/// Addresses are told apart by 16 bits of a secret hash: however many there are, the books stay below 4 MiB, and one in
/// 65,536 shares the allowance of another.
type Book = RateLimiter<u16, HashMapStateStore<u16>, Ticks, NoOpMiddleware<Duration>>;

pub struct Limiter {
    books: [Option<Book>; 3],
    hasher: RandomState,
    ticks: Ticks,
    is_loopback_held: bool,
    heavy_max: usize,
    heavy: Arc<AtomicUsize>,
}

/// One place among heavy requests in work, free again when dropped.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Limiter {
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        let ticks = Ticks(clock);
        let book = |per_second: u32| {
            let (rate, burst) =
                (NonZeroU32::new(per_second)?, NonZeroU32::new(per_second.saturating_mul(BURST_SECONDS))?);
            let quota = Quota::per_second(rate).allow_burst(burst);
            Some(RateLimiter::new(quota, HashMapStateStore::default(), ticks.clone()))
        };
        Self {
            books: [limits.state_per_second, limits.heavy_per_second, limits.writes_per_second].map(book),
            hasher: RandomState::new(),
            ticks: ticks.clone(),
            is_loopback_held: limits.loopback,
            heavy_max: limits.heavy_at_once,
            heavy: Arc::default(),
        }
    }

    /// Or after how many seconds it may be tried again.
    fn allow(&self, class: Class, client: Client) -> Result<(), u64> {
        if client.is_near() && !self.is_loopback_held {
            return Ok(());
        }
        let place = match class {
            Class::Footage => return Ok(()),
            Class::State => 0,
            Class::Heavy => 1,
            Class::Write => 2,
        };
        let Some(book) = self.books.get(place).and_then(Option::as_ref) else { return Ok(()) };
        let [.., a, b] = self.hasher.hash_one(network(client.address)).to_be_bytes();
        book.check_key(&u16::from_be_bytes([a, b])).map_err(|refused| {
            let wait = refused.wait_time_from(self.ticks.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }

    /// None: as many are in work as may be.
    fn place(&self) -> Option<Place> {
        let before = self.heavy.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&self.heavy));
        (before < self.heavy_max).then_some(place)
    }
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its sender asks too often.
    Limited { seconds: u64 },
    /// Too many are in work.
    Overloaded,
}

impl Refused {
    pub fn reply(self) -> HttpResponse {
        let (mut reply, seconds) = match self {
            Self::Limited { seconds } => {
                let message = "too many requests from this address";
                (refusal(StatusCode::TOO_MANY_REQUESTS, "too_many", message), seconds)
            }
            Self::Overloaded => {
                let message = "too much is being made of footage now";
                (refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message), 1)
            }
        };
        reply.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        reply
    }
}

/// A place, where one is needed.
pub fn admit(state: &WebState, class: Class, head: &RequestHead) -> Result<Option<Place>, Refused> {
    if class == Class::Footage {
        return Ok(None);
    }
    let serving = &state.metrics.serving;
    let label = ClassLabel { class: class.name() };
    if let Err(seconds) = state.limiter.allow(class, Client::of(head, &state.settings.server)) {
        serving.limited.get_or_create_owned(&label).inc();
        return Err(Refused::Limited { seconds: seconds.max(1) });
    }
    if class != Class::Heavy {
        return Ok(None);
    }
    state.limiter.place().map(Some).ok_or_else(|| {
        serving.overloaded.get_or_create_owned(&label).inc();
        Refused::Overloaded
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::{
        clock::{ManualClock, Utc90k},
        web::routes::ROUTES,
    };

    fn limiter(change: impl FnOnce(&mut Limits)) -> (Limiter, ManualClock) {
        let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
        let mut limits = Limits::default();
        change(&mut limits);
        (Limiter::new(&limits, manual.clock()), manual)
    }

    fn from(address: IpAddr) -> Client {
        let request = actix_web::test::TestRequest::default().peer_addr((address, 1).into()).to_http_request();
        Client::of(request.head(), &crate::config::Server::default())
    }

    #[test]
    fn routes_cost_what_they_do() {
        let check = |path: &str, verb, expected| assert_eq!(Class::of(path, verb), expected, "{path}");
        check("/host/stream/{device}/segments/output.m3u8", Verb::Get, Class::Footage);
        check("/host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a", Verb::Get, Class::Heavy);
        check("/api/host/clip/{device}.mp4", Verb::Get, Class::Heavy);
        check("/api/host/heatmap/{minute}.jpg", Verb::Get, Class::Heavy);
        check("/api/host/heatmap/{minute}.json", Verb::Get, Class::State);
        check("/api/host/restart-video/{device}", Verb::Post, Class::Heavy);
        check("/api/viewer/heartbeat", Verb::Post, Class::State);
        check("/api/host/pins", Verb::Post, Class::Write);
        check("/api/host/pins", Verb::Get, Class::State);
        check("/healthz", Verb::Get, Class::Footage);
        let writes = ROUTES.iter().flat_map(|entry| entry.operations().map(move |(verb, ..)| (entry.path, verb)));
        assert!(
            writes.filter(|(_, verb)| *verb != Verb::Get).all(|(path, verb)| Class::of(path, verb) != Class::Footage)
        );
    }

    #[test]
    fn each_address_has_its_own_allowance_and_books_are_bounded() {
        let (limiter, manual) = limiter(|limits| limits.heavy_per_second = 2);
        let address = |last: u32| from(IpAddr::V4(Ipv4Addr::from_bits(0xc000_0200 + last)));
        let count = |who| (0..100).take_while(|_| limiter.allow(Class::Heavy, who).is_ok()).count();
        assert_eq!((count(address(1)), count(address(2))), (10, 10));
        assert_eq!(limiter.allow(Class::Heavy, address(1)), Err(1));
        assert_eq!(limiter.allow(Class::State, address(1)), Ok(()));
        manual.advance(Duration::from_secs(1));
        assert_eq!(count(address(1)), 2);
        // One who holds a network of IPv6 is one.
        let six = |last: u128| from(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + last)));
        assert_eq!((count(six(1)), count(six(2))), (10, 0));
        for last in 0..200_000 {
            let _ = limiter.allow(Class::Heavy, address(last));
        }
        let known = limiter.books[1].as_ref().map(RateLimiter::len).unwrap();
        assert!(known <= 1 << 16, "{known} addresses in the books");
        assert!((0..100).all(|_| limiter.allow(Class::Heavy, from(Ipv4Addr::LOCALHOST.into())).is_ok()));
    }

    #[test]
    fn no_more_is_in_work_than_may_be() {
        let (limiter, _) = limiter(|limits| limits.heavy_at_once = 2);
        let (first, second) = (limiter.place().unwrap(), limiter.place().unwrap());
        assert!(limiter.place().is_none() && limiter.place().is_none());
        drop(first);
        assert!(limiter.place().is_some());
        drop(second);
        assert_eq!(limiter.heavy.load(Ordering::Acquire), 0);
    }
}
