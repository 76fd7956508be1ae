//! The command line: what the user typed becomes a call, an error chain becomes one message and an
//! exit code. Exit codes: 0 fine, 1 the answer is no, 2 could not run.

mod check;
mod completions;
#[cfg(feature = "simulator")]
mod demo;
mod explain;
mod keys;
pub mod log;
mod pages;
mod ready;
mod report;
mod serve;
mod signals;
#[cfg(feature = "simulator")]
mod simulator;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  lychgate demo                                     the whole story on this machine
  lychgate keys generate config/vault.key           make the sealing key
  lychgate check --config config/lychgate.toml      report every problem, change nothing
  lychgate serve --config config/lychgate.toml      open the gate
  lychgate explain --config config/lychgate.toml https://library.example/loans --as 0000-0002-1825-0097

Exit codes: 0 fine, 1 the answer is no, 2 could not run.";

/// Sign researchers in with ORCID in front of web applications that cannot do it themselves.
#[derive(Parser)]
#[command(name = "lychgate", version, about, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Open the gate with a configuration
    Serve(serve::Arguments),
    /// The whole story on this machine: a simulated ORCID, two sample apps and the gate
    #[cfg(feature = "simulator")]
    Demo(demo::Arguments),
    /// The offline stand-in for orcid.org, for developers of any ORCID integration
    #[cfg(feature = "simulator")]
    Simulator(Box<simulator::Arguments>),
    /// Read configuration, certificates and policies; report every problem; change nothing
    Check(check::Arguments),
    /// Say what would happen to a request, and which rule says so
    Explain(explain::Arguments),
    /// Make, rotate or list the keys that seal the vault
    Keys(keys::Arguments),
    /// Write every page in every language as files to look at
    Pages(pages::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

/// What a verb answers.
pub(crate) enum Answer {
    Fine,
    No,
}

/// Runs the verb the user typed.
pub fn run() -> ExitCode {
    crate::tls::install_provider();
    let arguments = Arguments::parse();
    let answer = match arguments.verb {
        Verb::Serve(arguments) => serve::run(&arguments),
        #[cfg(feature = "simulator")]
        Verb::Demo(arguments) => demo::run(&arguments),
        #[cfg(feature = "simulator")]
        Verb::Simulator(arguments) => simulator::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Keys(arguments) => keys::run(&arguments),
        Verb::Pages(arguments) => pages::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
    };
    match answer {
        Ok(Answer::Fine) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(fault) => {
            report::fault(&fault);
            ExitCode::from(2)
        }
    }
}

pub(crate) fn command() -> clap::Command {
    use clap::CommandFactory;
    Arguments::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn help_fits_one_screen() {
        let mut command = super::command();
        let help = command.render_help().to_string();
        assert!(help.lines().count() <= 40, "{help}");
    }
}
