//! The one reader of file events: tells each device's [`HotDevice`] what was renamed into its folders, in order.
//!
//! FFmpeg writes every file under a temporary name and renames it, so `IN_MOVED_TO` alone means "whole".

use std::{
    collections::HashMap,
    ffi::OsStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use prometheus_client::metrics::counter::Counter;
use slog::{Logger, warn};

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::{DeviceId, SegmentKey},
    storage::{
        HotDevice, HotSegment,
        layout::{HotKind, HotLayout, PictureKind, parse_hot_name},
    },
};

/// Is told what arrived, from the watcher's thread: it must only leave a note and return. (Captures are told to nobody:
/// what they overflow is shed on the spot.)
pub trait Arrivals: Send + Sync {
    /// A segment; None after a scan, which may have found any number.
    fn segment(&self, segment: Option<&HotSegment>);

    /// The newest thumbnail that was told. None: thumbnails are not wanted, and are not read.
    fn last_thumbnail(&self) -> Option<SegmentKey> {
        None
    }

    /// A thumbnail, read once. `unnoticed`: those that came before it and are not told.
    fn thumbnail(&self, thumbnail: Thumbnail, unnoticed: &[SegmentKey]) {
        drop((thumbnail, unnoticed));
    }
}

/// Who only wants to be woken by segments.
impl<F: Fn() + Send + Sync> Arrivals for F {
    fn segment(&self, _: Option<&HotSegment>) {
        self();
    }
}

/// A thumbnail in its place.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    pub key: SegmentKey,
    /// When its file was complete.
    pub arrived: Utc90k,
    /// None: it is larger than any thumbnail, or cannot be read.
    pub jpeg: Option<Bytes>,
}

/// A thumbnail of 1920×1080, the largest that the settings allow, at our quality has a quarter of that.
const THUMBNAIL_BYTES_MAX: u64 = 2 << 20;

/// 64 KiB hold about a thousand events: 3 s of 32 devices.
const BUFFER_BYTES: usize = 64 << 10;

/// A handle on the thread, cheap to clone.
#[derive(Clone)]
pub struct Watcher(Arc<Inner>);

struct Inner {
    watches: Watches,
    book: Mutex<Book>,
    overflows: Counter,
    log: Logger,
}

#[derive(Default)]
struct Book {
    devices: HashMap<DeviceId, Watched>,
    folders: HashMap<WatchDescriptor, (DeviceId, HotKind)>,
}

#[derive(Clone)]
struct Watched {
    layout: HotLayout,
    hot: Arc<HotDevice>,
    told: Arc<dyn Arrivals>,
}

impl Watcher {
    /// `overflows` counts the times the kernel dropped events and everything was read anew.
    pub fn start(log: &Logger, overflows: Counter) -> Result<Self> {
        let failed = |error| Error::io("starting the reader of file events", "inotify", error);
        let inotify = Inotify::init().map_err(failed)?;
        let inner = Arc::new(Inner { watches: inotify.watches(), book: Mutex::default(), overflows, log: log.clone() });
        let reader = Arc::downgrade(&inner);
        let read = move || read(inotify, &reader);
        std::thread::Builder::new().name("capstan-watch".into()).spawn(read).map_err(failed)?;
        Ok(Self(inner))
    }

    /// Begins to watch a device whose folders exist, then takes in what is there already: nothing falls in between.
    /// A device that is watched already gets the new `hot` and `told`.
    pub fn add(&self, layout: &HotLayout, hot: Arc<HotDevice>, told: impl Arrivals + 'static) -> Result<()> {
        let watched = Watched { layout: layout.clone(), hot: Arc::clone(&hot), told: Arc::new(told) };
        self.0.book().devices.insert(hot.id().clone(), watched.clone());
        let added = self.0.watch(&watched).and_then(|()| hot.rescan());
        if added.is_err() {
            self.remove(hot.id());
        }
        added
    }

    /// No further calls for this device, but for one that may be running now.
    pub fn remove(&self, device: &DeviceId) {
        let mut book = self.0.book();
        book.devices.remove(device);
        let gone: Vec<_> = book.folders.iter().filter(|(_, (id, _))| id == device).map(|(w, _)| w.clone()).collect();
        for watch in gone {
            book.folders.remove(&watch);
            // Gone with its folder perhaps; then there is nothing to remove.
            let _ = self.0.watches.clone().remove(watch);
        }
    }

    /// Watches again what was lost: a hot folder that was deleted, or a tmpfs mounted anew. Cheap; call it with the
    /// re-check of hot every few seconds.
    pub fn check(&self) {
        let devices: Vec<_> = self.0.book().devices.values().cloned().collect();
        for watched in devices {
            let id = watched.hot.id();
            if self.0.book().folders.values().filter(|(device, _)| device == id).count() == HotKind::ALL.len() {
                continue;
            }
            let again = watched.hot.prepare().and_then(|()| self.0.watch(&watched));
            match again.and_then(|()| watched.hot.rescan()) {
                Ok(()) => warn!(self.0.log, "hot folders are watched again"; "device" => %id),
                Err(error) => {
                    warn!(self.0.log, "hot folders cannot be watched"; "device" => %id, "error" => %error);
                }
            }
        }
    }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, watched: &Watched) -> Result<()> {
        let device = watched.hot.id();
        for kind in HotKind::ALL {
            let folder = watched.layout.folder(device, kind);
            // Held while the watch is added: an event of it must find its folder in the book.
            let mut book = self.book();
            let watch =
                self.watches.clone().add(&folder, WatchMask::MOVED_TO | WatchMask::ONLYDIR).map_err(|error| {
                    let full = error.raw_os_error() == Some(libc::ENOSPC);
                    let error = Error::io("watching the hot folder", &folder, error);
                    if full {
                        // Not a full disk: the kernel's limit of watches.
                        Error::new(Kind::Unavailable, "no inotify watch is left; raise fs.inotify.max_user_watches")
                            .at(folder.display())
                    } else {
                        error
                    }
                })?;
            book.folders.insert(watch, (device.clone(), kind));
        }
        Ok(())
    }

    fn arrived(&self, watch: &WatchDescriptor, name: &OsStr) {
        let found = {
            let book = self.book();
            book.folders.get(watch).and_then(|(device, kind)| Some((book.devices.get(device)?.clone(), *kind)))
        };
        let Some((watched, kind)) = found else { return };
        let Watched { layout, hot, told } = &watched;
        let Some(key) = name.to_str().and_then(|name| parse_hot_name(kind, name)) else { return };
        // Gone again already: the evictor was quicker.
        let Ok(stat) = std::fs::metadata(layout.file(hot.id(), kind, key)) else { return };
        match kind {
            HotKind::Segment => {
                let segment = hot.segment_arrived(key, stat.len(), hot.arrived(&stat));
                told.segment(segment.as_ref());
            }
            HotKind::Picture(picture) => {
                // Read first: entering it into the books may shed it at once.
                let jpeg = (picture == PictureKind::Thumbnail && told.last_thumbnail().is_some())
                    .then(|| watched.read(key, stat.len()));
                hot.picture_arrived(picture, key, stat.len(), hot.arrived(&stat));
                if let Some(jpeg) = jpeg {
                    told.thumbnail(Thumbnail { key, arrived: hot.arrived(&stat), jpeg }, &[]);
                }
            }
        }
    }

    /// The kernel's queue was full and events are gone: the folders themselves know better.
    fn overflow(&self) {
        self.overflows.inc();
        let devices: Vec<_> = self.book().devices.values().cloned().collect();
        warn!(self.log, "file events were dropped; reading all hot folders"; "devices" => devices.len());
        for watched in devices {
            let hot = &watched.hot;
            if let Err(error) = hot.rescan() {
                warn!(self.log, "hot could not be read"; "device" => %hot.id(), "error" => %error);
            }
            watched.told.segment(None);
            watched.tell_newest_thumbnail();
        }
    }
}

impl Watched {
    fn read(&self, key: SegmentKey, bytes: u64) -> Option<Bytes> {
        let path = self.layout.file(self.hot.id(), HotKind::Picture(PictureKind::Thumbnail), key);
        // Its length is what it was when it was renamed: nobody writes to it any more.
        (bytes <= THUMBNAIL_BYTES_MAX).then(|| std::fs::read(path).ok().map(Bytes::from)).flatten()
    }

    /// After events were lost: of all that came meanwhile only the newest is worth reading.
    fn tell_newest_thumbnail(&self) {
        let Some(last) = self.told.last_thumbnail() else { return };
        let mut came = self.hot.pictures_since(PictureKind::Thumbnail, last);
        let Some(newest) = came.pop() else { return };
        let jpeg = self.read(newest.key, newest.bytes);
        let unnoticed: Vec<_> = came.iter().map(|picture| picture.key).collect();
        self.told.thumbnail(Thumbnail { key: newest.key, arrived: newest.arrived, jpeg }, &unnoticed);
    }
}

/// Until the last [`Watcher`] is dropped; noticed at the next event.
fn read(mut inotify: Inotify, inner: &Weak<Inner>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let events = match inotify.read_events_blocking(&mut buffer) {
            Ok(events) => events,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                if let Some(inner) = inner.upgrade() {
                    slog::crit!(inner.log, "file events cannot be read"; "error" => %error);
                }
                return;
            }
        };
        let Some(inner) = inner.upgrade() else { return };
        for event in events {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                inner.overflow();
            } else if event.mask.contains(EventMask::IGNORED) {
                // The folder is gone; `check` watches its successor.
                inner.book().folders.remove(&event.wd);
            } else if let Some(name) = event.name {
                inner.arrived(&event.wd, name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{
        clock::Clock,
        config::Settings,
        ids::{Epoch, SegmentKey},
        storage::{HotLimits, layout::PictureKind},
        telemetry::Metrics,
    };

    struct Rig {
        dir: tempfile::TempDir,
        layout: HotLayout,
        hot: Arc<HotDevice>,
        watcher: Watcher,
        woken: Arc<AtomicUsize>,
        overflows: Counter,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let layout = HotLayout::new(dir.path());
        let (id, settings) = ("cam".parse::<DeviceId>().unwrap(), Settings::default());
        let limits = HotLimits {
            segments: 150,
            segment_max_age: None,
            captures: 300,
            thumbnails: 100,
            device_bytes: settings.hot.device_bytes.0,
        };
        let counters = Metrics::new().device(&id);
        let hot = Arc::new(HotDevice::new(id, layout.clone(), limits, Clock::system(), counters));
        hot.prepare().unwrap();
        let overflows = Counter::default();
        let watcher = Watcher::start(&Logger::root(slog::Discard, slog::o!()), overflows.clone()).unwrap();
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = Arc::clone(&woken);
        let add = watcher.add(&layout, Arc::clone(&hot), move || {
            wake.fetch_add(1, Ordering::SeqCst);
        });
        add.unwrap();
        Rig { dir, layout, hot, watcher, woken, overflows }
    }

    impl Rig {
        fn file(&self, kind: HotKind, number: u64) -> std::path::PathBuf {
            self.layout.file(self.hot.id(), kind, SegmentKey { epoch: Epoch(1), number })
        }

        /// As FFmpeg does it: written beside, then renamed.
        fn drop_in(&self, path: &Path) {
            let temporary = path.with_extension("tmp");
            std::fs::write(&temporary, b"x").unwrap();
            std::fs::rename(temporary, path).unwrap();
        }

        fn until(&self, what: &str, met: impl Fn() -> bool) {
            let clock = Clock::system();
            let began = clock.mono();
            while !met() {
                assert!(clock.mono().since(began) < Duration::from_secs(20), "waited in vain for {what}");
                std::thread::yield_now();
            }
        }
    }

    const THUMBNAIL: HotKind = HotKind::Picture(PictureKind::Thumbnail);

    #[test]
    fn what_is_renamed_into_place_arrives_and_nothing_else() {
        let rig = rig();
        let folder = rig.layout.folder(rig.hot.id(), HotKind::Segment);
        std::fs::write(folder.join("segment_1_000000000.ts.tmp"), b"half").unwrap();
        rig.drop_in(&folder.join("ffmpeg.m3u8"));
        rig.drop_in(&rig.file(HotKind::Segment, 1));
        rig.until("the segment", || rig.hot.status().segments == 1);
        rig.drop_in(&rig.file(THUMBNAIL, 20));
        rig.until("the picture", || rig.hot.status().thumbnails == 1);
        assert_eq!((rig.hot.status().segments, rig.woken.load(Ordering::SeqCst)), (1, 1), "pictures wake nobody");
    }

    #[test]
    fn a_device_that_left_hears_nothing_more() {
        let rig = rig();
        rig.watcher.remove(rig.hot.id());
        rig.drop_in(&rig.file(HotKind::Segment, 1));
        // A second device proves that the thread has come past the first one's event.
        let other = Arc::new(AtomicUsize::new(0));
        let wake = Arc::clone(&other);
        let add = rig.watcher.add(&rig.layout, Arc::clone(&rig.hot), move || {
            wake.fetch_add(1, Ordering::SeqCst);
        });
        add.unwrap();
        // Its rescan found what had come meanwhile.
        assert_eq!(rig.hot.status().segments, 1);
        rig.drop_in(&rig.file(HotKind::Segment, 2));
        rig.until("the new wake-up", || other.load(Ordering::SeqCst) == 1);
        assert_eq!(rig.woken.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn an_overflow_reads_the_folders_themselves() {
        let rig = rig();
        // Renamed in while nobody watched, as far as events tell.
        rig.watcher.0.book().folders.clear();
        rig.drop_in(&rig.file(HotKind::Segment, 1));
        rig.watcher.0.overflow();
        assert_eq!((rig.hot.status().segments, rig.overflows.get(), rig.woken.load(Ordering::SeqCst)), (1, 1, 1));
    }

    /// Writes down which thumbnails it was told, with their bytes and how many came unnoticed.
    #[derive(Default)]
    struct Notes(Mutex<Vec<(u64, Option<usize>, usize)>>);

    impl Arrivals for Arc<Notes> {
        fn segment(&self, _: Option<&HotSegment>) {}

        fn last_thumbnail(&self) -> Option<SegmentKey> {
            let number = self.0.lock().unwrap().last().map_or(0, |(number, ..)| *number);
            Some(SegmentKey { epoch: Epoch(1), number })
        }

        fn thumbnail(&self, thumbnail: Thumbnail, unnoticed: &[SegmentKey]) {
            let bytes = thumbnail.jpeg.map(|jpeg| jpeg.len());
            self.0.lock().unwrap().push((thumbnail.key.number, bytes, unnoticed.len()));
        }
    }

    #[test]
    fn thumbnails_are_read_once_and_after_an_overflow_the_newest_is() {
        let rig = rig();
        let notes = Arc::<Notes>::default();
        rig.watcher.add(&rig.layout, Arc::clone(&rig.hot), notes.clone()).unwrap();
        rig.drop_in(&rig.file(HotKind::Picture(PictureKind::Capture), 10));
        rig.drop_in(&rig.file(THUMBNAIL, 20));
        let large = rig.file(THUMBNAIL, 40);
        std::fs::write(large.with_extension("tmp"), vec![0; 1 + (2 << 20)]).unwrap();
        std::fs::rename(large.with_extension("tmp"), large).unwrap();
        rig.until("both thumbnails", || notes.0.lock().unwrap().len() == 2);
        rig.watcher.0.book().folders.clear();
        for number in [60, 80, 100] {
            rig.drop_in(&rig.file(THUMBNAIL, number));
        }
        rig.watcher.0.overflow();
        rig.watcher.0.overflow();
        let expected = [(20, Some(1), 0), (40, None, 0), (100, Some(1), 2)];
        assert_eq!(*notes.0.lock().unwrap(), expected, "the second one found nothing new");
    }

    #[test]
    fn a_folder_that_was_deleted_is_watched_again() {
        let rig = rig();
        std::fs::remove_dir_all(rig.dir.path().join("cam")).unwrap();
        rig.until("the loss", || rig.watcher.0.book().folders.is_empty());
        rig.watcher.check();
        rig.drop_in(&rig.file(HotKind::Segment, 1));
        rig.until("the segment", || rig.hot.status().segments == 1);
    }
}
