//! Projects on disk.

use std::fs;
use std::path::Path;

use windlass_base::error::Coded;
use windlass_client::project::{LoadError, find_project_dir, load_project};
use windlass_project::spec::{codes, parse_project};

fn write(dir: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "windlass.yaml", "name: p\n");
    write(dir.path(), "stages/a.sql", "SELECT 1");
    dir
}

#[test]
fn reads_the_files_of_the_format_and_no_others() {
    let dir = project();
    for path in ["stages/deep/er/b.sql", "stages/README.md", "stages/.hidden.sql", "stages/.git/c.sql", "notes.sql"] {
        write(dir.path(), path, "SELECT 2");
    }
    write(dir.path(), "subdags/s.yaml", "a: 1");
    write(dir.path(), "contracts/c.yml", "a: 1");
    write(dir.path(), "stages/bom.sql", "\u{feff}SELECT 3");
    let files = load_project(dir.path()).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_ref()).collect();
    assert_eq!(
        paths,
        [
            "contracts/c.yml",
            "stages/a.sql",
            "stages/bom.sql",
            "stages/deep/er/b.sql",
            "subdags/s.yaml",
            "windlass.yaml"
        ]
    );
    assert_eq!(files.get("stages/bom.sql"), Some("SELECT 3"));
}

#[test]
fn the_project_is_found_from_below() {
    let dir = project();
    let root = dir.path().canonicalize().unwrap();
    write(&root, "stages/deep/b.sql", "SELECT 2");
    assert_eq!(find_project_dir(&root).unwrap(), root);
    assert_eq!(find_project_dir(&root.join("stages/deep")).unwrap(), root);
    let none = tempfile::tempdir().unwrap();
    let error = find_project_dir(none.path()).unwrap_err();
    assert_eq!(error.code().to_string(), "WL0120");
    assert!(error.to_string().contains(none.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_without_a_manifest_is_not_a_project() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(load_project(dir.path()), Err(LoadError::NoManifest(_))));
}

#[test]
fn text_that_is_not_utf8_is_named() {
    let dir = project();
    write(dir.path(), "stages/latin1.sql", b"SELECT 'gr\xf6\xdfe'");
    let error = load_project(dir.path()).unwrap_err();
    assert!(matches!(&error, LoadError::NotUtf8 { path, byte: 10 } if path.ends_with("stages/latin1.sql")), "{error}");
}

#[test]
fn a_large_file_is_not_read() {
    let dir = project();
    write(dir.path(), "stages/big.sql", vec![b' '; 1024 * 1024 + 1]);
    assert!(matches!(load_project(dir.path()), Err(LoadError::TooLarge { bytes: 1_048_577, .. })));
}

#[test]
fn stages_have_a_limit_to_which_no_other_file_counts() {
    let dir = project();
    let problems = || parse_project(&load_project(dir.path()).unwrap()).err();
    for n in 1..1_000 {
        write(dir.path(), &format!("stages/s{n}.sql"), "SELECT 1 AS n");
        write(dir.path(), &format!("seeds/s{n}.csv"), "n\n1\n");
    }
    assert!(problems().is_none(), "{:?}", problems());
    write(dir.path(), "stages/s1000.sql", "SELECT 1 AS n");
    let found: Vec<_> = problems().unwrap().iter().map(|problem| problem.code).collect();
    assert_eq!(found, [codes::LIMIT]);
}

#[test]
fn files_have_a_limit() {
    let dir = project();
    for n in 0..10_000 {
        write(dir.path(), &format!("seeds/s{n}.csv"), "n\n");
    }
    assert!(matches!(load_project(dir.path()), Err(LoadError::TooMany)));
}

#[cfg(unix)]
#[test]
fn links_stay_inside() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.sql", "SELECT 1");
    for (target, link) in [("secret.sql", "stages/link.sql"), ("", "stages/folder")] {
        let dir = project();
        symlink(outside.path().join(target), dir.path().join(link)).unwrap();
        assert!(matches!(load_project(dir.path()), Err(LoadError::Outside(_))), "{link}");
    }
    let dir = project();
    symlink(dir.path().join("stages/a.sql"), dir.path().join("stages/same.sql")).unwrap();
    symlink(dir.path().join("stages"), dir.path().join("stages/loop")).unwrap();
    let files = load_project(dir.path()).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_ref()).collect();
    assert_eq!(paths, ["stages/a.sql", "stages/same.sql", "windlass.yaml"]);

    let dir = project();
    symlink(dir.path().join("nowhere"), dir.path().join("stages/gone.sql")).unwrap();
    assert!(matches!(load_project(dir.path()), Err(LoadError::Io { .. })));
}
