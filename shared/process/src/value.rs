//! The kinds of values that settings have.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use tracing_subscriber::EnvFilter;
use url::Url;
use windlass_storage::Location;

/// A kind of value that a setting can have.
pub trait SettingValue: Sized {
    /// What a value looks like: "a duration such as `30s`".
    const EXPECTED: &'static str;
    /// Whether values are bare numbers in a settings file.
    const NUMBER: bool = false;

    /// Reads a value.
    ///
    /// # Errors
    /// Why the text is invalid, in a few words; empty if there is nothing to add to the expected form.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A span of time, as `30s`, `5m` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

impl SettingValue for Period {
    const EXPECTED: &'static str = "a duration such as `30s`, `5m` or `1h`";

    fn parse(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes, as `4GiB`, `64MB` or `65536`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as `usize`.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl SettingValue for Size {
    const EXPECTED: &'static str = "a size such as `512MiB` or `4GiB`";

    fn parse(text: &str) -> Result<Self, String> {
        ByteSize::from_str(text).map(|size| Self(size.as_u64()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ByteSize(self.0).fmt(f)
    }
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name or address; an IPv6 address is in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl SettingValue for HostPort {
    const EXPECTED: &'static str = "a host and a port such as `scheduler:50050`";

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Err("it has no scheme and no path".to_owned());
        }
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || bare_v6 || host.contains(char::is_whitespace) || host.contains('@') {
            return Err("the host is not valid".to_owned());
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err("the port is not a number from 1 to 65535".to_owned()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One host and port, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPorts(pub Vec<HostPort>);

impl SettingValue for HostPorts {
    const EXPECTED: &'static str = "a host and a port such as `scheduler:50050`, or several separated by commas";

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(|one| HostPort::parse(one.trim())).collect::<Result<_, _>>().map(Self)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable.
    Human,
    /// One JSON object per line.
    Json,
}

impl SettingValue for LogFormat {
    const EXPECTED: &'static str = "`human` or `json`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(String::new()),
        }
    }
}

/// Which log lines are written, as in `RUST_LOG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl SettingValue for LogFilter {
    const EXPECTED: &'static str = "a filter such as `info` or `warn,windlass_scheduler=debug`";

    fn parse(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned())).map_err(|error| error.to_string())
    }
}

impl SettingValue for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port such as `127.0.0.1:8080` or `0.0.0.0:8080`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| String::new())
    }
}

impl SettingValue for IpAddr {
    const EXPECTED: &'static str = "an IP address such as `127.0.0.1` or `0.0.0.0`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| String::new())
    }
}

impl SettingValue for u16 {
    const EXPECTED: &'static str = "a port from 0 to 65535; 0 takes a free one";
    const NUMBER: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| String::new())
    }
}

impl SettingValue for usize {
    const EXPECTED: &'static str = "a whole number from 1";
    const NUMBER: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) | Err(_) => Err(String::new()),
            Ok(number) => Ok(number),
        }
    }
}

impl SettingValue for String {
    const EXPECTED: &'static str = "a host name or address";

    fn parse(text: &str) -> Result<Self, String> {
        let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@');
        if text.contains(odd) {
            Err("it is a host without scheme, port or path".to_owned())
        } else {
            Ok(text.to_owned())
        }
    }
}

impl SettingValue for PathBuf {
    const EXPECTED: &'static str = "a folder";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl SettingValue for Location {
    const EXPECTED: &'static str = "an absolute path or a URL such as `s3://bucket/windlass`, without credentials";

    fn parse(text: &str) -> Result<Self, String> {
        let here = std::env::current_dir().map_err(|error| error.to_string())?;
        Location::parse(text, &here).map_err(|error| windlass_base::error::full_message(&error))
    }
}

impl SettingValue for Url {
    const EXPECTED: &'static str = "a URL such as `http://collector:4317`";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        if known { Ok(url) } else { Err("only http and https are known".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_round_trip() {
        for text in ["30s", "5m", "1h 30m", "250ms"] {
            assert_eq!(Period::parse(&Period::parse(text).unwrap().to_string()), Period::parse(text));
        }
        for (text, bytes) in [("64MiB", 64 << 20), ("1.5GiB", 3 << 29), ("4GB", 4_000_000_000), ("4096", 4096)] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)));
        }
        assert_eq!(Size::parse("64 MiB"), Size::parse("64MiB"));
        for text in ["", "30", "-5s", "soon"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
        for text in ["", "-1", "much", "64Mix"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scheduler_is_a_host_and_a_port() {
        assert_eq!(HostPort::parse("scheduler:50050").unwrap().to_string(), "scheduler:50050");
        assert_eq!(HostPort::parse("[::1]:50050").unwrap().host, "[::1]");
        for text in ["scheduler", "http://scheduler:50050", ":50050", "::1:50050", "a:0", "a:70000", "u:p@h:1", "a b:1"]
        {
            assert!(HostPort::parse(text).is_err(), "{text}");
            assert!(HostPorts::parse(&format!("a:1,{text}")).is_err(), "{text}");
        }
        let several = HostPorts::parse("a:1, [::1]:2").unwrap().0;
        assert_eq!(several.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "[::1]:2"]);
    }
}
