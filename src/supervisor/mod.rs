//! Restarts what fails: watched actors, restart policy, heartbeats, the tree that `/api/host/state` shows.

pub mod heartbeat;
