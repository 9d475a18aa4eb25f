//! Copies cut short at every step, and disks that lie.
