//! Derived on read: everything that is not a chunk but is made of chunks, without a file being written.

pub mod playlist;
