//! `/api/host/share`: signed links, and the bytes of a chunk that one opens.

use std::ops::Range;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap},
    web,
};
use serde_json::{Value, json};

use super::{
    State, WebDevice, WebState, fresh,
    incidents::{fields, invalid, text, unknown},
    users::moment,
};
use crate::{
    access::{Caller, Share},
    clock::TICKS_PER_SECOND,
    error::{Error, Kind, Result},
    ids::DEVICE_ID_MAX,
    storage::index::ChunkEntry,
};

/// A year: what is shared for longer is better given a user.
const LASTS_90K_MAX: i64 = 366 * 24 * 3600 * TICKS_PER_SECOND;

/// `POST /api/host/share` `{device, start, end, expires}`
pub async fn create(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let (mut device, mut start, mut end, mut expires) = (None, None, None, None);
    for (field, value) in fields(&body)? {
        match field.as_str() {
            "device" => device = Some(text(field, value, DEVICE_ID_MAX)?),
            "start" => start = Some(moment("start", value)?),
            "end" => end = Some(moment("end", value)?),
            "expires" => expires = Some(moment("expires", value)?),
            other => return Err(unknown(other)),
        }
    }
    let missing = |name: &'static str| move || invalid(name, "is missing");
    let device = device.ok_or_else(missing("device"))?;
    let (start, end) = (start.ok_or_else(missing("start"))?, end.ok_or_else(missing("end"))?);
    let expires = expires.ok_or_else(missing("expires"))?;
    let found = state.device(&device);
    match &found {
        Ok(found) if state.sees(&caller, &found.id) => {}
        // Whoever sees all may know that there is none.
        Err(_) if caller.sees_all() => {}
        _ => return Err(Error::new(Kind::Forbidden, "not for you to share")),
    }
    let device = found?;
    let lasts = expires - state.clock.wall();
    if lasts <= 0 || lasts > LASTS_90K_MAX {
        return Err(invalid("expires", "must lie ahead, a year at most"));
    }
    if start >= end {
        return Err(invalid("end", "must be after start"));
    }
    let share = Share { device: device.id.clone(), start, end, expires };
    let said = state.access.sign(&share);
    let what =
        json!({"device": device.id, "start": start.rfc3339(), "end": end.rfc3339(), "expires": expires.rfc3339()});
    state.access.told_link(&caller, what.clone()).await?;
    let span = format!("start={}&end={}&share={said}", start.rfc3339(), end.rfc3339());
    let playlist = format!("/api/host/playlist/{}.m3u8?{span}", device.id);
    let clip = format!("/api/host/clip/{}.mp4?{span}", device.id);
    let mut body = what;
    body["share"] = said.as_str().into();
    body["url"] = format!("{}{clip}", state.settings.server.public_url.as_deref().unwrap_or_default()).into();
    body["clip_url"] = clip.into();
    body["playlist_url"] = playlist.into();
    body["still_url"] = format!("/api/host/screenshot/{}?at={}&share={said}", device.id, start.rfc3339()).into();
    Ok(fresh(HttpResponse::Ok(), body))
}

/// `DELETE /api/host/share`
pub async fn end_all(state: State, caller: Caller) -> Result<HttpResponse> {
    state.access.end_links(&caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whether the wanted bytes are those that a playlist of the link's range names: the head that players need, and the
/// fragments that reach into the range. A chunk holds ten minutes; the link may be for one.
pub(super) async fn opens(
    state: &WebState,
    device: &WebDevice,
    chunk: &std::sync::Arc<ChunkEntry>,
    share: &Share,
    headers: &HeaderMap,
) -> Result<()> {
    let refuse = || Error::new(Kind::Forbidden, "the link opens the bytes that its playlist names");
    let table = state.table(device, chunk).await?;
    // With both ends told: an open one would grow with the chunk. If-Range could turn the part into the whole.
    let asked = headers.get(header::RANGE).and_then(|range| closed(range.to_str().ok()?));
    let wanted = asked.filter(|_| !headers.contains_key(header::IF_RANGE)).ok_or_else(refuse)?;
    let head = table.init.0..table.init.0 + table.init.1;
    let within = table.within(share.start, share.end);
    let footage =
        within.map(|fragment| fragment.bytes.clone()).reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
    let inside = |allowed: &Range<u64>| allowed.start <= wanted.start && wanted.end <= allowed.end;
    if inside(&head) || footage.as_ref().is_some_and(inside) { Ok(()) } else { Err(refuse()) }
}

/// `bytes=4-6` as 4..7.
fn closed(range: &str) -> Option<Range<u64>> {
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_with_both_ends_are_told_apart() {
        assert_eq!(closed("bytes=4-6"), Some(4..7));
        assert_eq!(closed("bytes=0-0"), Some(0..1));
        for bad in ["", "bytes=", "bytes=4-", "bytes=-4", "bytes=6-4", "bytes=1-2,5-6", "bytes=+1-2", "items=1-2"] {
            assert_eq!(closed(bad), None, "{bad}");
        }
        assert_eq!(closed("bytes=0-18446744073709551615"), None);
    }
}
