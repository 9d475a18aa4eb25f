//! The end of the daemon: signals, the second signal, the last-resort watchdog, and the talk with systemd.
