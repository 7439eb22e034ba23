//! Where events are sent to.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::io::AsyncWriteExt;
use url::Url;
use windlass_base::error::full_message;

/// The path at which servers take events, unless the URL has one.
const PATH: &str = "/api/v1/lineage";
/// How long a server may take to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A file to which events are appended, one a line, or a server. It holds a secret, and cannot be shown as a whole.
pub(super) enum Target {
    File(PathBuf),
    Server { url: Url, key: Option<String> },
}

/// Why an event was not taken.
pub(super) struct Refusal {
    pub(super) message: String,
    /// Whether it may be taken later.
    pub(super) is_passing: bool,
}

impl Target {
    /// The target of a URL. An error continues the name of the setting.
    pub(super) fn parse(text: &str, key: Option<String>) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::File(path)),
                Err(()) => Err("names no file of this machine: write file:///path/to/events.jsonl".to_owned()),
            },
            "http" | "https" => {
                if matches!(url.path(), "" | "/") {
                    url.set_path(PATH);
                }
                Ok(Self::Server { url, key })
            }
            other => Err(format!("begins with `{other}:`; it must begin with file://, http:// or https://")),
        }
    }

    /// The target without credentials.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server { url, .. } => url.origin().ascii_serialization(),
        }
    }

    /// Makes it ready to take events.
    ///
    /// # Errors
    /// The reason, if a client cannot be built.
    pub(super) fn open(self) -> Result<Channel, String> {
        match self {
            Self::File(path) => Ok(Channel::File(path)),
            Self::Server { url, key } => {
                let client = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build();
                let client = client.map_err(|error| full_message(&error.without_url()))?;
                Ok(Channel::Server { client, url, key })
            }
        }
    }
}

/// A target that takes events.
pub(super) enum Channel {
    File(PathBuf),
    Server { client: reqwest::Client, url: Url, key: Option<String> },
}

impl Channel {
    /// Sends an event, which is one line of JSON.
    pub(super) async fn send(&self, event: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::File(path) => append(path.clone(), event)
                .await
                .map_err(|error| Refusal { message: error.to_string(), is_passing: true }),
            Self::Server { client, url, key } => {
                let mut request = client.post(url.clone()).header(CONTENT_TYPE, "application/json");
                if let Some(key) = key {
                    request = request.bearer_auth(key);
                }
                let answer = request
                    .body(event.to_vec())
                    .send()
                    .await
                    .map_err(|error| Refusal { message: full_message(&error.without_url()), is_passing: true })?;
                match answer.status() {
                    status if status.is_success() => Ok(()),
                    status => {
                        Err(Refusal { message: format!("the server answers {status}"), is_passing: is_passing(status) })
                    }
                }
            }
        }
    }
}

/// Whether the same request may be answered otherwise later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Appends a line with one write, so that the lines of several processes do not mix.
async fn append(path: PathBuf, event: &[u8]) -> std::io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await?;
    let mut line = event.to_vec();
    line.push(b'\n');
    file.write_all(&line).await?;
    file.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        Target::parse(text, Some("secret".to_owned())).map(|target| match target {
            Target::File(path) => path.display().to_string(),
            Target::Server { url, .. } => url.to_string(),
        })
    }

    #[test]
    fn urls_and_what_they_mean() {
        for (text, meaning) in [
            ("file:///tmp/events.jsonl", "/tmp/events.jsonl"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/api/v1/lineage"),
            ("https://lineage.example/", "https://lineage.example/api/v1/lineage"),
            ("https://lineage.example/events?source=windlass", "https://lineage.example/events?source=windlass"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(meaning), "{text}");
        }
        for text in ["", "events.jsonl", "kafka://broker/topic", "file://elsewhere/events"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let target = Target::parse("https://ada:word@lineage.example/events?key=word", Some("secret".to_owned()));
        assert_eq!(target.map(|target| target.shown()).as_deref(), Ok("https://lineage.example"));
    }
}
