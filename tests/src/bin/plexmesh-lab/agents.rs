//! Agents as processes, each in its namespace: started, asked, stopped, killed.

use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use plexmesh_agent::mesh::{self, Labels, Seed};
use plexmesh_agent::time::WallTime;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long one answer may take on a crowded machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Shards of each agent: one to go bad, and some that stay whole.
const SHARDS: usize = 4;
const SHARD_BYTES: usize = 4 * 1024;
/// What an agent remembers of the mesh; its identity lies beside it.
const MEMORY: [&str; 2] = ["store", "inventory"];

/// Where an agent lives.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The multiaddr that it listens on.
    pub(crate) listen: String,
}

/// One agent and its directory.
#[derive(Debug)]
pub(crate) struct Agent {
    program: PathBuf,
    pub(crate) dir: PathBuf,
    place: Place,
    process: Option<Child>,
}

impl Agent {
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = Command::new("ip");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PLEXMESH_") {
                command.env_remove(name);
            }
        }
        // `ip` becomes the agent, so its process id is the agent's.
        command
            .args(["netns", "exec", &self.place.namespace])
            .arg(&self.program)
            .args(["run", "--die-with-stdin", "--config"])
            .arg(self.dir.join("empty.toml"))
            .arg("--data-dir")
            .arg(&self.dir)
            .arg("--shards")
            .arg(self.dir.join("shards"))
            .args(["--listen", &self.place.listen])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(command.spawn().context("cannot start an agent")?);
        Ok(())
    }

    /// Lets the process end in order, as a service manager does.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process {
            kill_process(pid_of(process)?, Signal::TERM)?;
            process.wait()?;
        }
        self.process = None;
        Ok(())
    }

    /// Ends the process without a word.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Removes what it remembers of the mesh; it stays who it is.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        for name in MEMORY {
            match fs::remove_dir_all(self.dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops the process as it is, or lets it go on.
    pub(crate) fn set_paused(&self, paused: bool) -> anyhow::Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        kill_process(pid_of(process)?, if paused { Signal::STOP } else { Signal::CONT })?;
        Ok(())
    }

    /// Whether the process ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !matches!(process.try_wait(), Ok(None)))
    }

    /// Flips a bit of the first shard and sets its times back, so that the file looks untouched, and has all shards read. The second time the shard is whole again.
    pub(crate) fn flip(&self) -> anyhow::Result<()> {
        let path = self.dir.join("shards").join("shard-0");
        let file = File::options().read(true).write(true).open(path)?;
        let before = file.metadata()?;
        let mut byte = [0; 1];
        file.read_exact_at(&mut byte, 0)?;
        file.write_all_at(&byte.map(|byte| byte ^ 1), 0)?;
        let times =
            FileTimes::new().set_accessed(before.accessed()?).set_modified(before.modified()?);
        file.set_times(times)?;
        let mut stream = self.connect()?;
        let body = "{}";
        write!(
            stream,
            "POST /v1/scrub HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.answer(stream, "/v1/scrub").map(|_| ())
    }

    fn connect(&self) -> anyhow::Result<UnixStream> {
        Ok(UnixStream::connect(self.dir.join("agent.sock"))?)
    }

    fn answer(&self, mut stream: UnixStream, path: &str) -> anyhow::Result<Value> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) =
            answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no answer to {path}"))?;
        let is_good = head.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
        ensure!(is_good, "{path} was refused: {body}");
        Ok(serde_json::from_str(body)?)
    }
}

fn pid_of(process: &Child) -> anyhow::Result<Pid> {
    i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("a process without an id")
}

/// The document of an agent in `dir` at a path.
pub(crate) fn ask(dir: &Path, path: &str) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(dir.join("agent.sock"))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(serde_json::from_str(body.ok_or_else(|| anyhow!("no answer to {path}"))?)?)
}

impl Drop for Agent {
    fn drop(&mut self) {
        // What cannot be killed ends with its standard input.
        let _ = self.kill();
    }
}

/// The name under which others speak of an agent.
pub(crate) fn name(host: usize) -> String {
    format!("peer-{host}")
}

/// The agent of a name.
pub(crate) fn host_of(name: &str) -> Option<usize> {
    name.strip_prefix("peer-")?.parse().ok()
}

/// A mesh of agents that share the first one as seed; none runs yet.
pub(crate) fn mesh_of(
    program: &Path,
    root: &Path,
    places: Vec<Place>,
) -> anyhow::Result<Vec<Agent>> {
    let wall_s = WallTime::now().ms() / 1_000;
    let (mut agents, mut seeds) = (Vec::new(), Vec::new());
    let first = root.join(name(0));
    for (host, place) in places.into_iter().enumerate() {
        let dir = root.join(name(host));
        let labels = Labels { name: Some(name(host)), ..Labels::default() };
        if host == 0 {
            let peer = mesh::init(&dir, labels, wall_s)?.peer;
            seeds.push(Seed { peer, address: place.listen.clone() });
        } else {
            mesh::enrol(&first, &dir, labels, seeds.clone(), wall_s)?;
        }
        fs::write(dir.join("empty.toml"), "")?;
        fill(&dir.join("shards"), host)?;
        agents.push(Agent { program: program.to_owned(), dir, place, process: None });
    }
    Ok(agents)
}

fn fill(directory: &Path, host: usize) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for shard in 0..SHARDS {
        let byte = u8::try_from((host * 31 + shard) % 251)?;
        fs::write(directory.join(format!("shard-{shard}")), vec![byte; SHARD_BYTES])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hosts_belong_together() {
        assert_eq!(host_of(&name(17)), Some(17));
        assert_eq!((host_of("peer-"), host_of("node-3")), (None, None));
    }
}
