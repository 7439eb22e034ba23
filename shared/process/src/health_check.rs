//! `--healthcheck`: asks a running process whether it is ready, so that a container needs no other program for its
//! health check.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// How long connecting and each read and write may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than any response.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Requests `/readyz` from the local process that listens on `bind`: success if it is ready. Prints the response.
pub(super) fn probe(bind: SocketAddr) -> ExitCode {
    match http_status(bind) {
        Ok((200, body)) => {
            println!("{body}");
            ExitCode::SUCCESS
        }
        Ok((_, body)) => {
            println!("{body}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{} does not answer: {error}", reachable(bind));
            ExitCode::FAILURE
        }
    }
}

/// The address under which `bind` is reachable from the same machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, bind.port())
}

fn http_status(bind: SocketAddr) -> std::io::Result<(u16, String)> {
    let address = reachable(bind);
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))?;
    Ok((status, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_probed_on_loopback() {
        for (bind, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("10.0.0.7:80", "10.0.0.7:80")]
        {
            assert_eq!(reachable(bind.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
