//! `capstan hot setup|status`: makes the tmpfs that recording needs, by hand and as often as you like.

use std::{ffi::CString, fs, path::Path, process::ExitCode, time::Duration};

use clap::Args;
use rustix::mount::{MountFlags, mount, mount_remount};
use serde_json::Value;

use super::{Common, say, unhealthy_unless};
use crate::{
    config::{Bytes, Settings},
    error::{Error, Kind, Result},
    storage::{HotFacts, layout::HotLayout, tmpfs::hot_facts},
    web::{
        checks::bytes,
        control::{Request, ask},
        facts::quota_bytes,
    },
};

#[derive(Args)]
pub struct Setup {
    #[command(flatten)]
    pub common: Common,
    /// Size of the tmpfs [default: the devices' quotas and a quarter]
    #[arg(long, value_parser = |text: &str| text.parse::<Bytes>())]
    size: Option<Bytes>,
    /// Whom it belongs to [default: the user capstan if there is one, else you]
    #[arg(long)]
    user: Option<String>,
}

const FLAGS: MountFlags = MountFlags::NOEXEC.union(MountFlags::NODEV).union(MountFlags::NOSUID);
const LIMIT: Duration = Duration::from_secs(5);

/// What must be done so that hot is as it should be.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// Grow the tmpfs that is mounted there.
    Remount,
    Mount,
}

pub fn setup(settings: &Settings, wish: &Setup) -> Result<ExitCode> {
    let path = settings.storage.hot.as_path();
    let quotas = quota_bytes(settings);
    let size = wish.size.map_or_else(|| size_for(quotas), |size| size.0);
    if size < quotas {
        let message = format!("{} is less than the devices' quotas, {}", bytes(size), bytes(quotas));
        return Err(Error::new(Kind::Invalid, message).at("--size"));
    }
    let owner = owner(wish.user.as_deref())?;
    let own_mount = is_mount_point(path);
    match step(path, hot_facts(path)?, own_mount, if wish.size.is_some() { size } else { quotas }) {
        Step::Nothing => {
            make_folder(path)?;
            say(format_args!("{} is a tmpfs of fitting size: nothing to do", path.display()));
        }
        Step::Remount => {
            mount_remount(path, FLAGS, &data(size, &owner)?)
                .map_err(|error| failed("growing the tmpfs", path, error))?;
            say(format_args!("{} has grown to {}", path.display(), bytes(size)));
        }
        Step::Mount => {
            make_folder(path)?;
            if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
                let message = "is not empty: a mount would hide its files; move them away first";
                return Err(Error::new(Kind::Conflict, message).at(path.display()));
            }
            mount("tmpfs", path, "tmpfs", FLAGS, data(size, &owner)?.as_c_str())
                .map_err(|error| failed("mounting a tmpfs", path, error))?;
            say(format_args!("{} is a tmpfs of {} now", path.display(), bytes(size)));
        }
    }
    warn_of_memory(size);
    say("For every boot, in /etc/fstab (or with systemd/run-capstan.mount):");
    say(fstab_line(path, size, &owner));
    Ok(ExitCode::SUCCESS)
}

pub fn status(settings: &Settings) -> Result<ExitCode> {
    let path = settings.storage.hot.as_path();
    let facts = hot_facts(path)?;
    let quotas = quota_bytes(settings);
    let used = facts.size_bytes.saturating_sub(facts.free_bytes);
    let kind = if facts.is_tmpfs { "tmpfs" } else { "not tmpfs: run `capstan hot setup`" };
    say(format_args!("{}: {kind}", path.display()));
    say(format_args!("size {}, used {}, quotas {}", bytes(facts.size_bytes), bytes(used), bytes(quotas)));
    let fits = facts.size_bytes == 0 || quotas <= facts.size_bytes;
    if !fits {
        say("the quotas do not fit: run `capstan hot setup`");
    }
    match ask(&HotLayout::new(path).control_socket(), &Request::State, LIMIT) {
        Ok(Some(state)) => devices(&state),
        Ok(None) => say("no daemon runs"),
        Err(error) => say(error),
    }
    Ok(unhealthy_unless(facts.is_tmpfs && fits))
}

fn devices(state: &Value) {
    for device in state["devices"].as_array().into_iter().flatten() {
        let count = |name: &str| device["hot"][name].as_u64().unwrap_or(0);
        say(format_args!(
            "{}: {} of {}, {} segments ({} to commit), {} captures, {} thumbnails",
            device["id"].as_str().unwrap_or("?"),
            bytes(count("bytes")),
            bytes(count("quota_bytes")),
            count("segments"),
            count("waiting"),
            count("captures"),
            count("thumbnails"),
        ));
    }
}

/// A quarter above the quotas: full quotas leave it below the doctor's 90 %. At least 64 MiB, in whole MiB.
fn size_for(quotas: u64) -> u64 {
    (quotas.saturating_add(quotas / 4)).max(64 << 20).div_ceil(1 << 20) << 20
}

/// `facts` are of the path or of its nearest parent; `needed` bytes must fit.
fn step(path: &Path, facts: HotFacts, own_mount: bool, needed: u64) -> Step {
    let fits = facts.size_bytes == 0 || facts.size_bytes >= needed;
    match (facts.is_tmpfs, own_mount) {
        (true, true) if fits => Step::Nothing,
        (true, true) => Step::Remount,
        // A folder on a large tmpfs of others, like /dev/shm, will do. /run is the system's: filling it stops logins.
        (true, false) if fits && !path.starts_with("/run") => Step::Nothing,
        _ => Step::Mount,
    }
}

struct Owner {
    uid: u32,
    gid: u32,
}

fn owner(user: Option<&str>) -> Result<Owner> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    match (find_user(&users, user.unwrap_or("capstan")), user) {
        (Some(owner), _) => Ok(owner),
        (None, Some(name)) => Err(Error::new(Kind::Invalid, format!("there is no user {name:?}")).at("--user")),
        (None, None) => {
            Ok(Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() })
        }
    }
}

/// passwd(5): `name:password:uid:gid:…`.
fn find_user(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        Some(Owner { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

fn options(size: u64, owner: &Owner) -> String {
    format!("size={}m,mode=0750,uid={},gid={}", size >> 20, owner.uid, owner.gid)
}

fn data(size: u64, owner: &Owner) -> Result<CString> {
    CString::new(options(size, owner)).map_err(|error| Error::new(Kind::Internal, error.to_string()))
}

fn fstab_line(path: &Path, size: u64, owner: &Owner) -> String {
    // Spaces separate fields in fstab(5).
    let path = path.display().to_string().replace(' ', "\\040");
    format!("tmpfs {path} tmpfs {},noexec,nodev,nosuid 0 0", options(size, owner))
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io("making the hot folder", path, error))
}

fn failed(doing: &str, path: &Path, error: rustix::io::Errno) -> Error {
    let hint = if error == rustix::io::Errno::PERM { " (needs root: try sudo)" } else { "" };
    Error::io(format!("{doing}{hint}"), path, error.into())
}

/// Another device or inode than what lies above it: for a mounted tmpfs always true.
fn is_mount_point(path: &Path) -> bool {
    let (Ok(here), Ok(above)) = (rustix::fs::stat(path), rustix::fs::stat(path.join(".."))) else { return false };
    here.st_dev != above.st_dev
}

fn warn_of_memory(size: u64) {
    let memory = rustix::system::sysinfo();
    let total = memory.totalram as u64 * u64::from(memory.mem_unit);
    if size > total / 2 {
        say(format_args!(
            "Note: that is more than half of this machine's {} of memory; lower hot.device_bytes if it runs short.",
            bytes(total)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let check = |path: &str, is_tmpfs, size_bytes, own_mount, expected| {
            let facts = HotFacts { is_tmpfs, size_bytes, free_bytes: 0 };
            assert_eq!(step(Path::new(path), facts, own_mount, 100), expected, "{path} {facts:?} {own_mount}");
        };
        check("/run/capstan", true, 100, true, Step::Nothing);
        check("/run/capstan", true, 0, true, Step::Nothing);
        check("/run/capstan", true, 99, true, Step::Remount);
        check("/run/capstan", true, 1000, false, Step::Mount);
        check("/dev/shm/capstan", true, 1000, false, Step::Nothing);
        check("/dev/shm/capstan", true, 99, false, Step::Mount);
        check("/srv/hot", false, 1000, false, Step::Mount);
        check("/srv/hot", false, 1000, true, Step::Mount);
    }

    #[test]
    fn sizes_leave_room_above_the_quotas() {
        assert_eq!(size_for(0), 64 << 20);
        assert_eq!(size_for(800 << 20), 1000 << 20);
        assert_eq!(size_for((800 << 20) + 1), 1001 << 20);
    }

    #[test]
    fn the_line_for_fstab() {
        let users = "root:x:0:0:root:/root:/bin/sh\ncapstan:x:997:996::/:/usr/sbin/nologin\n";
        let owner = find_user(users, "capstan").unwrap();
        assert_eq!(
            fstab_line(Path::new("/run/my hot"), 64 << 20, &owner),
            "tmpfs /run/my\\040hot tmpfs size=64m,mode=0750,uid=997,gid=996,noexec,nodev,nosuid 0 0"
        );
        assert!(find_user(users, "nobody").is_none());
    }
}
