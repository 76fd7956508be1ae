mod presence;
mod watch;

use super::withdraw::drain_some;
use super::*;
use crate::domain::{
    AccessToken, ClientSecret, Clock, Environment, Grant, Membership, Mfa, OrcidId, RefreshToken, Scope, StoppedClock,
    Subject, SystemChance,
};
use crate::orcid::{ClientAuthentication, ProviderSettings, SigningAlgorithm, Timeouts};
use crate::vault::{ConnectionKey, HashedSessionKey, Vault, VaultSettings, generate_key_file};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOFIA: &str = "0000-0001-2345-6789";
const JOSIAH: &str = "0000-0002-1825-0097";
/// By how much sessions outlive their end while the provider is away.
const GRACE: Duration = Duration::from_secs(4 * 3600);

/// What the stand-in provider is asked to revoke, and whether it is there at all.
#[derive(Default)]
struct Desk {
    revoked: Vec<String>,
    down: bool,
    /// How often it was asked for its discovery document, and what it says then if not the truth.
    discoveries: usize,
    discovery: Option<(&'static str, String)>,
    /// What was asked about, as `iD token`.
    asked: Vec<String>,
    /// Tokens it no longer knows.
    dead: Vec<String>,
    /// What it says of a record, by iD: status, body, `Location`.
    records: BTreeMap<String, (&'static str, String, String)>,
    /// Refresh tokens brought, and what is answered to them.
    renewed: Vec<String>,
    renewal: Option<(&'static str, String)>,
}

async fn provider(desk: Arc<Mutex<Desk>>, clock: Arc<dyn Clock>, environment: Environment) -> Arc<Provider> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let issuer = base.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            let mut buffer = [0; 4096];
            // Requests here are small; the body follows the head at once.
            while !is_whole(&read) {
                let n = stream.read(&mut buffer).await.unwrap();
                read.extend_from_slice(&buffer[..n]);
                assert!(n > 0);
            }
            let request = String::from_utf8(read).unwrap();
            let (status, body, location) = if request.starts_with("GET /v3.0/") {
                record(&mut desk.lock().unwrap(), &request)
            } else {
                let (status, body) = answer(&mut desk.lock().unwrap(), &base, &request);
                (status, body, String::new())
            };
            let head = format!("content-type: application/json\r\nlocation: {location}\r\nconnection: close");
            let text = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    Provider::new(settings(issuer, environment), clock).unwrap()
}

fn settings(issuer: String, environment: Environment) -> ProviderSettings {
    ProviderSettings {
        name: "orcid".parse().unwrap(),
        environment,
        membership: Membership::Member,
        client_id: "APP-1".into(),
        client_secret: ClientSecret::new("secret"),
        issuer,
        authentication: ClientAuthentication::Post,
        algorithms: vec![SigningAlgorithm::Rs256],
        redirect_uri: "https://signin.example/.lychgate/callback/orcid".into(),
        base_scope: Scope::openid(),
        foreign_subjects: false,
        subject_claim: None,
        extra_scopes: Default::default(),
        offer_sign_out: true,
        title: None,
        show_login: true,
        renew: environment == Environment::Other,
        userinfo: false,
        cache_file: None,
        ca_file: None,
        leeway: Duration::from_secs(60),
        timeouts: Timeouts::default(),
    }
}

fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn answer(desk: &mut Desk, base: &str, request: &str) -> (&'static str, String) {
    let discovery = request.starts_with("GET /.well-known/");
    desk.discoveries += usize::from(discovery);
    if desk.down {
        return ("503 Service Unavailable", "{}".into());
    }
    if discovery {
        if let Some(said) = &desk.discovery {
            return said.clone();
        }
        let document = serde_json::json!({
            "issuer": base, "authorization_endpoint": format!("{base}/oauth/authorize"),
            "token_endpoint": format!("{base}/oauth/token"), "jwks_uri": format!("{base}/oauth/jwks"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        return ("200 OK", document.to_string());
    }
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let field = |wanted: &str| {
        url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == wanted).unwrap().1.into_owned()
    };
    if request.starts_with("POST /oauth/token ") {
        assert_eq!(field("grant_type"), "refresh_token");
        desk.renewed.push(field("refresh_token"));
        return desk.renewal.clone().expect("a renewal is expected");
    }
    assert!(request.starts_with("POST /oauth/revoke "));
    desk.revoked.push(field("token"));
    ("200 OK", String::new())
}

/// The record API: `GET /v3.0/{iD}/personal-details` with a bearer.
fn record(desk: &mut Desk, request: &str) -> (&'static str, String, String) {
    if desk.down {
        return ("503 Service Unavailable", "{}".into(), String::new());
    }
    let orcid = request.strip_prefix("GET /v3.0/").unwrap().split('/').next().unwrap().to_owned();
    let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap().to_owned();
    desk.asked.push(format!("{orcid} {token}"));
    if desk.dead.contains(&token) {
        let said = serde_json::json!({"error": "invalid_token", "error_description": format!("Invalid access token: {token}")});
        return ("401 Unauthorized", said.to_string(), String::new());
    }
    desk.records.get(&orcid).cloned().unwrap_or(("200 OK", "{}".into(), String::new()))
}

struct House {
    environment: Environment,
    vault: Arc<Vault>,
    clock: Arc<StoppedClock>,
    desk: Arc<Mutex<Desk>>,
    providers: Providers,
    _place: tempfile::TempDir,
}

async fn house() -> House {
    house_at(Environment::Simulator).await
}

async fn house_at(environment: Environment) -> House {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(StoppedClock::at(1_790_000_000));
    let key_file = place.path().join("keys");
    generate_key_file(&key_file, &*clock, &SystemChance::default()).unwrap();
    let settings = VaultSettings {
        directory: place.path().join("vault"),
        key_file,
        simulated: true,
        idle: Duration::from_secs(8 * 3600),
        absolute: Duration::from_secs(24 * 3600),
        outage_grace: GRACE,
        warm_sessions: 100,
    };
    let vault = Vault::open(settings, clock.clone(), Arc::new(SystemChance::default())).unwrap();
    let desk = Arc::new(Mutex::new(Desk::default()));
    let orcid = provider(desk.clone(), clock.clone(), environment).await;
    let providers = Providers::from([(orcid.settings().name.clone(), orcid)]);
    House { environment, vault, clock, desk, providers, _place: place }
}

fn subject(orcid: &str) -> Subject {
    Subject::Orcid(orcid.parse::<OrcidId>().unwrap())
}

impl House {
    async fn deposit(&self, orcid: &str, token: &str, root: u8, previous: Option<u8>) -> crate::vault::Completed {
        let grant = Grant {
            subject: subject(orcid),
            name: None,
            given_name: None,
            family_name: None,
            mfa: Mfa::Unknown,
            scopes: "openid".parse().unwrap(),
            access_token: AccessToken::new(token),
            refresh_token: Some(RefreshToken::new(format!("refresh {token}"))),
            expires: None,
            at_provider: None,
        };
        let kept = Deposit {
            grant: &grant,
            environment: self.environment,
            client: "orcid".parse().unwrap(),
            root: HashedSessionKey([root; 32]),
            agent: "Test".into(),
            previous: previous.map(|key| HashedSessionKey([key; 32])),
            place: None,
            proven: false,
            held: None,
        };
        deposit(&self.vault, kept).await.unwrap().expect("nobody has said that it is over")
    }

    fn key(&self, orcid: &str) -> ConnectionKey {
        ConnectionKey { environment: self.environment, client: "orcid".parse().unwrap(), subject: subject(orcid) }
    }

    async fn lives(&self, root: u8) -> bool {
        self.vault.session(&HashedSessionKey([root; 32])).await.unwrap().is_some()
    }

    async fn drain(&self) -> usize {
        drain_some(&self.vault, &self.providers, &*self.clock).await.unwrap()
    }

    fn revoked(&self) -> Vec<String> {
        self.desk.lock().unwrap().revoked.clone()
    }
}

#[tokio::test]
async fn t64_t65_what_the_browser_held_before_ends_with_the_deposit() {
    let house = house().await;
    house.deposit(SOFIA, "one", 1, None).await;
    house.deposit(SOFIA, "two", 2, Some(1)).await;
    assert!(!house.lives(1).await && house.lives(2).await);
    house.deposit(JOSIAH, "three", 3, Some(2)).await;
    assert!(!house.lives(2).await && house.lives(3).await);
}

#[tokio::test]
async fn a_superseded_pair_is_revoked_at_orcid_however_long_that_is_down() {
    let house = house().await;
    house.deposit(SOFIA, "first", 1, None).await;
    assert_eq!(house.drain().await, 0);
    house.deposit(SOFIA, "second", 2, Some(1)).await;
    house.desk.lock().unwrap().down = true;
    assert_eq!(house.drain().await, 1);
    assert_eq!(house.drain().await, 0, "it is left alone for a while");
    assert!(house.revoked().is_empty());
    house.clock.advance(3 * 86_400);
    house.desk.lock().unwrap().down = false;
    assert_eq!(house.drain().await, 1);
    assert_eq!(house.revoked(), ["first"]);
    house.clock.advance(3 * 86_400);
    assert_eq!(house.drain().await, 0, "once is enough");
    assert_eq!(house.vault.token_pairs(&house.key(SOFIA)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_of_a_client_that_is_gone_waits() {
    let house = house().await;
    house.deposit(SOFIA, "first", 1, None).await;
    house.deposit(SOFIA, "second", 2, Some(1)).await;
    let nobody = Providers::new();
    assert_eq!(drain_some(&house.vault, &nobody, &*house.clock).await.unwrap(), 1);
    house.clock.advance(3 * 86_400);
    assert_eq!(house.drain().await, 1);
    assert_eq!(house.revoked(), ["first"]);
}
