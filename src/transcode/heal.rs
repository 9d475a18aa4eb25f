//! What a cut left beside a chunk, and what becomes of it: a pure plan, executed at start for every folder.
//!
//! | X | X.new | X.original | X.transcoded | then |
//! |---|---|---|---|---|
//! | old | any | – | – | `.new` goes |
//! | old | any | old | – | `.original` goes: it is X |
//! | old | any | old | yes | undone: `.new`, `.original` and marker go |
//! | old | new | – | yes | undone: `.new` and marker go (the exchange had not happened) |
//! | new | old | – | any | the exchange had happened: `.new` becomes the original |
//! | new | any | old | yes | done; a `.new` goes |
//! | new | – | old | – | the marker is written anew, or the original goes when none are kept |
//! | new | – | – | yes | the original has expired: the marker goes |
//! | – or damaged | any | old | any | restored: the original becomes X |
//! | – | any | – | any | X was deleted: all go |

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{marker::Marker, swap::Files};
use crate::{
    clock::Utc90k,
    error::{Kind, Result},
    ids::DeviceId,
    merge::handover::{entry, key_of},
    storage::{
        DeviceIndex, Volume, inventory,
        layout::{ChunkKey, Companion, Shelf},
    },
};

/// What lies under a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thing {
    #[default]
    None,
    /// Its head says nothing, or it is not sealed.
    Damaged,
    Chunk(ChunkKey),
}

/// What lies beside a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub chunk: Thing,
    pub successor: Thing,
    pub original: Thing,
    /// Of what it speaks; `Some(None)` when it cannot be read.
    pub marker: Option<Option<ChunkKey>>,
    /// The file that would have become a marker.
    pub half_marker: bool,
}

/// One step of healing. Repeating all after a cut between any two comes to the same end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Delete(Companion),
    DeleteHalfMarker,
    /// The original becomes X again.
    Restore,
    /// `.new` holds what was recorded: it becomes the original.
    KeepSuccessor,
    /// The marker is written anew.
    Remark,
}

/// What to do, in this order. `keeps`: whether originals are kept at all.
pub fn plan(found: &Found, keeps: bool) -> Vec<Act> {
    let mut acts = Vec::new();
    if found.half_marker {
        acts.push(Act::DeleteHalfMarker);
    }
    let Thing::Chunk(chunk) = found.chunk else {
        if found.successor != Thing::None {
            acts.push(Act::Delete(Companion::Successor));
        }
        if let Thing::Chunk(_) = found.original {
            acts.push(Act::Restore);
        }
        // Beside a damaged X it goes as well: without an original there is no way back.
        if found.marker.is_some() {
            acts.push(Act::Delete(Companion::Marker));
        }
        return acts;
    };
    let of_another = |thing: Thing| matches!(thing, Thing::Chunk(key) if key.start_ms != chunk.start_ms);
    let original = match found.original {
        thing if of_another(thing) => {
            acts.push(Act::Delete(Companion::Original));
            Thing::None
        }
        thing => thing,
    };
    let is_ours = |key: &Option<ChunkKey>| key.is_none_or(|key| key.start_ms == chunk.start_ms);
    let marker = found.marker.filter(is_ours);
    if marker != found.marker {
        acts.push(Act::Delete(Companion::Marker));
    }
    match found.successor {
        Thing::None => {}
        Thing::Chunk(key)
            if !of_another(found.successor) && key.generation < chunk.generation && original == Thing::None =>
        {
            // The marker first: an original beside none would be taken for one without end.
            acts.extend((marker.flatten() != Some(chunk)).then_some(Act::Remark));
            acts.push(Act::KeepSuccessor);
            return acts;
        }
        _ => acts.push(Act::Delete(Companion::Successor)),
    }
    let speaks_of_x = marker.flatten() == Some(chunk);
    match original {
        Thing::Chunk(key) if key.generation < chunk.generation => match keeps || marker.is_some() {
            true => acts.extend((!speaks_of_x).then_some(Act::Remark)),
            false => acts.push(Act::Delete(Companion::Original)),
        },
        // It cannot be rolled back any more, and goes when it expires.
        Thing::Damaged if speaks_of_x => {}
        Thing::None => acts.extend(marker.map(|_| Act::Delete(Companion::Marker))),
        _ => {
            acts.push(Act::Delete(Companion::Original));
            acts.extend(marker.map(|_| Act::Delete(Companion::Marker)));
        }
    }
    acts
}

/// What was done for one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// Relative to its volume.
    pub path: PathBuf,
    pub acts: Vec<Act>,
}

/// When a marker that is written anew lets the original go; None: originals are not kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    pub now: Utc90k,
    pub delete_after: Option<Utc90k>,
}

/// Heals every folder of a device, on both volumes as far as they are there. Reads names only, where there is nothing to
/// heal.
pub fn device(volume: &Volume, index: &DeviceIndex, keeping: Keeping) -> (Vec<Healed>, Result<()>) {
    let mut healed = Vec::new();
    let mut outcome = Ok(());
    let mut heal = |volume: &Volume, folder: &Path, shelf: Shelf| match hour(volume, index, folder, shelf, keeping) {
        Ok(done) => healed.extend(done),
        Err(error) => outcome = Err(error),
    };
    let layout = volume.layout();
    (0..24).for_each(|hour| heal(volume, &layout.ring_hour(index.device(), hour), Shelf::Home));
    let away = volume.library().filter(|away| away.is_ok()).map(|away| (&**away, Shelf::Away));
    for (volume, shelf) in std::iter::once((volume, Shelf::Home)).chain(away) {
        for folder in library_hours(volume, index.device()) {
            heal(volume, &folder, shelf);
        }
    }
    (healed, outcome)
}

fn library_hours(volume: &Volume, device: &DeviceId) -> Vec<PathBuf> {
    let root = volume.layout().library(device);
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = volume.read_dir(folder).unwrap_or_default();
        entries.into_iter().filter(|entry| entry.is_dir).map(|entry| folder.join(entry.name)).collect()
    };
    below(&root).iter().flat_map(|day| below(day)).collect()
}

/// Heals one folder, whose places nobody else may change meanwhile.
fn hour(volume: &Volume, index: &DeviceIndex, folder: &Path, shelf: Shelf, keeping: Keeping) -> Result<Vec<Healed>> {
    let chunks = with_companions(volume, folder)?;
    let mut healed = Vec::new();
    for name in chunks {
        let _place = index.hold_on(shelf);
        let files = Files::new(volume, folder.join(name));
        healed.extend(one(&files, index, keeping)?);
    }
    Ok(healed)
}

/// Names of chunks beside which something lies.
fn with_companions(volume: &Volume, folder: &Path) -> Result<BTreeSet<String>> {
    let entries = volume.read_dir(folder)?;
    let names = entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| entry.name.to_str());
    Ok(names.filter_map(|name| Companion::parse(name.trim_end_matches(".tmp"))).map(|(_, chunk)| chunk).collect())
}

/// Heals one chunk. Hold its place.
pub(super) fn one(files: &Files<'_>, index: &DeviceIndex, keeping: Keeping) -> Result<Option<Healed>> {
    let found = look(files, index.device())?;
    let acts = plan(&found, keeping.delete_after.is_some());
    for act in &acts {
        apply(files, *act, keeping)?;
    }
    if acts.is_empty() {
        return Ok(None);
    }
    files.volume.fsync_dir(files.folder())?;
    correct(files, index)?;
    Ok(Some(Healed { path: files.chunk.clone(), acts }))
}

fn look(files: &Files<'_>, device: &DeviceId) -> Result<Found> {
    let thing = |path: &Path| match inventory::look(files.volume, path) {
        Ok((Some(meta), _)) if meta.sealed.is_some() && meta.device == *device => Ok(Thing::Chunk(key_of(&meta))),
        Ok(_) => Ok(Thing::Damaged),
        Err(error) if error.kind == Kind::NotFound => Ok(Thing::None),
        // A disk that does not give it now says nothing about it: nothing is decided.
        Err(error) => Err(error),
    };
    let marker = files.path(Companion::Marker);
    Ok(Found {
        chunk: thing(&files.chunk)?,
        successor: thing(&files.path(Companion::Successor))?,
        original: thing(&files.path(Companion::Original))?,
        marker: match Marker::read(files.volume, &marker) {
            Ok(marker) => Some(marker.key()),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) if error.kind == Kind::Corrupt => Some(None),
            Err(error) => return Err(error),
        },
        half_marker: files.volume.exists(&files.half_marker()),
    })
}

fn apply(files: &Files<'_>, act: Act, keeping: Keeping) -> Result<()> {
    let volume = files.volume;
    match act {
        Act::Delete(kind) => volume.unlink(&files.path(kind)),
        Act::DeleteHalfMarker => volume.unlink(&files.half_marker()),
        Act::Restore => volume.rename(&files.path(Companion::Original), &files.chunk),
        Act::KeepSuccessor => volume.rename(&files.path(Companion::Successor), &files.path(Companion::Original)),
        Act::Remark => remark(files, keeping),
    }
}

/// What is not known of it is left open.
pub(super) fn remark(files: &Files<'_>, keeping: Keeping) -> Result<()> {
    let entry_of = |path: &Path| -> Result<_> {
        let (meta, bytes) = inventory::look(files.volume, path)?;
        Ok(meta.map(|meta| entry(&meta, crate::storage::Place::Temp, bytes)))
    };
    let aside = [Companion::Original, Companion::Successor].map(|kind| files.path(kind));
    let source = aside.iter().find(|path| files.volume.exists(path));
    let (Some(source), Some(successor)) =
        (source.map(|path| entry_of(path)).transpose()?.flatten(), entry_of(&files.chunk)?)
    else {
        return Ok(());
    };
    let delete_after = keeping.delete_after.unwrap_or(keeping.now);
    let marker = Marker::new(&files.chunk, &source, &successor, keeping.now, delete_after);
    marker.write(files.volume, &files.path(Companion::Marker))
}

/// The index lists what lies there now, where it listed something else.
fn correct(files: &Files<'_>, index: &DeviceIndex) -> Result<()> {
    let layout = files.volume.layout();
    let chunks = index.snapshot();
    let Some(listed) = chunks.iter().find(|it| it.path(layout, index.device()) == files.chunk) else { return Ok(()) };
    match inventory::look(files.volume, &files.chunk) {
        Ok((Some(meta), bytes)) if key_of(&meta) != listed.key => {
            index.replace(&listed.key, entry(&meta, listed.place, bytes), false);
            index.remove_original(&key_of(&meta));
        }
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Companion::{Marker as M, Original as O, Successor as N};

    const START: i64 = 1_795_143_600_000;

    fn key(generation: u32) -> ChunkKey {
        ChunkKey { start_ms: START, generation }
    }

    fn thing(text: &str) -> Thing {
        match text {
            "-" => Thing::None,
            "!" => Thing::Damaged,
            // Of another start.
            "x" => Thing::Chunk(ChunkKey { start_ms: START + 1, generation: 5 }),
            number => Thing::Chunk(key(number.parse().unwrap())),
        }
    }

    fn found(text: &str) -> Found {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [chunk, successor, original] = [0, 1, 2].map(|at| thing(parts[at]));
        let marker = match thing(parts[3]) {
            Thing::None => None,
            Thing::Damaged => Some(None),
            Thing::Chunk(key) => Some(Some(key)),
        };
        Found { chunk, successor, original, marker, half_marker: parts.len() > 4 }
    }

    #[test]
    fn each_state_has_its_end() {
        use Act::{Delete, DeleteHalfMarker, KeepSuccessor, Remark, Restore};
        // X, X.new, X.original, X.transcoded: generations; `-` is none, `!` cannot be read, `x` is of another chunk.
        let check = |state: &str, expected: &[Act]| assert_eq!(plan(&found(state), true), expected, "{state}");
        check("0 - - -", &[]);
        check("0 1 - -", &[Delete(N)]);
        check("0 ! - -", &[Delete(N)]);
        check("0 1 0 -", &[Delete(N), Delete(O)]);
        check("0 1 ! -", &[Delete(N), Delete(O)]);
        check("0 1 0 - tmp", &[DeleteHalfMarker, Delete(N), Delete(O)]);
        check("0 1 0 1", &[Delete(N), Delete(O), Delete(M)]);
        check("0 1 0 !", &[Delete(N), Delete(O), Delete(M)]);
        check("0 1 - 1", &[Delete(N), Delete(M)]);
        check("1 - 0 1", &[]);
        check("1 2 0 1", &[Delete(N)]);
        check("1 0 0 1", &[Delete(N)]);
        check("1 - ! 1", &[]);
        check("1 - ! -", &[Delete(O)]);
        check("1 - 0 -", &[Remark]);
        check("1 - 0 !", &[Remark]);
        check("1 - - 1", &[Delete(M)]);
        check("1 0 - 1", &[KeepSuccessor]);
        check("1 0 - -", &[Remark, KeepSuccessor]);
        check("- - 0 -", &[Restore]);
        check("- 1 0 1", &[Delete(N), Restore, Delete(M)]);
        check("! - 0 1", &[Restore, Delete(M)]);
        check("! 1 - -", &[Delete(N)]);
        check("- 1 - 1", &[Delete(N), Delete(M)]);
        check("- - ! -", &[]);
        // The next chunk took the place before what lay beside the one before it went.
        check("0 x - -", &[Delete(N)]);
        check("0 - x x", &[Delete(O), Delete(M)]);
        assert_eq!(plan(&found("1 - 0 -"), false), [Delete(O)], "none are kept");
        assert_eq!(plan(&found("1 - 0 1"), false), [], "those of before run out");
    }

    /// What a folder would be after a step.
    fn after(mut state: Found, act: Act) -> Found {
        match act {
            Act::Delete(N) => state.successor = Thing::None,
            Act::Delete(O) => state.original = Thing::None,
            Act::Delete(M) => state.marker = None,
            Act::DeleteHalfMarker => state.half_marker = false,
            Act::Restore => (state.chunk, state.original) = (state.original, Thing::None),
            Act::KeepSuccessor => (state.original, state.successor) = (state.successor, Thing::None),
            Act::Remark => {
                state.marker = match state.chunk {
                    Thing::Chunk(key) => Some(Some(key)),
                    _ => state.marker,
                }
            }
        }
        state
    }

    #[test]
    fn a_cut_while_healing_comes_to_the_same_end() {
        let words = ["-", "!", "0", "1", "2", "x"];
        for chunk in words {
            for successor in words {
                for original in words {
                    for marker in words {
                        for (half, keeps) in [("", true), ("", false), (" tmp", true)] {
                            let text = format!("{chunk} {successor} {original} {marker}{half}");
                            settles(found(&text), keeps, &text);
                        }
                    }
                }
            }
        }
    }

    fn settles(state: Found, keeps: bool, text: &str) {
        let acts = plan(&state, keeps);
        let end = acts.iter().fold(state, |state, act| after(state, *act));
        assert_eq!(plan(&end, keeps), [], "{text}: healed is healed, {end:?}");
        let readable = |found: &Found| [found.chunk, found.original].iter().any(|it| matches!(it, Thing::Chunk(_)));
        if readable(&state) {
            assert!(matches!(end.chunk, Thing::Chunk(_)), "{text}: one good file plays");
        }
        assert_eq!(end.successor, Thing::None, "{text}");
        let mut cut = state;
        for act in acts {
            cut = after(cut, act);
            let resumed = plan(&cut, keeps).into_iter().fold(cut, after);
            assert_eq!(resumed, end, "{text}: cut after {act:?}");
        }
    }
}
