//! `lychgate demo` as somebody meets it who has just cloned the repository: it opens, tells where to click,
//! keeps what it promises about its authority, and leaves nothing behind.

use crate::campus::browser::{Browser, Network};
use crate::campus::{logs, people, temp};
use crate::cli::child::{self, Child, listener, lychgate, wait_until_closed};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::parse_x509_pem;

/// A demo in a process of its own.
pub struct DemoChild {
    pub child: Child,
    pub ready: Value,
    pub home: TempDir,
}

impl DemoChild {
    pub fn start(more: &[&str]) -> Self {
        let home = temp::directory();
        let usual = ["demo", "--listen", "127.0.0.1:0", "--ready-json"];
        let mut command = lychgate(home.path(), [&usual, more].concat());
        // Whoever carries this mark belongs to this demo.
        command.env("LYCHGATE_TEST_MARK", home.path());
        let mut child = Child::start(command);
        let ready = child.ready();
        Self { child, ready, home }
    }

    /// The front page of a site.
    #[track_caller]
    pub fn site(&self, name: &str) -> String {
        self.ready["urls"]["sites"][name]
            .as_str()
            .unwrap_or_else(|| panic!("no site {name}: {}", self.ready))
            .to_owned()
    }

    /// The address of the sign-in host.
    pub fn sign_in(&self) -> String {
        self.ready["urls"]["sign_in"].as_str().expect("a text").to_owned()
    }

    pub fn simulator(&self) -> String {
        self.ready["urls"]["simulator"].as_str().expect("a text").to_owned()
    }

    /// The certificate to trust, as PEM.
    pub fn authority(&self) -> String {
        let file = self.ready["ca_file"].as_str().expect("a text");
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The browser of a person who has trusted the authority.
    pub fn browser(&self, watch: &logs::Watch) -> (Browser, Arc<Network>) {
        let network = Network::new(listener(&self.ready, "gate"), temp::roots_of(&self.authority()));
        let network = Arc::new(network.with_watch(watch.clone()));
        (Browser::new(network.clone()), network)
    }
}

/// Processes whose environment holds the mark of this demo.
fn processes_marked(mark: &Path) -> Vec<String> {
    let mark = format!("LYCHGATE_TEST_MARK={}", mark.display());
    let processes = fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let marked = processes.filter(|process| {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    });
    marked.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn it_says_where_to_click_in_one_line_for_programs_and_many_for_people() {
    let demo = DemoChild::start(&[]);
    let ready = &demo.ready;
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["pid"], demo.child.pid());
    let gate = listener(ready, "gate");
    assert!(gate.ip().is_loopback() && gate.port() != 0);
    assert!(listener(ready, "ops").ip().is_loopback());
    assert!(listener(ready, "ops").port() != gate.port());
    let admin = Path::new(ready["listeners"]["admin"].as_str().expect("a path"));
    assert_eq!(fs::metadata(admin).unwrap().permissions().mode() & 0o777, 0o600);
    let sites = ready["urls"]["sites"].as_object().expect("a table");
    assert_eq!(sites.keys().collect::<Vec<_>>(), ["portal", "repository", "wiki"]);
    for name in sites.keys() {
        assert_eq!(demo.site(name), format!("https://{name}.localhost:{}/", gate.port()));
    }
    assert!(demo.simulator().starts_with("http://127.0.0.1:"), "{ready}");
    let told = ready["people"].as_array().expect("a list").clone();
    for person in lychgate::simulator::seeded() {
        let told = told.iter().find(|told| told["orcid"] == person.orcid.as_str());
        let told = told.unwrap_or_else(|| panic!("{} is not told of", person.orcid));
        assert_eq!(told["password"], person.password.as_str());
        assert_eq!(told["about"], person.about.as_str());
    }
    let authority = ready["ca_file"].as_str().expect("a path").to_owned();

    let (sign_in, wiki) = (demo.sign_in(), demo.site("wiki"));
    let mark = demo.home.path().to_owned();
    assert_eq!(processes_marked(&mark), [demo.child.pid().to_string()], "the mark is seen while it runs");
    demo.child.signal("INT");
    let ended = demo.child.ended();
    ended.assert_code(0);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    for shown in ["SIMULATED", &wiki, &authority, "0009-9999-0000-0019", "simulated-0019", "Ctrl-C", "warn"] {
        assert!(ended.stderr.contains(shown), "people are not told {shown:?}\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains(&sign_in), "there is nothing to click on the sign-in host");

    assert_eq!(child::everything_in(&mark), [""; 0], "a file or folder was left behind");
    assert_eq!(processes_marked(&mark), [""; 0], "a process was left behind");
    wait_until_closed(gate);
}

#[test]
fn its_authority_vouches_for_localhost_alone_and_its_key_is_nowhere_on_disk() {
    let demo = DemoChild::start(&[]);
    let pem = demo.authority();
    let (_, der) = parse_x509_pem(pem.as_bytes()).expect("the authority is PEM");
    let authority = der.parse_x509().expect("the authority is a certificate");
    let constraints = authority.name_constraints().expect("well formed").expect("the authority is constrained");
    assert!(constraints.critical);
    let permitted = constraints.value.permitted_subtrees.as_ref().expect("names are permitted one by one");
    let names: Vec<_> = permitted.iter().map(|subtree| &subtree.base).collect();
    assert!(matches!(names.as_slice(), [GeneralName::DNSName("localhost")]), "{names:?}");
    let basic = authority.basic_constraints().expect("well formed").expect("it is an authority");
    assert!(basic.value.ca && basic.value.path_len_constraint == Some(0));

    let home = demo.home.path();
    let folder = Path::new(demo.ready["ca_file"].as_str().expect("a text")).parent().expect("files lie in folders");
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "nobody else looks in");
    let mut keys = 0;
    for name in child::everything_in(home) {
        let file = home.join(&name);
        if !file.is_file() {
            continue;
        }
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if text.contains("PRIVATE KEY") {
            let key = KeyPair::from_pem(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_ne!(key.subject_public_key_info(), authority.public_key().raw, "{name} is the authority's key");
            keys += 1;
        }
    }
    assert_eq!(keys, 1, "the leaf has a key, and nothing else");

    let leaf = fs::read_to_string(home.join(leaf_of(home))).unwrap();
    let (_, der) = parse_x509_pem(leaf.as_bytes()).expect("the leaf is PEM");
    let leaf = der.parse_x509().expect("the leaf is a certificate");
    let mut named: Vec<String> = Vec::new();
    for extension in leaf.extensions() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
            named.extend(names.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
    }
    named.sort();
    assert_eq!(named, ["gate.localhost", "portal.localhost", "repository.localhost", "wiki.localhost"]);
    let validity = leaf.validity();
    let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
    assert!((1..=14).contains(&days), "the leaf lives {days} days");
}

/// The one file below `home` called `gate.pem`.
fn leaf_of(home: &Path) -> String {
    let all = child::everything_in(home);
    let found = all.iter().find(|name| name.ends_with("gate.pem"));
    found.unwrap_or_else(|| panic!("no leaf among {all:?}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_sites_greet_by_id_and_a_deposit_asks_for_more() {
    let watch = logs::watch();
    let demo = DemoChild::start(&["--log", "lychgate=trace,info"]);
    let person = people::ordinary();
    let (browser, _) = demo.browser(&watch);
    let (wiki, repository) = (demo.site("wiki"), demo.site("repository"));
    browser.open(&wiki).await.assert_status(200).assert_says("You are reading as a guest");

    let deep = format!("{wiki}pages/start?from=front");
    let there = people::arrive(browser.open(&deep).await, &person).await;
    there.assert_status(200).assert_at(&deep).assert_says("Rowan Ashgrove").assert_says(person.orcid.as_str());
    let signed = there.form(0).fill("entry", "I was <here>").press("Sign it").await;
    signed.assert_status(200).assert_says("I was <here>");

    let browse = format!("{repository}browse");
    let there = browser.open(&browse).await;
    there.assert_status(200).assert_at(&browse).assert_says("Welcome").assert_says(person.orcid.as_str());
    assert!(there.page().text.contains("granted openid"), "{}", there.story());

    let asks = there.click("Deposit a work").await;
    asks.assert_says("so that your deposit appears on your ORCID record").assert_says("Research repository");
    // Saying no keeps what was there before.
    let denied = people::at_orcid(asks.click("to decide").await, &person, false).await;
    assert_eq!(denied.url.path(), "/.lychgate/denied", "{}", denied.story());
    browser.open(&browse).await.assert_status(200).assert_at(&browse);

    let asks = browser.open(&format!("{repository}deposit")).await;
    let connected = people::at_orcid(asks.click("to decide").await, &person, true).await;
    assert_eq!(connected.url.path(), "/.lychgate/connected", "{}", connected.story());
    let form = connected.click("Continue").await;
    form.assert_status(200).assert_at(&format!("{repository}deposit")).assert_says("/activities/update");
    let listed = form.form(0).fill("title", "On gates").press("Deposit").await;
    listed.assert_status(200).assert_says("On gates");

    let mut child = demo.child;
    assert!(child.runs());
    child.stop().assert_code(0);
    watch.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_state_it_goes_on_where_it_was() {
    let watch = logs::watch();
    let kept = temp::directory();
    let state = kept.path().join("deep/state");
    let more = ["--state", state.to_str().expect("temporary paths are ASCII")];
    let demo = DemoChild::start(&more);
    let authority = demo.authority();
    let person = people::from_afar();
    let (browser, network) = demo.browser(&watch);
    let wiki = format!("{}pages/start", demo.site("wiki"));
    people::arrive(browser.open(&wiki).await, &person).await.assert_status(200).assert_says(person.orcid.as_str());

    // A second one on the same folder is refused and does the first no harm.
    let home = temp::directory();
    let usual = ["demo", "--listen", "127.0.0.1:0", "--ready-json"];
    let policy = || fs::read_to_string(state.join("policies/wiki.toml")).expect("the demo writes it");
    let before = policy();
    let second = child::run(home.path(), [&usual[..], &more].concat());
    second.assert_code(2).assert_complains(&["another demo is running on the state folder"]);
    assert_eq!(second.stdout, "");
    assert_eq!(policy(), before, "the first one's gate would take it up");
    browser.open(&wiki).await.assert_status(200).assert_at(&wiki);

    let home = demo.home.path().to_owned();
    demo.child.stop().assert_code(0);
    assert_eq!(child::everything_in(&home), [""; 0], "everything is in the state folder");
    for (name, mode) in [("keys", 0o600), ("gate.key", 0o600), ("lychgate.toml", 0o600), ("state/vault", 0o700)] {
        assert_eq!(fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    assert!(!state.join("admin.sock").exists(), "the socket is not part of the state");

    let demo = DemoChild::start(&more);
    assert_eq!(demo.authority(), authority, "it need not be trusted again");
    network.move_gate(listener(&demo.ready, "gate"));
    let wiki = format!("{}pages/start", demo.site("wiki"));
    let there = browser.open(&wiki).await;
    there.assert_status(200).assert_at(&wiki).assert_says(person.orcid.as_str());
    demo.child.stop().assert_code(0);
}

#[test]
fn a_busy_port_is_said_in_plain_words() {
    let home = temp::directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("a bound socket has an address").to_string();
    let ended = child::run(home.path(), ["demo", "--listen", &address]);
    ended.assert_code(2).assert_complains(&["gate.listen cannot be opened", "another process listens there"]);
    assert_eq!(child::everything_in(home.path()), [""; 0], "a failed start leaves nothing behind");
}
