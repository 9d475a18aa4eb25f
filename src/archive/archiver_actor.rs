//! Evicts from hot on every arrival and every second, and says when footage is lost.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use slog::{Logger, error, info};

use super::budget::{Spell, Tidings};
use crate::{
    clock::{Clock, Mono},
    storage::HotDevice,
};

const TICK: Duration = Duration::from_secs(1);
/// Half-written files of killed runs: a few hundred KB each, so a minute is soon enough.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Something new is in hot. A wake-up only: when the mailbox is full, one that waits does the same work.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived;

/// The books and the files are [`HotDevice`]'s, which also sheds by itself should this actor be down.
pub struct ArchiverActor {
    hot: Arc<HotDevice>,
    clock: Clock,
    log: Logger,
    spell: Spell,
    swept: Option<Mono>,
}

impl ArchiverActor {
    /// `log` is the device's own.
    pub fn new(hot: Arc<HotDevice>, clock: Clock, log: Logger) -> Self {
        Self { hot, clock, log, spell: Spell::default(), swept: None }
    }

    fn evict(&mut self) {
        let evicted = self.hot.evict();
        match self.spell.apply(&evicted, &self.hot.status(), self.clock.mono()) {
            Some(Tidings::Begins { waiting_bytes, quota_bytes }) => {
                error!(self.log, "hot is full, oldest footage is being lost";
                    "waiting_bytes" => waiting_bytes, "quota_bytes" => quota_bytes);
            }
            Some(Tidings::Ends { lasted, shed_seconds, segments }) => {
                info!(self.log, "hot has room again";
                    "lasted_seconds" => lasted.as_secs(), "shed_seconds" => shed_seconds, "segments" => segments);
            }
            None => {}
        }
    }

    fn tick(&mut self) {
        self.evict();
        let now = self.clock.mono();
        if self.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY) {
            self.swept = Some(now);
            self.hot.sweep_leftovers();
        }
    }
}

impl Actor for ArchiverActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.tick();
        context.run_interval(TICK, |actor, _| actor.tick());
    }
}

impl Handler<Arrived> for ArchiverActor {
    type Result = ();

    fn handle(&mut self, _: Arrived, _: &mut Self::Context) {
        self.evict();
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::{
        clock::{ManualClock, Utc90k},
        ids::{Epoch, SegmentKey},
        storage::{
            HotLimits,
            layout::{HotKind, HotLayout},
        },
        telemetry::Metrics,
    };

    #[test]
    fn every_arrival_makes_room() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let clock = ManualClock::at(Utc90k::from_seconds(1_795_143_600)).clock();
        let limits =
            HotLimits { segments: 3, segment_max_age: None, captures: 1, thumbnails: 1, device_bytes: 1 << 20 };
        let layout = HotLayout::new(folder.path());
        let id = "cam".parse().unwrap();
        let metrics = Metrics::new().device(&id);
        let hot = Arc::new(HotDevice::new(id, layout, limits, clock.clone(), metrics));
        hot.prepare().unwrap();
        let system = actix::System::new();
        system.block_on(async {
            let actor = ArchiverActor::new(hot.clone(), clock.clone(), Logger::root(Discard, o!())).start();
            for number in 0..10 {
                let key = SegmentKey { epoch: Epoch(1), number };
                std::fs::write(hot.segment_path(key), [0; 100]).unwrap();
                hot.segment_arrived(key, 100, clock.wall());
                hot.mark_committed_up_to(key);
                actor.send(Arrived).await.unwrap();
                let files = std::fs::read_dir(hot.segment_path(key).parent().unwrap()).unwrap();
                let segments = files.filter(|file| {
                    let name = file.as_ref().unwrap().file_name();
                    crate::storage::layout::parse_hot_name(HotKind::Segment, name.to_str().unwrap()).is_some()
                });
                assert_eq!(segments.count() as u64, (number + 1).min(3));
            }
        });
    }
}
