//! What an agent takes that holds very many shards and has nothing to read.

use std::env::current_exe;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use plexmesh_agent::text::hex;
use plexmesh_benches::process::{cpu_times, kib};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The manifest of a Backup Node.
const MANIFEST: &str = "shards_database.json";
/// Bytes of a shard: what an agent remembers of one does not depend on them.
const SHARD_BYTES: usize = 16;
/// Pieces of one backup, which has an id of the length that real ones have.
const PIECES: usize = 1_000;
/// Between two questions.
const POLL: Duration = Duration::from_millis(50);
/// Longest time until everything is read, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(600);
/// From the last reading until nothing of it is held any more: a database is closed after a minute.
const REST: Duration = Duration::from_secs(90);
/// How long CPU time is counted.
const SPAN: Duration = Duration::from_secs(60);

pub(crate) fn run(dir: &Path, files: usize) -> anyhow::Result<()> {
    let (shards, none, home) = (dir.join("shards"), dir.join("none"), dir.join("home"));
    fill(&shards, files)?;
    fill(&none, 0)?;
    println!(
        "| an agent of {files} shards | memory | of it not of the program's file | most | CPU at rest |"
    );
    println!("|---|---|---|---|---|");
    let agent = Agent::start(&dir.join("empty"), &none, 0)?;
    agent.print("without shards")?;
    agent.end()?;
    let agent = Agent::start(&home, &shards, files)?;
    agent.print("after it read all of them")?;
    agent.end()?;
    let agent = Agent::start(&home, &shards, files)?;
    agent.print("after a start")?;
    println!("\nAll shards were known {:.2} s after that start.", agent.known_after.as_secs_f64());
    agent.end()
}

/// Makes shards and their manifest, unless they are there.
fn fill(dir: &Path, files: usize) -> anyhow::Result<()> {
    let manifest = dir.join(MANIFEST);
    if manifest.exists() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    let mut records = Map::new();
    for number in 0..files {
        let content = format!("{number:0SHARD_BYTES$}");
        let backup = hex(&Sha256::digest((number / PIECES).to_be_bytes()));
        let backup = backup.get(..24).context("no digest")?;
        let id = format!("backup_1700000000000_{backup}_shard_{:04}", number % PIECES);
        fs::write(dir.join(format!("shard_{id}")), &content)?;
        let hash = hex(&Sha256::digest(&content));
        let record = json!({
            "shard_id": id, "original_hash": hash, "size_bytes": SHARD_BYTES,
            "created_at": "2026-11-01T10:00:00+00:00", "last_verified": null,
            "verification_count": 0, "source_node": "node", "redundancy_level": 3, "metadata": {},
        });
        records.insert(id, record);
    }
    Ok(fs::write(manifest, Value::from(records).to_string())?)
}

/// An agent of its own mesh that has read all of its shards.
struct Agent {
    process: Child,
    known_after: Duration,
}

impl Agent {
    /// Starts it, and waits until nothing is left to read.
    fn start(home: &Path, shards: &Path, files: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(home)?;
        fs::write(home.join("config.toml"), "")?;
        if !home.join("data").exists() {
            let made = plexmesh(home)?.arg("init").stdout(Stdio::null()).status()?;
            ensure!(made.success(), "plexmesh init ended with {made}");
        }
        let began = Instant::now();
        let mut run = plexmesh(home)?;
        run.args(["run", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--shards"]).arg(shards);
        run.env("PLEXMESH_SCRUB__DUTY_PERCENT", "100");
        let process =
            run.stdout(Stdio::null()).stderr(fs::File::create(home.join("log"))?).spawn()?;
        let mut agent = Self { process, known_after: Duration::MAX };
        loop {
            sleep(POLL);
            let ended = agent.process.try_wait()?;
            ensure!(ended.is_none(), "the agent ended; its log: {}", home.join("log").display());
            ensure!(began.elapsed() < PATIENCE, "shards are left after {PATIENCE:?}");
            let Some(scrub) = asked(home)? else { continue };
            let number = |field: &str| scrub.get(field).and_then(Value::as_u64);
            if number("shards") != Some(files as u64) {
                continue;
            }
            agent.known_after = agent.known_after.min(began.elapsed());
            if number("readInTime") == Some(files as u64) && number("unsavedChanges") == Some(0) {
                return Ok(agent);
            }
        }
    }

    /// Prints what it takes once it is at rest.
    fn print(&self, what: &str) -> anyhow::Result<()> {
        sleep(REST);
        let before = self.cpu()?;
        sleep(SPAN);
        let share = (self.cpu()? - before).as_secs_f64() / SPAN.as_secs_f64();
        let status = fs::read_to_string(self.file("status"))?;
        let mib =
            |field: &str| kib(&status, field).map(|kib| kib as f64 / 1024.0).context("no memory");
        let (all, own, most) = (mib("VmRSS")?, mib("RssAnon")?, mib("VmHWM")?);
        println!(
            "| {what} | {all:.1} MiB | {own:.1} MiB | {most:.1} MiB | {:.2} % |",
            share * 100.0
        );
        Ok(())
    }

    fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(cpu_times(&fs::read_to_string(self.file("stat"))?).own)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.process.id().to_string()).join(name)
    }

    /// Ends it as a service manager does.
    fn end(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // After a failure; else it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the agent says of its scrub; `None` while it does not answer.
fn asked(home: &Path) -> anyhow::Result<Option<Value>> {
    let output = plexmesh(home)?.args(["scrub", "-o", "json"]).stderr(Stdio::null()).output()?;
    let document = serde_json::from_slice::<Value>(&output.stdout).ok();
    Ok(document.and_then(|mut document| Some(document.pointer_mut("/items/0")?.take())))
}

/// The program that was built beside this one.
fn plexmesh(home: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(current_exe()?.with_file_name("plexmesh"));
    command.arg("--config").arg(home.join("config.toml"));
    command.arg("--data-dir").arg(home.join("data")).arg("--socket").arg(home.join("socket"));
    Ok(command)
}
