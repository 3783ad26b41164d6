//! What is lost when a process that writes is killed.

use std::env::current_exe;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use plexmesh_agent::store::{Database, seal};
use plexmesh_benches::stores::redb::Redb;
use plexmesh_benches::stores::{Changes, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Engine;

/// Entries of one write, and different ones before the first are written over.
const BATCH: u32 = 50;
const BATCHES: u32 = 40;
/// How long a process lives.
const ALIVE_MS: std::ops::Range<u64> = 5..400;

/// Kills each database's process so often, on one directory, and looks for what it had said was
/// written.
pub(crate) fn run(dir: &Path, rounds: u32, seed: u64) -> anyhow::Result<()> {
    println!("seed {seed}");
    println!("| database | kills | entries that it said were written | lost | slowest opening |");
    println!("|---|---|---|---|---|");
    for engine in Engine::ALL {
        let directory = dir.join(engine.word());
        let mut random = StdRng::seed_from_u64(seed);
        let (mut acknowledged, mut lost, mut slowest) = (0, 0, Duration::ZERO);
        for round in 0..rounds {
            let batches = killed(engine, &directory, round, random.random_range(ALIVE_MS))?;
            let (missing, opened) = match engine {
                Engine::Sled => missing::<Database>(&directory, round, batches)?,
                Engine::Redb => missing::<Redb>(&directory, round, batches)?,
            };
            acknowledged += u64::from(batches * BATCH);
            lost += missing;
            slowest = slowest.max(opened);
        }
        let ms = slowest.as_millis();
        println!("| {} | {rounds} | {acknowledged} | {lost} | {ms} ms |", engine.word());
        fs::remove_dir_all(&directory)?;
        ensure!(lost == 0, "{} lost {lost} entries", engine.word());
    }
    Ok(())
}

/// Starts a process that writes and kills it; how many writes it said were done.
fn killed(engine: Engine, directory: &Path, round: u32, alive_ms: u64) -> anyhow::Result<u32> {
    let mut command = Command::new(current_exe()?);
    command.args(["write", engine.word()]).arg(directory).arg(round.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no output")?;
    sleep(Duration::from_millis(alive_ms));
    child.kill()?;
    child.wait()?;
    // The pipe holds what it said until then; the last line may be cut short.
    let lines = BufReader::new(output).split(b'\n');
    Ok(lines.map_while(Result::ok).filter(|line| line.as_slice() == b"written").count() as u32)
}

/// Writes until it is killed, and says after each write that it is done.
pub(crate) fn write<S: Store>(directory: &Path, round: u32) -> anyhow::Result<()> {
    let store = S::open(directory)?;
    let mut output = io::stdout().lock();
    for batch in 0.. {
        store.write(changes(round, batch))?;
        output.write_all(b"written\n")?;
        output.flush()?;
    }
    Ok(())
}

fn changes(round: u32, batch: u32) -> Changes {
    let numbers = (0..BATCH).map(|number| (batch % BATCHES) * BATCH + number);
    let value = |number: u32| seal(&[number, round, batch].map(u32::to_be_bytes).concat());
    numbers.map(|number| (number.to_be_bytes().to_vec(), Some(value(number)))).collect()
}

/// Entries of the last writes that are not as they were written, and how long opening took. The write
/// that was cut short may be there too.
fn missing<S: Store>(
    directory: &Path,
    round: u32,
    batches: u32,
) -> anyhow::Result<(u64, Duration)> {
    let began = Instant::now();
    let store = S::open(directory)?;
    let opened = began.elapsed();
    let mut lost = 0;
    for batch in batches.saturating_sub(BATCHES)..batches {
        let later = changes(round, batch + BATCHES);
        for ((key, value), (_, over)) in changes(round, batch).into_iter().zip(later) {
            let found = store.get(&key)?;
            let is_later = batch + BATCHES == batches && found == over;
            lost += u64::from(found != value && !is_later);
        }
    }
    store.close()?;
    Ok((lost, opened))
}
