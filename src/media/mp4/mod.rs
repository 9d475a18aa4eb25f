//! ISO BMFF.
