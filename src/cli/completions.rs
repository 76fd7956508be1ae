//! `lychgate completions`: a completion script on stdout.

use super::Answer;
use clap_complete::Shell;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  lychgate completions bash > /etc/bash_completion.d/lychgate")]
pub(super) struct Arguments {
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let mut command = super::command();
    clap_complete::generate(arguments.shell, &mut command, "lychgate", &mut std::io::stdout());
    Ok(Answer::Fine)
}
