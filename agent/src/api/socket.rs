//! Where the local socket lies. Agent and command line agree because both take the first place of
//! one list.

use std::path::{Path, PathBuf};

use super::problem::{Code, Problem};

/// File name of the socket inside of a data directory or a runtime directory.
const SOCKET_NAME: &str = "agent.sock";
/// Where an agent that the system runs has its socket.
const SYSTEM_SOCKET: &str = "/run/plexmesh/agent.sock";

/// Longest path of a socket, in bytes: `sockaddr_un` holds one more, the closing zero.
pub const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Refuses a path at which no socket can be.
///
/// # Errors
/// [`Problem`] that says how long it is and how long it may be.
pub fn refuse_long(path: &Path) -> Result<(), Problem> {
    let length = path.as_os_str().len();
    if length <= MAX_PATH_BYTES {
        return Ok(());
    }
    let message = format!(
        "the path of the socket has {length} bytes, and the system allows {MAX_PATH_BYTES}: {}",
        path.display()
    );
    Err(Problem::new(Code::Usage, message)
        .because("--socket, --data-dir or their environment variables name a deep directory")
        .then("plexmesh --socket \"$XDG_RUNTIME_DIR/plexmesh.sock\" ..., for the agent and for all that ask it"))
}

/// A place where the socket may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The socket.
    pub path: PathBuf,
    /// What named it, for people.
    pub source: &'static str,
}

/// Places in order. A place that was named is the only one: who names a socket does not want
/// another agent.
#[must_use]
pub fn places(
    socket: Option<&Path>,
    data_dir: Option<&Path>,
    runtime_dir: Option<&Path>,
) -> Vec<Place> {
    if let Some(path) = socket {
        return vec![Place { path: path.to_owned(), source: "--socket or PLEXMESH_SOCKET" }];
    }
    if let Some(dir) = data_dir {
        let source = "--data-dir or PLEXMESH_DATA_DIR";
        return vec![Place { path: dir.join(SOCKET_NAME), source }];
    }
    let runtime = runtime_dir.map(|dir| Place {
        path: dir.join("plexmesh").join(SOCKET_NAME),
        source: "XDG_RUNTIME_DIR",
    });
    let system = Place { path: SYSTEM_SOCKET.into(), source: "the system's agent" };
    runtime.into_iter().chain([system]).collect()
}

/// [`places`] for this process: the runtime directory comes from `XDG_RUNTIME_DIR`.
#[must_use]
pub fn places_here(socket: Option<&Path>, data_dir: Option<&Path>) -> Vec<Place> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    places(socket, data_dir, runtime.as_deref().map(Path::new))
}

/// Where an agent with these flags is to bind its socket: the first of [`places_here`].
#[must_use]
pub fn place_to_bind(socket: Option<&Path>, data_dir: Option<&Path>) -> PathBuf {
    places_here(socket, data_dir)
        .into_iter()
        .next()
        .map_or_else(|| SYSTEM_SOCKET.into(), |place| place.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(socket: Option<&str>, data: Option<&str>, runtime: Option<&str>) -> Vec<String> {
        places(socket.map(Path::new), data.map(Path::new), runtime.map(Path::new))
            .into_iter()
            .map(|place| place.path.display().to_string())
            .collect()
    }

    #[test]
    fn a_path_is_refused_from_the_first_byte_that_does_not_fit() {
        let path = |bytes: usize| PathBuf::from(format!("/{}", "x".repeat(bytes - 1)));
        assert_eq!(refuse_long(&path(MAX_PATH_BYTES)), Ok(()));
        let problem = refuse_long(&path(MAX_PATH_BYTES + 1)).unwrap_err();
        assert_eq!(problem.code, Code::Usage);
        let bound = std::os::unix::net::SocketAddr::from_pathname(path(MAX_PATH_BYTES + 1));
        assert!(bound.is_err(), "the system takes more than is allowed here");
    }

    #[test]
    fn what_is_named_comes_before_what_is_usual() {
        assert_eq!(paths(Some("/a.sock"), Some("/d"), Some("/run/u")), ["/a.sock"]);
        assert_eq!(paths(None, Some("/d"), Some("/run/u")), ["/d/agent.sock"]);
        assert_eq!(
            paths(None, None, Some("/run/user/7")),
            ["/run/user/7/plexmesh/agent.sock", SYSTEM_SOCKET]
        );
        assert_eq!(paths(None, None, None), [SYSTEM_SOCKET]);
    }
}
