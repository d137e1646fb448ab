//! `cargo xtask check`: the steps of `cargo xtask test` that run no test.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{program, tidy};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("`check` takes no argument, but got `{argument}`")));
    }
    format(workspace)?;
    tidy::run(workspace, &[])?;
    lints(workspace)
}

pub(crate) fn format(workspace: &Workspace) -> Result<(), Failure> {
    program::run(workspace.cargo().args(["fmt", "--all", "--check"]))
}

pub(crate) fn lints(workspace: &Workspace) -> Result<(), Failure> {
    program::run(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}
