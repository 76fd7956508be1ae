//! Documents and code may not drift apart: every metric, address, verb, switch, lie and ready-line part is
//! documented, and once.

use crate::campus::browser::{Browser, Network};
use lychgate::simulator::{Simulator, SimulatorSettings, Switches, Verdict, lies};
use std::path::Path;
use std::sync::Arc;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// First cells of the rows of all tables, without backticks.
fn first_cells(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" |").next())
        .map(|cell| cell.replace('`', ""))
        .collect()
}

#[test]
fn every_metric_is_documented_once_and_no_other() {
    let cells = first_cells(&document("docs/OPERATIONS.md"));
    let documented: Vec<&String> = cells.iter().filter(|cell| cell.starts_with("lychgate_")).collect();
    let known: Vec<&str> = lychgate::metrics::NAMES.iter().map(|(name, _)| *name).collect();
    for name in &known {
        assert_eq!(documented.iter().filter(|cell| cell == &name).count(), 1, "{name} in docs/OPERATIONS.md");
    }
    for name in documented {
        assert!(known.contains(&name.as_str()), "docs/OPERATIONS.md documents {name}, which does not exist");
    }
}

#[test]
fn every_own_address_is_documented() {
    let source = document("src/signin/settings.rs");
    let documents = document("docs/OPERATIONS.md") + &document("docs/HEADERS.md");
    let addresses: Vec<&str> = source
        .lines()
        .filter(|line| line.contains("const ") && line.contains("\"/.lychgate/"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(addresses.len() >= 10, "the addresses are no longer where this test looks: {addresses:?}");
    for address in addresses {
        let short = address.trim_start_matches("/.lychgate/").trim_end_matches('/');
        assert!(documents.contains(short), "{address} is not documented");
    }
}

#[test]
fn every_verb_is_documented() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_lychgate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 6, "{help}");
    let documented = document("docs/OPERATIONS.md");
    for verb in verbs {
        assert!(documented.contains(&format!("`lychgate {verb}")), "the verb {verb} is not documented");
    }
}

/// The rows of all tables, cell by cell, as the reader sees them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(cells.split(" | ").map(|cell| cell.replace('`', "")).collect())
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn every_switch_and_every_lie_is_documented_once_as_it_is() {
    let rows = rows(&document("docs/SIMULATOR.md"));
    let the_row = |name: &str| -> &Vec<String> {
        let found: Vec<_> = rows.iter().filter(|row| row[0] == name).collect();
        assert_eq!(found.len(), 1, "{name} in docs/SIMULATOR.md: {found:?}");
        found[0]
    };
    let switches = Switches::default().table();
    for view in &switches {
        let row = the_row(&view.name);
        assert_eq!((&row[1], &row[3]), (&view.usual, &view.about), "the switch {}", view.name);
    }
    for lie in lies() {
        let verdict = if lie.verdict == Verdict::Refuse { "refuse" } else { "accept" };
        assert_eq!(the_row(lie.name)[1..], [verdict, lie.cases, lie.about], "the lie {}", lie.name);
    }
    for row in &rows {
        let known = |kind: &str| row[0].strip_prefix(kind).is_some_and(|rest| rest.starts_with('-'));
        let is_a_lie = lies().any(|lie| lie.name == row[0]);
        let kinds = ["discovery", "keys", "callback", "token", "id-token", "userinfo"];
        let is_a_switch = switches.iter().any(|view| view.name == row[0]);
        assert!(is_a_lie || is_a_switch || !kinds.into_iter().any(known), "{} is documented and not there", row[0]);
    }
}

#[test]
fn the_people_and_options_of_the_simulator_are_documented_once() {
    let text = document("docs/SIMULATOR.md");
    let rows = rows(&text);
    for person in lychgate::simulator::seeded() {
        let found: Vec<_> = rows.iter().filter(|row| row[0] == person.orcid.as_str()).map(|row| &row[1]).collect();
        assert_eq!(found, [&person.about], "{}", person.orcid);
    }
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_lychgate")).args(["simulator", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options: Vec<&str> = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("--"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(options.len() > 10, "{help}");
    for option in options {
        let named = rows.iter().filter(|row| row[0].split([' ', ',']).any(|word| word == option)).count();
        assert_eq!(named, 1, "{option} in docs/SIMULATOR.md");
    }
}

/// The control address itself says what it takes.
#[tokio::test]
async fn every_request_to_the_control_address_is_documented_once() {
    let mut settings = SimulatorSettings::on_loopback(Vec::new());
    settings.control = Some((std::net::Ipv4Addr::LOCALHOST, 0).into());
    let simulator = Simulator::start(settings).await.unwrap();
    let control = simulator.control.clone().unwrap();
    let nobody = Arc::new(rustls::RootCertStore::empty());
    let browser = Browser::new(Arc::new(Network::new(control.local_addr, nobody)));
    let bearer = format!("Bearer {}", control.token);
    let address = format!("http://{}/", control.local_addr);
    let told = browser.get(&address).by_tool().header("authorization", &bearer).send().await;
    let told = told.assert_status(200).json();
    let rows = rows(&document("docs/SIMULATOR.md"));
    for (request, about) in told.as_object().unwrap() {
        let found: Vec<_> = rows.iter().filter(|row| row[0] == *request).map(|row| &row[1]).collect();
        let about = about.as_str().unwrap();
        assert_eq!(found.len(), 1, "{request} in docs/SIMULATOR.md");
        assert_eq!(found[0], about, "{request}");
    }
    simulator.stop().await;
}

#[test]
fn documents_link_to_files_that_exist() {
    for name in [
        "README.md",
        "docs/ARCHITECTURE.md",
        "docs/CONFIGURATION.md",
        "docs/POLICIES.md",
        "docs/HEADERS.md",
        "docs/SECURITY.md",
        "docs/OPERATIONS.md",
        "docs/CHANGELOG.md",
        "docs/recipes/otterwiki.md",
        "docs/PROVIDERS.md",
        "docs/PAGES.md",
        "docs/RESEARCHERS.md",
        "docs/PERFORMANCE.md",
        "docs/SIMULATOR.md",
        "tests/README.md",
        "certs/README.md",
        "policies/README.md",
    ] {
        let text = document(name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let folder = folder.parent().unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default().split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{name} links to {target}, which does not exist");
        }
    }
}

/// The help desk finds the words of the page it is asked about.
#[test]
fn the_help_desk_is_told_of_pages_by_the_words_that_stand_on_them() {
    let texts = lychgate::pages::texts::Texts::english();
    let said: Vec<String> =
        texts.keys().filter_map(|key| texts.get(key)).map(|text| text.replace("{site}", "SITE")).collect();
    let text = document("docs/RESEARCHERS.md");
    let titles = text.lines().filter_map(|line| line.strip_prefix("| \"")).filter_map(|line| line.split('"').next());
    let mut count = 0;
    for title in titles {
        count += 1;
        assert!(said.iter().any(|known| known == title), "docs/RESEARCHERS.md tells of {title:?}, which no page says");
    }
    assert!(count >= 10, "the table is no longer where this test looks");
}

/// What PROVIDERS.md shows of a configuration can be written so.
#[test]
fn the_providers_shown_are_read() {
    let place = crate::campus::temp::directory();
    for name in ["gate.pem", "gate.key", "vault.key", "staff.secret"] {
        crate::campus::temp::write(place.path(), name, "x");
    }
    std::fs::create_dir(place.path().join("policies")).unwrap();
    let gate = "[gate]\nsign_in_host = \"signin.campus.example\"\n[tls]\ncertificates = [{ cert = \"gate.pem\", key = \"gate.key\" }]\n";
    let text = document("docs/PROVIDERS.md");
    let shown: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(shown.len() >= 3, "the examples are no longer where this test looks");
    for example in shown {
        let file = crate::campus::temp::write(place.path(), "lychgate.toml", format!("{gate}{example}"));
        let (settings, problems) = lychgate::config::load(&file, Vec::new(), std::iter::empty());
        assert!(settings.is_some() && problems.is_empty(), "{example}\n{problems:#?}");
    }
}
