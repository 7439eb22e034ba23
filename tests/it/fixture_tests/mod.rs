//! Fixture tests: the command's output for passing and failing projects, and values of every type.

mod command;
mod documentation;
mod identity;
mod values;

use std::fs;
use std::path::Path;

/// A folder with these files.
fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A text without the parts that vary: durations and the path of the temporary folder.
fn without_variable_parts(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" failed in ") {
        Some((before, _)) => format!("{before} failed in a while"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
