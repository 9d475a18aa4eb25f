//! The names of what lies beside a chunk.

use super::ChunkKey;

/// What lies beside a chunk and leaves with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sibling {
    /// Stills for scrubbing, as an MJPEG track.
    Previews,
    /// One line of JSON for each analysed frame.
    Metadata,
}

impl Sibling {
    pub const ALL: [Self; 2] = [Self::Previews, Self::Metadata];

    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Previews => "thumbnails",
            Self::Metadata => "metadata",
        }
    }

    /// What stands for `.mp4` in the name of the open chunk, and in that of the ring.
    pub(super) fn suffixes(self) -> [&'static str; 2] {
        match self {
            Self::Previews => [".previews.mp4", ".mp4"],
            Self::Metadata => [".jsonl", ".jsonl"],
        }
    }

    /// `1700000000000-0.previews.mp4`, beside the open chunk.
    pub fn open_name(self, key: ChunkKey) -> String {
        let [suffix, _] = self.suffixes();
        key.file_name().replace(".mp4", suffix)
    }

    /// The inverse of [`Self::open_name`].
    pub fn parse_open(name: &str) -> Option<(Self, ChunkKey)> {
        let of = |sibling: Self| {
            let [suffix, _] = sibling.suffixes();
            ChunkKey::parse(&format!("{}.mp4", name.strip_suffix(suffix)?)).map(|key| (sibling, key))
        };
        Self::ALL.into_iter().find_map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::layout::{ColdLayout, RingSlot};

    #[test]
    fn siblings_are_named_after_their_chunk() {
        let (cam, layout) = ("cam".parse().unwrap(), ColdLayout::new(""));
        let key = ChunkKey { start_ms: 1_700_000_000_000, generation: 2 };
        let slot = RingSlot { hour: 5, index: 3, copy: 2 };
        for (sibling, open, ring) in [
            (Sibling::Previews, "1700000000000-2.previews.mp4", "cam/thumbnails/5/chunk_10min_3-2.mp4"),
            (Sibling::Metadata, "1700000000000-2.jsonl", "cam/metadata/5/chunk_10min_3-2.jsonl"),
        ] {
            assert_eq!(sibling.open_name(key), open);
            assert_eq!(Sibling::parse_open(open), Some((sibling, key)));
            assert_eq!(layout.ring_sibling(&cam, sibling, slot).to_str(), Some(ring));
            assert_eq!(ChunkKey::parse(open), None, "never taken for a chunk");
        }
        for bad in ["1700000000000-2.mp4", "1700000000000.jsonl", "01-0.jsonl", "x.previews.mp4", ".jsonl", ""] {
            assert_eq!(Sibling::parse_open(bad), None, "{bad}");
        }
    }
}
