//! `lychgate check`: reads everything, reports every problem, changes nothing, touches no network.

use super::{Answer, report};
use crate::app::{self, StartFault};
use crate::config::{self, Settings};
use crate::domain::Problem;
use crate::policy;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  lychgate check --config config/lychgate.toml")]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Override a setting (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    overrides: Vec<(String, String)>,
    /// Print the merged settings with the source of every value, secrets masked
    #[arg(long)]
    effective: bool,
    /// Print the problems as JSON
    #[arg(long)]
    json: bool,
}

/// Reads `KEY=VALUE`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE, such as gate.listen=127.0.0.1:8443")),
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let (settings, mut problems) =
        config::load_broken(&arguments.config, arguments.overrides.clone(), std::env::vars());
    if let Some(settings) = &settings {
        if problems.iter().any(Problem::is_error) {
            // What the settings point at has been complained about, but for the policies: nobody shall
            // have to mend twice.
            problems.extend(policies(settings));
        } else {
            match app::examine(settings) {
                Ok(examined) => {
                    problems.extend(examined.warnings);
                    problems.extend(app::examine_pages(settings, &examined.policies));
                }
                Err(StartFault::Problems(found)) => problems.extend(found),
                Err(other) => problems.push(Problem::error(other.to_string())),
            }
            if let Some(problem) = key_file(settings) {
                // It says more than a warning that the file is not there.
                problems
                    .retain(|known| known.is_error() || !known.key.iter().any(|key| key.starts_with("vault.key_file")));
                problems.push(problem);
            }
        }
        if arguments.effective {
            print_effective(settings, arguments.json)?;
        }
    } else if !arguments.json {
        report::aside("certificates and policies were not looked at: they wait for what is wrong here to be mended\n");
    }
    let refused = problems.iter().any(Problem::is_error);
    if arguments.json && !arguments.effective {
        report::line(serde_json::to_string_pretty(&json!({ "ok": !refused, "problems": problems }))?);
    } else {
        report::problems(&problems);
    }
    if refused {
        return Ok(Answer::No);
    }
    if !arguments.json && !arguments.effective {
        report::line("the configuration is good");
    }
    Ok(Answer::Fine)
}

/// What is wrong with the policies, beside a configuration that is wrong as well.
fn policies(settings: &Settings) -> Vec<Problem> {
    if !settings.policies.directory.is_dir() {
        return Vec::new();
    }
    let (policies, mut problems) = policy::load(&settings.policies.directory, &app::policy_context(settings));
    problems.extend(policies.iter().flat_map(policy::run_cases));
    problems
}

/// The key file is read as `serve` would read it.
fn key_file(settings: &Settings) -> Option<Problem> {
    crate::vault::list_keys(&settings.vault.key_file).err().map(|fault| {
        Problem::error(fault.to_string())
            .file(&settings.vault.key_file)
            .key("vault.key_file")
            .remedy(format!("make one with `lychgate keys generate {}`", settings.vault.key_file.display()))
    })
}

fn print_effective(settings: &Settings, as_json: bool) -> anyhow::Result<()> {
    let entries = settings.effective();
    if as_json {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| json!({ "key": entry.key, "value": entry.value, "source": entry.source }))
            .collect();
        report::line(serde_json::to_string_pretty(&entries)?);
    } else {
        for entry in entries {
            report::line(format_args!("{} = {}    # {}", entry.key, entry.value, entry.source));
        }
    }
    Ok(())
}
