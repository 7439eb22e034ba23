//! `windlass ui`: the runs of a home as pages.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use windlass_base::error::Failure;
use windlass_client::embedded::local_runs;
use windlass_client::error::ClientError;
use windlass_client::{Project, Runs, Windlass};
use windlass_storage::Location;
use windlass_ui::{OpenRuns, ProjectTexts, RunSource, UiServer};

use super::run::wait_for_signal;
use super::{open_project, project_dir};
use crate::args::{Global, UiArgs};
use crate::failure::CommandError;
use crate::output;

/// Serves the pages until a signal ends it.
pub(crate) async fn run(global: &Global, args: &UiArgs) -> Result<(), CommandError> {
    check_address(args.address, args.insecure)?;
    let project = open_project(global, &args.bind())?;
    let source = ProjectRuns {
        place: match &global.cluster {
            Some(url) => Place::Cluster(Windlass::connect(url).await?),
            None => Place::Home(project.home(global.home.as_deref())?),
        },
        dir: project_dir(global)?,
        target: args.target.clone(),
        texts: Mutex::new(Arc::new(ProjectTexts::of(&project.graph))),
        project,
    };
    let server = UiServer::bind(SocketAddr::new(args.address, args.port)).await?;
    let (name, address) = (&source.project.graph.name, server.address());
    output::text(&format!("the runs of {name} are shown at http://{address}/ until Ctrl-C\n"))?;
    Ok(server.serve(Arc::new(source), wait_for_signal()).await?)
}

/// Pages are shown to whoever asks: only this machine may, unless it is said that all may.
fn check_address(bind: IpAddr, insecure: bool) -> Result<(), CommandError> {
    if bind.is_loopback() || insecure {
        return Ok(());
    }
    Err(CommandError::Usage {
        message: format!(
            "other machines can reach {bind}, and the pages ask nobody who they are: they show queries, locations and \
             samples of rows"
        ),
        help: "leave out `--bind`, and reach the pages through a tunnel; if everyone may see them, add `--insecure`"
            .to_owned(),
    })
}

/// The runs of a project, wherever they are kept.
struct ProjectRuns {
    place: Place,
    project: Project,
    dir: PathBuf,
    target: Option<String>,
    /// What the project said when it could be read last.
    texts: Mutex<Arc<ProjectTexts>>,
}

/// Where the runs are kept.
enum Place {
    /// In a home, which is opened for each page: in between others may write to it.
    Home(Location),
    /// Behind a scheduler.
    Cluster(Windlass),
}

impl ProjectRuns {
    async fn open(&self) -> Result<Runs, ClientError> {
        match &self.place {
            Place::Home(home) => local_runs(home).await,
            Place::Cluster(windlass) => windlass.runs(&self.project).await,
        }
    }
}

#[async_trait]
impl RunSource for ProjectRuns {
    async fn runs(&self) -> Result<OpenRuns, Failure> {
        let Runs { bundles, live, .. } = self.open().await.map_err(Failure::from)?;
        Ok(OpenRuns { bundles, live })
    }

    fn texts(&self) -> Arc<ProjectTexts> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        // While the project is edited it may have mistakes, and then the pages show what it said before.
        if let Ok(project) = Project::open(&self.dir, self.target.as_deref(), &self.project.sources) {
            *texts = Arc::new(ProjectTexts::of(&project.graph));
        }
        texts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_let_in_only_if_that_is_said() {
        for own in ["127.0.0.1", "127.0.0.2", "::1"] {
            assert!(check_address(own.parse().unwrap(), false).is_ok(), "{own}");
        }
        for open in ["0.0.0.0", "::", "192.168.1.2"] {
            let refused = check_address(open.parse().unwrap(), false).unwrap_err();
            assert!(refused.exit_code() == 2 && refused.to_string().contains("other machines"), "{open}: {refused}");
            assert!(check_address(open.parse().unwrap(), true).is_ok(), "{open}");
        }
    }
}
