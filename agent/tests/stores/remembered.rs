//! An agent that is killed at any moment forgets no shard that it said was on disk, and no finding
//! that it told. `KILLS` (15 unless it is set) says how often it is killed; `SEED` at which moments.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::environment::number;
use crate::place::Place;
use crate::wait::until;

const KILLS: u32 = 15;
/// How long a process lives: from a start that is cut short to an agent at rest.
const ALIVE_MS: std::ops::Range<u64> = 20..1_500;
/// One in so many shards is deleted, the others are damaged.
const DELETIONS: usize = 3;
/// One in so many processes lives until all of its shards are on disk, however slow the machine is.
const PATIENT: u32 = 5;

/// Shards that are known and on disk.
fn on_disk(place: &Place) -> BTreeSet<String> {
    let known = place.with(&["ok"]).unwrap_or_default();
    if place.unsaved() == Ok(0) { known } else { BTreeSet::new() }
}

/// Changes a bit of a shard behind the agent's back.
fn damage(place: &Place, id: &str) {
    let file = fs::File::options().write(true).open(place.shard(id)).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"X", 0).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_killed_agent_forgets_nothing_that_it_said_was_on_disk() {
    let (kills, seed) = (number("KILLS", KILLS), number("SEED", 1));
    println!("KILLS={kills} SEED={seed}");
    let (place, mut random) = (Place::new().init(), StdRng::seed_from_u64(seed));
    let (mut intact, mut damaged, mut deleted) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for kill in 0..kills {
        let id = format!("shard-{kill}");
        let agent = place.run();
        fs::write(place.shard(&id), format!("content of {id}")).unwrap();
        intact.insert(id);
        let end = Instant::now() + Duration::from_millis(random.random_range(ALIVE_MS));
        let mut acknowledged = BTreeSet::new();
        while Instant::now() < end {
            acknowledged = on_disk(&place);
            sleep(Duration::from_millis(random.random_range(1..100)));
        }
        if kill % PATIENT == PATIENT - 1 {
            until("all shards are on disk", || {
                acknowledged = on_disk(&place);
                if acknowledged == intact { Ok(()) } else { Err(format!("{acknowledged:?}")) }
            });
        }
        drop(agent);
        let known: Vec<String> = acknowledged.intersection(&intact).cloned().collect();
        for id in &known {
            intact.remove(id);
            if (damaged.len() + deleted.len()) % DELETIONS == 0 {
                fs::remove_file(place.shard(id)).unwrap();
                deleted.insert(id.clone());
            } else {
                damage(&place, id);
                damaged.insert(id.clone());
            }
        }
    }
    assert!(!damaged.is_empty() && !deleted.is_empty(), "no shard was acknowledged");
    let _agent = place.run();
    until("every shard that changed while nobody looked is told", || {
        let told = (
            place.with(&["ok"])?,
            place.with(&["corrupt", "modified"])?,
            place.with(&["vanished", "evicted"])?,
        );
        let expected = (&intact, &damaged, &deleted);
        if (&told.0, &told.1, &told.2) == expected {
            Ok(())
        } else {
            Err(format!("told {told:?}, expected {expected:?}"))
        }
    });
}
