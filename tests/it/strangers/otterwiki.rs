//! An Otter Wiki behind the gate, as docs/recipes/otterwiki.md says: a wiki that knows nothing of ORCID greets a
//! researcher by iD and keeps what they write under it, in a real browser and against forgeries.

use crate::campus::chromium::Chromium;
use crate::campus::installed::{Server, left_out, python, script};
use crate::campus::people::{self, Person};
use crate::campus::{Campus, temp};
use lychgate::simulator::people::{ARABIC, HIDDEN_NAME, SECOND_FACTOR};
use lychgate::simulator::{MEMBER_CLIENT, SimulatedClient, seeded};
use std::path::Path;
use std::process::Command;

const HOST: &str = "wiki.campus.example";

/// The wiki with its repository, and a campus that has its site.
struct Wiki {
    folder: tempfile::TempDir,
    _server: Server,
    campus: Campus,
}

/// The site file of the recipe, for a wiki that listens at `upstream`.
fn site(upstream: &str) -> String {
    let recipe =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes/otterwiki.md")).unwrap();
    let (_, after) = recipe.split_once("```toml\n").unwrap();
    after.split_once("\n```").unwrap().0.replace("http://127.0.0.1:8080", upstream)
}

impl Wiki {
    async fn open(public_port: bool) -> Self {
        let folder = temp::directory();
        let repository = folder.path().join("repository");
        let made = Command::new("git").args(["init", "--quiet"]).arg(&repository).status();
        assert!(made.is_ok_and(|status| status.success()), "apt-get install git");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let database = format!("sqlite:///{}", at("wiki.sqlite"));
        let variables = [
            ("REPOSITORY", at("repository")),
            ("SQLALCHEMY_DATABASE_URI", database),
            ("SECRET_KEY", "only-for-this-test-0123456789abcdef".to_owned()),
            ("AUTH_METHOD", "PROXY_HEADER".to_owned()),
            ("READ_ACCESS", "APPROVED".to_owned()),
            ("WRITE_ACCESS", "APPROVED".to_owned()),
            ("ATTACHMENT_ACCESS", "APPROVED".to_owned()),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start(&python(), &[&script("strangers/serve_otterwiki.py")], &variables).await;
        let builder = Campus::build().site("wiki", &site(&server.address));
        let builder = if public_port { builder } else { builder.replace("public_port = 443\n", "") };
        Self { folder, _server: server, campus: builder.open().await }
    }

    /// The last change, as git knows it: author, address, and the text of the page.
    fn last_change(&self) -> (String, String) {
        let git = |arguments: &[&str]| {
            let output =
                Command::new("git").arg("-C").arg(self.folder.path().join("repository")).args(arguments).output();
            String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
        };
        (git(&["log", "-1", "--format=%an <%ae>"]), git(&["show", "--format=", "HEAD"]))
    }
}

fn person(orcid: &str) -> Person {
    seeded().into_iter().find(|person| person.orcid.as_str() == orcid).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_researcher_edits_the_wiki_under_their_id_and_nobody_forges_it() {
    if left_out() {
        return;
    }
    let wiki = Wiki::open(true).await;
    let base = format!("https://{HOST}");
    for (orcid, author) in [
        (people::ordinary().orcid.to_string(), "Rowan Ashgrove ("),
        (HIDDEN_NAME.to_owned(), "("),
        (ARABIC.to_owned(), "("),
        (SECOND_FACTOR.to_owned(), "Tamsin Doublelock ("),
    ] {
        let browser = wiki.campus.browser();
        let home = wiki.campus.sign_in(&browser, &format!("{base}/Home/edit"), &person(&orcid)).await;
        home.assert_status(200).assert_at(&format!("{base}/Home/edit"));
        // The form with the wiki's own token in it, and its cookie: both are the wiki's business and work.
        let text = format!("Written by {orcid}.");
        let form = home.form_with("Save");
        let saved = form.forge("content", &text).forge("commit", "a test").submit().await;
        saved.assert_status(200).assert_says(&text);
        let (found, change) = wiki.last_change();
        assert_eq!(found, format!("{author}{orcid}) <{orcid}@orcid.example>"));
        assert!(change.contains(&text));
        // What comes along with the form says nothing about who wrote it.
        let other = format!("Written once more by {orcid}.");
        let form = home.form_with("Save").forge("content", &other).forge("commit", "again");
        let sent = form.submitted().header("x-otterwiki-name", "Mallory").header("x-otterwiki-email", "m@evil.example");
        sent.send().await.assert_status(302);
        let (found, change) = wiki.last_change();
        assert_eq!(found, format!("{author}{orcid}) <{orcid}@orcid.example>"));
        assert!(change.contains(&other), "{change}");
        // Its protection against forged forms holds behind the gate, too.
        let forged = home.form_with("Save").forge("csrf_token", "x").forge("content", "forged").submit().await;
        assert_eq!(forged.status, 400, "{}", forged.story());
    }
    let (author, change) = wiki.last_change();
    for name in ["x-otterwiki-name", "X-OtterWiki-Name", "x_otterwiki_name", "x.otterwiki.name"] {
        let answer = wiki.campus.browser().get(&format!("{base}/")).header(name, "Mallory").by_tool().send().await;
        answer.assert_status(401);
        let signed_in = wiki.campus.browser();
        wiki.campus.sign_in(&signed_in, &format!("{base}/Home"), &people::ordinary()).await.assert_status(200);
        let page =
            signed_in.get(&format!("{base}/Home")).header(name, "Mallory").header("x-otterwiki-permissions", "ADMIN");
        page.send().await.assert_status(200).assert_lacks("Mallory");
        let admin =
            signed_in.get(&format!("{base}/-/admin/user_management")).header("x-otterwiki-permissions", "ADMIN");
        assert_ne!(admin.send().await.status, 200, "nobody makes themselves an administrator");
    }
    assert_eq!(wiki.last_change(), (author, change));
    wiki.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_real_browser_the_wiki_greets_edits_and_signs_out() {
    if left_out() || !Chromium::available() {
        return;
    }
    let wiki = Wiki::open(false).await;
    let port = wiki.campus.gate().addresses().gate.port();
    let (base, gate) = (format!("https://{HOST}:{port}"), format!("https://gate.campus.example:{port}"));
    let callback = format!("{gate}/.lychgate/callback/campus");
    let mut client =
        SimulatedClient::new(MEMBER_CLIENT, "0b1ec7ed-7e57-4000-8000-00000000cafe", "Test Campus", true, &[&callback]);
    client.onward_origins = vec![base.clone()];
    wiki.campus.simulator.register(client).unwrap();
    let chromium = Chromium::start(wiki.campus.authority.pem()).await.unwrap();
    let somebody = person(SECOND_FACTOR);

    chromium.open(&format!("{base}/Home")).await;
    chromium.wait_for_url(&gate).await;
    chromium.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&wiki.campus.simulator.base_url).await;
    chromium.fill("username", somebody.orcid.as_str()).await;
    chromium.fill("password", &somebody.password).await;
    chromium.click("Sign in to ORCID").await;
    chromium.fill("totp", lychgate::simulator::people::SECOND_FACTOR_CODE).await;
    chromium.screenshot("otterwiki-1-second-factor").await;
    chromium.click("Authenticate").await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&format!("{gate}/.lychgate/connected")).await;
    chromium.click("Continue").await;
    chromium.wait_for_url(&format!("{base}/Home")).await;
    chromium.screenshot("otterwiki-2-home").await;

    chromium.open(&format!("{base}/Home/edit")).await;
    // The wiki's editor is a script of its own; its form is what it sends.
    let typed = "cm_editor.dispatch({changes: {from: 0, to: cm_editor.state.doc.length, insert: '# Written in Chromium'}}); return true";
    assert_eq!(chromium.script(typed).await, true);
    chromium.screenshot("otterwiki-3-editor").await;
    let saves = "document.querySelector('#commit-message').value = 'typed'; document.querySelector('#saveform').requestSubmit(); return true";
    assert_eq!(chromium.script(saves).await, true);
    chromium.wait_for_url(&format!("{base}/Home")).await;
    chromium.says(&["Written in Chromium"]).await;
    chromium.screenshot("otterwiki-4-saved").await;
    let (author, _) = wiki.last_change();
    assert_eq!(author, format!("Tamsin Doublelock ({}) <{}@orcid.example>", somebody.orcid, somebody.orcid));

    chromium.open(&format!("{base}/.lychgate/sign-out")).await;
    chromium.screenshot("otterwiki-5-sign-out").await;
    chromium.click("Sign out of Campus wiki").await.says(&["You are signed out of Campus wiki"]).await;
    chromium.open(&format!("{base}/Home")).await;
    chromium.wait_for_url(&gate).await;
    chromium.quit().await;
    wiki.campus.close().await;
}
