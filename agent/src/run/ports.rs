//! Ports that somebody else has, told with who may have them before anything is made.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::api::problem::{Code, Problem};

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// QUIC.
    Udp,
    /// TCP.
    Tcp,
}

/// The part of a multiaddr that the system knows: `/ip4/0.0.0.0/udp/6374/quic-v1`.
#[must_use]
pub fn parse(multiaddr: &str) -> Option<(Transport, SocketAddr)> {
    let mut parts = multiaddr.strip_prefix('/')?.split('/');
    let (family, ip) = (parts.next()?, parts.next()?);
    let ip: IpAddr = ip.parse().ok()?;
    if (family == "ip4") != ip.is_ipv4() {
        return None;
    }
    let transport = match parts.next()? {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        _ => return None,
    };
    Some((transport, SocketAddr::new(ip, parts.next()?.parse().ok()?)))
}

/// Takes a port for an instant.
///
/// The transport would not notice a TCP port that another agent of the same user has: it shares
/// ports, so that dialling can use them too, and the system would deal connections out to both.
///
/// # Errors
/// What the system says if it cannot be had.
pub fn take(transport: Transport, address: SocketAddr) -> io::Result<()> {
    match transport {
        Transport::Udp => bound(SocketType::DGRAM, address).map(drop),
        Transport::Tcp => {
            let socket = bound(SocketType::STREAM, address)?;
            Ok(net::listen(&socket, 1)?)
        }
    }
}

/// A bound socket as the transport makes it, but for sharing.
fn bound(kind: SocketType, address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        // Connections of an earlier start may be closing still.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    net::bind(&socket, &address)?;
    Ok(socket)
}

/// Why a port cannot be had, and what shows more of it.
#[must_use]
pub fn explained(address: SocketAddr, error: &io::Error) -> (String, String) {
    let (port, ip) = (address.port(), address.ip());
    match error.kind() {
        ErrorKind::AddrInUse => (
            "another process has this port".to_owned(),
            format!("sudo ss -lntup 'sport = :{port}'"),
        ),
        ErrorKind::AddrNotAvailable => {
            (format!("no interface of this host has {ip}"), "ip address".to_owned())
        }
        ErrorKind::PermissionDenied => (
            "this user may not have so low a port".to_owned(),
            "sysctl net.ipv4.ip_unprivileged_port_start".to_owned(),
        ),
        _ => (error.to_string(), "plexmesh config show --origin net".to_owned()),
    }
}

/// Refuses addresses of which one cannot be listened on.
pub(super) fn refuse_taken(listen: &[String]) -> Result<(), Problem> {
    for (multiaddr, (transport, address)) in listen.iter().filter_map(|it| Some((it, parse(it)?))) {
        let Err(error) = take(transport, address) else { continue };
        let (reason, next) = explained(address, &error);
        let problem = if error.kind() == ErrorKind::AddrInUse {
            let message = format!("cannot listen on {multiaddr}: {reason}");
            Problem::new(Code::InUse, message).because(
                "another agent of this host, which needs a port of its own (--listen or \
                 net.listen), or a program that happens to use this one",
            )
        } else {
            Problem::new(Code::Failed, format!("cannot listen on {multiaddr}: {error}"))
                .because(reason)
        };
        return Err(problem.then(next));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read_as_far_as_the_system_knows_them() {
        let parsed = parse("/ip4/0.0.0.0/udp/6374/quic-v1").unwrap();
        assert_eq!(parsed, (Transport::Udp, "0.0.0.0:6374".parse().unwrap()));
        let parsed = parse("/ip6/::1/tcp/6374").unwrap();
        assert_eq!(parsed, (Transport::Tcp, "[::1]:6374".parse().unwrap()));
        for other in ["/dns4/example.org/tcp/6374", "/ip4/::1/tcp/1", "/ip4/1.2.3.4/sctp/1", "x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_tcp_port_that_somebody_shares_is_taken_all_the_same() {
        let shared = bound(SocketType::STREAM, "127.0.0.1:0".parse().unwrap()).unwrap();
        sockopt::set_socket_reuseport(&shared, true).unwrap();
        net::listen(&shared, 1).unwrap();
        let shared = TcpListener::from(shared);
        let error = take(Transport::Tcp, shared.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn both_families_can_have_one_port() {
        let four = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = four.local_addr().unwrap().port();
        let six = SocketAddr::new("::".parse().unwrap(), port);
        match take(Transport::Tcp, six) {
            Ok(()) => {}
            // A host without IPv6.
            Err(error) => assert_ne!(error.kind(), ErrorKind::AddrInUse, "{error}"),
        }
    }
}
