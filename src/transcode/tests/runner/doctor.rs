//! What the doctor is told of it.

use super::*;

#[test]
fn one_that_does_not_get_on_is_told_to_the_doctor() {
    let rig = Rig::new();
    rig.disk.record(9);
    hang(&rig);
    rig.runner.steer();
    std::thread::scope(|scope| {
        let job = scope.spawn(|| rig.turn());
        until("it runs", || rig.runner.is_running());
        rig.advance(1700);
        assert!(rig.runner.verdict().is_ok());
        rig.advance(200);
        let why = rig.runner.verdict().unwrap_err();
        assert!(why.contains("31 min") && why.contains("chunk_10min"), "{why}");
        rig.runner.abandon();
        job.join().unwrap();
    });
}

#[test]
fn folders_that_cannot_be_healed_are_told_to_the_doctor() {
    let rig = Rig::new();
    let source = rig.disk.record(9);
    rig.turn();
    assert!(rig.runner.file_verdict().unwrap().contains("1 transcoded"));
    // A marker without its file, on a disk that does not let it go.
    rig.disk.volume.unlink(&Companion::Original.beside(&rig.disk.path(&source))).unwrap();
    rig.disk.volume.faults().arm(Op::Unlink, 0, 1, Effect::Fail(libc::EROFS));
    rig.runner.heal(std::slice::from_ref(&rig.disk.index));
    assert!(rig.runner.file_verdict().unwrap_err().contains("cannot be put right"));
    rig.runner.heal(std::slice::from_ref(&rig.disk.index));
    assert!(rig.runner.file_verdict().is_ok());
    assert_eq!(rig.disk.names(&source).len(), 1);
}
