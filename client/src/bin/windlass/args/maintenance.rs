//! Arguments of the commands that maintain tables and keep their versions.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::MaintenanceKind;
use windlass_process::{Period, SettingValue};

use super::project::{BindArgs, SelectArgs};

/// Arguments of `maintain`.
#[derive(Debug, Args)]
pub(crate) struct MaintainArgs {
    /// The project's folder, as with `--project`
    #[arg(value_name = "PROJECT")]
    pub(crate) folder: Option<PathBuf>,
    /// Which tables.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Only show what is due, and what keeps old versions
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only these actions, separated by commas; by default all that are due
    #[arg(long, value_enum, value_name = "ACTION", value_delimiter = ',')]
    pub(crate) only: Vec<ActionArg>,
}

/// What `maintain` can do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActionArg {
    /// Write small files, and files with deleted rows, as fewer and larger ones
    Compact,
    /// Lay rows out along the Z-order curve of the columns in the policy
    Zorder,
    /// Make a checkpoint of the log
    Checkpoint,
    /// Remove data files that no kept version needs
    Vacuum,
    /// Remove old commits and checkpoints of the log
    #[value(alias = "clean_log")]
    CleanLog,
}

impl ActionArg {
    /// The actions that it stands for.
    pub(crate) fn kinds(self) -> &'static [MaintenanceKind] {
        match self {
            Self::Compact => &[MaintenanceKind::Compact],
            Self::Zorder => &[MaintenanceKind::Zorder],
            Self::Checkpoint => &[MaintenanceKind::Checkpoint],
            Self::Vacuum => &[MaintenanceKind::Vacuum, MaintenanceKind::FullVacuum],
            Self::CleanLog => &[MaintenanceKind::CleanLog],
        }
    }
}

/// The commands about pins.
#[derive(Debug, Subcommand)]
pub(crate) enum PinsCommand {
    /// List the versions that are kept: what active runs have pinned, and the pins and tags that were set
    #[command(after_help = "Example:\n  windlass pins ls")]
    Ls(BindArgs),
    /// Keep a version of a table, for a while or until the pin is released
    #[command(after_help = "\
Examples:
  windlass pins add daily_totals --for 7d
  windlass pins add daily_totals@12 --name report --reason 'the report of June reads it'")]
    Add(PinArgs),
    /// Release a pin: maintenance may remove the version again
    #[command(after_help = "Example:\n  windlass pins release report")]
    Release(NamedArgs),
}

/// Arguments of `pins add`.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// The table, and its version; by default the newest
    #[arg(value_name = "TABLE[@VERSION]", value_parser = table_at)]
    pub(crate) table: TableAt,
    /// The pin's name, by which it is released; by default TABLE-VERSION
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How long the version is kept, such as 12h, 7d or 4w; by default until the pin is released
    #[arg(long = "for", value_name = "TIME", value_parser = period)]
    pub(crate) period: Option<Duration>,
    /// The reason, for those who find the pin
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Arguments of `tag`: those of a new tag, or a command.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct TagArgs {
    /// What to do with the tags that there are.
    #[command(subcommand)]
    pub(crate) command: Option<TagCommand>,
    /// The table, and its version; by default the newest
    #[arg(value_name = "TABLE[@VERSION]", value_parser = table_at, required = true)]
    pub(crate) table: Option<TableAt>,
    /// The tag's name
    #[arg(required = true)]
    pub(crate) name: Option<String>,
    /// The reason, for those who find the tag
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// The commands about tags.
#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// List the tags
    #[command(after_help = "Example:\n  windlass tag ls")]
    Ls(BindArgs),
    /// Remove a tag: maintenance may remove the version again
    #[command(after_help = "Example:\n  windlass tag rm june")]
    Rm(NamedArgs),
}

/// The pin or tag with a name.
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// The name
    pub(crate) name: String,
    /// The target.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// The target whose tables are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArgs {
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

impl TargetArgs {
    /// How the project is bound.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}

/// A table, and possibly one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableAt {
    /// The stage, or the name of its quarantine.
    pub(crate) table: NodeName,
    /// The version; `None` is the newest.
    pub(crate) version: Option<TableVersion>,
}

fn table_at(text: &str) -> Result<TableAt, String> {
    let (table, version) = match text.rsplit_once('@') {
        Some((table, version)) => (table, Some(version)),
        None => (text, None),
    };
    if table.is_empty() {
        return Err("the table's name is missing: write TABLE or TABLE@VERSION, such as orders@12".to_owned());
    }
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number).map(TableVersion);
        number.ok_or_else(|| {
            format!("`{text}` is not a version: write TABLE@VERSION with a whole number, or TABLE for the newest")
        })
    };
    Ok(TableAt { table: NodeName::new(table), version: version.map(number).transpose()? })
}

fn period(text: &str) -> Result<Duration, String> {
    let example = "write a time such as 12h, 7d or 4w";
    match Period::parse(text) {
        Ok(Period(Duration::ZERO)) => Err(format!("it would end at once; {example}")),
        Ok(Period(time)) => Ok(time),
        Err(_) => Err(example.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_with_or_without_a_version() {
        let at =
            |table: &str, version: Option<u64>| TableAt { table: table.into(), version: version.map(TableVersion) };
        assert_eq!(table_at("orders"), Ok(at("orders", None)));
        assert_eq!(table_at("orders@0"), Ok(at("orders", Some(0))));
        assert_eq!(table_at("orders__quarantine@12"), Ok(at("orders__quarantine", Some(12))));
        for (wrong, said) in [
            ("", "the table's name is missing"),
            ("@3", "the table's name is missing"),
            ("orders@", "`` is not a version"),
            ("orders@newest", "`newest` is not a version"),
            ("orders@-1", "`-1` is not a version"),
            ("orders@+1", "`+1` is not a version"),
            ("orders@18446744073709551616", "`18446744073709551616` is not a version"),
        ] {
            assert!(table_at(wrong).unwrap_err().contains(said), "{wrong}");
        }
    }

    #[test]
    fn a_pin_lasts_for_a_time() {
        assert_eq!(period("7d"), Ok(Duration::from_secs(7 * 24 * 60 * 60)));
        assert_eq!(period("1h 30m"), Ok(Duration::from_secs(90 * 60)));
        for wrong in ["", "7", "0s", "-1d", "soon"] {
            assert!(period(wrong).unwrap_err().contains("7d"), "{wrong}");
        }
    }
}
