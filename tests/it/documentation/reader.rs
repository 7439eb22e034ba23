//! Somebody who follows a page: a folder, a shell, and what the page says about both.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use windlass_tests::StorageServer;

use super::commands::Commands;
use super::output;
use super::page::{Kind, Page, Step, repository};
use crate::command::binary;

/// Set to write what was printed into the pages.
const UPDATE: &str = "UPDATE_DOCS";
/// Where pages suppose the reader's folder to be.
const SUPPOSED: &str = "/tmp";
/// How wide the reader's terminal is.
const COLUMNS: &str = "120";
/// The page whose commands use a store, and the address that it has there.
const STORE: (&str, &str) = ("docs/object-storage.md", "127.0.0.1:9000");
/// How long a block of commands may take.
const SECONDS: &str = "600";
/// What a block of commands begins with: the shell continues where the last block has left it.
const CONTINUE: &str = "\
trap 'status=$?; pwd >\"$SHELL_STATE/folder\"; export -p >\"$SHELL_STATE/variables\"; exit $status' EXIT
if [ -e \"$SHELL_STATE/folder\" ]; then . \"$SHELL_STATE/variables\"; cd \"$(cat \"$SHELL_STATE/folder\")\"; fi
";

/// Does everything that a page says.
pub(super) fn follow(name: &str) {
    let page = Page::read(name);
    let Some(mut reader) = Reader::of(&page) else { return };
    for step in &page.steps {
        reader.take(step);
    }
    reader.check_projects();
    let problems = reader.problems.join("\n");
    assert!(problems.is_empty(), "{problems}\nWhat was printed can be written into the page with {UPDATE}=1.");
    if !reader.changes.is_empty() {
        let mut lines = page.lines.clone();
        for (range, text) in reader.changes.into_iter().rev() {
            drop(lines.splice(range, text));
        }
        fs::write(repository().join(name), lines.join("\n") + "\n").unwrap();
    }
}

struct Reader<'p> {
    page: &'p Page,
    /// The reader's folder, and next to it what the shell needs.
    dir: tempfile::TempDir,
    store: Option<StorageServer>,
    /// What the commands of the last step have printed.
    printed: Option<Vec<String>>,
    /// What is not as the page says.
    problems: Vec<String>,
    /// What the page is to say instead, by its lines, where it is to be updated.
    changes: Vec<(Range<usize>, Vec<String>)>,
}

impl<'p> Reader<'p> {
    /// `None` if the page needs something that this machine does not have.
    fn of(page: &'p Page) -> Option<Self> {
        let store = match page.name == STORE.0 {
            true => Some(StorageServer::start()?),
            false => None,
        };
        // Long paths would be broken into lines.
        let dir = tempfile::Builder::new().tempdir_in(SUPPOSED).or_else(|_| tempfile::tempdir()).unwrap();
        for folder in ["folder", "state", "home/.local/share/bash-completion/completions", "home/.local/share/man/man1"]
        {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Some(Self { page, dir, store, printed: None, problems: Vec::new(), changes: Vec::new() })
    }

    fn take(&mut self, step: &Step) {
        let position = self.page.position(step);
        let printed = self.printed.take();
        match &step.kind {
            Kind::Commands { fails } => self.printed = Some(self.run(&position, &step.text, *fails)),
            Kind::Output => {
                let printed =
                    printed.unwrap_or_else(|| panic!("{position}: no commands before: is it a `<!-- picture -->`?"));
                self.compare(step, &printed);
            }
            Kind::File(path) => {
                let path = self.folder().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &step.text).unwrap();
            }
            Kind::PartOf(path) => self
                .problems
                .extend(missing(path, &step.text).map(|part| format!("{position}: not in {path}:\n{part}"))),
            // That it is in the table is tested separately.
            Kind::Picture | Kind::Other => {}
        }
    }

    fn compare(&mut self, step: &Step, printed: &[String]) {
        let shown: Vec<String> = step.text.lines().map(str::to_owned).collect();
        if output::shows(&shown, printed) {
            return;
        }
        if std::env::var_os(UPDATE).is_some() {
            let fence = &self.page.lines[step.lines.start - 1];
            let indent = &fence[..fence.len() - fence.trim_start().len()];
            let indented = |line: String| if line.is_empty() { line } else { format!("{indent}{line}") };
            let renewed = output::renewed(&shown, printed).into_iter().map(indented);
            return self.changes.push((step.lines.clone(), renewed.collect()));
        }
        let (position, shown, printed) = (self.page.position(step), shown.join("\n"), printed.join("\n"));
        self.problems.push(format!("{position}: the page shows\n{shown}\nprinted was\n{printed}\n"));
    }

    /// The folder that the shell is in.
    fn folder(&self) -> PathBuf {
        match fs::read_to_string(self.dir.path().join("state/folder")) {
            Ok(folder) => PathBuf::from(folder.trim_end()),
            Err(_) => self.dir.path().join("folder"),
        }
    }

    fn run(&self, position: &str, text: &str, fails: bool) -> Vec<String> {
        let mut script = Commands::of(&self.page.name, text).script;
        if script.is_empty() {
            return Vec::new();
        }
        if let Some(store) = &self.store {
            script = script.replace(STORE.1, &store.address().to_string());
        }
        let printed = self.dir.path().join("state/printed");
        let file = File::create(&printed).unwrap();
        let mut shell = Command::new("timeout");
        shell.args([SECONDS, "bash", "-e", "-c", &format!("{CONTINUE}{script}")]);
        shell.stdin(Stdio::null()).stderr(file.try_clone().unwrap()).stdout(file);
        shell.env_clear().envs(self.variables()).current_dir(self.dir.path().join("folder"));
        let status = shell.status().unwrap();
        let lines = self.lines(&printed);
        let expected = if fails { Some(1) } else { Some(0) };
        assert_eq!(status.code(), expected, "{position}: the commands end with {status}\n{text}\n{}", lines.join("\n"));
        lines
    }

    /// The variables of the shell: what a new user has, and where the tests keep things.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/documentation");
        let programs = [path(binary().parent().unwrap()), path(&fixtures), std::env::var("PATH").unwrap_or_default()];
        vec![
            ("PATH", programs.join(":")),
            ("HOME", path(&self.dir.path().join("home"))),
            ("SHELL_STATE", path(&self.dir.path().join("state"))),
            ("REPOSITORY", path(&repository())),
            ("COLUMNS", COLUMNS.to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            // Nobody keeps these tables.
            ("WINDLASS_SYNC", "off".to_owned()),
        ]
    }

    /// The lines of a file, as on a machine where the reader's folder is the supposed one.
    fn lines(&self, printed: &Path) -> Vec<String> {
        let text = String::from_utf8_lossy(&fs::read(printed).unwrap()).into_owned();
        let text = text.replace(&self.dir.path().join("folder").display().to_string(), SUPPOSED);
        text.trim_matches('\n').lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Checks the projects that the page has left.
    fn check_projects(&self) {
        for project in projects(&self.dir.path().join("folder")) {
            let check = format!("windlass check --project '{}'", project.display());
            self.run(&self.page.name, &check, false);
        }
    }
}

/// The folders with a windlass.yaml, at most two levels down.
fn projects(folder: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let all = std::iter::once(folder.to_owned()).chain(below(folder));
    all.filter(|folder| folder.join("windlass.yaml").is_file()).collect()
}

/// The first part of the text, between lines `// …`, that a file of the repository does not contain.
fn missing(path: &str, text: &str) -> Option<String> {
    let plain = |text: &str| -> String {
        let lines = text.lines().map(|line| {
            let line = line.trim();
            line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).unwrap_or(line).trim().to_owned() + "\n"
        });
        lines.filter(|line| line != "\n").collect()
    };
    let file = plain(&fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")));
    text.split("// …\n").find(|part| !file.contains(&plain(part))).map(str::to_owned)
}
