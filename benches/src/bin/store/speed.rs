//! How fast databases are.

use std::env::current_exe;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use plexmesh_agent::store::seal;
use plexmesh_benches::process::{cpu_times, kib};
use plexmesh_benches::stores::{Changes, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Engine;

/// Entries of one write, as the scrub has it.
const BATCH: u32 = 4_096;
/// Bytes of what is remembered of a shard, and of its id.
const VALUE_BYTES: usize = 110;
const KEY_BYTES: usize = 28;
/// Times that all entries are written over, and writes of one entry alone.
const OVERWRITES: u32 = 3;
const SINGLES: u32 = 200;
/// What is measured, in the order in which a process prints it.
const FIGURES: [&str; 11] = [
    "entries written a second, 4096 in a write",
    "the same, a CPU second",
    "read one by one, a second",
    "visited, a second",
    "written over, a second",
    "writes of one entry, a second",
    "opening, ms",
    "file after all were written, MB",
    "after all were written over three times, MB",
    "after compaction, MB",
    "most memory, MB",
];

/// Measures each database in turn, and prints a table of medians.
pub(crate) fn run(dir: &Path, entries: u32, rounds: usize) -> anyhow::Result<()> {
    let mut columns: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); FIGURES.len()]; Engine::ALL.len()];
    for _ in 0..rounds {
        for (engine, figures) in Engine::ALL.into_iter().zip(&mut columns) {
            let directory = dir.join(engine.word());
            let mut command = Command::new(current_exe()?);
            command.args(["work", engine.word()]).arg(&directory).arg(entries.to_string());
            let output = command.output()?;
            let text = String::from_utf8(output.stdout)?;
            ensure!(output.status.success(), "{}: {text}", engine.word());
            for (figure, line) in figures.iter_mut().zip(text.lines()) {
                figure.push(line.parse()?);
            }
            fs::remove_dir_all(&directory)?;
        }
    }
    println!("| {entries} entries, median of {rounds} | sled | redb |\n|---|---|---|");
    for (place, name) in FIGURES.into_iter().enumerate() {
        let cells: Vec<String> = columns.iter_mut().map(|it| median(&mut it[place])).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn median(figures: &mut [f64]) -> String {
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN);
    if median < 100.0 { format!("{median:.1}") } else { format!("{median:.0}") }
}

/// Does the work once, and prints a figure a line.
pub(crate) fn work<S: Store>(directory: &Path, entries: u32) -> anyhow::Result<()> {
    let mut store = S::open(directory)?;
    let cpu = || anyhow::Ok(cpu_times(&fs::read_to_string("/proc/self/stat")?).own.as_secs_f64());
    let (began, cpu_before) = (Instant::now(), cpu()?);
    write_all(&store, entries, 0)?;
    println!("{}", f64::from(entries) / began.elapsed().as_secs_f64());
    println!("{}", f64::from(entries) / (cpu()? - cpu_before).max(0.01));
    let written = S::file_bytes(directory)?;
    println!("{}", rate(entries, || read_one_by_one(&store, entries))?);
    println!("{}", rate(entries, || visit(&store, entries))?);
    let over = || (1..=OVERWRITES).try_for_each(|time| write_all(&store, entries, time));
    println!("{}", rate(entries * OVERWRITES, over)?);
    let single = |number| store.write(changes(number..number + 1, OVERWRITES));
    println!("{}", rate(SINGLES, || (0..SINGLES).try_for_each(single))?);
    store.close()?;
    let overwritten = S::file_bytes(directory)?;
    let began = Instant::now();
    store = S::open(directory)?;
    println!("{}", began.elapsed().as_secs_f64() * 1e3);
    let most = kib(&fs::read_to_string("/proc/self/status")?, "VmHWM").context("no memory")?;
    store = store.compact()?;
    store.close()?;
    for bytes in [written, overwritten, S::file_bytes(directory)?] {
        println!("{}", bytes as f64 / 1e6);
    }
    println!("{}", most as f64 / 1e3);
    Ok(())
}

fn rate(count: u32, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

fn write_all<S: Store>(store: &S, entries: u32, time: u32) -> anyhow::Result<()> {
    for from in (0..entries).step_by(BATCH as usize) {
        store.write(changes(from..entries.min(from + BATCH), time))?;
    }
    Ok(())
}

fn read_one_by_one<S: Store>(store: &S, entries: u32) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..entries {
        let found = store.get(&key(random.random_range(0..entries)))?;
        ensure!(found.is_some(), "an entry is gone");
    }
    Ok(())
}

fn visit<S: Store>(store: &S, entries: u32) -> anyhow::Result<()> {
    let mut count = 0;
    store.for_each(&mut |_, _| count += 1)?;
    ensure!(count == entries, "{count} of {entries} entries are there");
    Ok(())
}

fn changes(numbers: std::ops::Range<u32>, time: u32) -> Changes {
    numbers.map(|number| (key(number), Some(value(number, time)))).collect()
}

/// Keys come in no order, as ids do.
fn key(number: u32) -> Vec<u8> {
    let hash = blake3::hash(&number.to_be_bytes());
    hash.as_bytes().iter().copied().take(KEY_BYTES).collect()
}

fn value(number: u32, time: u32) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    let mut reader = blake3::Hasher::new();
    reader.update(&number.to_be_bytes()).update(&time.to_be_bytes());
    reader.finalize_xof().fill(&mut value);
    seal(&value)
}
