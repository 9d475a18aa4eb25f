//! The processor time of all our children, dead or alive, so that it can be told from that of others.
//!
//! A child that was waited for has its time in our own books; of those that live it is looked up, and theirs. The sum
//! only falls when a grandchild outlives its parent and becomes somebody else's.

use std::{fs, path::Path};

/// Deeper than wrappers of FFmpeg go; a guard against a loop, which the kernel does not allow.
const DEPTH_MAX: usize = 8;

/// Clock ticks, as `/proc/stat` counts.
pub fn ticks() -> u64 {
    let proc = Path::new("/proc");
    let own = std::process::id();
    let reaped = Stat::read(proc, own).map_or(0, |stat| stat.reaped);
    // Any of our threads may have started one.
    let threads = fs::read_dir(proc.join(own.to_string()).join("task")).into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| children(&thread.path()));
    reaped + children.map(|child| with_its_own(proc, child, DEPTH_MAX)).sum::<u64>()
}

fn with_its_own(proc: &Path, pid: u32, depth: usize) -> u64 {
    // It ended meanwhile: its time is in somebody's books.
    let Some(stat) = Stat::read(proc, pid) else { return 0 };
    let below = if depth == 0 { Vec::new() } else { children(&proc.join(format!("{pid}/task/{pid}"))) };
    stat.own + stat.reaped + below.into_iter().map(|child| with_its_own(proc, child, depth - 1)).sum::<u64>()
}

/// Of one thread. None where the kernel does not tell (CONFIG_PROC_CHILDREN).
fn children(task: &Path) -> Vec<u32> {
    let text = fs::read_to_string(task.join("children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    own: u64,
    reaped: u64,
}

impl Stat {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(proc.join(format!("{pid}/stat"))).ok()?)
    }

    /// Fields 14 to 17 of proc(5). The name before them may hold anything, a bracket too.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        let mut next = || times.next()?.ok();
        let (user, system, reaped_user, reaped_system) = (next()?, next()?, next()?, next()?);
        Some(Self { own: user + system, reaped: reaped_user + reaped_system })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            assert_eq!(Stat::parse(text).map(|stat| (stat.own, stat.reaped)), expected, "{text}");
        };
        check("7 (ffmpeg) S 1 7 7 0 -1 4194304 1 2 3 4 50 6 70 8 20 0", Some((56, 78)));
        check("7 (a) b ) c) S 1 7 7 0 -1 4194304 1 2 3 4 50 6 70 8 20 0", Some((56, 78)));
        check("7 (short) S 1 7", None);
        check("", None);
    }

    /// Each takes two tenths of a second of processor time.
    const BURN: &str = "import time\nwhile time.process_time() < 0.2: pass";

    #[test]
    fn children_count_while_they_live_and_when_they_are_gone() {
        let before = ticks();
        let script = format!("python3 -c '{BURN}'; python3 -c '{BURN}' & wait; read line");
        let mut child =
            Command::new("sh").args(["-c", &script]).stdin(std::process::Stdio::piped()).spawn().expect("sh");
        let clock = crate::clock::Clock::system();
        let began = clock.mono();
        // 100 ticks a second: 40 of the two grandchildren, reaped by the shell that lives.
        while ticks() < before + 36 {
            assert!(clock.mono().since(began).as_secs() < 30, "{} after {before}", ticks());
            std::thread::yield_now();
        }
        drop(child.stdin.take());
        child.wait().expect("it ends");
        assert!(ticks() >= before + 36, "{} after {before}", ticks());
    }
}
