//! The host's history as clients meet it.

use super::*;

#[test]
fn the_last_day_by_columns_and_from_a_moment_on() {
    let host = Host::start();
    let asked = |query: &str| {
        let reply = host.get(&format!("/api/host/history{query}"));
        assert_eq!(reply.status, 200, "{query}");
        reply.json()
    };
    assert_eq!((asked("")["at"].clone(), asked("")["step_seconds"].clone()), (serde_json::json!([]), 60.into()));
    for cpu_percent in [10.0, 30.0] {
        host.device().metrics.wrote(crate::telemetry::Written::Media, 1001);
        host.device().metrics.committed_media(1000);
        host.device().metrics.lost(crate::telemetry::LossReason::hot_full).inc_by(1.5);
        host.manual.advance(Duration::from_secs(60));
        host.state.history.note(&Load { cpu_percent, ..Load::default() });
    }
    let all = asked("");
    assert_eq!(all["at"], serde_json::json!(["2023-11-14T22:14:20.000Z", "2023-11-14T22:15:20.000Z"]));
    assert_eq!(all["cpu_percent"], serde_json::json!([10.0, 30.0]));
    assert_eq!(all["io_pressure_percent"], serde_json::json!([null, null]));
    assert_eq!(all["media_bytes"], serde_json::json!([1000, 1000]));
    // The database writes, too.
    let column = |name: &str| all[name].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect::<Vec<_>>();
    assert!(column("written_bytes").iter().all(|bytes| *bytes >= 1001), "{all}");
    assert!(column("writes").iter().all(|writes| *writes >= 1), "{all}");
    assert_eq!(all["lost_seconds"], serde_json::json!([1.5, 1.5]));
    assert_eq!(asked("?from=2023-11-14T22:14:20Z")["cpu_percent"], serde_json::json!([30.0]));
    assert_eq!(host.get("/api/host/history?from=yesterday").status, 400);
}
