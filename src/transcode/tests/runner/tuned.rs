//! Settings that change while the runner works.

use super::super::rig::Rig;
use crate::config::Transcode;

#[test]
fn other_settings_hold_at_once_and_what_runs_ends_by_those_it_began_with() {
    let rig = Rig::with(|settings| {
        settings.run_schedule = "22:00-23:00".into();
        settings.idle_seconds = 3600;
    });
    let tune = |change: fn(&mut Transcode)| {
        let mut settings = rig.settings.clone();
        change(&mut settings);
        rig.runner.tune(&settings, 0);
    };
    rig.disk.record(9);
    rig.disk.record(5);
    rig.disk.record(4);
    assert_eq!((rig.turn(), rig.gate()), (0, "schedule"));
    assert_eq!(rig.runner.status().next_run.as_deref(), Some("2026-11-20T22:00:00.000Z"));
    tune(|settings| settings.run_schedule = "03:00-04:00".into());
    assert_eq!(rig.turn(), 1, "the window is open");
    assert_eq!((rig.turn(), rig.gate()), (1, "idle"), "an hour's rest");
    tune(|settings| settings.min_age_days = 4.5);
    assert_eq!((rig.turn(), rig.gate()), (1, "schedule"), "the first schedule again");
    // Changed while it works: its original is kept as it was said when it began.
    let runner = rig.runner.clone();
    let base = rig.settings.clone();
    rig.next_job(move |_, _| {
        let later = Transcode { keep_original_days: 0.0, max_cpu_percent: 1.0, ..base };
        runner.tune(&later, 0);
        None
    });
    tune(|settings| {
        settings.min_age_days = 4.5;
        settings.run_schedule = "always".into();
    });
    assert_eq!((rig.turn(), rig.runner.status().originals.count), (2, 2));
    rig.foreign_cpu(50.0);
    tune(|settings| {
        settings.min_age_days = 1.0;
        settings.run_schedule = "always".into();
    });
    assert_eq!((rig.turn(), rig.gate()), (2, "cpu"));
    tune(|settings| {
        settings.min_age_days = 1.0;
        settings.run_schedule = "always".into();
        settings.max_cpu_percent = 90.0;
    });
    assert_eq!(rig.turn(), 3);
    let told = rig.runner.stats().unwrap();
    assert_eq!(told.target_savings_percent, rig.settings.target_space_savings);
    tune(|settings| {
        settings.target_space_savings = 77.0;
        settings.enabled = false;
    });
    let told = rig.runner.stats().unwrap();
    assert_eq!((told.target_savings_percent, told.status.enabled), (77.0, true), "that has a switch of its own");
    assert_eq!(rig.metrics.transcode.target_savings_percent.get(), 77.0);
}
