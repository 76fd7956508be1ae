//! Whole configurations: good, broken, from every source; the sample and the document that describe them.

use super::*;
use crate::domain::{Environment, Problem, Scope};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder with everything a configuration refers to.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        for name in ["campus.pem", "campus.key", "vault.key"] {
            desk.write(name, "x", 0o600);
        }
        desk.write("orcid.secret", "s3cr3t-in-a-file\n", 0o600);
        fs::create_dir(desk.path("policies")).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str, flags: &[(&str, &str)], env: &[(&str, &str)]) -> (Option<Settings>, Vec<Problem>) {
        self.write("lychgate.toml", text, 0o600);
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let (settings, problems) = load(&self.path("lychgate.toml"), owned(flags), owned(env));
        assert_eq!(settings.is_none(), problems.iter().any(Problem::is_error), "{problems:#?}");
        (settings, problems)
    }

    fn fine(&self, text: &str, flags: &[(&str, &str)], env: &[(&str, &str)]) -> Settings {
        let (settings, problems) = self.load(text, flags, env);
        assert_eq!(problems, []);
        settings.unwrap()
    }
}

const SMALL: &str = r#"
[gate]
sign_in_host = "SignIn.campus.example."
[tls]
certificates = [{ cert = "campus.pem", key = "campus.key" }]
[clients.main]
environment = "sandbox"
id = "APP-1"
secret_file = "orcid.secret"
"#;

#[test]
fn a_small_configuration_is_filled_with_defaults() {
    let desk = Desk::new();
    let settings = desk.fine(SMALL, &[], &[]);
    assert_eq!(settings.gate.listen.to_string(), "0.0.0.0:443");
    assert_eq!(settings.gate.sign_in_host.as_str(), "signin.campus.example");
    assert_eq!((settings.gate.head_bytes, settings.gate.max_connections), (32_768, 20_000));
    assert_eq!((settings.gate.http_listen, settings.gate.public_port, settings.gate.threads), (None, None, None));
    assert_eq!(settings.tls.certificates[0].key, desk.path("campus.key"));
    assert_eq!((settings.sessions.idle.as_secs(), settings.sessions.absolute.as_secs()), (28_800, 86_400));
    assert_eq!(settings.sessions.outage_grace, Duration::ZERO);
    assert_eq!(settings.admin.socket, Path::new("/var/lib/lychgate/admin.sock"));
    assert_eq!(settings.organisation.name, "signin.campus.example");
    let client = &settings.clients[settings.default_client.as_ref().unwrap()];
    assert_eq!((client.issuer.as_str(), client.secret.expose()), ("https://sandbox.orcid.org", "s3cr3t-in-a-file"));
    assert_eq!(
        (client.base_scope.clone(), client.algorithms.as_slice()),
        (Scope::openid(), &[SigningAlgorithm::Rs256][..])
    );
    assert!(!settings.simulated());
}

#[test]
fn environment_wins_over_the_file_and_the_command_line_over_both() {
    let desk = Desk::new();
    let env = [
        ("LYCHGATE__GATE__LISTEN", "127.0.0.1:1"),
        ("LYCHGATE__OPS__LISTEN", "127.0.0.1:2"),
        ("LYCHGATE__GATE__MAX_CONNECTIONS", "7000"),
        ("LYCHGATE__GATE__HEAD_BYTES", "65536"),
        ("LYCHGATE__CLIENTS__MAIN__SECRET", "0012345678"),
        ("LYCHGATE__CLIENTS__MAIN__ID", "42"),
        ("LYCHGATE__CLIENTS__MAIN__USERINFO", "true"),
        ("LYCHGATE__CLIENTS__MAIN__ALGORITHMS", "RS256, RS256"),
        ("LYCHGATE__LOG__LEVEL", ""),
        ("HOME", "/elsewhere"),
    ];
    let settings = desk.fine(SMALL, &[("gate.listen", "127.0.0.1:0"), ("gate.threads", "2")], &env);
    assert_eq!((settings.gate.listen.port(), settings.ops.listen.port()), (0, 2));
    assert_eq!((settings.gate.max_connections, settings.gate.head_bytes), (7_000, 65_536));
    assert_eq!((settings.gate.threads, settings.log.level), (Some(2), LogLevel::Info));
    let client = settings.clients.values().next().unwrap();
    // Digits stay the text they are, leading zeros included.
    assert_eq!((client.id.as_str(), client.secret.expose(), client.userinfo), ("42", "0012345678", true));
}

#[test]
fn a_client_with_a_hyphen_can_be_described_by_variables_alone() {
    let desk = Desk::new();
    let text = SMALL.replace("environment = \"sandbox\"", "environment = \"production\"");
    let env = [
        ("LYCHGATE__CLIENTS__CAMPUS_ID__ENVIRONMENT", "other"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__ISSUER", "https://id.campus.example"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__ID", "gate"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__SECRET", "x"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__ALGORITHMS", "RS256,ES256"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__EXTRA_SCOPES", "profile, email"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__SUBJECT_CLAIM", "eduPersonOrcid"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__OFFER_SIGN_OUT", "false"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__RENEW", "true"),
        ("LYCHGATE__CLIENTS__CAMPUS_ID__DEFAULT", "true"),
    ];
    let settings = desk.fine(&text, &[], &env);
    assert_eq!(settings.default_client.as_ref().unwrap().as_str(), "campus-id");
    let client = &settings.clients[settings.default_client.as_ref().unwrap()];
    assert_eq!((client.algorithms.len(), client.extra_scopes.to_string().as_str()), (2, "email profile"));
    assert_eq!(
        (client.subject_claim.as_deref(), client.offer_sign_out, client.renew),
        (Some("eduPersonOrcid"), false, true)
    );
}

/// Broken configurations carry their complaints as `#~` remarks, like broken policies.
#[test]
fn everything_wrong_is_complained_about_at_once_with_its_line() {
    let folder = Path::new(file!()).parent().unwrap().join("../../tests/fixtures/config");
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    names.sort();
    assert!(names.len() >= 6);
    for name in names {
        let desk = Desk::new();
        let text = fs::read_to_string(&name).unwrap();
        let (_, problems) = desk.load(&text, &[], &[]);
        let mut left: Vec<&Problem> = problems.iter().collect();
        for (at, line) in text.lines().enumerate() {
            for words in line.split("#~").skip(1).map(str::trim) {
                let fits = |p: &&Problem| p.line.unwrap_or(1) == at + 1 && p.to_string().contains(words);
                match left.iter().position(fits) {
                    Some(index) => drop(left.remove(index)),
                    None => panic!("{}:{}: no complaint says `{words}`; left: {left:#?}", name.display(), at + 1),
                }
            }
        }
        assert!(left.is_empty(), "{}: not expected: {left:#?}", name.display());
    }
}

#[test]
fn complaints_about_variables_and_flags_name_them() {
    let desk = Desk::new();
    let env = [
        ("LYCHGATE__GATE__LISTN", "x"),
        ("LYCHGATE__GAET__LISTEN", "x"),
        ("LYCHGATE__GATE__THREADS", "many"),
        ("LYCHGATE__TLS__CERTIFICATES", "x"),
        ("LYCHGATE__CLIENTS__MAIN__SECRT", "topsecret"),
        ("LYCHGATE__SESSIONS__IDLE", "60"),
        ("LYCHGATE_GATE__LISTEN", "x"),
        ("LYCHGATE__CLIENTS", "x"),
        ("LYCHGATE__GATE__LISTEN__PORT", "1"),
    ];
    let flags = [("clients.main.secret", "topsecret"), ("gate.lisen", "1"), ("log.level", "verbose")];
    let (_, problems) = desk.load(SMALL, &flags, &env);
    for (key, words) in [
        ("LYCHGATE__GATE__LISTN", "did you mean `listen`?"),
        ("LYCHGATE__GAET__LISTEN", "did you mean [gate]?"),
        ("LYCHGATE__GATE__THREADS", "wrong type"),
        ("LYCHGATE__TLS__CERTIFICATES", "in the configuration file alone"),
        ("LYCHGATE__CLIENTS__MAIN__SECRT", "did you mean `secret`?"),
        ("LYCHGATE__SESSIONS__IDLE", "not a length of time"),
        ("LYCHGATE_GATE__LISTEN", "two underscores"),
        ("LYCHGATE__CLIENTS", "is not a usable name"),
        ("LYCHGATE__GATE__LISTEN__PORT", "there is no key"),
        ("clients.main.secret (command line)", "can be read by everybody"),
        ("gate.lisen (command line)", "did you mean `listen`?"),
        ("log.level (command line)", "not one of the possible words"),
    ] {
        let found = problems.iter().any(|p| p.key.as_deref() == Some(key) && p.to_string().contains(words));
        assert!(found, "{key}: {words}: {problems:#?}");
    }
    assert_eq!(problems.len(), env.len() + flags.len(), "{problems:#?}");
    assert!(!format!("{problems:?}").contains("topsecret"));
}

#[test]
fn t90_secrets_and_keys_that_others_can_read_are_refused() {
    for (name, key) in [
        ("orcid.secret", "clients.main.secret_file"),
        ("vault.key", "vault.key_file"),
        ("campus.key", "tls.certificates[1]"),
    ] {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let desk = Desk::new();
            fs::set_permissions(desk.path(name), fs::Permissions::from_mode(mode)).unwrap();
            let (settings, problems) = desk.load(SMALL, &[], &[]);
            assert!(settings.is_none() && problems.len() == 1, "{name} {mode:o} {problems:#?}");
            assert_eq!(problems[0].key.as_deref(), Some(key));
            assert!(problems[0].to_string().contains(&format!("{mode:04o}")), "{problems:#?}");
        }
    }
    // The configuration itself, once a secret stands in it.
    let desk = Desk::new();
    let inline = SMALL.replace("secret_file = \"orcid.secret\"", "secret = \"s3cr3t\"");
    desk.fine(&inline, &[], &[]);
    fs::set_permissions(desk.path("lychgate.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let (settings, problems) = load(&desk.path("lychgate.toml"), vec![], vec![]);
    assert!(settings.is_none() && problems[0].key.as_deref() == Some("clients.main.secret"));
    assert!(!format!("{problems:?}").contains("s3cr3t"));
}

#[test]
fn f14_sessions_outlive_their_end_by_twelve_hours_at_most() {
    let desk = Desk::new();
    let with = |grace: &str| format!("{SMALL}[sessions]\noutage_grace = \"{grace}\"\n");
    for (grace, seconds) in [("0s", 0), ("1 min", 60), ("4h", 14_400), ("12h", 43_200)] {
        assert_eq!(desk.fine(&with(grace), &[], &[]).sessions.outage_grace.as_secs(), seconds, "{grace}");
    }
    for (grace, expected) in
        [("59s", "at least 1 min, or \"0s\""), ("12h 1s", "at most 12h"), ("2 weeks", "at most 12h")]
    {
        let (settings, problems) = desk.load(&with(grace), &[], &[]);
        assert!(settings.is_none() && problems.len() == 1, "{grace}: {problems:#?}");
        let problem = &problems[0];
        assert!(problem.expected.as_ref().is_some_and(|text| text.contains(expected)), "{grace}: {problem:#?}");
        assert!(problem.found.is_some() && problem.remedy.is_some(), "{grace}: {problem:#?}");
    }
}

#[test]
fn secrets_come_from_a_file_a_variable_or_a_systemd_credential() {
    let desk = Desk::new();
    let credential = SMALL.replace("secret_file = \"orcid.secret\"", "credential = \"orcid\"");
    let (_, problems) = desk.load(&credential, &[], &[]);
    assert!(problems[0].to_string().contains("CREDENTIALS_DIRECTORY"));
    fs::create_dir(desk.path("credentials")).unwrap();
    let folder = desk.path("credentials");
    let env = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    let (_, problems) = desk.load(&credential, &[], &env);
    assert!(problems[0].to_string().contains("cannot be read"));
    desk.write("credentials/orcid", "from-systemd", 0o440);
    let settings = desk.fine(&credential, &[], &env);
    assert_eq!(settings.clients.values().next().unwrap().secret.expose(), "from-systemd");
    let (_, problems) = desk.load(&credential.replace("\"orcid\"", "\"../vault.key\""), &[], &env);
    assert!(problems[0].to_string().contains("plain file name"));
    for bad in ["", "\n", "two\nlines\n", &"x".repeat(5000)] {
        desk.write("orcid.secret", bad, 0o600);
        let (_, problems) = desk.load(SMALL, &[], &[]);
        assert!(problems.len() == 1 && problems[0].to_string().contains("one secret in one line"), "{problems:#?}");
    }
    let both = SMALL.replace("secret_file", "secret = \"x\"\nsecret_file");
    let (_, problems) = desk.load(&both, &[], &[]);
    assert!(problems[0].to_string().contains("more than one secret"), "{problems:#?}");
    let none = SMALL.replace("secret_file = \"orcid.secret\"", "");
    let (_, problems) = desk.load(&none, &[], &[]);
    assert!(problems[0].to_string().contains("LYCHGATE__CLIENTS__MAIN__SECRET"), "{problems:#?}");
}

#[test]
fn what_is_in_force_is_listed_with_its_source_and_no_secret() {
    let desk = Desk::new();
    let env = [("LYCHGATE__CLIENTS__MAIN__SECRET", "t0psecret"), ("LYCHGATE__LOG__LEVEL", "debug")];
    let settings = desk.fine(SMALL, &[("gate.listen", "127.0.0.1:0")], &env);
    let line = |key: &str| {
        let found = settings.effective().iter().find(|line| line.key == key).unwrap();
        (found.value.clone(), found.source.clone())
    };
    let file = desk.path("lychgate.toml");
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(line("gate.listen"), pair("127.0.0.1:0", "command line"));
    assert_eq!(line("log.level"), pair("debug", "LYCHGATE__LOG__LEVEL"));
    assert_eq!(line("clients.main.id"), pair("APP-1", &format!("{}:8", file.display())));
    assert_eq!(line("clients.main.secret"), pair("(hidden)", "LYCHGATE__CLIENTS__MAIN__SECRET"));
    assert_eq!(line("sessions.idle"), pair("8h", "default"));
    assert_eq!(line("gate.threads"), pair("(not set)", "default"));
    assert_eq!(settings.effective().len(), KEYS.len());
    assert!(!format!("{settings:?}").contains("t0psecret"));
}

#[test]
fn simulator_clients_stand_alone() {
    let desk = Desk::new();
    let simulator = SMALL.replace("\"sandbox\"", "\"simulator\"\nissuer = \"http://127.0.0.1:9400\"");
    assert!(desk.fine(&simulator, &[], &[]).simulated());
    let mixed = format!(
        "{simulator}\n[clients.real]\nenvironment = \"production\"\nid = \"APP-2\"\nsecret_file = \"orcid.secret\"\n"
    );
    let (_, problems) = desk.load(&mixed, &[], &[]);
    assert!(problems.len() == 1 && problems[0].to_string().contains("cannot stand beside `real`"), "{problems:#?}");
    for bad in
        ["http://id.campus.example", "https://id.campus.example?x", "id.campus.example", "https://u:p@id.example"]
    {
        let (_, problems) = desk.load(&simulator.replace("http://127.0.0.1:9400", bad), &[], &[]);
        assert!(problems[0].to_string().contains("is not an issuer"), "{bad} {problems:#?}");
    }
}

#[test]
fn a_missing_key_is_a_remark_and_a_missing_file_an_error() {
    let desk = Desk::new();
    fs::remove_file(desk.path("vault.key")).unwrap();
    let (settings, problems) = desk.load(SMALL, &[], &[]);
    assert!(settings.is_some() && problems.len() == 1 && problems[0].to_string().contains("keys generate"));
    let (settings, problems) = load(&desk.path("nowhere.toml"), vec![], vec![]);
    assert!(settings.is_none() && problems.len() == 1 && problems[0].is_error());
}

#[test]
fn the_sample_is_sound() {
    let desk = Desk::new();
    let text = include_str!("../../config/lychgate.toml").replace("../certs/", "").replace("../policies", "policies");
    let settings = desk.fine(&text, &[], &[]);
    let client = settings.clients.values().next().unwrap();
    assert_eq!((client.environment, client.issuer.as_str()), (Environment::Production, "https://orcid.org"));
    assert_eq!(settings.gate.http_listen.unwrap().port(), 80);
    // What the sample shows behind `# ` is sound too.
    fn hidden(line: &str) -> Option<&str> {
        let rest = line.strip_prefix("# ")?;
        let key = rest.split_once(" = ").map(|(key, _)| key).filter(|key| !key.contains(' '));
        (rest.starts_with('[') || key.is_some()).then_some(rest)
    }
    let all: String = text.lines().map(|line| format!("{}\n", hidden(line).unwrap_or(line))).collect();
    fs::create_dir(desk.path("templates")).unwrap();
    desk.write("staff-secret", "x", 0o600);
    let folder = desk.0.path().to_owned();
    let settings = desk.fine(&all, &[], &[("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())]);
    assert_eq!(settings.clients.len(), 2);
}

/// Every key stands once in the document's tables with its default, and nothing else does.
#[test]
fn the_document_and_the_keys_agree() {
    let mut documented = BTreeSet::new();
    let mut table = String::new();
    for line in include_str!("../../docs/CONFIGURATION.md").lines() {
        if line.starts_with("## ") {
            table = line.split('`').nth(1).unwrap_or_default().trim_matches(['[', ']']).to_owned();
        } else if let Some(rest) = line.strip_prefix("| `") {
            let key = format!("{table}.{}", rest.split('`').next().unwrap());
            if let Some(default) = KEYS.iter().find(|k| k.path == key).and_then(|k| k.default) {
                let cell = line.split('|').nth(2).unwrap().replace(['`', '"', '[', ']'], "");
                assert_eq!(cell.trim(), default, "the default of {key}");
            }
            assert!(documented.insert(key.clone()), "{key} twice");
        }
    }
    let mut known: BTreeSet<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    known.extend(CERTIFICATE.iter().map(|key| format!("tls.certificates.{key}")));
    assert_eq!(documented, known);
}

#[test]
fn any_text_is_answered_without_panic() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let desk = Desk::new();
    let sample = include_str!("../../config/lychgate.toml");
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 150, ..Config::default() });
    runner
        .run(&(any::<proptest::sample::Index>(), any::<String>(), any::<String>()), |(at, junk, value)| {
            let mut at = at.index(sample.len());
            while !sample.is_char_boundary(at) {
                at -= 1;
            }
            let text = format!("{}{junk}{}", &sample[..at], &sample[at..]);
            desk.load(&text, &[(&junk, &value)], &[("LYCHGATE__GATE__LISTEN", &value), ("LYCHGATE__X__Y", &junk)]);
            Ok(())
        })
        .unwrap();
}
