//! Arguments of `ui`.

use std::net::{IpAddr, Ipv4Addr};

use clap::Args;

use super::project::BindArgs;

/// Arguments of `ui`.
#[derive(Debug, Args)]
pub(crate) struct UiArgs {
    /// The port; 0 picks a free one
    #[arg(long, default_value_t = 4270)]
    pub(crate) port: u16,
    /// The address to listen on; any but this machine's own needs --insecure
    #[arg(long = "bind", value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) address: IpAddr,
    /// Show the pages to everyone who reaches the address: they ask for no password
    #[arg(long)]
    pub(crate) insecure: bool,
    /// A target of the project, such as dev or prod, whose home is shown
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

impl UiArgs {
    /// How the project is bound.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}
