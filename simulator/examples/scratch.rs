use std::time::Duration;
use plexmesh_simulator::{World, check};
fn main() {
  for seed in 1..6 {
    let mut world = World::builder(seed).nodes(100).loss(0.1).latency_ms(5..60).build();
    let all: Vec<usize> = (0..100).collect();
    for _ in 0..8 {
        world.run_for(Duration::from_secs(15));
        let d = check::digests(&world, &all);
        let rosters: Vec<usize> = all.iter().map(|&h| world.node(h).unwrap().roster().members().len()).collect();
        let min = rosters.iter().min().unwrap();
        println!("seed {seed} {:?} digests {} roster min {} states {:?} full {}", world.elapsed(), d.len(), min, check::states(&world, &all), rosters.iter().filter(|&&r| r==100).count());
    }
    for &h in &all { let n = world.node(h).unwrap();
            if n.roster().members().len() < 90 { println!("  host {h} roster {} connected {} counters {:?}", n.roster().members().len(), n.connected().count(), n.counters()); } }
  }
}
