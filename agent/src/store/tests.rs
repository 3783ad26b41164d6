//! What survives a restart, and what does not stop one.

use std::fs;
use std::time::{Duration, Instant};

use plexmesh_net::Identity;
use plexmesh_proto::record::{Heartbeat, Kind, Links, Payload};

use super::*;
use crate::identity::NodeKeys;

const MESH: MeshId = MeshId([5; 32]);

struct World {
    dir: tempfile::TempDir,
    keys: NodeKeys,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), keys: NodeKeys::new(Identity::generate()) }
    }

    fn open(&self) -> (AgentStore, Loaded) {
        AgentStore::open(self.dir.path(), &mut self.keys.clone(), &MESH).unwrap()
    }

    fn record(&self, version: u64, payload: Payload) -> Arc<Record> {
        let origin = self.keys.peer();
        let version = Version(version);
        Arc::new(Record::sign(&mut self.keys.clone(), &MESH, origin, version, u64::MAX, payload))
    }

    fn links(&self, version: u64) -> Arc<Record> {
        self.record(version, Payload::Links(Links::default()))
    }

    fn leave(&self, version: u64, reason: &str) -> Arc<Record> {
        self.record(version, Payload::Leave { reason: reason.to_owned() })
    }

    fn store_path(&self) -> PathBuf {
        self.dir.path().join(DIRECTORY)
    }
}

fn put(store: &mut AgentStore, top: &Arc<Record>, rival: Option<Arc<Record>>) {
    store.put(top.slot(), Slot { top: top.clone(), rival });
}

fn close(store: AgentStore) {
    store.closer().unwrap().close();
}

#[test]
fn records_rivals_and_clock_survive_a_restart() {
    let world = World::new();
    let (mut store, loaded) = world.open();
    assert_eq!(loaded, Loaded::default());
    let links = world.links(7);
    let mut bodies = [world.leave(9, "one"), world.leave(9, "two")];
    bodies.sort_by(|a, b| b.order().cmp(&a.order()));
    put(&mut store, &links, None);
    put(&mut store, &bodies[0], Some(bodies[1].clone()));
    store.set_last_version(Version(9));
    close(store);
    let (store, loaded) = world.open();
    assert_eq!((loaded.records, loaded.skipped, loaded.last_version), (3, 0, Version(9)));
    assert_eq!(store.slot(links.slot()).unwrap().top, links);
    assert_eq!(store.slot(bodies[0].slot()).unwrap().rival.as_ref(), Some(&bodies[1]));
}

#[test]
fn a_removed_record_stays_away_and_a_replaced_one_is_the_later_one() {
    let world = World::new();
    let (mut store, _) = world.open();
    let leave = world.leave(1, "");
    put(&mut store, &world.links(1), None);
    put(&mut store, &leave, None);
    close(store);
    let (mut store, _) = world.open();
    let later = world.links(2);
    put(&mut store, &later, None);
    store.remove(leave.slot());
    close(store);
    let (store, loaded) = world.open();
    assert_eq!(loaded.records, 1);
    assert_eq!(store.slot(later.slot()).unwrap().top, later);
}

#[test]
fn heartbeats_stay_in_memory() {
    let world = World::new();
    let (mut store, _) = world.open();
    let heartbeat = world.record(1, Payload::Heartbeat(Heartbeat::default()));
    put(&mut store, &heartbeat, None);
    assert_eq!(store.len(), 1);
    close(store);
    assert_eq!(world.open().1.records, 0);
}

#[test]
fn changes_reach_the_disk_without_a_close() {
    let world = World::new();
    let (mut store, _) = world.open();
    put(&mut store, &world.links(1), None);
    let deadline = Instant::now() + Duration::from_secs(30);
    while as_a_crash_would_find_it(&world) == 0 {
        assert!(Instant::now() < deadline, "nothing was written");
        std::thread::sleep(Duration::from_millis(50));
    }
    close(store);
}

/// How many records a copy of the database holds; a copy, because the living store holds the lock.
fn as_a_crash_would_find_it(world: &World) -> usize {
    let copy = World { dir: tempfile::tempdir().unwrap(), keys: world.keys.clone() };
    fs::create_dir(copy.store_path()).unwrap();
    for entry in fs::read_dir(world.store_path()).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.store_path().join(entry.file_name())).unwrap();
        }
    }
    copy.open().1.records
}

#[test]
fn an_open_store_is_not_set_aside_by_a_second_opener() {
    let world = World::new();
    let (store, _) = world.open();
    let second = AgentStore::open(world.dir.path(), &mut world.keys.clone(), &MESH);
    assert!(matches!(second, Err(StoreError::Io { .. })));
    close(store);
}

#[test]
fn records_of_another_mesh_and_damaged_entries_are_skipped() {
    let world = World::new();
    let (mut store, _) = world.open();
    put(&mut store, &world.links(1), None);
    close(store);
    let other = MeshId([6; 32]);
    let opened = AgentStore::open(world.dir.path(), &mut world.keys.clone(), &other).unwrap();
    assert_eq!((opened.1.records, opened.1.skipped), (0, 1));
    close(opened.0);

    let database = Database::open(&world.store_path()).unwrap();
    let key = entry::key(world.links(1).slot());
    let mut value = entry::encode(&Slot { top: world.links(1), rival: None });
    *value.last_mut().unwrap() ^= 1;
    database.write([(key, Some(value)), (b"junk".to_vec(), Some(vec![]))], None).unwrap();
    database.close().unwrap();
    let (_, loaded) = world.open();
    assert_eq!((loaded.records, loaded.skipped), (0, 2));
}

#[test]
fn an_entry_under_a_foreign_key_is_skipped() {
    let world = World::new();
    let database = Database::open(&world.store_path()).unwrap();
    let value = entry::encode(&Slot { top: world.links(1), rival: None });
    let foreign = SlotKey { kind: Kind::LEAVE, ..world.links(1).slot().clone() };
    database.write([(entry::key(&foreign), Some(value))], None).unwrap();
    database.close().unwrap();
    let (_, loaded) = world.open();
    assert_eq!((loaded.records, loaded.skipped), (0, 1));
}

#[test]
fn a_store_of_garbage_is_set_aside_whole_and_a_new_one_works() {
    let world = World::new();
    fs::create_dir(world.store_path()).unwrap();
    for file in ["db", "conf"] {
        fs::write(world.store_path().join(file), vec![0xA5; 70_000]).unwrap();
    }
    let (mut store, loaded) = world.open();
    let aside = loaded.set_aside.unwrap();
    assert!(aside.file_name().unwrap().to_string_lossy().starts_with("store.unreadable-"));
    assert_eq!(fs::read(aside.join("conf")).unwrap(), vec![0xA5; 70_000]);
    put(&mut store, &world.links(1), None);
    close(store);
    assert_eq!(world.open().1.records, 1);
}

#[test]
fn a_store_of_which_nothing_can_be_read_is_set_aside() {
    let world = World::new();
    let (mut store, _) = world.open();
    put(&mut store, &world.links(1), None);
    close(store);
    let db = world.store_path().join("db");
    let length = fs::metadata(&db).unwrap().len();
    fs::write(&db, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let (store, loaded) = world.open();
    assert!(loaded.set_aside.is_some_and(|aside| aside.join("db").exists()));
    close(store);
    assert_eq!(world.open().1, Loaded::default());
}

#[test]
fn a_torn_store_never_panics_and_never_yields_a_changed_record() {
    let world = World::new();
    let (mut store, _) = world.open();
    let expected = world.leave(3, "kept");
    put(&mut store, &world.links(2), None);
    put(&mut store, &expected, None);
    close(store);
    let db = world.store_path().join("db");
    let whole = fs::read(&db).unwrap();
    for cut in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&db, &whole[..cut]).unwrap();
        let (store, _) = world.open();
        store.for_each(&mut |record| assert!(record.verify(&mut world.keys.clone(), &MESH)));
        close(store);
        fs::remove_dir_all(world.store_path()).unwrap();
        let (mut store, _) = world.open();
        put(&mut store, &expected, None);
        close(store);
    }
}

#[test]
fn a_data_directory_that_cannot_be_written_is_an_error_with_its_path() {
    let world = World::new();
    let file = world.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = AgentStore::open(&file, &mut world.keys.clone(), &MESH).unwrap_err();
    assert!(error.to_string().contains("file/store"), "{error}");
}
