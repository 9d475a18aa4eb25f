//! What both workers go by, who delete and who move: devices, pins, clocks, ages, limits. Locks nothing while a disk is
//! waited for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use super::{
    ages::{Ages, Now},
    forecast::bytes_per_second,
    limits::{Gate, KeepLimits, LoadReading},
    plan::{Footage, Plan, Wanted, oldest_90k, plan},
};
use crate::{
    clock::{Clock, TICKS_PER_SECOND, Utc90k},
    ids::DeviceId,
    storage::{
        DeviceIndex, Pins, Retention,
        index::{ChunkEntry, Chunks},
        layout::{ChunkKey, Shelf},
    },
    telemetry::DeviceMetrics,
};

/// One device whose footage is kept.
#[derive(Clone)]
pub struct KeptDevice {
    pub index: Arc<DeviceIndex>,
    pub metrics: DeviceMetrics,
}

/// What is pinned; None while nobody knows. Never waits.
pub type PinsNow = Arc<dyn Fn() -> Option<Arc<Pins>> + Send + Sync>;

pub struct LedgerParts {
    /// All devices with footage, those without a camera included.
    pub devices: Arc<ArcSwap<Vec<KeptDevice>>>,
    pub pins: PinsNow,
    pub retention: Arc<Retention>,
    pub limits: KeepLimits,
    pub load: Arc<dyn Fn() -> LoadReading + Send + Sync>,
    pub clock: Clock,
}

pub struct Ledger {
    parts: LedgerParts,
    limits: ArcSwap<KeepLimits>,
    ages: Mutex<HashMap<DeviceId, Ages>>,
}

/// All devices at one moment.
struct View {
    devices: Arc<Vec<KeptDevice>>,
    chunks: Vec<(Arc<Chunks>, Arc<Chunks>)>,
}

impl View {
    fn footage<'a>(&'a self, ages: &'a HashMap<DeviceId, Ages>) -> Vec<Footage<'a>> {
        let all = self.devices.iter().zip(&self.chunks);
        all.filter_map(|(device, (chunks, originals))| {
            let id = device.index.device();
            Some(Footage { device: id, chunks, originals, ages: ages.get(id)? })
        })
        .collect()
    }
}

impl Ledger {
    pub fn new(parts: LedgerParts) -> Self {
        Self { limits: ArcSwap::from_pointee(parts.limits), ages: Mutex::default(), parts }
    }

    pub fn limits(&self) -> KeepLimits {
        **self.limits.load()
    }

    pub fn set_limits(&self, limits: KeepLimits) {
        self.limits.store(Arc::new(limits));
    }

    pub fn devices(&self) -> Arc<Vec<KeptDevice>> {
        self.parts.devices.load_full()
    }

    pub fn retention(&self) -> &Arc<Retention> {
        &self.parts.retention
    }

    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    pub fn pins(&self) -> Option<Arc<Pins>> {
        (self.parts.pins)()
    }

    pub fn gate(&self) -> Gate {
        Gate::of_load((self.parts.load)(), &self.limits())
    }

    /// Whether footage must not be deleted although it left the ring: it is kept longer, or somebody may have pinned it.
    pub fn stays(&self, device: &DeviceId, start: Utc90k, end: Utc90k) -> bool {
        let now = self.parts.retention.now().for_ages();
        !self.limits().keep.retention.is_zero() || self.pins().is_none_or(|pins| pins.hold(device, start, end, now))
    }

    /// Notes which chunks are being recorded: they age by monotonic time. A look at few of them.
    pub fn note(&self) {
        let (now, mut ages) = (self.now(), self.ages.lock().unwrap_or_else(PoisonError::into_inner));
        note(&mut ages, &self.view(), now);
    }

    /// What is to be done, and the devices that its numbers mean.
    pub fn plan(&self, wanted: Wanted) -> (Plan, Arc<Vec<KeptDevice>>) {
        let (now, pins) = (self.now(), self.pins());
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        note(&mut ages, &view, now);
        let plan = plan(&view.footage(&ages), pins.as_deref(), now, wanted);
        (plan, view.devices)
    }

    /// All footage as it is now, for whoever only wants to know; nobody waits meanwhile.
    pub(super) fn look<T>(&self, at: impl FnOnce(&[Footage<'_>], Now) -> T) -> T {
        let now = self.now();
        let (view, ages) = {
            let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
            let view = self.view();
            note(&mut ages, &view, now);
            (view, ages.clone())
        };
        at(&view.footage(&ages), now)
    }

    /// Publishes how old each device's footage is.
    pub fn tell_ages(&self, away_is_there: bool) {
        let (now, pins) = (self.now(), self.pins());
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        note(&mut ages, &view, now);
        for (device, footage) in view.devices.iter().zip(view.footage(&ages)) {
            let oldest = oldest_90k(&footage, pins.as_deref(), now, away_is_there);
            device.metrics.oldest_chunk_age_seconds.set(oldest as f64 / TICKS_PER_SECOND as f64);
        }
    }

    /// Footage of all devices on a volume, in bytes.
    pub fn bytes_on(&self, shelf: Shelf) -> u64 {
        let of = |device: &KeptDevice| {
            let (chunks, originals) = (device.index.snapshot(), device.index.originals());
            let away = chunks.library_bytes(Shelf::Away);
            if shelf == Shelf::Away { away } else { chunks.bytes() + originals.bytes() - away }
        };
        self.devices().iter().map(of).sum()
    }

    /// The same of what lies in the library there.
    pub fn library_bytes(&self, shelf: Shelf) -> u64 {
        self.devices().iter().map(|device| device.index.snapshot().library_bytes(shelf)).sum()
    }

    /// How fast all devices together record.
    pub fn bytes_per_second(&self) -> f64 {
        let now = self.parts.retention.now().for_ages();
        self.devices().iter().map(|device| bytes_per_second(&device.index.snapshot(), now)).sum()
    }

    fn now(&self) -> Now {
        Now { moment: self.parts.retention.now(), mono: self.parts.clock.mono() }
    }

    fn view(&self) -> View {
        let devices = self.devices();
        let chunks = devices.iter().map(|device| (device.index.snapshot(), device.index.originals())).collect();
        View { devices, chunks }
    }
}

fn note(ages: &mut HashMap<DeviceId, Ages>, view: &View, now: Now) {
    for (device, (chunks, _)) in view.devices.iter().zip(&view.chunks) {
        let id = device.index.device();
        if !ages.contains_key(id) {
            ages.insert(id.clone(), Ages::new(now.moment, now.mono));
        }
        if let Some(ages) = ages.get_mut(id) {
            ages.note(chunks, now.mono);
        }
    }
}

/// Takes a chunk out of the index with its originals; they come back when the disk does not let it go.
pub(super) struct Claim<'a> {
    index: &'a DeviceIndex,
    pub entry: Arc<ChunkEntry>,
    originals: Vec<Arc<ChunkEntry>>,
}

impl<'a> Claim<'a> {
    pub fn take(index: &'a DeviceIndex, key: &ChunkKey) -> Option<Self> {
        let listed = index.get(key).filter(|entry| !entry.original)?;
        let originals = index.originals_of(&listed);
        index.forget(key).map(|entry| Self { index, entry, originals })
    }

    /// Bytes of it and of its originals.
    pub fn bytes(&self) -> u64 {
        self.originals.iter().map(|original| original.bytes).sum::<u64>() + self.entry.bytes
    }

    pub fn give_back(self) {
        self.index.put(self.entry.as_ref().clone());
        self.originals.iter().for_each(|original| self.index.put_original(original.as_ref().clone()));
    }
}
