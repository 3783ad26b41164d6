//! Network namespaces, one for each agent: made, and removed however the lab ends.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// How all namespaces of labs begin.
const PREFIX: &str = "plexmesh-lab";
/// What a lab's process is called; a process id that was given to somebody else is no lab.
const PROGRAM: &str = "plexmesh-lab";
/// Where `ip netns` keeps them.
const DIRECTORY: &str = "/run/netns";

/// The name of a namespace of a lab with this process id.
pub(crate) fn name(pid: u32, host: usize) -> String {
    format!("{PREFIX}-{pid}-{host}")
}

/// The process id of the lab that a namespace belongs to; `None` if it is none of a lab.
fn owner(name: &str) -> Option<u32> {
    let (pid, host) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    host.parse::<usize>().ok()?;
    pid.parse().ok()
}

/// Namespaces among `names` whose lab does not live any more.
fn leftovers(names: &[String], lives: impl Fn(u32) -> bool) -> Vec<&str> {
    let dead = |name: &&String| owner(name).is_some_and(|pid| !lives(pid));
    names.iter().filter(dead).map(String::as_str).collect()
}

/// The namespaces of this lab. They are removed with it.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    made: Vec<String>,
}

impl Namespaces {
    /// Makes one more, with its loopback device up.
    pub(crate) fn add(&mut self, host: usize) -> anyhow::Result<String> {
        let name = name(std::process::id(), host);
        ip(&["netns", "add", &name])?;
        self.made.push(name.clone());
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        Ok(name)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.made {
            if let Err(error) = ip(&["netns", "del", name]) {
                eprintln!("plexmesh-lab: {error:#}; the next lab tries again");
            }
        }
    }
}

/// Removes what labs left that were killed.
pub(crate) fn clean_up() -> anyhow::Result<()> {
    let names = match fs::read_dir(DIRECTORY) {
        Ok(entries) => {
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
        }
        // Nobody has made a namespace since the machine started.
        Err(_) => Vec::new(),
    };
    for name in leftovers(&names, is_lab) {
        eprintln!("plexmesh-lab: removes the namespace {name} of a lab that is gone");
        ip(&["netns", "del", name])?;
    }
    Ok(())
}

fn is_lab(pid: u32) -> bool {
    let name = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"));
    name.is_ok_and(|name| name.trim_end() == PROGRAM)
}

/// Runs `ip`.
pub(crate) fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("ip").args(arguments).output().context("cannot run `ip`")?;
    ensure!(
        output.status.success(),
        "`ip {}` failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs several commands of `ip` in one namespace.
pub(crate) fn ip_batch(namespace: &str, commands: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip`")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(commands.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "`ip` in {namespace} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_dead_labs_are_leftovers() {
        let names = [name(10, 0), name(11, 3)].into_iter();
        let others = [
            "plexmesh-lab",
            "plexmesh-lab-10",
            "plexmesh-lab-x-1",
            "vpn-10-0",
            "my-plexmesh-lab-10-0",
        ];
        let names: Vec<String> = names.chain(others.map(str::to_owned)).collect();
        assert_eq!(leftovers(&names, |pid| pid == 11), ["plexmesh-lab-10-0"]);
        assert!(leftovers(&names, |_| true).is_empty());
    }

    #[test]
    fn two_labs_have_different_names() {
        assert_ne!(name(1, 11), name(11, 1));
        assert_eq!(owner(&name(4_194_304, 29)), Some(4_194_304));
    }
}
