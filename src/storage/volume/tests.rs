//! On plain folders and on real ext4 images behind loop devices.

use super::*;
use crate::{
    clock::Clock,
    storage::{
        faults::{Effect, Op},
        test_disk::{Disk, run},
    },
};

fn settings(root: &Path) -> config::Storage {
    config::Storage { root: root.to_owned(), ..config::Storage::default() }
}

fn open(storage: &config::Storage) -> Result<Arc<Volume>> {
    Volume::open(storage, &Clock::system())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_root_is_made_initialised_and_locked() {
    let folder = tempfile::tempdir().unwrap();
    let storage = settings(&folder.path().join("a/archive"));
    let volume = open(&storage).unwrap();
    assert_eq!((volume.id().len(), names(&storage.root)), (32, vec![".lock".into(), "volume.json".into()]));
    let second = open(&storage).unwrap_err();
    assert_eq!(second.kind, Kind::Conflict);
    let message = second.to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    let id = volume.id().to_owned();
    volume.check().unwrap();
    drop(volume);
    assert_eq!(open(&storage).unwrap().id(), id);
}

#[test]
fn the_wrong_root_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let check = |storage: config::Storage, part: &str| {
        let error = open(&storage).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        assert!(error.to_string().contains(part), "{error} should contain {part:?}");
        assert!(names(folder.path()).is_empty());
    };
    let storage = settings(folder.path());
    check(config::Storage { require_mount: true, ..storage.clone() }, "nothing is mounted");
    check(config::Storage { volume_id: Some("x".into()), ..storage.clone() }, "nothing is mounted");
    let absent = settings(&folder.path().join("absent"));
    assert!(open(&config::Storage { require_mount: true, ..absent }).is_err());
    assert!(names(folder.path()).is_empty());
}

#[test]
fn files_are_made_replaced_renamed_and_listed_inside_the_root_only() {
    let folder = tempfile::tempdir().unwrap();
    let volume = open(&settings(folder.path())).unwrap();
    let (a, b) = (Path::new("cam/segments/temp/a"), Path::new("cam/segments/temp/b"));
    volume.mkdir_all(a.parent().unwrap()).unwrap();
    volume.mkdir_all(a.parent().unwrap()).unwrap();
    let file = volume.create_new(a).unwrap();
    volume.write_at(&file, a, b"12345678", 4).unwrap();
    volume.sync_data(&file, a).unwrap();
    assert_eq!(volume.create_new(a).unwrap_err().kind, Kind::Conflict);
    assert_eq!(volume.metadata(a).unwrap().bytes, 12);
    volume.write_atomic(b, b"old").unwrap();
    volume.write_atomic(b, b"new").unwrap();
    assert_eq!(volume.rename_new(a, b).unwrap_err().kind, Kind::Conflict);
    assert_eq!(volume.link(a, b).unwrap_err().kind, Kind::Conflict);
    volume.rename(a, b).unwrap();
    volume.fsync_dir(b.parent().unwrap()).unwrap();
    let list = volume.read_dir(b.parent().unwrap()).unwrap();
    assert_eq!(list.iter().map(|entry| (entry.name.to_str(), entry.is_dir)).collect::<Vec<_>>(), [(Some("b"), false)]);
    assert_eq!(volume.read_dir(Path::new("nowhere")).unwrap(), []);
    volume.unlink(b).unwrap();
    assert_eq!(volume.unlink(b).unwrap_err().kind, Kind::NotFound);
    for outside in ["../x", "/etc/passwd", "cam/../../x"] {
        assert!(volume.open_read(Path::new(outside)).is_err(), "{outside}");
        assert!(volume.create_new(Path::new(outside)).is_err(), "{outside}");
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    assert!(volume.open_read(Path::new("link")).is_err(), "links are not followed");
}

#[test]
fn a_failed_write_is_told_at_once_and_forgiven_after_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let volume = open(&settings(folder.path())).unwrap();
    let fail = |errno| {
        volume.faults().arm(Op::Write, 0, 1, Effect::Fail(errno));
        volume.write_atomic(Path::new("x"), b"x").unwrap_err()
    };
    assert_eq!((fail(libc::ENOSPC).kind, volume.is_ok()), (Kind::Full, true));
    assert_eq!((fail(libc::EIO).kind, volume.is_ok()), (Kind::Io, false));
    volume.faults().arm(Op::Write, 0, 1, Effect::Fail(libc::EIO));
    assert!(volume.check().is_err(), "the probe fails as well");
    assert!(!volume.is_ok());
    volume.check().unwrap();
    assert!(volume.is_ok());
    assert!(!names(folder.path()).contains(&".probe".to_owned()));
}

#[test]
fn an_unmounted_volume_is_noticed_never_written_beneath_and_taken_up_again() {
    let Some(disk) = Disk::new() else { return };
    let storage = config::Storage { require_mount: true, ..settings(&disk.root()) };
    let volume = open(&storage).unwrap();
    volume.check().unwrap();
    assert_eq!(volume.mounts(), 1);

    disk.unmount();
    let error = volume.check().unwrap_err();
    assert!(error.to_string().contains("nothing is mounted"), "{error}");
    assert!(!volume.is_ok());
    // Even what is written regardless does not land beneath the mount point, and nothing keeps the old mount alive.
    assert_eq!(volume.write_atomic(Path::new("stray"), b"x").unwrap_err().kind, Kind::Io);
    assert!(names(&disk.root()).is_empty());
    assert_eq!((volume.is_ok(), volume.mounts()), (false, 2));

    disk.mount();
    volume.check().unwrap();
    assert_eq!((volume.is_ok(), volume.mounts()), (true, 3));
    volume.write_atomic(Path::new("back"), b"x").unwrap();
    assert!(names(&disk.root()).contains(&"back".to_owned()));
    assert_eq!(open(&storage).unwrap_err().kind, Kind::Conflict, "the lock came along");
}

#[test]
fn another_disk_in_its_place_is_refused() {
    let (Some(disk), Some(other)) = (Disk::new(), Disk::new()) else { return };
    let id = open(&settings(&disk.root())).unwrap().id().to_owned();
    let wanted = |root: &Path| config::Storage { volume_id: Some(id.clone()), ..settings(root) };
    assert_eq!(open(&wanted(&disk.root())).unwrap().id(), id);
    let error = open(&wanted(&other.root())).unwrap_err();
    assert!(error.to_string().contains("holds no volume.json"), "{error}");
    assert_eq!(names(&other.root()), ["lost+found"]);
    let foreign = open(&settings(&other.root())).unwrap().id().to_owned();
    let error = open(&wanted(&other.root())).unwrap_err();
    assert!(error.to_string().contains(&foreign), "{error}");

    // Exchanged while running, without any demand in the settings: still not our volume.
    let volume = open(&settings(&disk.root())).unwrap();
    disk.unmount();
    run("mount", &[other.device(), disk.root().to_str().unwrap()]);
    assert!(volume.check().unwrap_err().to_string().contains(&foreign));
}

#[test]
fn a_read_only_remount_is_noticed_and_forgiven() {
    let Some(disk) = Disk::new() else { return };
    let volume = open(&settings(&disk.root())).unwrap();
    disk.remount("ro");
    assert!(volume.check().unwrap_err().to_string().contains("read-only"));
    assert!(volume.write_atomic(Path::new("x"), b"x").is_err());
    assert!(volume.open_read(&volume.layout().volume()).is_ok(), "reads go on");
    disk.remount("rw");
    volume.check().unwrap();
    assert!(volume.is_ok());
}

#[test]
fn a_full_disk_is_full_and_not_sick() {
    let Some(disk) = Disk::new() else { return };
    let volume = open(&settings(&disk.root())).unwrap();
    let path = Path::new("fill");
    let file = volume.create_new(path).unwrap();
    let piece = vec![7; 1 << 20];
    let error = (0..64).find_map(|i| volume.write_at(&file, path, &piece, i << 20).err()).unwrap();
    assert_eq!(error.kind, Kind::Full);
    assert!(volume.free_bytes() < 1 << 20);
    volume.check().unwrap();
    volume.unlink(path).unwrap();
}

#[test]
fn a_file_system_that_shut_down_fails_the_check_until_it_is_mounted_anew() {
    let Some(disk) = Disk::new() else { return };
    let volume = open(&settings(&disk.root())).unwrap();
    shut_down(&disk.root());
    assert!(volume.write_atomic(Path::new("x"), b"x").is_err());
    assert!(!volume.is_ok(), "told by the failed write itself");
    assert!(volume.check().is_err());
    disk.unmount();
    // The sick file system lives on while we hold it; mounted elsewhere it would be the same one.
    drop(volume);
    disk.mount();
    open(&settings(&disk.root())).unwrap().check().unwrap();
}

/// EXT4_IOC_SHUTDOWN without flushing the log: from now on every write fails as on a dead disk.
fn shut_down(root: &Path) {
    let folder = std::fs::File::open(root).unwrap();
    // _IOR('X', 125, __u32) of fs/ext4/ext4.h; 2 = EXT4_GOING_FLAGS_NOLOGFLUSH.
    const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
    let flags: u32 = 2;
    // SAFETY: the descriptor is open and the request reads one u32 through the pointer.
    let done = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&folder), EXT4_IOC_SHUTDOWN as _, &flags) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
