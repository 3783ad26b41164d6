//! What both databases have to do. Values are sealed as the agent seals them: what is not as it was
//! written is nothing that either has to find out by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plexmesh_agent::store::Database;

use super::redb::Redb;
use super::{Changes, Store};

/// Sealed entries: number, and how often it was written.
fn entry(number: u32, time: u32) -> (Vec<u8>, Option<Vec<u8>>) {
    let key = number.to_be_bytes().to_vec();
    (key, Some(plexmesh_agent::store::seal(&[number, time].map(u32::to_be_bytes).concat())))
}

fn gone(number: u32) -> (Vec<u8>, Option<Vec<u8>>) {
    (number.to_be_bytes().to_vec(), None)
}

fn all<S: Store>(store: &S) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    store.for_each(&mut |key, value| drop(all.insert(key.to_vec(), value.to_vec()))).unwrap();
    all
}

fn expected(changes: Changes) -> BTreeMap<Vec<u8>, Vec<u8>> {
    changes.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn what_was_written_last_is_there_at_the_next_opening<S: Store>(directory: &Path) {
    let store = S::open(directory).unwrap();
    store.write((0..10_000).map(|number| entry(number, 1)).collect()).unwrap();
    store.write(vec![entry(3, 2), gone(4), entry(10_000, 1)]).unwrap();
    store.write(Vec::new()).unwrap();
    store.close().unwrap();
    let store = S::open(directory).unwrap();
    let mut changes: Changes = (0..=10_000).map(|number| entry(number, 1)).collect();
    changes[3] = entry(3, 2);
    changes[4] = gone(4);
    assert_eq!(all(&store), expected(changes));
    assert_eq!(store.get(&entry(3, 2).0).unwrap(), entry(3, 2).1);
    assert_eq!(store.get(&gone(4).0).unwrap(), None);
}

fn entries_are_visited_in_the_order_of_their_keys<S: Store>(directory: &Path) {
    let store = S::open(directory).unwrap();
    store.write([7, 1, 300, 2].map(|number| entry(number, 1)).into()).unwrap();
    let mut keys = Vec::new();
    store.for_each(&mut |key, _| keys.push(key.to_vec())).unwrap();
    assert_eq!(keys, [1, 2, 7, 300].map(|number| entry(number, 1).0));
}

fn long_values_are_kept_whole<S: Store>(directory: &Path) {
    let store = S::open(directory).unwrap();
    let long = plexmesh_agent::store::seal(&vec![7; 256 * 1024]);
    store.write(vec![(vec![1], Some(long.clone()))]).unwrap();
    store.close().unwrap();
    assert_eq!(S::open(directory).unwrap().get(&[1]).unwrap(), Some(long));
}

fn a_second_opener_is_refused<S: Store>(directory: &Path) {
    let store = S::open(directory).unwrap();
    assert!(S::open(directory).is_err());
    store.write(vec![entry(1, 1)]).unwrap();
}

fn a_compacted_one_holds_what_it_held_in_less_room<S: Store>(directory: &Path) {
    let mut store = S::open(directory).unwrap();
    for time in 0..5 {
        store.write((0..4_000).map(|number| entry(number, time)).collect()).unwrap();
    }
    let (held, before) = (all(&store), S::file_bytes(directory).unwrap());
    store = store.compact().unwrap();
    assert_eq!(all(&store), held);
    store.close().unwrap();
    assert!(S::file_bytes(directory).unwrap() < before);
    assert_eq!(all(&S::open(directory).unwrap()), held);
}

/// Cuts the largest file at many places: what can be read then was written once.
fn a_torn_file_is_an_error_or_holds_what_was_written<S: Store>(directory: &Path) {
    let store = S::open(directory).unwrap();
    for time in 0..3 {
        store.write((0..2_000).map(|number| entry(number, time)).collect()).unwrap();
    }
    store.close().unwrap();
    let copy = directory.with_file_name("copy");
    let file = largest_file(directory);
    let length = fs::metadata(&file).unwrap().len();
    for part in 0..16 {
        copy_files(directory, &copy);
        let torn = copy.join(file.file_name().unwrap());
        fs::File::options().write(true).open(&torn).unwrap().set_len(length * part / 16).unwrap();
        if let Ok(store) = S::open(&copy) {
            let _ = store.for_each(&mut |key, value| {
                let number = u32::from_be_bytes(key.try_into().unwrap());
                let known = (0..3).any(|time| entry(number, time).1.as_deref() == Some(value));
                assert!(known, "entry {number} was never written");
            });
        }
        fs::remove_dir_all(&copy).unwrap();
    }
}

fn largest_file(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap());
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    files.max_by_key(|file| file.metadata().unwrap().len()).unwrap().path()
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

macro_rules! both {
    ($($test:ident)*) => {
        mod sled {
            $(#[test] fn $test() { super::in_a_directory(super::$test::<super::Database>); })*
        }
        mod redb {
            $(#[test] fn $test() { super::in_a_directory(super::$test::<super::Redb>); })*
        }
    };
}

both! {
    what_was_written_last_is_there_at_the_next_opening
    entries_are_visited_in_the_order_of_their_keys
    long_values_are_kept_whole
    a_second_opener_is_refused
    a_compacted_one_holds_what_it_held_in_less_room
    a_torn_file_is_an_error_or_holds_what_was_written
}

fn in_a_directory(test: fn(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    test(&directory.path().join("store"));
}
