//! `windlass pins`: the versions that are kept, and by what; pins that are set by hand.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use windlass_client::document::KeptDocument;
use windlass_client::{NewMark, Project, VersionMark, Windlass};

use super::{marks, open_project, start_reading};
use crate::args::{BindArgs, Global, Output, PinArgs, PinsCommand, TableAt};
use crate::failure::CommandError;
use crate::output::{self, Cell, NONE, Table, Tone, name, or_none, prose, time, word};

/// Lists what is kept, sets a pin or releases one.
pub(crate) async fn run(global: &Global, command: &PinsCommand) -> Result<(), CommandError> {
    match command {
        PinsCommand::Ls(args) => list(global, args).await,
        PinsCommand::Add(args) => add(global, args).await,
        PinsCommand::Release(args) => marks::release(global, args, false).await,
    }
}

async fn list(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let project = open_project(global, args)?;
    let windlass = start_reading(global, &project).await?;
    let kept = kept(&windlass, &project).await;
    windlass.stop().await;
    let kept = kept?;
    if global.output == Output::Json {
        return Ok(output::json(&kept)?);
    }
    let mut columns = vec![word("KIND"), name("NAME"), name("TABLE"), word("VERSION"), word("UNTIL"), prose("REASON")];
    if global.verbose > 0 {
        columns.extend([prose("SET BY"), prose("LOCATION")]);
    }
    let now = Utc::now();
    Ok(output::table(&Table::new(columns).with(kept.iter().map(|kept| row(kept, now, global.verbose > 0))))?)
}

/// What active runs have pinned, then what was set by hand.
async fn kept(windlass: &Windlass, project: &Project) -> Result<Vec<KeptDocument>, CommandError> {
    let mut kept: Vec<KeptDocument> = windlass.pins(project).await?.into_iter().map(KeptDocument::Run).collect();
    kept.extend(windlass.version_marks(project).await?.into_iter().map(KeptDocument::from));
    Ok(kept)
}

fn row(kept: &KeptDocument, now: DateTime<Utc>, with_details: bool) -> Vec<Cell> {
    let (mut row, by, location): (Vec<Cell>, &str, &str) = match kept {
        KeptDocument::Run(pin) => {
            let version = pin.version.map_or_else(|| "as listed".to_owned(), |version| version.to_string());
            let row = ["run".to_owned(), pin.run_id.to_string(), pin.name.to_string(), version, "its end".to_owned()];
            (row.map(Cell::from).into_iter().chain([NONE.into()]).collect(), NONE, &pin.location)
        }
        KeptDocument::Mark { mark, location, .. } => {
            let row = vec![
                marks::kind(mark.tag).into(),
                mark.name.clone().into(),
                mark.table.to_string().into(),
                mark.version.to_string().into(),
                until(mark, now),
                or_none(mark.reason.clone()).into(),
            ];
            (row, &mark.by, location)
        }
    };
    if with_details {
        row.extend([by.into(), location.into()]);
    }
    row
}

fn until(mark: &VersionMark, now: DateTime<Utc>) -> Cell {
    match mark.expires_at {
        Some(at) if at <= now => Cell::toned("expired", Tone::Faint),
        Some(at) => time(at).into(),
        None if mark.tag => "removed".into(),
        None => "released".into(),
    }
}

async fn add(global: &Global, args: &PinArgs) -> Result<(), CommandError> {
    let expires_at = args.period.map(|period| expiry(Utc::now(), period)).transpose()?;
    let bind = args.target.bind();
    let (at, name) = match &args.name {
        Some(name) => (args.table.clone(), name.clone()),
        None => {
            let at = settled(global, &bind, &args.table).await?;
            let version = at.version.map(|version| format!("-{version}")).unwrap_or_default();
            let name = format!("{}{version}", at.table);
            (at, name)
        }
    };
    let reason = args.reason.clone();
    marks::set(global, &bind, NewMark { name, tag: false, table: at.table, version: at.version, expires_at, reason })
        .await
}

/// The table with its newest version, if none is given, because the name contains it. What is not there is for the scheduler
/// to say.
async fn settled(global: &Global, bind: &BindArgs, at: &TableAt) -> Result<TableAt, CommandError> {
    if at.version.is_some() {
        return Ok(at.clone());
    }
    let project = open_project(global, bind)?;
    let windlass = start_reading(global, &project).await?;
    let tables = windlass.tables(&project).await;
    windlass.stop().await;
    let version = tables?.into_iter().find(|table| table.name == at.table).and_then(|table| table.version);
    Ok(TableAt { version, ..at.clone() })
}

fn expiry(now: DateTime<Utc>, period: Duration) -> Result<DateTime<Utc>, CommandError> {
    let at = TimeDelta::from_std(period).ok().and_then(|period| now.checked_add_signed(period));
    at.ok_or_else(|| CommandError::Usage {
        message: "`--for` leads beyond the end of the calendar".to_owned(),
        help: "leave it out: the version is kept until the pin is released".to_owned(),
    })
}
