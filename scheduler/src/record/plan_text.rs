//! Plan texts that are the same for every run over the same inputs and can be shown to anyone.

use std::collections::BTreeSet;

/// A plan text without what differs from run to run and without what must not be shown:
///
/// - every path or URL under one of `roots` begins with the root's placeholder instead (`<home>/tables/nodes`);
///   identifiers, such as that of the engine's job, can be given as roots, too;
/// - lists of files become counts: `file_groups={2 groups, 3 files}`, with `3+ files` where the plan did not list all;
/// - UUIDs, as in the names of data files and as run ids, become `<uuid>`;
/// - in URLs, user names, passwords and queries become `***`.
///
/// Line breaks, indentation and everything else stay. Normalising twice is the same as once.
pub fn normalize_plan_text(text: &str, roots: &[(String, String)]) -> String {
    let mut text = hide_credentials(text);
    let mut roots: Vec<_> = roots.iter().filter(|(root, _)| root.trim_matches('/').len() > 1).collect();
    roots.sort_by_key(|(root, _)| std::cmp::Reverse(root.len()));
    for (root, placeholder) in roots {
        let root = root.trim_end_matches('/');
        text = replace_root(&text, &format!("file://{root}"), placeholder);
        text = replace_root(&text, root, placeholder);
        // The engine prints the paths of local files without their first slash.
        text = replace_root(&text, root.trim_start_matches('/'), placeholder);
    }
    mask_uuids(&count_files(&text))
}

/// Replaces `root` where it stands alone or before a slash, and not within a longer path.
fn replace_root(text: &str, root: &str, placeholder: &str) -> String {
    let is_path_char = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (found, _) in text.match_indices(root) {
        let end = found + root.len();
        let begins = !text[..found].ends_with(is_path_char);
        let ends = !text[end..].starts_with(|c| c != '/' && is_path_char(c));
        if begins && ends {
            out.push_str(&text[copied..found]);
            out.push_str(placeholder);
            copied = end;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// Masks user information and queries in everything that looks like a URL.
fn hide_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(before);
        let ends_url = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ']' | '}' | '>');
        let (url, after) = after.split_at(after.find(ends_url).unwrap_or(after.len()));
        // Azure's abfss://container@account/ names a container where other URLs name a user.
        let container = before.ends_with("abfs://") || before.ends_with("abfss://");
        let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
        let mut path = url;
        if let Some(at) = url[..authority].rfind('@')
            && (!container || url[..at].contains(':'))
        {
            out.push_str("***");
            path = &url[at..];
        }
        match path.split_once('?') {
            Some((path, query)) if query.contains('=') => {
                out.push_str(path);
                out.push_str("?***");
            }
            _ => out.push_str(path),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Replaces the file groups that the engine prints, `{2 groups: [[a, b:0..9], [b:9..20]]}`, by their counts.
fn count_files(text: &str) -> String {
    const START: &str = "file_groups={";
    const END: &str = "]}";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(START) {
        let (before, after) = rest.split_at(found + START.len());
        out.push_str(before);
        rest = after;
        let Some(end) = after.find(END) else { continue };
        let Some((groups, files)) = after[..end].split_once(": [") else { continue };
        let names: Vec<&str> = files.split(", ").map(|file| file.trim_matches(['[', ']'])).collect();
        let elided = names.contains(&"...");
        let distinct: BTreeSet<&str> =
            names.into_iter().filter(|name| !name.is_empty() && *name != "...").map(without_range).collect();
        let (count, more) = (distinct.len(), if elided { "+" } else { "" });
        let noun = if count == 1 && !elided { "file" } else { "files" };
        out.push_str(&format!("{groups}, {count}{more} {noun}}}"));
        rest = &after[end + END.len()..];
    }
    out.push_str(rest);
    out
}

/// A file's name without the byte range that is read of it.
fn without_range(file: &str) -> &str {
    match file.rsplit_once(':') {
        Some((name, range)) if range.contains("..") => name,
        _ => file,
    }
}

/// Replaces UUIDs, with hyphens or (versions 4 and 7) without.
fn mask_uuids(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let length = if begins { uuid_length(&bytes[at..]) } else { None };
        if let Some(length) = length {
            out.push_str(&text[copied..at]);
            out.push_str("<uuid>");
            at += length;
            copied = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// The length of the UUID at the beginning, if there is one.
fn uuid_length(bytes: &[u8]) -> Option<usize> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let stands_alone = |length: usize| bytes.get(length).is_none_or(|b| !b.is_ascii_alphanumeric());
    if let Some(head) = bytes.get(..36) {
        let fits = |(i, b): (usize, &u8)| if HYPHENS.contains(&i) { *b == b'-' } else { b.is_ascii_hexdigit() };
        if head.iter().enumerate().all(fits) && stands_alone(36) {
            return Some(36);
        }
    }
    let head = bytes.get(..32)?;
    let is_uuid = head.iter().all(u8::is_ascii_hexdigit)
        && matches!(head[12], b'4' | b'7')
        && matches!(head[16].to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b');
    (is_uuid && stands_alone(32)).then_some(32)
}
