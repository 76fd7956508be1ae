//! Other people's clients of ORCID against the simulator, unchanged but for the addresses: over http and https, with
//! the three hosts of ORCID apart and on one shared base.

use crate::campus::installed::{Conversation, left_out, node, node_program, python, script};
use crate::campus::{Campus, people, temp};
use crate::sign_in_attacks::through_orcid;
use lychgate::domain::OrcidId;
use lychgate::simulator::{
    MEMBER_CLIENT, PUBLIC_CLIENT, SimulatedClient, Simulator, SimulatorHandle, SimulatorSettings,
};
use serde_json::{Value, json};
use std::path::PathBuf;

const SECRET: &str = "c11e7700-0000-4000-8000-0000000000aa";
const REDIRECT: &str = "https://app.campus.example/orcid/callback";

/// Where the three hosts of ORCID are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Everything at one address.
    Shared,
    /// The same over TLS.
    SharedTls,
    /// Root, public API and member API at addresses of their own.
    Apart,
}

const LAYOUTS: [Layout; 3] = [Layout::Shared, Layout::SharedTls, Layout::Apart];

struct Stage {
    simulator: SimulatorHandle,
    /// Lends the browser.
    campus: Campus,
    folder: tempfile::TempDir,
    layout: Layout,
}

impl Stage {
    async fn open(layout: Layout) -> Self {
        let campus = Campus::open().await;
        let clients = [(PUBLIC_CLIENT, false), (MEMBER_CLIENT, true)];
        let clients = clients.map(|(id, member)| SimulatedClient::new(id, SECRET, "Stranger", member, &[REDIRECT]));
        let mut settings = SimulatorSettings::on_loopback(clients.to_vec());
        let any = "127.0.0.1:0".parse().unwrap();
        match layout {
            Layout::Shared => {}
            Layout::SharedTls => {
                settings.tls = Some(campus.authority.issue(&["localhost"]).server_config(&["h2", "http/1.1"]));
                settings.public_base = Some("https://localhost:{port}".to_owned());
            }
            Layout::Apart => (settings.public_api, settings.member_api) = (Some(any), Some(any)),
        }
        let folder = temp::directory();
        campus.authority.write(folder.path());
        Self { simulator: Simulator::start(settings).await.unwrap(), campus, folder, layout }
    }

    /// One library's way through: it says where to go, somebody goes there and agrees, and it says what it knows.
    async fn ask(&self, program: PathBuf, file: &str, client: &str, scope: &str) -> Value {
        let base = self.simulator.base_url.clone();
        let of = |api: &Option<lychgate::simulator::ApiAddress>| {
            api.as_ref().map_or(base.clone(), |api| api.base_url.clone())
        };
        let settings = json!({
            "base": base,
            "pub": of(&self.simulator.public_api),
            "api": of(&self.simulator.member_api),
            "client_id": client,
            "client_secret": SECRET,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "orcid": people::ordinary().orcid,
            "modules": if file.ends_with(".mjs") { node() } else { PathBuf::new() },
        });
        let authority = self.folder.path().join("authority.pem").display().to_string();
        let variables: Vec<(&str, &str)> = match self.layout {
            Layout::SharedTls => {
                ["REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"].map(|name| (name, authority.as_str())).to_vec()
            }
            _ => vec![("OAUTHLIB_INSECURE_TRANSPORT", "1"), ("AUTHLIB_INSECURE_TRANSPORT", "1")],
        };
        let file = script(&format!("strangers/clients/{file}"));
        let mut library = Conversation::start(&program, &[&file, &settings.to_string()], &variables);
        let address = library.hear().await;
        let browser = self.campus.browser();
        let back = through_orcid(&browser, &address, &people::ordinary(), "Authorize access").await;
        library.say(back.as_str()).await;
        let made = library.hear().await;
        serde_json::from_str(&made).unwrap_or_else(|_| panic!("{made}\n{}", library.complained()))
    }

    async fn close(self) {
        self.simulator.stop().await;
        self.campus.close().await;
    }
}

async fn in_every_layout(check: impl AsyncFn(&Stage)) {
    if left_out() {
        return;
    }
    for layout in LAYOUTS {
        let stage = Stage::open(layout).await;
        check(&stage).await;
        stage.close().await;
    }
}

fn rowan() -> OrcidId {
    people::ordinary().orcid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_social_auth_signs_in_with_public_and_member_api() {
    in_every_layout(async |stage| {
        for (client, scope) in [(PUBLIC_CLIENT, "/authenticate"), (MEMBER_CLIENT, "/authenticate /read-limited")] {
            let made = stage.ask(python(), "social_auth.py", client, scope).await;
            assert_eq!((&made["id"], &made["username"]), (&json!(rowan()), &json!(rowan())), "{made}");
            assert_eq!((&made["first_name"], &made["last_name"]), (&json!("Rowan"), &json!("Ashgrove")));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passport_orcid_signs_in() {
    in_every_layout(async |stage| {
        let made = stage.ask(node_program(), "passport.mjs", PUBLIC_CLIENT, "/authenticate").await;
        let expected = json!({"orcid": rowan(), "name": "Rowan Ashgrove", "bearer": "bearer", "refreshes": true});
        assert_eq!(made, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_signs_in_although_its_pkce_is_dropped() {
    in_every_layout(async |stage| {
        let made = stage.ask(node_program(), "openid_client.mjs", MEMBER_CLIENT, "openid").await;
        assert_eq!(made, json!({"sub": rowan(), "userinfo": rowan(), "orcid": rowan()}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_signs_in_and_verifies_by_its_own_rules() {
    in_every_layout(async |stage| {
        let made = stage.ask(python(), "authlib_client.py", PUBLIC_CLIENT, "openid").await;
        assert_eq!(made, json!({"sub": rowan(), "userinfo": rowan()}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyorcid_reads_a_record_section_by_section_and_searches() {
    in_every_layout(async |stage| {
        let made = stage.ask(python(), "pyorcid_client.py", MEMBER_CLIENT, "/authenticate").await;
        for way in ["public client", "public own", "member own"] {
            let found = &made[way];
            assert_eq!((&found["path"], &found["name"]), (&json!(rowan()), &json!("Rowan")), "{made}");
            for section in ["employments", "educations", "works", "keywords"] {
                assert!(found[section].as_u64() > Some(0), "{way} {section}: {made}");
            }
        }
        assert_eq!((&made["expanded"], &made["search"]), (&json!([rowan()]), &json!([rowan()])), "{made}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_orcid_takes_tokens_from_the_api_host_and_reads_version_two() {
    in_every_layout(async |stage| {
        let made = stage.ask(python(), "python_orcid.py", MEMBER_CLIENT, "/authenticate /read-limited").await;
        assert_eq!(
            (&made["state"], &made["orcid"], &made["record"]),
            (&json!("a/b c"), &json!(rowan()), &json!(rowan()))
        );
        assert_eq!(made["found"], 1, "{made}");
        assert!(made["activities"].as_array().is_some_and(|kinds| kinds.contains(&json!("works"))), "{made}");
    })
    .await;
}
