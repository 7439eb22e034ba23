//! Where an etcd is, and as whom it is used.

use std::fmt;
use std::str::FromStr;

use windlass_process::{HostPort, SettingValue};

const SCHEME: &str = "etcd://";
/// The prefix where none is given.
const PREFIX: &str = "windlass";

/// The servers of an etcd, and the prefix of the keys there: `etcd://host:2379,other:2379/prefix`. Without a prefix it
/// is `windlass`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdAddress {
    servers: Vec<HostPort>,
    prefix: String,
}

impl EtcdAddress {
    /// What every key begins with: the prefix between two `/`.
    pub(super) fn key_prefix(&self) -> String {
        format!("/{}/", self.prefix)
    }

    /// The URLs of the servers.
    pub(super) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("http://{server}")).collect()
    }
}

impl FromStr for EtcdAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| format!("it does not begin with `{SCHEME}`"))?;
        if rest.contains('@') {
            return Err("it must not contain a user".to_owned());
        }
        if rest.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) {
            return Err("there is nothing but servers and a prefix".to_owned());
        }
        let (servers, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let servers = servers.split(',').map(HostPort::parse).collect::<Result<Vec<_>, _>>()?;
        let prefix = prefix.trim_matches('/');
        if prefix.contains("//") {
            return Err("a part of the prefix is empty".to_owned());
        }
        let prefix = if prefix.is_empty() { PREFIX } else { prefix };
        Ok(Self { servers, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for EtcdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        for (at, server) in self.servers.iter().enumerate() {
            write!(f, "{}{server}", if at > 0 { "," } else { "" })?;
        }
        write!(f, "/{}", self.prefix)
    }
}

/// A user of an etcd.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdUser {
    /// The name.
    pub name: String,
    /// The password, which is never shown.
    pub password: String,
}

impl fmt::Debug for EtcdUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdUser").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_servers_and_a_prefix() {
        for (text, shown, prefix, urls) in [
            ("etcd://a:2379", "etcd://a:2379/windlass", "/windlass/", "http://a:2379"),
            ("etcd://a:1,b:2/", "etcd://a:1,b:2/windlass", "/windlass/", "http://a:1 http://b:2"),
            ("etcd://[::1]:2379//x/y/", "etcd://[::1]:2379/x/y", "/x/y/", "http://[::1]:2379"),
        ] {
            let address: EtcdAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.key_prefix().as_str()), (shown, prefix));
            assert_eq!(address.urls().join(" "), urls);
            assert_eq!(shown.parse::<EtcdAddress>(), Ok(address));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "a:2379",
            "http://a:2379",
            "etcd://",
            "etcd://a",
            "etcd://a:2379,",
            "etcd://a:2379,b/x",
            "etcd://ann:hunter2@a:2379",
            "etcd://a:2379/x?y",
            "etcd://a:2379/x//y",
        ] {
            let refused = text.parse::<EtcdAddress>().unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let user = EtcdUser { name: "ann".to_owned(), password: "hunter2".to_owned() };
        assert!(!format!("{user:?}").contains("hunter2"));
    }
}
