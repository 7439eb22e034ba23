//! Redacts secrets in values that are shown.

use url::Url;

/// The replacement for a secret.
const HIDDEN: &str = "***";
/// Substrings of the names of secret query parameters.
const SECRET_NAMES: [&str; 8] = ["secret", "password", "passwd", "token", "key", "sig", "credential", "auth"];

/// `text` without its secrets: user and password of a URL, and the values of query parameters with suspicious names.
///
/// If a text looks like a URL but cannot be parsed, everything between `://` and the last `@`, and its query, is
/// removed.
pub fn redacted(text: &str) -> String {
    if !text.contains("://") && !text.contains('@') {
        return text.to_owned();
    }
    match Url::parse(text) {
        Ok(url) if url.has_host() => redacted_url(text, url),
        _ => redacted_text(text),
    }
}

fn redacted_url(text: &str, mut url: Url) -> String {
    // In abfss://container@account/… the user part names a container.
    let container = matches!(url.scheme(), "abfs" | "abfss") && url.password().is_none();
    let user_info = !container && (!url.username().is_empty() || url.password().is_some());
    let has_secret_query = url.query_pairs().any(|(name, _)| is_secret(&name));
    if !user_info && !has_secret_query {
        return text.to_owned();
    }
    if user_info && (url.set_password(None).is_err() || url.set_username(HIDDEN).is_err()) {
        return redacted_text(text);
    }
    if has_secret_query {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.query_pairs_mut().clear().extend_pairs(
            pairs.iter().map(|(name, value)| (name, if is_secret(name) { HIDDEN } else { value.as_str() })),
        );
    }
    url.to_string()
}

fn redacted_text(text: &str) -> String {
    let (head, query) = text.split_once('?').map_or((text, ""), |(head, _)| (head, "?***"));
    let start = head.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = head.split_at(start);
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{HIDDEN}@{host}{query}"),
        None => format!("{head}{query}"),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_redacted_and_the_rest_is_kept() {
        for (text, shown) in [
            ("s3://bucket/windlass", "s3://bucket/windlass"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("abfss://container@account.dfs.core.windows.net/x", "abfss://container@account.dfs.core.windows.net/x"),
            ("http://ann:hunter2@collector:4317/v1", "http://***@collector:4317/v1"),
            ("s3://hunter2@bucket/x", "s3://***@bucket/x"),
            ("http://collector/?team=a&api_key=hunter2", "http://collector/?team=a&api_key=***"),
            ("ann:hunter2@scheduler:50050", "***@scheduler:50050"),
            ("http://ann:hun/ter2@[bad/x?k=hunter2", "http://***@[bad/x?***"),
        ] {
            assert_eq!(redacted(text), shown);
            assert!(!redacted(text).contains("hunter2"));
        }
    }
}
