//! What commands print adapts to the width of the terminal, and is coloured on terminals only.

use insta::assert_snapshot;

use super::shop::{ORDERS, Shop, text};

/// A folder whose name is as long on every machine, since it is shown.
const PLACE: &str = "/tmp/windlass-layout";
const WIDTHS: [usize; 3] = [60, 80, 120];
const QUERY: &str = "SELECT customer, orders, amount, 'a text that takes more columns than a narrow terminal has' AS note \
                     FROM totals_of_each_customer ORDER BY customer";

/// The commands whose output is looked at: of a project that was run once and has changed since.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("plan", &["plan"]),
    ("plan_details", &["plan", "totals_of_each_customer"]),
    ("runs_list", &["runs", "list"]),
    ("runs_show", &["runs", "show"]),
    ("tables", &["tables"]),
    ("query", &["query", QUERY]),
];

fn changed_shop() -> Shop {
    let shop = Shop::at(PLACE);
    shop.windlass(&["run"]).assert().success();
    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    shop
}

fn piped(shop: &Shop, width: usize, variables: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = shop.windlass(args);
    let command = command.env("COLUMNS", width.to_string()).envs(variables.iter().copied());
    text(&command.assert().success().get_output().stdout)
}

fn without_colours(coloured: &str) -> String {
    regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(coloured, "").into_owned()
}

fn columns(line: &str) -> usize {
    line.chars().count()
}

/// Checks a text without what differs from run to run.
macro_rules! assert_layout {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ filters => vec![
            (r"\b[0-9a-f]{32}\b", "[id]"),
            (r"\b[0-9a-f]{12}\b", "[short id]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z", "[time]"),
            (r"\d+(\.\d+)? (ms|s|min)\b", "[duration]"),
            (r"\d+\.\d+ [KM]iB", "[size]"),
            // How wide a column is depends on what is left out.
            (r"(\S) {2,}", "$1  "),
        ] }, { assert_snapshot!($name, $text) })
    };
}

#[test]
fn text_fits_the_width_whether_or_not_there_is_a_terminal() {
    let shop = changed_shop();
    for (name, args) in COMMANDS {
        for width in WIDTHS {
            let plain = piped(&shop, width, &[], args);
            for line in plain.lines() {
                assert!(columns(line) <= width, "{name} at {width}: {line}");
            }
            assert!(!plain.contains('\u{1b}'), "{name}: {plain}");
            // As for summaries of runs.
            if name != "runs_show" {
                assert_layout!(format!("{name}_{width}"), &plain);
            }

            // Colours change nothing else.
            let coloured = piped(&shop, width, &[("CLICOLOR_FORCE", "1")], args);
            assert!(coloured.contains("\u{1b}["), "{name}: {coloured}");
            assert_eq!(without_colours(&coloured), plain, "{name} at {width}");
            // A terminal of that width shows the same, with colours.
            assert_eq!(shop.on_terminal(width, &[], args), coloured, "{name} at {width}");
        }
        let plain = piped(&shop, 60, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], args);
        assert_eq!(plain, piped(&shop, 60, &[], args), "{name}");
        // COLUMNS outweighs the terminal, and its colours can be turned off.
        for off in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            assert_eq!(shop.on_terminal(200, &[off, ("COLUMNS", "60")], args), plain, "{name}");
        }
        // Without either, lines are as long as they need to be: they are for other programs.
        let unlimited = shop.shown(args);
        assert!(unlimited.lines().count() <= piped(&shop, 60, &[], args).lines().count(), "{name}: {unlimited}");
    }
}

#[test]
fn a_first_plan_and_the_summaries_of_runs_fit_the_width() {
    let shop = Shop::at(PLACE);
    for width in WIDTHS {
        assert_layout!(format!("first_plan_{width}"), piped(&shop, width, &[], &["plan"]));
    }
    // How wide the columns of a summary are depends on how long the run took: the unit tests of summaries have snapshots.
    for width in WIDTHS {
        let first = piped(&shop, width, &[("CLICOLOR_FORCE", "1")], &["run", "--full-refresh"]);
        assert!(first.contains("\u{1b}[32mcommitted\u{1b}[0m"), "{first}");
        let reused = shop.on_terminal(width, &[("NO_COLOR", "1")], &["run"]);
        for line in without_colours(&first).lines().chain(reused.lines()).filter(|line| !line.starts_with("bundle ")) {
            assert!(columns(line) <= width, "at {width}: {line}");
        }
    }
}

#[test]
fn errors_and_help_follow_the_same_rules() {
    let shop = Shop::new();
    shop.write("stages/orders_clean.sql", "SELECT ordr_id FROM orders");
    let refused = |variables: &[(&str, &str)]| {
        let mut command = shop.windlass(&["plan"]);
        text(&command.envs(variables.iter().copied()).assert().code(1).get_output().stderr)
    };
    let plain = refused(&[("COLUMNS", "60")]);
    assert!(plain.contains("ordr_id") && !plain.contains('\u{1b}'), "{plain}");
    let coloured = refused(&[("COLUMNS", "60"), ("CLICOLOR_FORCE", "1")]);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert_eq!(without_colours(&coloured), plain);
    assert_eq!(refused(&[("COLUMNS", "60"), ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);

    for width in [60, 80] {
        let help = piped(&shop, width, &[], &["run", "--help"]);
        for line in help.lines().filter(|line| !line.starts_with("  windlass ")) {
            assert!(columns(line) <= width, "{line}");
        }
        assert_eq!(shop.on_terminal(width, &[("NO_COLOR", "1")], &["run", "--help"]), help);
    }
}
