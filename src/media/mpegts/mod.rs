//! MPEG transport stream.
