//! `windlass clean`: removes what the home keeps and nothing needs any more.

use windlass_client::CleanOptions;
use windlass_evidence::artifact::{CleanItem, CleanRecord, CleanTotal};

use super::{open_project, start, start_reading};
use crate::args::{CleanArgs, Global, Output};
use crate::failure::CommandError;
use crate::output::{self, Cell, Layout, Table, Tone, bytes, count, counted, name, number, prose, word};

/// Removes it, or shows what would be removed.
pub(crate) async fn run(global: &Global, args: &CleanArgs) -> Result<(), CommandError> {
    if args.tables && !args.yes && !args.dry_run {
        return Err(CommandError::Usage {
            message: "tables that are removed with `--tables` cannot be restored".to_owned(),
            help: "see which they are with `--dry-run`, then confirm with `--yes`".to_owned(),
        });
    }
    let project = open_project(global, &args.bind())?;
    let windlass = match args.dry_run {
        true => start_reading(global, &project).await?,
        false => start(global, &project).await?,
    };
    let options = CleanOptions {
        dry_run: args.dry_run,
        tables: args.tables,
        keep_runs: args.keep_runs,
        keep_days: args.keep_days,
    };
    let record = windlass.clean(&project, &options).await;
    windlass.stop().await;
    let record = record?;
    match global.output == Output::Json {
        true => output::json(&record)?,
        false => show(global, &record)?,
    }
    match record.items.iter().filter(|item| item.failure.is_some()).count() {
        0 => Ok(()),
        failed => Err(CommandError::NotCleaned { failed }),
    }
}

fn show(global: &Global, record: &CleanRecord) -> Result<(), CommandError> {
    let layout = Layout::stdout();
    let mut text = String::new();
    if !record.items.is_empty() {
        let mut columns = vec![word("KIND"), name("NAME"), number("FILES"), number("SIZE"), prose("WHY")];
        columns.extend((global.verbose > 0).then(|| prose("LOCATION")));
        text.push_str(&Table::new(columns).with(record.items.iter().map(row)).render(layout));
        text.push('\n');
    }
    text.push_str(&summary(record));
    let hint = "files that failed tasks have left in the folders of tables are removed by `windlass maintain`";
    text.push_str(&format!("{}\n", layout.paint(Tone::Faint, hint)));
    Ok(output::text(&text)?)
}

fn row(item: &CleanItem) -> Vec<Cell> {
    let why = match &item.failure {
        Some(failure) => Cell::toned(format!("not removed: {}", failure.message), Tone::Bad),
        None if item.due => item.reason.clone().into(),
        None => Cell::toned(item.reason.clone(), Tone::Faint),
    };
    vec![
        item.kind.as_str().into(),
        item.name.clone().into(),
        count(item.files).into(),
        bytes(item.bytes).into(),
        why,
        item.location.clone().into(),
    ]
}

/// What the items come to, in a line for each outcome.
fn summary(record: &CleanRecord) -> String {
    let totals = &record.totals;
    let line = |what: &str, total: &CleanTotal| match total.items {
        0 => String::new(),
        items => {
            let items = counted(usize::try_from(items).unwrap_or(usize::MAX), "item");
            let files = counted(usize::try_from(total.files).unwrap_or(usize::MAX), "file");
            format!("{what}: {items}, {files}, {}\n", bytes(total.bytes))
        }
    };
    let done = match (record.dry_run, totals.due.items) {
        (_, 0) => "nothing to remove\n".to_owned(),
        (true, _) => line("would be removed", &totals.due),
        (false, _) => {
            let failed = CleanTotal {
                items: totals.due.items - totals.removed.items,
                files: totals.due.files - totals.removed.files,
                bytes: totals.due.bytes - totals.removed.bytes,
            };
            line("removed", &totals.removed) + &line("not removed", &failed)
        }
    };
    done + &line("left as it is", &totals.kept)
}

#[cfg(test)]
mod tests {
    use windlass_evidence::artifact::{CLEAN_FORMAT, CleanKind, CleanTotals};

    use super::*;

    fn record(dry_run: bool, items: &[(u64, bool, bool)]) -> CleanRecord {
        let item = |(bytes, due, removed): &(u64, bool, bool)| CleanItem {
            kind: CleanKind::RunBundle,
            name: "1".to_owned(),
            location: "/home/runs/1".to_owned(),
            files: 2,
            bytes: *bytes,
            reason: "old".to_owned(),
            due: *due,
            removed: *removed,
            failure: None,
        };
        let items: Vec<CleanItem> = items.iter().map(item).collect();
        CleanRecord {
            format: CLEAN_FORMAT,
            pipeline: "shop".into(),
            home: "/home".to_owned(),
            dry_run,
            totals: CleanTotals::of(&items),
            items,
        }
    }

    #[test]
    fn the_summary_tells_what_was_and_what_was_not_removed() {
        assert_eq!(summary(&record(true, &[])), "nothing to remove\n");
        let dry = record(true, &[(1024, true, false), (1024, true, false), (512, false, false)]);
        assert_eq!(
            summary(&dry),
            "would be removed: 2 items, 4 files, 2.00 KiB\nleft as it is: 1 item, 2 files, 512 B\n"
        );
        let done = record(false, &[(1024, true, true), (512, true, false)]);
        assert_eq!(summary(&done), "removed: 1 item, 2 files, 1.00 KiB\nnot removed: 1 item, 2 files, 512 B\n");
    }
}
