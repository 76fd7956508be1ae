//! The command line as its users meet it: exit codes, complaints, JSON, keys. The verbs run in processes of
//! their own; those that go on running are in `serve` and `simulator`.

pub mod child;
mod serve;
mod simulator;

use crate::campus::temp::{self, Authority};
use child::{Ended, run};
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::vault;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const SECRET: &str = "5ec2e7ed-0000-4000-8000-00000000beef";

const CONFIGURATION: &str = r#"[gate]
listen = "127.0.0.1:0"
sign_in_host = "gate.campus.example"
public_port = 443
threads = 2

[tls]
certificates = [{ cert = "gate.pem", key = "gate.key" }]

[ops]
listen = "127.0.0.1:0"

[state]
directory = "state"

[vault]
key_file = "keys"

[organisation]
name = "Test Campus"

[clients.campus]
environment = "simulator"
id = "APP-SIMULATEDMEMBER0"
secret = "5ec2e7ed-0000-4000-8000-00000000beef"
membership = "member"
issuer = "http://127.0.0.1:9"
"#;

const LIBRARY: &str = r#"[site]
name = "library"
hosts = ["library.campus.example"]
upstream = "http://127.0.0.1:9"

[[rule]]
name = "front page"
paths = ["/", "/public/**"]
access = "public"

[[rule]]
name = "deposit"
paths = ["/deposit/**"]
access = "signed-in"
scopes = ["/activities/update"]

[[rule]]
name = "administrators"
paths = ["/admin/**"]
access = "signed-in"
researchers = ["0000-0002-1825-0097"]

[[rule]]
name = "members"
methods = ["GET", "HEAD"]
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in: members"
"#;

/// A folder with a good configuration, as a sysadmin would write it; nobody answers at its issuer.
pub struct House {
    folder: TempDir,
    pub authority: Authority,
}

impl House {
    pub fn new() -> Self {
        let folder = temp::directory();
        let authority = Authority::new();
        authority.issue(&["*.campus.example"]).write(folder.path(), "gate");
        vault::generate_key_file(&folder.path().join("keys"), &SystemClock, &SystemChance::default())
            .expect("keys can be made");
        let house = Self { folder, authority };
        house.write("lychgate.toml", CONFIGURATION);
        house.write("policies/library.toml", LIBRARY);
        house
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        temp::write(self.path(), name, text);
    }

    /// Writes the configuration with one text replaced.
    fn but(&self, from: &str, to: &str) -> &Self {
        assert!(CONFIGURATION.contains(from), "the configuration does not hold {from:?}");
        self.write("lychgate.toml", &CONFIGURATION.replace(from, to));
        self
    }

    fn verb(&self, verb: &str, more: &[&str]) -> Ended {
        run(self.path(), [&[verb, "--config", "lychgate.toml"], more].concat())
    }
}

/// The line number on which `text` stands.
#[track_caller]
fn line_of(file: &str, text: &str) -> usize {
    file.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no line holds {text:?}")) + 1
}

/// The verbs that `lychgate --help` lists.
fn verbs() -> Vec<String> {
    let folder = temp::directory();
    let help = run(folder.path(), ["--help"]);
    help.assert_code(0);
    let commands = help.stdout.split_once("Commands:\n").expect("the help lists the verbs").1;
    let commands = commands.split("\n\n").next().unwrap_or_default();
    let listed = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("    "));
    let names = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn every_verb_explains_itself_on_one_screen_with_an_example() {
    let folder = temp::directory();
    let verbs = verbs();
    for known in ["serve", "demo", "simulator", "check", "explain", "keys", "completions"] {
        assert!(verbs.iter().any(|verb| verb == known), "{known} is not in {verbs:?}");
    }
    let mut pages = vec![vec!["--help".to_owned()]];
    pages.extend(verbs.iter().map(|verb| vec![verb.clone(), "--help".to_owned()]));
    for page in pages {
        let help = run(folder.path(), &page);
        help.assert_code(0).assert_says(&["Usage: lychgate", "Example", "  lychgate "]);
        assert_eq!(help.stderr, "", "{page:?}");
        let (lines, widest) = (help.stdout.lines().count(), help.stdout.lines().map(|line| line.chars().count()).max());
        assert!(lines <= 40, "{page:?} takes {lines} lines\n{}", help.stdout);
        assert!(widest <= Some(130), "{page:?} is {widest:?} wide\n{}", help.stdout);
    }
}

#[test]
fn what_cannot_be_understood_ends_with_2_and_says_how_to_ask() {
    let folder = temp::directory();
    for (arguments, says) in [
        (&[][..], "Usage: lychgate"),
        (&["serv"], "tip: a similar subcommand exists: 'serve'"),
        (&["check"], "--config <FILE>"),
        (&["check", "--config", "x.toml", "--efective"], "--effective"),
        (
            &["serve", "--config", "x.toml", "--set", "gate.listen"],
            "is not KEY=VALUE, such as gate.listen=127.0.0.1:8443",
        ),
        (
            &["explain", "--config", "x.toml", "https://a.example/", "--as", "0000-0002-1825-0098"],
            "0000-0002-1825-0098",
        ),
        (&["completions", "cobol"], "bash"),
        (&["keys"], "generate"),
        (&["demo", "--listen", "here"], "--listen"),
        (&["demo", "--listen", "0.0.0.0:0"], "loopback only"),
        (&["simulator", "--listen", "0.0.0.0:0"], "loopback"),
        (&["serve", "--config", "nowhere.toml"], "nowhere.toml"),
        (&["explain", "--config", "nowhere.toml", "https://a.example/"], "nowhere.toml"),
    ] {
        let ended = run(folder.path(), arguments);
        ended.assert_code(2).assert_complains(&[says]);
        assert_eq!(ended.stdout, "", "{arguments:?}: stdout is for data");
    }
    run(folder.path(), ["--version"]).assert_code(0).assert_says(&["lychgate ", env!("CARGO_PKG_VERSION")]);
    assert_eq!(child::everything_in(folder.path()), [""; 0], "asking leaves nothing behind");
}

#[test]
fn check_says_that_a_good_configuration_is_good_and_changes_nothing() {
    let house = House::new();
    let before = child::everything_in(house.path());
    let good = house.verb("check", &[]);
    good.assert_code(0).assert_says(&["the configuration is good"]);
    assert_eq!(good.stderr, "");
    let json = house.verb("check", &["--json"]);
    json.assert_code(0);
    assert_eq!(json.json(), serde_json::json!({ "ok": true, "problems": [] }));
    assert_eq!(child::everything_in(house.path()), before);
}

#[test]
fn check_complains_of_everything_at_once_with_file_line_and_remedy() {
    let house = House::new();
    house.but("threads = 2", "threds = 2");
    let text = fs::read_to_string(house.path().join("lychgate.toml")).unwrap();
    let text = text.replace("issuer = \"http://127.0.0.1:9\"", "issuer = \"http://orcid.example\"");
    let text = text.replace("key = \"gate.key\"", "key = \"gaet.key\"") + "\n[sesions]\nidle = \"8h\"\n";
    house.write("lychgate.toml", &text);
    let ended = house.verb("check", &[]);
    let at = |found: &str| format!("lychgate.toml:{}: ", line_of(&text, found));
    ended.assert_code(1).assert_complains(&[
        &at("threds"),
        "did you mean `threads`?",
        &at("orcid.example"),
        "is not an issuer",
        &at("gaet.key"),
        "cannot be read",
        &at("[sesions]"),
        "did you mean [sessions]?",
        "4 errors, 0 warnings",
    ]);
    assert_eq!(ended.stdout, "", "nothing is good");

    let json = house.verb("check", &["--json"]);
    json.assert_code(1);
    let said = json.json();
    assert_eq!(said["ok"], false);
    let problems = said["problems"].as_array().expect("a list");
    assert_eq!(problems.len(), 4, "{said}");
    for problem in problems {
        assert_eq!(problem["severity"], "error");
        assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("lychgate.toml")), "{problem}");
        assert!(problem["line"].is_u64() && problem["message"].is_string(), "{problem}");
        assert!(problem["remedy"].is_string() || problem["expected"].is_string(), "{problem}");
    }
    assert!(!ended.stderr.contains(SECRET) && !json.stdout.contains(SECRET));
}

#[test]
fn check_reads_policies_cases_and_certificates_too() {
    let house = House::new();
    let policy = LIBRARY
        .replace("access = \"public\"", "acess = \"public\"")
        .replace("0000-0002-1825-0097", "0000-0002-1825-0098")
        .replace("/activities/update", "/activities-update");
    house.write("policies/library.toml", &policy);
    let at = |found: &str| format!("library.toml:{}: ", line_of(&policy, found));
    house.verb("check", &[]).assert_code(1).assert_complains(&[
        &at("acess"),
        "did you mean `access`?",
        &at("1825-0098"),
        "its last character would have to be `7`",
        &at("activities-update"),
        "did you mean \"/activities/update\"?",
    ]);

    // A case that does not hold, and a host that no certificate covers.
    let policy = LIBRARY.replace("sign-in: members", "admit: members").replace("library.campus", "library.elsewhere");
    house.write("policies/library.toml", &policy);
    house.verb("check", &[]).assert_code(1).assert_complains(&[
        &format!("library.toml:{}: ", line_of(&policy, "[[case]]")),
        "admit: members",
        "no certificate covers the host `library.elsewhere.example`",
    ]);
}

/// A broken main file must not hide what is wrong in the policies: else the sysadmin mends twice.
#[test]
fn check_complains_of_configuration_and_policies_in_the_same_run() {
    let house = House::new();
    house.but("threads = 2", "threads = 0");
    house.write("policies/library.toml", &LIBRARY.replace("access = \"public\"", "acess = \"public\""));
    let ended = house.verb("check", &[]);
    ended.assert_code(1).assert_complains(&["gate.threads", "out of bounds", "did you mean `access`?"]);
}

/// Some mistakes leave nothing to look further with; then it says so.
#[test]
fn check_says_what_it_could_not_look_at() {
    let house = House::new();
    house.but("sign_in_host = \"gate.campus.example\"", "");
    let ended = house.verb("check", &[]);
    ended
        .assert_code(1)
        .assert_complains(&["`sign_in_host` is missing", "certificates and policies were not looked at"]);
    let house = House::new();
    fs::remove_file(house.path().join("keys")).unwrap();
    let ended = house.verb("check", &[]);
    ended.assert_code(1).assert_complains(&["keys generate keys", "1 error, 0 warnings"]);
}

#[test]
fn t90_check_refuses_secrets_that_others_can_read() {
    for name in ["lychgate.toml", "gate.key", "keys"] {
        let house = House::new();
        fs::set_permissions(house.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
        let ended = house.verb("check", &[]);
        ended.assert_code(1).assert_complains(&[name, "0644", "chmod 600"]);
        assert!(!ended.stderr.contains(SECRET), "{name}");
    }
}

#[test]
fn check_refuses_a_key_that_belongs_to_another_certificate() {
    let house = House::new();
    house.write("gate.key", &house.authority.issue(&["*.campus.example"]).key);
    house.verb("check", &[]).assert_code(1).assert_complains(&["gate.key", "error: "]);
}

#[test]
fn effective_shows_every_value_with_its_source_and_no_secret() {
    let house = House::new();
    let secret_in_environment = "5ec2e7ed-0000-4000-8000-0000000000e2";
    for form in [&["--effective"][..], &["--effective", "--json"]] {
        let more = [form, &["--set", "gate.drain=7s"]].concat();
        let mut command = child::lychgate(house.path(), [&["check", "--config", "lychgate.toml"], &more[..]].concat());
        command.env("LYCHGATE__SESSIONS__IDLE", "3h").env("LYCHGATE__CLIENTS__CAMPUS__SECRET", secret_in_environment);
        let ended = child::Child::start(command).ended();
        ended.assert_code(0);
        assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains(secret_in_environment), "{}", ended.stdout);
        assert!(!ended.stderr.contains(SECRET) && !ended.stderr.contains(secret_in_environment), "{}", ended.stderr);
        if form.len() == 1 {
            ended.assert_says(&[
                &format!("gate.threads = 2    # lychgate.toml:{}", line_of(CONFIGURATION, "threads")),
                "gate.drain = 7s    # command line",
                "sessions.idle = 3h    # LYCHGATE__SESSIONS__IDLE",
                "sessions.absolute = 24h    # default",
                "clients.campus.secret = (hidden)    # LYCHGATE__CLIENTS__CAMPUS__SECRET",
            ]);
        } else {
            let all = ended.json();
            let of = |key: &str| -> Value {
                let found = all.as_array().expect("a list").iter().find(|entry| entry["key"] == key);
                found.unwrap_or_else(|| panic!("no {key} in {all}")).clone()
            };
            assert_eq!(of("gate.drain")["source"], "command line");
            assert_eq!(of("sessions.idle")["value"], "3h");
            assert_eq!(of("clients.campus.secret")["value"], "(hidden)");
        }
    }
}

#[test]
fn explain_names_the_rule_that_decides_and_why_the_others_do_not() {
    let house = House::new();
    let [carberry, another] = ["0000-0002-1825-0097", "0000-0002-1694-233X"];
    let url = |path: &str| format!("https://library.campus.example{path}");
    type Row<'a> = (&'a [&'a str], String, i32, &'a [&'a str]);
    let table: &[Row] = &[
        (&[], url("/"), 0, &["GET / at site library, as a guest", "1. front page", "admits", "admit: front page"]),
        (&[], url("/loans?id=7"), 1, &["1. front page", "speaks of other paths", "4. members", "sign-in: members"]),
        (&["--as", carberry], url("/loans"), 0, &["as 0000-0002-1825-0097", "admit: members"]),
        (&["--as", carberry], url("/deposit/x"), 1, &["2. deposit", "scopes: deposit", "/activities/update"]),
        (&["--as", carberry, "--scopes", "openid /activities/update"], url("/deposit/x"), 0, &["admit: deposit"]),
        (&["--as", another], url("/admin/users"), 1, &["3. administrators", "refuses", "refuse: administrators"]),
        (&["--as", carberry], url("/admin/users"), 0, &["admit: administrators"]),
        (&["--as", carberry], url("/a/../admin"), 1, &["400"]),
        (&[], "https://unknown.campus.example/".to_owned(), 1, &["no site answers at `unknown.campus.example`"]),
        (&[], "https://gate.campus.example/".to_owned(), 0, &["the sign-in host answers by itself"]),
    ];
    for (more, url, code, says) in table {
        let ended = house.verb("explain", &[*more, &[url.as_str()]].concat());
        ended.assert_code(*code).assert_says(says);
        assert_eq!(ended.stderr, "");
    }
    let posted = house.verb("explain", &["POST", &url("/loans"), "--as", carberry]);
    posted.assert_code(1).assert_says(&["POST /loans", "speaks of other methods", "refuse ("]);
    for method in ["post", "TRACE"] {
        let refused = house.verb("explain", &[method, &url("/loans")]);
        refused.assert_code(1).assert_says(&["405", method]);
    }
    house.verb("explain", &["http://library.campus.example/"]).assert_code(2).assert_complains(&["https://"]);
    house.verb("explain", &[&url("/"), "--scopes", "opnid"]).assert_code(2).assert_complains(&["opnid", "\"openid\""]);
    house.verb("explain", &["G T", &url("/")]).assert_code(2).assert_complains(&["not a method"]);
}

#[test]
fn explain_tells_programs_the_same_as_json() {
    let house = House::new();
    let url = "https://library.campus.example/deposit/x";
    let ended = house.verb("explain", &["POST", url, "--as", "0000-0002-1825-0097", "--json"]);
    ended.assert_code(1);
    let trace = ended.json();
    assert_eq!(trace["site"], "library");
    assert_eq!(trace["visitor"], "0000-0002-1825-0097");
    assert_eq!(trace["outcome"]["decision"], "ask-scopes");
    assert_eq!(trace["outcome"]["rule"], "deposit");
    let steps = trace["steps"].as_array().expect("a list");
    let told: Vec<_> = steps.iter().map(|step| (step["name"].as_str(), step["verdict"].as_str())).collect();
    assert_eq!(told, [(Some("front page"), Some("other-paths")), (Some("deposit"), Some("asks-scopes"))]);
    assert_eq!(steps[1]["line"], line_of(LIBRARY, "name = \"deposit\"") - 1);
}

#[test]
fn keys_are_made_listed_and_rotated_and_never_shown_or_overwritten() {
    let folder = temp::directory();
    let keys = folder.path().join("state/keys");
    let made = run(folder.path(), ["keys", "generate", "state/keys"]);
    made.assert_code(0).assert_complains(&["Keep a copy"]);
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&keys).unwrap();
    let secrets = |text: &str| -> Vec<String> {
        let words = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        words.filter(|word| word.len() == 64).map(str::to_owned).collect()
    };
    assert_eq!(secrets(&text).len(), 1);

    let again = run(folder.path(), ["keys", "generate", "state/keys"]);
    again.assert_code(2).assert_complains(&["exists already", "keys rotate"]);
    assert_eq!(fs::read_to_string(&keys).unwrap(), text, "the old key is still there");

    let rotated = run(folder.path(), ["keys", "rotate", "state/keys"]);
    rotated.assert_code(0).assert_says(&["was added, to seal from now on"]);
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o7777, 0o600);
    let now = fs::read_to_string(&keys).unwrap();
    assert_eq!(secrets(&now).len(), 2);
    assert_eq!(secrets(&now)[0], secrets(&text)[0], "what was sealed still opens");

    let listed = run(folder.path(), ["keys", "list", "state/keys"]);
    listed.assert_code(0).assert_says(&["opens only", "seals and opens"]);
    let json = run(folder.path(), ["keys", "list", "state/keys", "--json"]);
    json.assert_code(0);
    let active: Vec<_> = json.json().as_array().expect("a list").iter().map(|key| key["active"].clone()).collect();
    assert_eq!(active, [Value::Bool(false), Value::Bool(true)]);
    for ended in [&made, &again, &rotated, &listed, &json] {
        for secret in secrets(&now) {
            assert!(!ended.stdout.contains(&secret) && !ended.stderr.contains(&secret), "a key was shown: {ended:?}");
        }
    }

    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).unwrap();
    run(folder.path(), ["keys", "list", "state/keys"]).assert_code(2).assert_complains(&["0640", "chmod 600"]);
    run(folder.path(), ["keys", "rotate", "nowhere"]).assert_code(2).assert_complains(&["nowhere"]);
    assert_eq!(child::everything_in(folder.path()), ["state", "state/keys"], "nothing half-written is left");
}

#[test]
fn bash_completes_verbs_and_options() {
    let folder = temp::directory();
    let script = run(folder.path(), ["completions", "bash"]);
    script.assert_code(0);
    temp::write(folder.path(), "completion.bash", &script.stdout);
    for (typed, at, offers) in [("lychgate expl", 1, "explain"), ("lychgate check --eff", 2, "--effective")] {
        let ask = format!(
            "source completion.bash; COMP_WORDS=({typed}); COMP_CWORD={at}; COMP_LINE='{typed}'; \
             _lychgate lychgate \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let told = Command::new("bash").args(["-c", &ask]).current_dir(folder.path()).output().expect("bash is here");
        assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), offers, "{}", String::from_utf8_lossy(&told.stderr));
    }
}
