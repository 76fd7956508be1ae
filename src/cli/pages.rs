//! `lychgate pages preview`: every page of the gate as files, with made-up people, for whoever changes texts, templates
//! or style. Touches no network and no store.

use super::{Answer, report};
use crate::app;
use crate::config;
use crate::domain::{Language, Problem};
use crate::pages::{ASSETS, Organisation, Pages, PagesSettings, samples};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  lychgate pages preview /tmp/pages --config config/lychgate.toml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Write every page in every language as files to look at
    Preview {
        /// Where to: a new or empty directory, or one of an earlier preview
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The configuration file, for the organisation's own templates and texts
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The pages as this site shows them (templates/sites/NAME)
        #[arg(long, value_name = "NAME", requires = "config")]
        site: Option<String>,
    },
}

/// Opens every index of ours; a directory without it is not overwritten.
const MARK: &str = "<!doctype html>\n<!-- lychgate pages preview -->\n";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let Verb::Preview { directory, config, site } = &arguments.verb;
    let settings = match config {
        Some(file) => match configured(file) {
            Ok(settings) => settings,
            Err(problems) => return Ok(complain(&problems)),
        },
        None => made_up(),
    };
    let pages = match Pages::new(settings) {
        Ok(pages) => pages,
        Err(problems) => return Ok(complain(&problems)),
    };
    report::problems(pages.remarks());
    make_room(directory)?;
    let written = write(&pages, directory, site.as_deref())
        .with_context(|| format!("the preview cannot be written to {}", directory.display()))?;
    report::line(format_args!("{written} pages: open {}", directory.join("index.html").display()));
    Ok(Answer::Fine)
}

fn complain(problems: &[Problem]) -> Answer {
    report::problems(problems);
    Answer::No
}

fn configured(file: &Path) -> Result<PagesSettings, Vec<Problem>> {
    match config::load(file, Vec::new(), std::env::vars()) {
        (Some(settings), _) => Ok(app::pages_settings(&settings, None)),
        (None, problems) => Err(problems),
    }
}

fn made_up() -> PagesSettings {
    PagesSettings {
        organisation: Organisation {
            name: "University of Somewhere".to_owned(),
            about: Some("We link your work to you, so that you report it once.".to_owned()),
            contact: Some("orcid-help@example.edu".to_owned()),
            privacy: Some("https://www.example.edu/privacy".to_owned()),
        },
        ..PagesSettings::default()
    }
}

/// Nothing that somebody else put there is ever overwritten.
fn make_room(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let empty = fs::read_dir(directory)?.next().is_none();
    let ours = || fs::read_to_string(directory.join("index.html")).is_ok_and(|index| index.starts_with(MARK));
    if !empty && !ours() {
        bail!("{} holds something else; name a new directory", directory.display());
    }
    Ok(())
}

fn write(pages: &Pages, directory: &Path, site: Option<&str>) -> anyhow::Result<usize> {
    fs::create_dir_all(directory.join("assets"))?;
    for (address, body) in pages.assets() {
        fs::write(directory.join("assets").join(address.trim_start_matches(ASSETS)), body)?;
    }
    let samples = samples::fair();
    for language in Language::ALL {
        fs::create_dir_all(directory.join(language.tag()))?;
        for sample in &samples {
            let page = match site {
                Some(name) => sample.page.clone().in_look_of(name),
                None => sample.page.clone(),
            };
            let answer = pages.answer(&page, language);
            let html = String::from_utf8_lossy(answer.body());
            fs::write(directory.join(language.tag()).join(file_name(&sample.name)), on_disk(&html, &sample.name))?;
        }
    }
    fs::write(directory.join("index.html"), index(pages, &samples))?;
    Ok(samples.len() * Language::ALL.len())
}

fn file_name(sample: &str) -> String {
    format!("{sample}.html")
}

/// A page whose style and language switch work without a gate.
fn on_disk(html: &str, sample: &str) -> String {
    let mut page = html.replace(&format!("\"{ASSETS}"), "\"../assets/");
    for language in Language::ALL {
        page = page.replace(
            &format!("href=\"/.lychgate/{language}\""),
            &format!("href=\"../{language}/{}\"", file_name(sample)),
        );
    }
    page
}

fn index(pages: &Pages, samples: &[samples::Sample]) -> String {
    let style =
        pages.assets().map(|(address, _)| address).find(|address| address.ends_with(".css")).unwrap_or_default();
    let mut html = format!(
        "{MARK}<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Pages</title>\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<link rel=\"stylesheet\" href=\"assets/{}\">\n<main>\n<h1>Pages</h1>\n<ul>\n",
        style.trim_start_matches(ASSETS)
    );
    for sample in samples {
        let _ = write!(html, "<li>{}:", sample.name);
        for language in Language::ALL {
            let _ = write!(
                html,
                " <a href=\"{language}/{}\" hreflang=\"{language}\" aria-label=\"{} {language}\">{language}</a>",
                file_name(&sample.name),
                sample.name
            );
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n</main>\n</html>\n");
    html
}
