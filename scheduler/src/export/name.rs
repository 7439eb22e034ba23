//! The names of exported files: of the stage, the export and the version, and never used twice.

use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::segment;

const PREFIX: &str = "windlass-";
/// Digits of the version.
const VERSION: usize = 20;
/// Digits of what tells one attempt from another.
const TOKEN: usize = 12;
/// As much of a name goes into the name of a file, which has 255 bytes on most systems.
const SHOWN: usize = 64;

/// The name of a new file without its extension.
pub(crate) fn file_stem(stage: &NodeName, export: &str, version: TableVersion) -> String {
    let mut token = uuid::Uuid::new_v4().simple().to_string();
    token.truncate(TOKEN);
    format!("{PREFIX}{}-{}-{:0VERSION$}-{token}", shown(stage.as_str()), shown(export), version.0)
}

/// Whether a file has the name of an export, of any pipeline.
pub(super) fn is_of_an_export(file: &str) -> bool {
    let Some((stem, extension)) = file.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('.')) else {
        return false;
    };
    let mut parts = stem.rsplitn(3, '-');
    let token = parts.next().unwrap_or_default();
    let version = parts.next().unwrap_or_default();
    extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && token.len() == TOKEN
        && token.bytes().all(|byte| byte.is_ascii_hexdigit())
        && version.len() == VERSION
        && version.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name under which earlier versions of Windlass exported.
pub(super) fn former_name(version: TableVersion, extension: &str) -> String {
    format!("part-{:0VERSION$}.{extension}", version.0)
}

/// A name as a part of the name of a file.
fn shown(name: &str) -> String {
    // A segment is ASCII.
    let mut shown = segment(name);
    shown.truncate(SHOWN);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_files_are_known_by_their_names() {
        let name = |stage: &str, export: &str| format!("{}.csv", file_stem(&stage.into(), export, TableVersion(7)));
        let ours = [name("totals", "csv"), name("a", "../../b c"), name("größe", &"x".repeat(500))];
        for name in &ours {
            assert!(is_of_an_export(name) && name.len() < 255 && !name.contains('/'), "{name}");
        }
        assert_ne!(name("a", "csv"), name("a", "csv"));
        for name in [
            "part-00000000000000000001.csv",
            "part-00000-1b7a3c9e-c000.snappy.parquet",
            "windlass-notes.csv",
            "windlass-a-csv-00000000000000000001.csv",
            "windlass-a-csv-00000000000000000001-aaaaaaaaaaaa.csv#x",
            "totals.csv",
        ] {
            assert!(!is_of_an_export(name), "{name}");
        }
        assert_eq!(former_name(TableVersion(3), "json"), "part-00000000000000000003.json");
    }
}
