//! The examples that the tests of the documentation do not run, and what runs them instead.

use std::fs;

use windlass_tests::{Requirement, skip};

use super::page::repository;

/// An example that is not run here.
pub(super) struct Elsewhere {
    /// The page; any if empty.
    page: &'static str,
    /// How the command begins, without variables before it; or the first line of a block that is neither commands nor a file.
    starts: &'static str,
    /// When it is run here nevertheless.
    unless: Unless,
    /// Why not, and what runs or checks it.
    instead: &'static str,
}

/// When an example of the table is run after all.
enum Unless {
    Never,
    /// Where other programs that read tables are asked for.
    Readers,
    /// Where this program is installed.
    Installed(&'static str),
}

const fn not_run(page: &'static str, starts: &'static str, instead: &'static str) -> Elsewhere {
    Elsewhere { page, starts, unless: Unless::Never, instead }
}

const COMPOSE: &str = "docs/deploy-compose.md";
const KUBERNETES: &str = "docs/deploy-kubernetes.md";
const COMING_FROM: &str = "docs/coming-from.md";

/// All of them.
pub(super) const ELSEWHERE: &[Elsewhere] = &[
    // Building: what runs the tests has built already.
    not_run(
        "",
        "make demo",
        "builds everything: `make demo` is run by hand; tests/it/run/code_graph.rs runs its project",
    ),
    not_run("", "make test", "this is `make test`"),
    not_run("", "make install", "builds everything; the tests run the command from the target folder"),
    not_run(
        "",
        "cargo run -p windlass-client --example batch_job",
        "`cargo test` builds the examples; tests/it/api does the same calls",
    ),
    not_run("", "man windlass-run", "needs a pager: tests/it/command/usage.rs reads the page"),
    not_run("", "cargo", "builds and tests everything: `make test`"),
    not_run(
        "docs/configuration.md",
        "state = \"etcd://",
        "tests/it/state/etcd.rs starts a scheduler with this setting",
    ),
    not_run("docs/development.md", "make lint", "a step of .ci/run"),
    not_run(
        "docs/development.md",
        "$CARGO_TARGET_DIR/debug/windlass run",
        "tests/it/run/code_graph.rs runs this project",
    ),
    not_run("docs/ui.md", "windlass ui", "serves until Ctrl-C: tests/it/command/ui.rs fetches every page"),
    // A cluster of containers: `make compose-test`, which .ci/run calls, runs tests/it/compose on one.
    not_run("", "make compose-demo", "docker/demo.sh; its steps are those of tests/it/compose/pipeline.rs"),
    not_run(
        "",
        "windlass --cluster",
        "needs a cluster at this address: tests/it/command, tests/it/process and tests/it/compose start theirs",
    ),
    not_run(COMPOSE, "make compose-down", "tests/it/compose/cluster.rs stops its clusters with the same command"),
    not_run("", "make compose-up", "tests/it/compose/cluster.rs starts its clusters with docker/up.sh"),
    not_run(COMPOSE, "export WINDLASS_CLUSTER=", "only of use with the cluster"),
    not_run(COMPOSE, "cd my_project", "only of use with the cluster"),
    not_run(COMPOSE, "windlass run", "tests/it/compose/pipeline.rs"),
    not_run(COMPOSE, "windlass query", "tests/it/compose/pipeline.rs"),
    not_run(COMPOSE, "curl", "tests/it/process/probes.rs requests the same paths"),
    not_run(COMPOSE, "../docker/compose.sh", "tests/it/compose/cluster.rs uses docker/compose.sh"),
    not_run(COMPOSE, "docker/compose.sh run", "tests/it/compose/cluster.rs copies its data with this command"),
    not_run(COMPOSE, "# docker/compose.own.yaml", "a file for an object store of the reader's"),
    not_run(COMPOSE, "export STORAGE_ENV=", "an object store of the reader's"),
    not_run(COMPOSE, "export CLUSTER_HOME=", "an object store of the reader's"),
    not_run(COMPOSE, "docker/up.sh", "tests/it/compose/cluster.rs"),
    not_run(COMPOSE, "exec /srv/windlass/docker/compose.sh", "a script for cron: `windlass maintain` in a container"),
    not_run("", "docker build", "compiles for an hour with Docker: by hand, before a release"),
    not_run(
        COMPOSE,
        "docker/base-image.sh",
        "needs root and debootstrap: docker/images.sh calls it in `make compose-test`",
    ),
    // Kubernetes: `make k8s-check` checks the manifests without a cluster.
    not_run(KUBERNETES, "kind load", "needs a cluster of kind"),
    not_run(KUBERNETES, "images:", "a part of kustomization.yaml: `make k8s-check` checks those in k8s/"),
    not_run(KUBERNETES, "# k8s/jobs/mine", "a part of kustomization.yaml: `make k8s-check` checks k8s/jobs/maintain"),
    not_run(KUBERNETES, "kubectl", "needs a cluster: `make k8s-check` renders and checks what is applied"),
    not_run(KUBERNETES, "curl", "needs a cluster: tests/it/process/probes.rs requests the same paths"),
    // Other tools.
    not_run(COMING_FROM, "{{ config(", "a model of dbt"),
    not_run(COMING_FROM, "MODEL (", "a model of SQLMesh"),
    not_run(COMING_FROM, "orders = spark.read", "a job of Spark"),
    Elsewhere {
        page: "docs/readers.md",
        starts: "\"$REPOSITORY/tests/readers/run.sh\" --python",
        unless: Unless::Readers,
        instead: "installs other programs",
    },
    Elsewhere {
        page: "docs/json-output.md",
        starts: "windlass runs list --output json | jq",
        unless: Unless::Installed("jq"),
        instead: "there is no jq: tests/it/command/documents.rs compares what it would read with its schema",
    },
];

impl Elsewhere {
    /// Whether it is left out here. Prints why, if it is.
    pub(super) fn is_left_out(&self) -> bool {
        let is_left_out = match self.unless {
            Unless::Never => true,
            Unless::Readers => std::env::var_os("WINDLASS_READERS").is_none(),
            Unless::Installed(program) => {
                let folders = std::env::var_os("PATH").unwrap_or_default();
                !std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
            }
        };
        if is_left_out && matches!(self.unless, Unless::Readers) {
            skip(Requirement::Readers, "other programs read tables where WINDLASS_READERS is set");
        }
        if is_left_out {
            println!("not run here: {} …: {}", self.starts, self.instead);
        }
        is_left_out
    }
}

/// The entry for a command, or for the first line of a block, by its place in the table.
pub(super) fn find(page: &str, example: &str) -> Option<usize> {
    let example = without_variables(example.trim_start());
    let is_it = |entry: &Elsewhere| (entry.page.is_empty() || entry.page == page) && example.starts_with(entry.starts);
    ELSEWHERE.iter().position(is_it)
}

/// The command without the variables that are set for it alone.
fn without_variables(command: &str) -> &str {
    let Some((first, rest)) = command.split_once(' ') else { return command };
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    match first.split_once('=') {
        Some((name, _)) if is_name(name) => without_variables(rest.trim_start()),
        _ => command,
    }
}

/// What is wrong with a command that is not run: a target of `make` or a script that the repository does not have.
pub(super) fn problem(command: &str) -> Option<String> {
    let mut words = without_variables(command.trim_start()).split_whitespace();
    let program = words.next()?;
    if program == "make" {
        let target = words.next()?;
        let files = ["Makefile", "docker/docker.mk", "k8s/k8s.mk", "tests/benches/bench.mk"];
        let rule = format!("\n{target}:");
        let has = |file: &&str| fs::read_to_string(repository().join(file)).is_ok_and(|text| text.contains(&rule));
        return (!files.iter().any(has)).then(|| format!("`make` has no target `{target}`"));
    }
    let script = program.trim_start_matches("../");
    let is_missing = script.starts_with("docker/") && !repository().join(script).is_file();
    is_missing.then(|| format!("there is no {script}"))
}

#[test]
fn commands_are_found_by_how_they_begin() {
    let instead = |page, command| find(page, command).map(|index| ELSEWHERE[index].starts);
    assert_eq!(instead("README.md", "make demo    # builds"), Some("make demo"));
    assert_eq!(instead(COMPOSE, "COMPOSE_FILES=a.yaml B=c docker/up.sh"), Some("docker/up.sh"));
    assert_eq!(instead("README.md", "docker/up.sh"), None);
    assert_eq!(instead("README.md", "windlass run"), None);
    assert_eq!(problem("FOLDER=x make demo"), None);
    assert!(problem("make dmeo").is_some() && problem("../docker/up.hs --all").is_some());
}
