//! `windlass init`: a small project that runs.

use std::fs;
use std::path::Path;

use windlass_client::document::InitDocument;
use windlass_project::spec::is_name;

use crate::args::{Global, InitArgs, Output};
use crate::failure::CommandError;
use crate::output;

const FILES: [(&str, &str); 5] = [
    ("windlass.yaml", include_str!("../template/windlass.yaml")),
    ("stages/orders_clean.sql", include_str!("../template/stages/orders_clean.sql")),
    ("stages/daily_totals.sql", include_str!("../template/stages/daily_totals.sql")),
    ("data/orders.csv", include_str!("../template/data/orders.csv")),
    (".gitignore", "/.windlass/\n"),
];

/// The name of the template's pipeline.
const TEMPLATE_NAME: &str = "name: my_pipeline";

/// Writes the template into a new folder.
pub(crate) fn run(global: &Global, args: &InitArgs) -> Result<(), CommandError> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => pipeline_name(&args.dir),
    };
    if !is_name(&name) {
        return Err(CommandError::Usage {
            message: format!("`{name}` cannot be the name of a pipeline"),
            help: "a name is made of letters, digits and `_`, and does not begin with a digit".to_owned(),
        });
    }
    let occupied = fs::read_dir(&args.dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(CommandError::FolderInUse { folder: args.dir.clone() });
    }
    for (path, text) in FILES {
        let file = args.dir.join(path);
        let write = || -> std::io::Result<()> {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&file, text.replace(TEMPLATE_NAME, &format!("name: {name}")))
        };
        write().map_err(|source| CommandError::Write { file: file.clone(), source })?;
    }
    if global.output == Output::Json {
        let files = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        output::json(&InitDocument { project: args.dir.clone(), name, files })?;
    } else {
        output::text(&format!(
            "made the project `{name}` in {}\n\n  cd {0}\n  windlass run\n  windlass query 'SELECT * FROM daily_totals ORDER BY day'\n",
            args.dir.display()
        ))?;
    }
    Ok(())
}

/// The folder's name as a pipeline's name.
fn pipeline_name(dir: &Path) -> String {
    let folder = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    if name.is_empty() { "my_pipeline".to_owned() } else { name.to_owned() }
}
