//! Keeps credentials out of messages and files.
//!
//! Windlass itself never writes credentials into a text, but stores do: an error response may contain the access key,
//! and a signed URL contains a signature.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::LazyLock;

/// The replacement for a secret.
const MASK: &str = "***";
/// Shorter values are too likely to be part of an ordinary word.
const MIN_SECRET: usize = 6;
/// The prefixes of variables that configure an object store.
const STORE_VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// The variable with the password for the state store.
const STATE_PASSWORD: &str = "WINDLASS_ETCD_PASSWORD";
/// The variable with the key for the server that takes lineage events.
const LINEAGE_KEY: &str = "WINDLASS_OPENLINEAGE_API_KEY";
/// Substrings of the names of secret variables.
const SECRET_VARIABLES: [&str; 5] = ["KEY", "SECRET", "TOKEN", "SAS", "PASSWORD"];
/// Elements of a store's response that repeat parts of the credentials or of the signed request.
const ELEMENTS: [&str; 6] = [
    "AWSAccessKeyId",
    "SignatureProvided",
    "StringToSign",
    "StringToSignBytes",
    "CanonicalRequest",
    "CanonicalRequestBytes",
];
/// Parameters of a signed URL.
const PARAMETERS: [&str; 4] = ["sig=", "X-Amz-Credential=", "X-Amz-Security-Token=", "X-Amz-Signature="];

/// The secrets in the environment of this process, the longest first.
static SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let secrets = variables.filter(|(name, value)| is_secret(name) && value.len() >= MIN_SECRET);
    let mut secrets: Vec<String> = secrets.map(|(_, value)| value).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
});

/// Whether a variable of this name holds a credential of a store.
fn is_secret(name: &str) -> bool {
    matches!(name, STATE_PASSWORD | LINEAGE_KEY) || is_store_secret(name)
}

fn is_store_secret(name: &str) -> bool {
    STORE_VARIABLES.iter().any(|prefix| name.starts_with(prefix))
        && SECRET_VARIABLES.iter().any(|part| name.contains(part))
        && !name.ends_with("_FILE")
}

/// The names of the environment variables that configure object stores, sorted; never their values.
pub fn credential_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| STORE_VARIABLES.iter().any(|prefix| name.starts_with(prefix))).collect();
    names.sort_unstable();
    names
}

/// `text` with `***` in place of every credential of this process's environment, and of what stores repeat of them.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    masked(text, &SECRETS)
}

fn masked<'a>(text: &'a str, secrets: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), MASK));
        }
    }
    for element in ELEMENTS {
        let (start, end) = (format!("<{element}>"), format!("</{element}>"));
        text = between(text, &start, |rest| rest.find(&end));
    }
    for parameter in PARAMETERS {
        let ends = |c: char| c == '&' || c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '<' | '>');
        text = between(text, parameter, |rest| Some(rest.find(ends).unwrap_or(rest.len())));
    }
    text
}

/// `text` with everything masked from each `start` to the position that `end` returns, relative to it.
fn between<'a>(text: Cow<'a, str>, start: &str, end: impl Fn(&str) -> Option<usize>) -> Cow<'a, str> {
    if !text.contains(start) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(found) = rest.find(start) {
        let (before, after) = rest.split_at(found + start.len());
        out.push_str(before);
        out.push_str(MASK);
        rest = &after[end(after).unwrap_or(after.len())..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A stderr that masks secrets, for logs whose writes contain complete lines. Logs that nobody reads any more, as in
/// `2>&1 | head`, are dropped.
#[derive(Debug, Default)]
pub struct DiscreetStderr;

impl Write for DiscreetStderr {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(buffer);
        match io::stderr().write_all(without_secrets(&text).as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(buffer.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_store_messages_about_them_are_masked() {
        let secrets = ["hunter2-and-more".to_owned(), "hunter2".to_owned()];
        let text = "403: <Error><AWSAccessKeyId>AKIA1</AWSAccessKeyId><Resource>/lake/t</Resource></Error> \
                    for hunter2-and-more, hunter2, https://store/lake?comp=list&sig=a%2Fb&sv=1 \
                    and <StringToSign>cut short";
        let expected = "403: <Error><AWSAccessKeyId>***</AWSAccessKeyId><Resource>/lake/t</Resource></Error> \
                        for ***, ***, https://store/lake?comp=list&sig=***&sv=1 and <StringToSign>***";
        assert_eq!(masked(text, &secrets), expected);
        assert!(matches!(masked("nothing to hide", &secrets), Cow::Borrowed(_)));
    }
}
