//! The second volume: comes, goes, is full, read-only, slow.
