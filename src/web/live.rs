//! The live side over HTTP: the playlist as hot published it, and segments from RAM.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{Mutex, PoisonError},
};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::{
    State, WebDevice,
    slices::{Content, Slice, respond},
};
use crate::{
    error::{Error, Kind, Result},
    ids::{DeviceId, SegmentKey},
    storage::layout::{HotKind, parse_hot_name},
};

/// `GET /host/stream/{device}/segments/output.m3u8`
pub async fn playlist(request: HttpRequest, state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let live = device.hot.live();
    state.viewers.playlist(&request, &state, &device)?;
    if live.segments == 0 {
        return Err(Error::new(Kind::Unavailable, format!("{} has no live segment yet", device.id)));
    }
    let content = Content {
        slices: vec![Slice::Bytes(live.text.clone())],
        content_type: "application/vnd.apple.mpegurl",
        etag: Some(format!("\"{}\"", live.etag)),
        // A proxy may keep it but must ask whether it still holds: it changes every second.
        cache_control: "no-cache",
        location: None,
        file_name: None,
    };
    Ok(respond(&request, &state.readers, content))
}

/// `GET /host/stream/{device}/segments/segment_{epoch}_{number}.ts`
pub async fn segment(request: HttpRequest, state: State, path: web::Path<(String, String)>) -> Result<HttpResponse> {
    let (device, name) = path.into_inner();
    let device = state.device(&device)?;
    let key = parse_hot_name(HotKind::Segment, &format!("segment_{name}.ts"))
        .ok_or_else(|| Error::new(Kind::NotFound, "not the name of a segment"))?;
    let bytes = state.hot_cache.get(&device, key)?;
    let content = Content {
        slices: vec![Slice::Bytes(bytes)],
        content_type: "video/mp2t",
        etag: Some(format!("\"{}-{}-{}\"", device.id, key.epoch, key.number)),
        // A name never gets other bytes: runs are numbered for ever.
        cache_control: "private, max-age=600",
        location: None,
        file_name: None,
    };
    Ok(respond(&request, &state.readers, content))
}

/// The segments that viewers ask for now, so that a hundred of them cost one read and one copy in RAM.
///
/// Bounded by bytes; the one read longest ago goes. 8 MiB: the newest three segments of eight devices at 2 Mb/s, and
/// some.
pub struct HotCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    /// Oldest read first.
    segments: VecDeque<(DeviceId, SegmentKey, Bytes)>,
}

impl Default for HotCache {
    fn default() -> Self {
        Self::new(8 << 20)
    }
}

impl HotCache {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// The whole segment. What hot has let go is not found, even when its bytes are still here: the playlist and this
    /// must agree.
    fn get(&self, device: &WebDevice, key: SegmentKey) -> Result<Bytes> {
        if let Some(bytes) = self.find(&device.id, key).filter(|_| device.hot.holds_segment(key)) {
            return Ok(bytes);
        }
        let mut file = device.hot.open(HotKind::Segment, key)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| Error::io("reading a segment", "hot", error))?;
        let bytes = Bytes::from(bytes);
        self.keep(&device.id, key, &bytes);
        Ok(bytes)
    }

    fn find(&self, device: &DeviceId, key: SegmentKey) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest_first = kept.segments.iter().rev();
        newest_first.filter(|(id, number, _)| *number == key && id == device).map(|(_, _, bytes)| bytes.clone()).next()
    }

    fn keep(&self, device: &DeviceId, key: SegmentKey, bytes: &Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += bytes.len();
        kept.segments.push_back((device.clone(), key, bytes.clone()));
        while kept.bytes > self.bytes_max
            && let Some((_, _, gone)) = kept.segments.pop_front()
        {
            kept.bytes -= gone.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    #[test]
    fn the_cache_keeps_the_newest_reads_within_its_bytes() {
        let cache = HotCache::new(10);
        let device: DeviceId = "cam".parse().unwrap();
        let key = |number| SegmentKey { epoch: Epoch(1), number };
        for number in 0..4 {
            cache.keep(&device, key(number), &Bytes::from_static(b"1234"));
        }
        let found = |number| cache.find(&device, key(number)).is_some();
        assert_eq!([found(0), found(1), found(2), found(3)], [false, false, true, true]);
        assert!(cache.find(&"other".parse().unwrap(), key(3)).is_none());
        cache.keep(&device, key(9), &Bytes::from_static(b"larger than all"));
        assert!(!found(9), "what does not fit is not kept");
    }
}
