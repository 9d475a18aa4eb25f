//! The shape of the host's history.

use super::super::shape::Shape::{self, *};

pub const HISTORY: Shape = Fields(&[
    ("step_seconds", Count),
    ("at", List(&Time)),
    ("cpu_percent", List(&Amount)),
    ("io_wait_percent", List(&Amount)),
    ("io_pressure_percent", List(&Maybe(&Amount))),
    ("written_bytes", List(&Count)),
    ("media_bytes", List(&Count)),
    ("writes", List(&Count)),
    ("lost_seconds", List(&Amount)),
    ("hot_bytes", List(&Count)),
]);
