//! Incidents without anything that watches: written beside the daemon, as SQLite lets a second program do.

use std::{fs, time::Duration};

use capstan::storage::layout::{ColdLayout, EvidenceKey, Shot};
use rusqlite::{Connection, params};

use super::{TestDaemon, until};

/// 2023-11-14T22:13:20.125Z
const START_90K: i64 = 1_700_000_000_125 * 90;

impl TestDaemon {
    /// Its database, once there is one.
    pub fn database(&self) -> Connection {
        let path = ColdLayout::new(self.setup.root()).database();
        until("there is a database", 20, || {
            let told = self.get("/api/host/state").json();
            told["registry"]["state"] == "ready" && path.exists()
        });
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    /// A freeze of 5 s of this device, with a picture that proves it.
    pub fn incident(&self, device: &str, id: &str) {
        let key = EvidenceKey::new(capstan::clock::Utc90k(START_90K), "freeze", Shot::First).unwrap();
        let path = ColdLayout::new("").evidence(&device.parse().unwrap(), &key);
        let file = self.setup.root().join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"a picture").unwrap();
        let evidence = serde_json::json!([path]).to_string();
        let end = START_90K + 5 * 90_000;
        let row = params![id, device, START_90K, end, evidence];
        let text = "INSERT INTO incident (id, host, device, kind, start_90k, end_90k, last_bad_90k, severity, evidence)
                    VALUES (?1, 'hall-7', ?2, 'freeze', ?3, ?4, ?4, 'minor', ?5)";
        self.database().execute(text, row).unwrap();
    }
}
