//! Settings by flag, variable and file.

use std::fs;
use std::process::Command;

use windlass_tests::processes::program;

use super::{BINARIES, server, stderr, stdout};

/// The required settings of each server, and those that would differ between machines.
fn needed(name: &str) -> &'static [&'static str] {
    match name {
        "windlass-scheduler" => &["--home", "s3://lake/windlass", "--memory", "1GiB"],
        _ => &["--scheduler", "scheduler:50050", "--vcores", "2", "--memory", "1GiB"],
    }
}

#[test]
fn help_shows_a_command_line_that_works() {
    for name in BINARIES {
        let help = stdout(&server(name).arg("--help").output().unwrap());
        let (_, example) = help.split_once("Example:").unwrap();
        let words: Vec<&str> = example.split_whitespace().collect();
        assert_eq!(words[0], name);
        let tried = server(name).args(&words[1..]).arg("--print-config").output().unwrap();
        assert!(tried.status.success(), "{}", stderr(&tried));
        assert!(help.contains("WINDLASS_HTTP_BIND") && help.contains("AWS_ACCESS_KEY_ID"));
        let version = stdout(&server(name).arg("--version").output().unwrap());
        assert_eq!(version.trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn servers_are_subcommands_of_the_command() {
    for name in BINARIES {
        let server = name.strip_prefix("windlass-").unwrap();
        let help = stdout(&Command::new(program()).args([server, "--help"]).output().unwrap());
        assert!(help.contains(&format!("Usage: windlass {server} [OPTIONS]")), "{help}");
        let misplaced = Command::new(program()).args(["--home", "/tmp/home", server]).output().unwrap();
        assert_eq!(misplaced.status.code(), Some(2));
        assert!(stderr(&misplaced).contains("write the server first"), "{}", stderr(&misplaced));
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("windlass.toml");
    for name in BINARIES {
        fs::write(
            &file,
            "# settings\ndrain_deadline = \"1m\"\nmessage_limit = \"32MiB\"\nlog_format = \"json\"\nlog = \"warn\"\n",
        )
        .unwrap();
        let output = server(name)
            .args(needed(name))
            .args(["--drain-deadline", "5s", "--print-config"])
            .env("WINDLASS_CONFIG", &file)
            .env("WINDLASS_DRAIN_DEADLINE", "4s")
            .env("WINDLASS_LOG", "debug")
            .env("WINDLASS_LOG_FORMAT", "")
            .env("AWS_ACCESS_KEY_ID", "hunter2")
            .env("AWS_SECRET_ACCESS_KEY", "hunter2")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let printed = stdout(&output);
        assert!(!printed.contains("hunter2"));
        insta::with_settings!({ filters => vec![(folder.path().to_str().unwrap(), "[folder]")] }, {
            insta::assert_snapshot!(format!("print_config_{name}"), printed);
        });

        // The output is a settings file with the same settings.
        fs::write(&file, &printed).unwrap();
        let again = stdout(&server(name).arg("--config").arg(&file).arg("--print-config").output().unwrap());
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| Some(line.split_once("  # ")?.0.to_owned())).collect()
        };
        assert_eq!(values(&again), values(&printed));
    }
}

/// Asserts that the server ends with exit code 2 and prints the code and all of the words.
fn assert_refused(name: &str, args: &[&str], variables: &[(&str, &str)], code: &str, words: &[&str]) {
    for more in [&["--print-config"][..], &[]] {
        let output = server(name).args(args).args(more).envs(variables.iter().copied()).output().unwrap();
        let reported = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{reported}");
        assert!(reported.starts_with(&format!("error[{code}]: ")), "{reported}");
        for word in words {
            assert!(reported.contains(word), "`{word}` is missing: {reported}");
        }
        assert!(!reported.contains("hunter2") && !stdout(&output).contains("hunter2"), "{reported}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_code_and_where_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| {
        let file = folder.path().join("windlass.toml");
        fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    for name in BINARIES {
        let with = |more: &[&'static str]| [needed(name), more].concat();
        assert_refused(name, &[], &[], "WL0905", &["help: give `--", ", WINDLASS_", "in the settings file"]);
        assert_refused(name, &with(&["--config", "/nowhere"]), &[], "WL0901", &["/nowhere", "WINDLASS_CONFIG"]);
        let file = write("log = \"info\"\n\ndrain_deadlin = \"1s\"\n");
        let words = ["windlass.toml:3:", "`drain_deadlin`", "did you mean `drain_deadline`?"];
        assert_refused(name, needed(name), &[("WINDLASS_CONFIG", &file)], "WL0903", &words);
        let file = write("log = info\n");
        assert_refused(name, needed(name), &[("WINDLASS_CONFIG", &file)], "WL0902", &["windlass.toml:1:"]);
        let file = write("drain_deadline = 30\n");
        let words = ["`drain-deadline` cannot be `30`", "windlass.toml:1)", "such as `30s`"];
        assert_refused(name, needed(name), &[("WINDLASS_CONFIG", &file)], "WL0904", &words);
        assert_refused(name, &with(&["--http-bind", "8080"]), &[], "WL0904", &["from --http-bind", "IP address"]);
        let variable = [("WINDLASS_MESSAGE_LIMIT", "much")];
        assert_refused(name, needed(name), &variable, "WL0904", &["WINDLASS_MESSAGE_LIMIT", "`much`"]);
        let secret = [("WINDLASS_OTLP_ENDPOINT", "ftp://ann:hunter2@collector/")];
        assert_refused(name, needed(name), &secret, "WL0904", &["`ftp://***@collector/`", "http"]);
        let unknown = server(name).args(with(&["--htp-bind", "x"])).output().unwrap();
        assert_eq!(unknown.status.code(), Some(2));
        assert!(stderr(&unknown).contains("--http-bind"));
    }
    let secret = ["--home", "s3://key:hunter2@bucket/x"];
    assert_refused("windlass-scheduler", &secret, &[], "WL0904", &["must not contain credentials"]);
    let home = ["--home", "/tmp/home", "--state"];
    for (state, words) in [
        ("etcd://ann:hunter2@a:2379/x", ["`etcd://***@a:2379/x`", "must not contain a user"]),
        ("etcd://a/x", ["from --state", "the port is missing"]),
        ("a:2379", ["begin with `etcd://`", "WINDLASS_ETCD_PASSWORD"]),
    ] {
        assert_refused("windlass-scheduler", &[&home[..], &[state]].concat(), &[], "WL0904", &words);
    }
    let scheduler = ["--scheduler", "http://scheduler:50050"];
    assert_refused("windlass-executor", &scheduler, &[], "WL0904", &["no scheme", "`scheduler:50050`"]);
}

#[test]
fn inconsistent_settings_are_refused() {
    for (name, more, words) in [
        ("windlass-executor", ["--memory", "1MiB"], ["too little for 2 tasks", "32.0 MiB"]),
        ("windlass-executor", ["--grpc-port", "8080"], ["`grpc-port` and `http-bind`", "8080"]),
        ("windlass-scheduler", ["--api-bind", "127.0.0.1:8080"], ["`api-bind` and `http-bind`", "8080"]),
    ] {
        // The last of two equal flags would be a separate error.
        let needed: Vec<&str> = needed(name).chunks(2).filter(|pair| pair[0] != more[0]).flatten().copied().collect();
        let args = [needed.as_slice(), &more].concat();
        let output = server(name).args(&args).output().unwrap();
        let reported = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{reported}");
        assert!(reported.starts_with("error[WL0906]: "), "{reported}");
        assert!(words.iter().all(|word| reported.contains(word)), "{reported}");
    }
    for (args, code) in [(["--message-limit", "1kB"], "WL0904"), (["--heartbeat", "10ms"], "WL0904")] {
        let output = server("windlass-executor").args(needed("windlass-executor")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(code), "{}", stderr(&output));
    }
}

#[test]
fn a_user_of_etcd_has_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = server("windlass-scheduler")
        .args(["--home", &path("home"), "--state-dir", &path("state"), "--http-bind", "127.0.0.1:0"])
        .args(["--state", "etcd://127.0.0.1:1"])
        .env("WINDLASS_ETCD_PASSWORD", "hunter2")
        .output()
        .unwrap();
    let reported = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{reported}");
    assert!(reported.contains("WL0906") && reported.contains("WINDLASS_ETCD_USER"), "{reported}");
    assert!(!reported.contains("hunter2"), "{reported}");
}

#[test]
fn a_url_with_a_password_is_printed_without() {
    for name in BINARIES {
        let endpoint = ["--otlp-endpoint", "http://ann:hunter2@collector:4317", "--print-config"];
        let output = server(name).args(needed(name)).args(endpoint).output().unwrap();
        let printed = stdout(&output);
        assert!(
            printed.contains("otlp_endpoint = \"http://***@collector:4317/\"  # from --otlp-endpoint"),
            "{printed}"
        );
        assert!(!printed.contains("hunter2"));
    }
}
