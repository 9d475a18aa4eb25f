//! Replies that are given again: kept for seconds, made once for all who ask meanwhile, never after what they tell changed.
//!
//! The key holds the number of changes of everything a reply is made of, so that a change needs no one to come and
//! delete: what was made before it is no longer found, and leaves by age.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    Error as HttpError, HttpMessage, HttpRequest, HttpResponse,
    body::{self, BodySize, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use bytes::Bytes;
use moka::{future::Cache, notification::RemovalCause, policy::EvictionPolicy};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    State, WebState,
    range::{Precondition, precondition},
    slices::{Content, Slice, respond},
};
use crate::{
    access::{Caller, Standing},
    clock::Mono,
    error::{Error, Kind},
    telemetry::Metrics,
};

pub mod entries;

/// All bodies together; a quarter of the RAM that the design gives to all caches.
const BYTES_MAX: u64 = 16 << 20;
/// One body: the timeline of a month is 1 MB.
const BODY_BYTES_MAX: u64 = 2 << 20;
/// A longer query is no page's.
const KEY_BYTES_MAX: usize = 1024;
const JSON: &str = "application/json";
/// What kept routes answer.
const TYPES: [&str; 2] = [JSON, "image/jpeg"];
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// A browser may keep it, and asks whether it still holds.
const ASK_AGAIN: &str = "private, no-cache";
/// The handler must make the whole, for everybody.
const CONDITIONS: [HeaderName; 5] =
    [header::RANGE, header::IF_RANGE, header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What a route's replies are made of: when that changes, they are made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Made for each request.
    Never,
    /// Of the footage of the device in the path, and of what people say.
    OfDevice,
    /// Of all devices' footage, and of what people say.
    OfAll,
    /// Of how all devices do, and what they recorded of the day.
    OfStatus,
    /// Of what is configured alone.
    OfFleet,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// With its query in one order.
    address: Arc<str>,
    /// Of who asks: nobody is given what was made for somebody who may see other things.
    standing: Standing,
    /// Of everything it is made of.
    changes: u64,
}

#[derive(Clone)]
struct Kept {
    body: Bytes,
    content_type: &'static str,
    etag: Arc<str>,
}

/// The reply is for its asker alone: no 200, too large, or without an end that is known.
#[derive(Debug)]
struct NotKept;

/// Bounded by replies and by bytes; the one asked for longest ago goes.
pub struct Replies {
    /// None: nothing is kept.
    kept: Option<Cache<Key, Kept>>,
    capacity: u64,
    metrics: Arc<Metrics>,
}

impl Replies {
    pub fn new(ttl: Duration, capacity: u64, metrics: Arc<Metrics>) -> Self {
        let is_on = !ttl.is_zero() && capacity > 0;
        let kept = is_on.then(|| {
            // Each weighs its share at least: so one sum bounds the number and the bytes.
            let share = u32::try_from(BYTES_MAX / capacity).unwrap_or(u32::MAX).max(1);
            let weigh = move |key: &Key, kept: &Kept| {
                u32::try_from(kept.body.len() + key.address.len()).unwrap_or(u32::MAX).max(share)
            };
            let told = Arc::clone(&metrics);
            let gone = move |_key: Arc<Key>, kept: Kept, cause| {
                let serving = &told.serving;
                serving.cache_bytes.dec_by(i64::try_from(kept.body.len()).unwrap_or_default());
                if matches!(cause, RemovalCause::Size | RemovalCause::Expired) {
                    serving.cache_evictions.inc();
                }
            };
            Cache::builder()
                .max_capacity(u64::from(share) * capacity)
                .weigher(weigh)
                .time_to_live(ttl)
                // What was popular until it changed must not keep out what took its place.
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(gone)
                .build()
        });
        Self { kept, capacity, metrics }
    }

    /// `{hits,misses,sets,evictions,size,maxSize,hitRate}`
    pub async fn stats(&self) -> Value {
        let size = match &self.kept {
            Some(kept) => {
                kept.run_pending_tasks().await;
                kept.entry_count()
            }
            None => 0,
        };
        let serving = &self.metrics.serving;
        serving.cache_entries.set(i64::try_from(size).unwrap_or(i64::MAX));
        let (hits, misses) = (serving.cache_hits.get(), serving.cache_misses.get());
        let rate = (hits * 100).checked_div(hits + misses).unwrap_or(0);
        json!({
            "hits": hits,
            "misses": misses,
            "sets": serving.cache_sets.get(),
            "evictions": serving.cache_evictions.get(),
            "size": size,
            "maxSize": if self.kept.is_some() { self.capacity } else { 0 },
            "hitRate": format!("{rate}%"),
        })
    }

    /// Those whose address holds `pattern`, where `*` stands for anything; how many.
    pub async fn invalidate(&self, pattern: &str) -> usize {
        let Some(kept) = &self.kept else { return 0 };
        let found: Vec<_> = kept.iter().map(|(key, _)| key).filter(|key| matches(pattern, &key.address)).collect();
        for key in &found {
            kept.invalidate(key.as_ref()).await;
        }
        found.len()
    }

    pub async fn clear(&self) -> usize {
        self.invalidate("*").await
    }
}

/// Around a route whose replies are kept: gives one that is there, or has it made once.
pub async fn keep<B: MessageBody + 'static>(
    state: &State,
    of: Keep,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, HttpError> {
    let key = state.replies.kept.as_ref().and_then(|kept| Some((kept, key_of(of, state, &request)?)));
    let Some((kept, key)) = key else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let serving = &state.metrics.serving;
    if let Some(found) = kept.get(&key).await {
        serving.cache_hits.inc();
        return Ok(again(state, request, &found, "HIT"));
    }
    // HEAD makes nothing that others could use.
    if request.method() != Method::GET {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let mut waiting = Some((request, next));
    let (mut alone, mut made) = (None, None);
    let outcome = kept
        .try_get_with(key, async {
            let Some((request, next)) = waiting.take() else { return Err(NotKept) };
            match make(request, next).await {
                Made::Kept(request, kept) => {
                    made = Some(request);
                    Ok(kept)
                }
                Made::Alone(outcome) => {
                    alone = Some(outcome);
                    Err(NotKept)
                }
            }
        })
        .await;
    if let Some(outcome) = alone {
        serving.cache_misses.inc();
        return outcome.map(ServiceResponse::map_into_left_body);
    }
    match (outcome, waiting, made) {
        (Ok(found), _, Some(request)) => {
            serving.cache_misses.inc();
            serving.cache_sets.inc();
            serving.cache_bytes.inc_by(i64::try_from(found.body.len()).unwrap_or_default());
            Ok(again(state, request, &found, "MISS"))
        }
        // Somebody else had it made meanwhile.
        (Ok(found), Some((request, _)), None) => {
            serving.cache_hits.inc();
            Ok(again(state, request, &found, "HIT"))
        }
        // It was for somebody else alone.
        (_, Some((request, next)), _) => {
            serving.cache_misses.inc();
            next.call(request).await.map(ServiceResponse::map_into_left_body)
        }
        (_, None, _) => Err(Error::new(Kind::Internal, "a reply was lost").into()),
    }
}

enum Made<B> {
    Kept(ServiceRequest, Kept),
    Alone(Result<ServiceResponse<B>, HttpError>),
}

/// Asks the route for the whole, whatever part or condition the request told.
async fn make<B: MessageBody + 'static>(mut request: ServiceRequest, next: Next<B>) -> Made<B> {
    let told: Vec<(HeaderName, HeaderValue)> = CONDITIONS
        .into_iter()
        .filter_map(|name| Some((name.clone(), request.headers_mut().remove(name).next()?)))
        .collect();
    let response = match next.call(request).await {
        Ok(response) => response,
        error => return Made::Alone(error),
    };
    let is_small = matches!(response.response().body().size(), BodySize::Sized(size) if size <= BODY_BYTES_MAX);
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let content_type = kind.and_then(|kind| TYPES.into_iter().find(|known| *known == kind));
    let (StatusCode::OK, true, Some(content_type)) = (response.status(), is_small, content_type) else {
        return Made::Alone(Ok(response));
    };
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let etag = head.headers().get(header::ETAG).and_then(|it| it.to_str().ok()).map(Arc::<str>::from);
    let Ok(body) = body::to_bytes(body).await else {
        let error = Error::new(Kind::Io, "the reply could not be made whole");
        return Made::Alone(Err(error.into()));
    };
    let etag = etag.unwrap_or_else(|| format!("\"{}\"", short_hash(&body)).into());
    let mut request = ServiceRequest::from_request(request);
    for (name, value) in told {
        request.headers_mut().insert(name, value);
    }
    Made::Kept(request, Kept { body, content_type, etag })
}

/// As if it was made for this request: with its Range and conditions.
fn again<B>(
    state: &WebState,
    request: ServiceRequest,
    kept: &Kept,
    how: &'static str,
) -> ServiceResponse<EitherBody<B>> {
    let mut reply = match kept.content_type {
        JSON => document(request.request(), kept),
        content_type => {
            let (slices, etag) = (vec![Slice::Bytes(kept.body.clone())], Some(kept.etag.to_string()));
            let content =
                Content { slices, content_type, etag, cache_control: ASK_AGAIN, location: None, file_name: None };
            respond(request.request(), &state.readers, content)
        }
    };
    reply.headers_mut().insert(X_CACHE, HeaderValue::from_static(how));
    request.into_response(reply).map_into_right_body()
}

/// Whole, or nothing when the asker has it.
fn document(request: &HttpRequest, kept: &Kept) -> HttpResponse {
    let told = request.headers().get(header::IF_NONE_MATCH).and_then(|told| told.to_str().ok());
    let is_known = precondition(None, told, Some(&kept.etag)) == Precondition::NotModified;
    let mut reply = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    reply.insert_header((header::ETAG, &*kept.etag)).insert_header((header::CACHE_CONTROL, ASK_AGAIN));
    if is_known { reply.finish() } else { reply.content_type(kept.content_type).body(kept.body.clone()) }
}

/// For an ETag: two bodies that differ have two.
pub(super) fn short_hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// None for what is not kept: another method, a device that is none, a query longer than any of ours.
fn key_of(of: Keep, state: &WebState, request: &ServiceRequest) -> Option<Key> {
    if of == Keep::Never || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let address = canonical(request.path(), request.query_string())?;
    // Whom the guard let in; without one nothing is kept.
    let standing = request.extensions().get::<Caller>()?.standing();
    let mut hasher = DefaultHasher::new();
    // Before all else is read: a reply that is made while something changes is found by nobody who comes later.
    state.fleet.changes().hash(&mut hasher);
    let devices = state.devices.load();
    match of {
        Keep::OfDevice => {
            let id = request.match_info().get("device")?;
            let device = devices.iter().find(|device| device.id.as_str() == id)?;
            (state.registry.changes(), device.index.changes()).hash(&mut hasher);
        }
        Keep::OfAll => {
            state.registry.changes().hash(&mut hasher);
            devices.iter().for_each(|it| it.index.changes().hash(&mut hasher));
        }
        Keep::OfStatus => {
            state.board.changes().hash(&mut hasher);
            devices.iter().for_each(|it| (it.index.changes(), (it.status)()).hash(&mut hasher));
        }
        Keep::OfFleet | Keep::Never => {}
    }
    // A span without an end goes on with the clock, and so do ages: such replies are made anew each second, for all who
    // ask in it.
    let is_still = of == Keep::OfFleet || (of != Keep::OfStatus && is_closed(&address));
    if !is_still {
        state.clock.mono().since(Mono::ZERO).as_secs().hash(&mut hasher);
    }
    Some(Key { address: address.into(), standing, changes: hasher.finish() })
}

/// The query names the end of what is asked for.
fn is_closed(address: &str) -> bool {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair.starts_with("to=") || pair.starts_with("date="))
}

/// One form of all that mean the same: the order in which a query is said means nothing.
fn canonical(path: &str, query: &str) -> Option<String> {
    if path.len() + query.len() > KEY_BYTES_MAX {
        return None;
    }
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    Some(if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) })
}

/// Whether `text` holds `pattern`, where `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = rest.get(at + piece.len()..).unwrap_or_default();
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mean_the_same_are_one() {
        let check = |query: &str, expected: &str| assert_eq!(canonical("/a", query).as_deref(), Some(expected));
        check("", "/a");
        check("&", "/a");
        check("to=2&from=1", "/a?from=1&to=2");
        check("from=1&to=2", "/a?from=1&to=2");
        assert_eq!(canonical("/a", &"x".repeat(KEY_BYTES_MAX)), None);
    }

    #[test]
    fn what_has_an_end_stands_still() {
        let check = |address: &str, expected| assert_eq!(is_closed(address), expected, "{address}");
        check("/a", false);
        check("/a?from=1", false);
        check("/a?from=1&to=2", true);
        check("/a?date=2023-11-14", true);
        check("/a?into=5", false);
        check("/to=5?from=1", false);
    }

    #[test]
    fn patterns_match_what_holds_them() {
        let check = |pattern: &str, text: &str, expected| assert_eq!(matches(pattern, text), expected, "{pattern}");
        check("*", "/api/host/timeline/cam", true);
        check("timeline", "/api/host/timeline/cam", true);
        check("/api/*/cam", "/api/host/timeline/cam", true);
        check("cam*timeline", "/api/host/timeline/cam", false);
        check("cam2", "/api/host/timeline/cam", false);
        check("é", "/api/host/timeline/cam", false);
    }
}
