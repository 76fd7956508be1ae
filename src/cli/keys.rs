//! `lychgate keys`: the key ring that seals the vault.

use super::{Answer, report};
use crate::domain::{SystemChance, SystemClock};
use anyhow::Context;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  lychgate keys generate config/vault.key")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a key file with one key; refuses to touch an existing file
    Generate { file: PathBuf },
    /// Add a new key that seals from now on, in a running gate too; the old ones still open
    Rotate { file: PathBuf },
    /// Show ids and ages, never the keys
    List {
        file: PathBuf,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let chance = SystemChance::default();
    match &arguments.verb {
        Verb::Generate { file } => {
            make_folder(file)?;
            let key = crate::vault::generate_key_file(file, &SystemClock, &chance)?;
            report::line(format_args!("{}: made with key {}", file.display(), key));
            report::aside(
                "Keep a copy apart from the backups of the vault: without it nothing sealed can be read again.",
            );
        }
        Verb::Rotate { file } => {
            let key = crate::vault::rotate_key_file(file, &SystemClock, &chance)?;
            report::line(format_args!("{}: key {key} was added, to seal from now on", file.display()));
            report::aside(
                "A running gate takes it into use by itself; its log and the admin socket's /status say so. \
                 Keep a copy of the file apart from the backups of the vault.",
            );
        }
        Verb::List { file, json } => {
            let keys = crate::vault::list_keys(file)?;
            if *json {
                report::line(serde_json::to_string_pretty(&keys)?);
            } else {
                for key in keys {
                    report::line(key);
                }
            }
        }
    }
    Ok(Answer::Fine)
}

/// Makes the folder of a key file that is to be, for its owner alone.
fn make_folder(file: &Path) -> anyhow::Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display())),
        _ => Ok(()),
    }
}
