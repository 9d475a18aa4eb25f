//! What the series of a metric are told apart by.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeviceLabel {
    pub device: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LossLabel {
    pub device: String,
    pub reason: LossReason,
}

/// Why footage that was made did not reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum LossReason {
    /// Hot was at its byte quota and the disk did not take the oldest segments in time.
    hot_full,
    /// The segment could not be demuxed at all.
    corrupt,
    /// The segment's file was gone before it was committed.
    vanished,
}

impl LossReason {
    pub const ALL: [Self; 3] = [Self::hot_full, Self::corrupt, Self::vanished];
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HotFilesLabel {
    pub device: String,
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WriteLabel {
    pub device: String,
    /// `media`, `index` (moov, free, mdat header at sealing), `state` (epochs and the like), `preview`, `metadata`,
    /// `evidence`, `captures`; `db` belongs to no device.
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VolumeLabel {
    /// `home`: the archive's; `away`: the library's own.
    pub volume: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GateLabel {
    pub gate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReceiverLabel {
    /// Host and port of a webhook: its path may hold a secret.
    pub receiver: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActorLabel {
    pub actor: String,
}

/// How an attempt to sign in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    Ok,
    /// A wrong name or password.
    Refused,
    /// Too many before it.
    Throttled,
    /// Too many at the same time, or the users are not known.
    Busy,
}

impl LoginOutcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoginLabel {
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TopicLabel {
    pub topic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabel {
    /// `state`, `heavy`, `write`.
    pub class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabel {
    pub route: &'static str,
    pub status: u16,
}
