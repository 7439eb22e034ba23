//! The pages: each reads what it shows, and nothing more, and renders it with its template.

mod failed;
mod grid;
mod lineage;
mod run;
mod run_parts;
mod stage;
mod stage_parts;
mod tables;

use askama::Template;
use url::form_urlencoded;
use windlass_base::error::full_message;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::bundle::RecordError;

use crate::error::UiError;
use crate::runs::Runs;
use crate::server::Site;
use crate::view::text::decoded;

pub(crate) use failed::error_page;

const STYLE: &str = include_str!("../../assets/style.css");
const SCRIPT: &str = include_str!("../../assets/live.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// What is at an address.
pub(crate) enum Content {
    /// A page, as HTML.
    Page(String),
    /// A file that pages refer to.
    Asset {
        /// Its media type.
        kind: &'static str,
        /// Its content.
        text: &'static str,
    },
}

/// What all pages have.
#[derive(Debug)]
pub(crate) struct Page {
    /// The title.
    pub(crate) title: String,
    /// Which of the links at the top it belongs to.
    pub(crate) section: Section,
    /// Whether it changes while it is looked at.
    pub(crate) is_live: bool,
}

/// The links at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Runs and their stages.
    Runs,
    /// Tables.
    Tables,
    /// Lineage.
    Lineage,
    /// None of them.
    None,
}

impl Page {
    fn new(title: impl Into<String>, section: Section) -> Self {
        Self { title: title.into(), section, is_live: false }
    }

    pub(crate) fn is_runs(&self) -> bool {
        self.section == Section::Runs
    }

    pub(crate) fn is_tables(&self) -> bool {
        self.section == Section::Tables
    }

    pub(crate) fn is_lineage(&self) -> bool {
        self.section == Section::Lineage
    }
}

/// What is at an address.
pub(crate) async fn content(site: &Site, path: &str, query: &str) -> Result<Content, UiError> {
    let no_such_page = || UiError::NoSuchPage { path: path.to_owned() };
    let segments: Option<Vec<String>> = path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
    let segments = segments.ok_or_else(no_such_page)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let asset = |kind, text| Ok(Content::Asset { kind, text });
    match segments.as_slice() {
        ["assets", "style.css"] => return asset("text/css; charset=utf-8", STYLE),
        ["assets", "live.js"] => return asset("text/javascript; charset=utf-8", SCRIPT),
        ["assets", "icon.svg"] => return asset("image/svg+xml", ICON),
        _ => {}
    }
    let runs = Runs::open(site.source.as_ref(), site.sealed.clone()).await?;
    let html = match segments.as_slice() {
        [] => grid::page(&runs, query).await?,
        ["runs", run] => run::page(&runs, &run_id(run)?).await?,
        ["runs", run, "stages", stage] => stage::page(site, &runs, &run_id(run)?, &NodeName::from(*stage)).await?,
        ["tables"] => tables::list(&runs).await?,
        ["tables", table] => tables::history(&runs, &NodeName::from(*table), query).await?,
        ["lineage"] => lineage::page(&runs).await?,
        _ => return Err(no_such_page()),
    };
    Ok(Content::Page(html))
}

/// The id of a run as an address has it. It becomes a path, so only an id is taken.
fn run_id(text: &str) -> Result<RunId, UiError> {
    Ok(RunId::parse(text).map_err(|_| RecordError::NoSuchRun { run_id: RunId::new(text) })?)
}

/// The value of a parameter, if it has one.
fn parameter(query: &str, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}

/// The run before which a page begins, if it is not the first one.
fn before(query: &str) -> Result<Option<RunId>, UiError> {
    parameter(query, "before").map(|before| run_id(&before)).transpose()
}

/// A part of a bundle; if it cannot be read, the page says why and shows the rest.
fn part<T>(read: Result<Option<T>, RecordError>, problems: &mut Vec<String>) -> Option<T> {
    read.unwrap_or_else(|error| {
        problems.push(full_message(&error));
        None
    })
}

fn html(template: &impl Template) -> String {
    // Rendering fails only if writing does, and writing to a String does not.
    template.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_empty_ones_left_out() {
        let query = "pipeline=a%26b+c&status=&status=failed";
        assert_eq!(parameter(query, "pipeline").as_deref(), Some("a&b c"));
        assert_eq!(parameter(query, "status"), None);
        assert_eq!(parameter(query, "before"), None);
    }

    #[test]
    fn only_ids_of_runs_become_paths() {
        assert!(run_id("0192f3a45b6c7d8e9f00112233445566").is_ok());
        for wrong in ["", "..", "latest", "0192F3A45B6C7D8E9F00112233445566", "../../etc/passwd"] {
            let error = run_id(wrong).unwrap_err();
            assert_eq!(error.status().as_u16(), 404, "{wrong}");
        }
    }
}
