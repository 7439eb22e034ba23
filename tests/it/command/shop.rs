//! A project for tests of what commands print: a source, a stage with a quarantine, and an incremental one with a long name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use assert_cmd::Command;
use serde_json::Value;

use super::binary;

/// A query that takes longer than any test.
pub(crate) const ENDLESS: &str = "SELECT sum(a.n * b.n % 7) AS s FROM (SELECT unnest(range(0, 100000)) AS n) AS a \
     CROSS JOIN (SELECT unnest(range(0, 100000)) AS n) AS b";
const MANIFEST: &str = "\
name: shop
sources:
  orders:
    kind: listing
    location: orders.csv
    format: csv
    schema: { order_id: long, customer: string, amount: double, currency: string }
targets:
  dev: { home: dev_home }
";
const CLEAN: &str = "\
/* windlass
description: Orders whose currency is known.
tags: { layer: clean }
io: { key: [order_id] }
expect:
  - accepted_values: { column: currency, values: [EUR, USD] }
    on_failure: quarantine
*/
SELECT order_id, customer, amount, currency FROM orders
";
const TOTALS: &str = "\
/* windlass
description: How many orders each customer has, and what they are worth.
tags: { layer: summary }
io: { key: [customer], incremental: auto }
*/
SELECT customer, count(*) AS orders, sum(amount) AS amount FROM orders_clean GROUP BY customer
";
/// Two good orders, and one whose currency is not.
pub(crate) const ORDERS: &str = "order_id,customer,amount,currency\n1,ada,20,EUR\n2,bo,40.5,USD\n3,cy,15,XYZ\n";

/// The project in a folder of its own.
pub(crate) struct Shop {
    dir: PathBuf,
    /// Removes the folder, if its place makes no difference.
    _temporary: Option<tempfile::TempDir>,
    /// Held while the folder is in use, if its place makes a difference.
    _alone: Option<File>,
}

impl Shop {
    /// In any folder.
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("shop");
        Self { dir, _temporary: Some(temporary), _alone: None }.written()
    }

    /// In the folder `place`, which is shown by what the test looks at. One test at a time on a machine uses it.
    pub(crate) fn at(place: &str) -> Self {
        let alone = File::create(format!("{place}.lock")).unwrap();
        alone.lock().unwrap();
        let dir = PathBuf::from(place);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        Self { dir, _temporary: None, _alone: Some(alone) }.written()
    }

    /// In a folder that somebody else removes.
    pub(crate) fn below(folder: &Path) -> Self {
        Self { dir: folder.join("shop"), _temporary: None, _alone: None }.written()
    }

    fn written(self) -> Self {
        fs::create_dir_all(self.dir.join("stages")).unwrap();
        self.write("windlass.yaml", MANIFEST);
        self.write("stages/orders_clean.sql", CLEAN);
        self.write("stages/totals_of_each_customer.sql", TOTALS);
        self.write("orders.csv", ORDERS);
        self
    }

    /// The project's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The command on the project, with nothing set that affects its output.
    pub(crate) fn windlass(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--project").arg(&self.dir).args(args);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// What a command prints on stdout where there is no terminal.
    pub(crate) fn shown(&self, args: &[&str]) -> String {
        text(&self.windlass(args).assert().success().get_output().stdout)
    }

    /// The document that a command prints.
    pub(crate) fn document(&self, args: &[&str]) -> Value {
        let shown = self.shown(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{args:?}: {error}: {shown}"))
    }

    /// What a command prints on stdout on a terminal with `columns`; stderr is dropped.
    pub(crate) fn on_terminal(&self, columns: usize, variables: &[(&str, &str)], args: &[&str]) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        let (binary, dir) = (quoted(&binary().display().to_string()), quoted(&self.dir.display().to_string()));
        let line = format!("stty cols {columns}; {binary} --project {dir} {} 2>/dev/null", args.join(" "));
        let mut script = Process::new("script");
        for variable in VARIABLES {
            script.env_remove(variable);
        }
        script.env("TERM", "xterm").envs(variables.iter().copied()).stdin(std::process::Stdio::null());
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = script.output().expect("`script` of util-linux is installed");
        assert!(output.status.success(), "{line}: {}", text(&output.stdout));
        text(&output.stdout).replace("\r\n", "\n").replace("^D\u{8}\u{8}", "")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if self._alone.is_some() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The variables that affect what is printed, or where.
const VARIABLES: [&str; 7] =
    ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "WINDLASS_HOME", "WINDLASS_CLUSTER", "WINDLASS_LOG"];

/// Bytes that a command has printed, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
