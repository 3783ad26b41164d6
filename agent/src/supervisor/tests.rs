//! What a supervisor hears, and when.

use super::*;

/// Time within which a sign of life is wanted.
const DEADLINE: Duration = Duration::from_secs(60);

/// A supervisor that a test reads.
struct Listener {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Listener {
    fn bind() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, dir }
    }

    fn supervisor(&self, others: &[(&str, &str)]) -> Supervisor {
        let path = self.dir.path().join("notify").into_os_string();
        Supervisor::named(|name| match name {
            SOCKET_VARIABLE => Some(path.clone()),
            _ => others.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into()),
        })
    }

    fn heard(&self) -> Vec<String> {
        let mut buffer = [0; 4_096];
        std::iter::from_fn(|| {
            self.socket.recv(&mut buffer).ok().map(|length| text(&buffer, length))
        })
        .collect()
    }
}

fn text(buffer: &[u8], length: usize) -> String {
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn watchdog(listener: &Listener) -> Watchdog {
    listener.supervisor(&[(WATCHDOG_VARIABLE, "60000000")]).watchdog()
}

#[test]
fn nobody_is_told_anything_where_nobody_asks() {
    let supervisor = Supervisor::named(|_| None);
    assert!(!supervisor.listens());
    supervisor.ready();
}

#[test]
fn a_reload_is_told_with_the_time_that_it_began() {
    let listener = Listener::bind();
    let before = clock::awake_micros();
    listener.supervisor(&[]).reloading();
    let heard = listener.heard();
    let time = heard[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() >= before);
}

#[test]
fn a_status_is_one_line_whatever_a_peer_is_called() {
    let listener = Listener::bind();
    listener.supervisor(&[]).status("1 finding: \nSTOPPING=1");
    assert_eq!(listener.heard(), ["STATUS=1 finding: ?STOPPING=1"]);
}

#[test]
fn an_endless_status_is_cut() {
    let listener = Listener::bind();
    listener.supervisor(&[]).status(&"ä".repeat(10_000));
    assert_eq!(listener.heard()[0].chars().count(), "STATUS=".len() + MAX_STATUS_CHARS);
}

#[test]
fn a_driver_that_steps_feeds_at_its_first_step_and_each_half_of_the_deadline() {
    let listener = Listener::bind();
    let mut watchdog = watchdog(&listener);
    let start = watchdog.due;
    for millis in (0..=60_000).step_by(100) {
        watchdog.stepped(start + Duration::from_millis(millis));
    }
    assert_eq!(listener.heard(), ["WATCHDOG=1"; 3]);
}

#[test]
fn a_driver_that_is_stuck_feeds_no_more() {
    let listener = Listener::bind();
    let mut watchdog = watchdog(&listener);
    watchdog.stepped(watchdog.due);
    listener.heard();
    // However long it takes: without a step there is nobody who could feed.
    assert!(listener.heard().is_empty());
    watchdog.stepped(watchdog.due + DEADLINE);
    assert_eq!(listener.heard(), ["WATCHDOG=1"]);
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let listener = Listener::bind();
    let set = [(WATCHDOG_VARIABLE, "60000000"), (WATCHDOG_PID_VARIABLE, "1")];
    let mut watchdog = listener.supervisor(&set).watchdog();
    watchdog.stepped(watchdog.due);
    assert!(listener.heard().is_empty());
}

#[test]
fn a_watchdog_time_that_is_no_number_is_none() {
    let listener = Listener::bind();
    for value in ["", "0", "soon", "-1"] {
        let mut watchdog = listener.supervisor(&[(WATCHDOG_VARIABLE, value)]).watchdog();
        watchdog.stepped(watchdog.due);
        assert!(listener.heard().is_empty(), "{value}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_supervisor_may_listen_in_no_directory() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("plexmesh-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let given = OsString::from(format!("@{name}"));
    Supervisor::named(|it| (it == SOCKET_VARIABLE).then(|| given.clone())).ready();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(text(&buffer, length), "READY=1");
}

#[test]
fn a_supervisor_that_hangs_does_not_hold_the_agent_up() {
    let listener = Listener::bind();
    let supervisor = listener.supervisor(&[]);
    // More than any queue of datagrams holds.
    for _ in 0..10_000 {
        supervisor.ready();
    }
    assert!(!listener.heard().is_empty());
}
