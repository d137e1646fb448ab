//! The commands, a file each, and the program around them: parsing, logging, the runtime, the exit code.

mod access;
mod access_request;
mod api_key;
mod backup;
mod doctor;
mod engine;
mod erase;
mod explain;
mod export;
mod hold;
mod import;
mod init;
mod key;
mod list;
mod model;
mod models;
mod policy;
mod promote;
mod proxy;
mod receipt;
mod record;
mod reindex;
mod restore;
mod retention;
mod seal;
mod search;
mod serve;
mod ship;
mod show;
mod spool;
mod sql;
mod stats;
mod tail;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Exit, Failure, Result};
use crate::options::Options;

const EXIT_CODES: &str = "Exit codes:
  0  fine
  1  `verify` or `doctor` found problems
  2  the command line or the input is wrong
  3  the trail cannot be used: wrong or missing key, newer format, contradictions
  4  a disk, a store or the catalog failed
  5  another process has the trail, the index or the shipper's folder

Environment: MINUTEBOOK_TRAIL, MINUTEBOOK_KEYS, NO_COLOR; see docs/cli.md.";

/// A tamper-evident audit trail for decisions of models.
#[derive(Debug, Parser)]
#[command(name = "minutebook", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
#[command(arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Record(record::Record),
    Import(Box<import::Import>),
    List(list::List),
    Search(Box<search::Search>),
    Sql(sql::Sql),
    Export(Box<export::Export>),
    Tail(tail::Tail),
    Show(show::Show),
    Explain(Box<explain::Explain>),
    Stats(stats::Stats),
    Models(models::Models),
    #[command(subcommand)]
    Model(model::Model),
    Receipt(receipt::Receipt),
    Verify(verify::Verify),
    Seal(seal::Seal),
    Engine(engine::Engine),
    Serve(serve::Serve),
    Ship(ship::Ship),
    Proxy(Box<proxy::Proxy>),
    AccessRequest(access_request::AccessRequest),
    Erase(erase::Erase),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    ApiKey(api_key::ApiKey),
    #[command(subcommand)]
    Access(access::Access),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Retention(retention::Retention),
    #[command(subcommand)]
    Hold(hold::Hold),
    #[command(subcommand)]
    Spool(spool::Spool),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Promote(promote::Promote),
    Doctor(doctor::Doctor),
    Reindex(reindex::Reindex),
}

/// Runs the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no errors, and go to standard output.
            let exit = if error.use_stderr() { Exit::Input } else { Exit::Fine };
            let _ = error.print();
            return ExitCode::from(exit as u8);
        }
    };
    let exit = match run(line) {
        Ok(()) => Exit::Fine,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                use std::io::Write;
                let _ = writeln!(anstream::stderr(), "{text}");
            }
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn run(line: CommandLine) -> Result {
    start_logging(&line.options);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Told {
        exit: Exit::Io,
        what: format!("cannot start: {error}"),
        to_do: None,
    })?;
    let options = &line.options;
    let result = match line.command {
        Command::Init(command) => command.run(options, &runtime),
        Command::Record(command) => command.run(options, &runtime),
        Command::Import(command) => command.run(options, &runtime),
        Command::List(command) => command.run(options, &runtime),
        Command::Search(command) => command.run(options, &runtime),
        Command::Sql(command) => command.run(options, &runtime),
        Command::Export(command) => command.run(options, &runtime),
        Command::Tail(command) => command.run(options, &runtime),
        Command::Show(command) => command.run(options, &runtime),
        Command::Explain(command) => command.run(options, &runtime),
        Command::Stats(command) => command.run(options, &runtime),
        Command::Models(command) => command.run(options, &runtime),
        Command::Model(command) => command.run(options, &runtime),
        Command::Receipt(command) => command.run(options, &runtime),
        Command::Verify(command) => command.run(options, &runtime),
        Command::Seal(command) => command.run(options, &runtime),
        Command::Engine(command) => command.run(options, &runtime),
        Command::Serve(command) => command.run(options, &runtime),
        Command::Ship(command) => command.run(options, &runtime),
        Command::Proxy(command) => command.run(options, &runtime),
        Command::AccessRequest(command) => command.run(options, &runtime),
        Command::Erase(command) => command.run(options, &runtime),
        Command::Key(command) => command.run(options, &runtime),
        Command::ApiKey(command) => command.run(options, &runtime),
        Command::Access(command) => command.run(options, &runtime),
        Command::Policy(command) => command.run(options, &runtime),
        Command::Retention(command) => command.run(options, &runtime),
        Command::Hold(command) => command.run(options, &runtime),
        Command::Spool(command) => command.run(options, &runtime),
        Command::Backup(command) => command.run(options, &runtime),
        Command::Restore(command) => command.run(options, &runtime),
        Command::Promote(command) => command.run(options, &runtime),
        Command::Doctor(command) => command.run(options, &runtime),
        Command::Reindex(command) => command.run(options, &runtime),
    };
    // A thread that waits for standard input must not keep the program.
    runtime.shutdown_background();
    result
}

/// Logs go to standard error: warnings, with -v what is done, with -vv everything of ours.
fn start_logging(options: &Options) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => {
            "warn,minutebook=info,minutebook_trail=info,minutebook_server=info,minutebook_net=info,minutebook_proxy=info,minutebook_cli=info"
        }
        (false, _) => {
            "warn,minutebook=debug,minutebook_trail=debug,minutebook_server=debug,minutebook_net=debug,minutebook_proxy=debug,minutebook_cli=debug"
        }
    };
    // The second call in a process, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(anstream::stderr)
        .with_target(false)
        .compact()
        .try_init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    fn all(command: &clap::Command, path: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            each(&path, below);
            all(below, &path, each);
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_page_has_every_command_and_option() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut missing = Vec::new();
        all(&CommandLine::command(), "minutebook", &mut |path, command| {
            let begins = page.find(&format!("\n## `{path}"));
            let section = begins.map_or("", |at| &page[at + 1..]);
            let section = section.find("\n## ").map_or(section, |end| &section[..end]);
            if begins.is_none() {
                missing.push(path.to_owned());
            }
            for option in
                command.get_arguments().filter(|option| !option.is_global_set() && !option.is_hide_set())
            {
                let Some(long) = option.get_long().filter(|long| *long != "help") else { continue };
                if !section.contains(&format!("`--{long}")) {
                    missing.push(format!("{path} --{long}"));
                }
            }
        });
        for option in CommandLine::command().get_arguments().filter_map(clap::Arg::get_long) {
            if !matches!(option, "help" | "version") && !page.contains(&format!("`--{option}")) {
                missing.push(format!("--{option}"));
            }
        }
        assert_eq!(missing, [""; 0], "not in docs/cli.md");
    }
}
