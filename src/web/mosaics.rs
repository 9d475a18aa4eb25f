//! Mosaics of a minute: which stills belong to one, read where they lie, drawn one at a time and kept for who asks again.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, Route, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    State, WebState,
    heatmap::{Lies, OneDevice, Still, TOGETHER, glance, run},
    hours::{Minute, OfDay},
    route::read,
    slices::{Content, Slice, respond},
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    playback::{
        heatmap::{self, Status},
        mosaic::{self, Tile},
    },
};

const PICTURES_BYTES: u64 = 16 << 20;
/// Mosaics made at a time, and how long another waits: recording needs the processor more.
const PLACES: usize = 1;
const PLACE_LIMIT: Duration = Duration::from_secs(5);

/// By ETag, which is made of everything a mosaic shows: none is ever stale.
pub(super) struct Mosaics {
    made: Cache<String, Bytes>,
    pub(super) places: Semaphore,
}

impl Default for Mosaics {
    fn default() -> Self {
        let weigh = |etag: &String, jpeg: &Bytes| u32::try_from(etag.len() + jpeg.len()).unwrap_or(u32::MAX);
        let made = Cache::builder().max_capacity(PICTURES_BYTES).weigher(weigh).build();
        Self { made, places: Semaphore::new(PLACES) }
    }
}

/// `GET /api/host/heatmap/{HHMM}.jpg`, and `…_ok.jpg` or `…_ko.jpg` of those alone.
pub fn route(only: Option<Status>) -> Route {
    let mosaic = move |request: HttpRequest,
                       state: State,
                       caller: Caller,
                       name: web::Path<String>,
                       day: web::Query<OfDay>| async move {
        mosaic_of(&request, &state, &caller, &name, &day, only).await
    };
    read().to(mosaic)
}

/// The mosaic of those devices, or of all.
async fn mosaic_of(
    request: &HttpRequest,
    state: &State,
    caller: &Caller,
    name: &str,
    day: &OfDay,
    only: Option<Status>,
) -> Result<HttpResponse> {
    let minute = Minute::parse(name, day, state.clock.wall())?;
    let mut devices = glance(state, caller, minute).await?.devices;
    devices.retain(|device| only.is_none_or(|status| device.status == status));
    devices.truncate(mosaic::TILES_MAX);
    let etag = etag_of(&devices);
    let jpeg = match state.heatmap.mosaics.made.get(&etag) {
        Some(jpeg) => jpeg,
        None => make(state, &etag, &devices).await?,
    };
    let content = Content::picture(Slice::Bytes(jpeg), etag, "private, no-cache");
    Ok(respond(request, &state.readers, content))
}

/// Of everything that the picture shows.
fn etag_of(devices: &[OneDevice]) -> String {
    let mut hash = Sha256::new();
    for it in devices {
        let name = it.device.camera.display_name();
        hash.update(format!("{}/{}/{name}/{}/", it.device.id, name.len(), it.status.name()));
        hash.update(it.still.as_ref().map_or(i64::MIN, |still| still.at.0).to_be_bytes());
    }
    let sum = hash.finalize();
    let hex: String = sum.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"mosaic-{hex}\"")
}

async fn make(state: &WebState, etag: &str, devices: &[OneDevice]) -> Result<Bytes> {
    let place = timeout(PLACE_LIMIT, state.heatmap.mosaics.places.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(Error::new(Kind::Unavailable, "too many mosaics are being made"));
    };
    // Whoever was before may have made it.
    if let Some(jpeg) = state.heatmap.mosaics.made.get(etag) {
        return Ok(jpeg);
    }
    let reads = devices.iter().map(|it| {
        let (label, status) = (it.device.camera.display_name().to_owned(), it.status);
        let (still, index, volume) = (it.still.clone(), Arc::clone(&it.device.index), Arc::clone(&state.volume));
        async move {
            let read = move || match still {
                None => Ok(None),
                Some(Still { lies: Lies::InRam(jpeg), .. }) => Ok(Some(jpeg)),
                Some(Still { lies: Lies::Beside(key), at }) => heatmap::still(&volume, &index, key, at),
            };
            match run(state, read).await {
                Err(error) if error.kind == Kind::Unavailable => Err(error),
                // Expired or damaged: a placeholder for this one.
                found => Ok(Tile { label, status, still: found.unwrap_or_default() }),
            }
        }
    });
    let tiles: Vec<Result<Tile>> = stream::iter(reads).buffered(TOGETHER).collect().await;
    let tiles = tiles.into_iter().collect::<Result<Vec<_>>>()?;
    let is_whole = devices.iter().zip(&tiles).all(|(device, tile)| device.still.is_some() == tile.still.is_some());
    let jpeg: Bytes = run(state, move || mosaic::compose(&tiles)).await?.into();
    if is_whole {
        state.heatmap.mosaics.made.insert(etag.to_owned(), jpeg.clone());
    }
    Ok(jpeg)
}
