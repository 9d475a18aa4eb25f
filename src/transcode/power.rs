//! Whether the host runs on its battery or is slowed down by heat or a weak supply, where it tells.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What Raspberry Pi firmware tells of now: under-voltage, frequency capped, throttled, soft temperature limit.
const PI_NOW: u64 = 0xF;

/// The kernel's folders, with what was read of them before.
#[derive(Debug)]
pub struct Power {
    sys: PathBuf,
    throttles: Option<u64>,
}

/// Absent files mean that all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerReading {
    pub on_battery: bool,
    pub is_throttled: bool,
}

impl Power {
    pub fn new(sys: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into(), throttles: None }
    }

    pub fn read(&mut self) -> PowerReading {
        let throttles = self.throttles();
        let rose = matches!((self.throttles, throttles), (Some(before), Some(now)) if now > before);
        self.throttles = throttles;
        PowerReading { on_battery: self.on_battery(), is_throttled: rose || self.pi_is_throttled() }
    }

    /// A battery is emptied and no mains is there to say otherwise.
    fn on_battery(&self) -> bool {
        let supplies = folders(&self.sys.join("class/power_supply"));
        let is = |supply: &Path, name: &str, value: &str| text(&supply.join(name)).is_some_and(|it| it == value);
        // Batteries of mice and headphones say that their scope is a device.
        let own = supplies.iter().filter(|supply| !is(supply, "scope", "Device"));
        let (mut emptied, mut mains) = (false, false);
        for supply in own {
            emptied |= is(supply, "type", "Battery") && is(supply, "status", "Discharging");
            mains |= !is(supply, "type", "Battery") && is(supply, "online", "1");
        }
        emptied && !mains
    }

    /// How often cores and packages were slowed down since the boot (x86).
    fn throttles(&self) -> Option<u64> {
        let cpus = folders(&self.sys.join("devices/system/cpu"));
        let count = |cpu: &PathBuf| number(&cpu.join("thermal_throttle/core_throttle_count"));
        cpus.iter().filter_map(count).reduce(|a, b| a.saturating_add(b))
    }

    fn pi_is_throttled(&self) -> bool {
        let told = text(&self.sys.join("devices/platform/soc/soc:firmware/get_throttled"));
        let bits = told.and_then(|bits| u64::from_str_radix(bits.trim_start_matches("0x"), 16).ok());
        bits.is_some_and(|bits| bits & PI_NOW != 0)
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_tell_what_they_run_on() {
        let check = |files: &[(&str, &str)], expected: (bool, bool)| {
            let sys = tempfile::tempdir().unwrap();
            let put = |(name, text): &(&str, &str)| {
                let path = sys.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{text}\n")).unwrap();
            };
            files.iter().for_each(put);
            let mut power = Power::new(sys.path());
            power.read();
            // What rises between two looks lies in the second place.
            put(&("devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", files.last().map_or("0", |it| it.1)));
            let told = power.read();
            assert_eq!((told.on_battery, told.is_throttled), expected, "{files:?}");
        };
        let (kind, status) = ("class/power_supply/BAT0/type", "class/power_supply/BAT0/status");
        let scope = "class/power_supply/BAT0/scope";
        let (mains, online) = ("class/power_supply/AC/type", "class/power_supply/AC/online");
        let cpu1 = "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count";
        let pi = "devices/platform/soc/soc:firmware/get_throttled";
        check(&[(cpu1, "0")], (false, false));
        check(&[(kind, "Battery"), (status, "Discharging")], (true, false));
        check(&[(kind, "Battery"), (status, "Charging")], (false, false));
        check(&[(kind, "Battery"), (scope, "Device"), (status, "Discharging")], (false, false));
        check(&[(kind, "Battery"), (status, "Discharging"), (mains, "Mains"), (online, "1")], (false, false));
        check(&[(kind, "Battery"), (status, "Discharging"), (mains, "Mains"), (online, "0")], (true, false));
        check(&[(pi, "50000")], (false, false));
        check(&[(pi, "50005")], (false, true));
        check(&[(pi, "0x0")], (false, false));
        check(&[(cpu1, "7"), ("x", "9")], (false, true));
        check(&[(cpu1, "9"), ("x", "9")], (false, false));
    }

    #[test]
    fn this_host_answers() {
        Power::new("/sys").read();
    }
}
