//! [`Ground`]: a campus whose client is registered at a real provider, and what people do there. Used by `providers`.

use super::real::{Make, RealProvider};
use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::{Builder, Campus, SIGN_IN};
use serde_json::{Value, json};

pub const CALLBACK: &str = "/.lychgate/callback/campus";
pub const RETURN: &str = "/.lychgate/sign-out/return";
pub const WEBHOOK: &str = "/.lychgate/webhook/back-channel-logout/campus";

/// Every character that means something in a form or in HTTP Basic (RFC 6749 §2.3.1).
pub const SECRET: &str = "p+q r/s=t%25&u:v\"w\\x~0123456789abcdef";
pub const ALICE_ID: &str = "0000-0002-1825-0097";

/// How the client is registered, on both sides.
pub struct Plan {
    /// Of the issuer.
    pub path: &'static str,
    pub alg: &'static str,
    /// `token_endpoint_auth_method`; nothing means what the standard says it means.
    pub method: Option<&'static str>,
    /// Further lines of `[clients.campus]`.
    pub lines: &'static str,
    /// Further members of the client at the provider.
    pub client: Value,
    /// Where the gate is reached, if not at the campus's usual address.
    pub by_port: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            path: "/realms/campus",
            alg: "RS256",
            method: None,
            lines: "foreign_subjects = true\nextra_scopes = [\"profile\"]",
            client: json!({}),
            by_port: false,
        }
    }
}

pub struct Ground {
    pub campus: Campus,
    pub provider: RealProvider,
    pub tool: Browser,
    /// Of the sign-in host, without a slash.
    pub home: String,
}

fn people() -> Value {
    json!({
        "alice": { "name": "Alice Ångström", "given_name": "Alice", "family_name": "Ångström", "orcid": format!("https://orcid.org/{ALICE_ID}") },
        "bob": { "given_name": "Bob", "family_name": "Example", "preferred_username": "root" },
    })
}

impl Ground {
    pub async fn open(plan: Plan) -> Self {
        let settings = json!({ "path": plan.path, "alg": plan.alg, "people": people() });
        let provider = RealProvider::start(Make::OidcProvider, settings).await;
        let mut builder = builder(&plan, &provider);
        if plan.by_port {
            builder = builder.replace("public_port = 443\n", "");
        }
        let campus = builder.open().await;
        campus.watch.forbid("the client's secret", SECRET);
        let (gate, tool) = (campus.gate().addresses().gate, campus.browser());
        let home = match plan.by_port {
            true => format!("{SIGN_IN}:{}", gate.port()),
            false => SIGN_IN.to_owned(),
        };
        let mut client = json!({
            "client_id": "campus-gate",
            "client_secret": SECRET,
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [format!("{home}{CALLBACK}")],
            "post_logout_redirect_uris": [format!("{home}{RETURN}")],
            "backchannel_logout_uri": format!("{home}{WEBHOOK}"),
            "backchannel_logout_session_required": true,
            "id_token_signed_response_alg": plan.alg,
        });
        let more = client.as_object_mut().expect("it is written as an object");
        more.extend(plan.client.as_object().expect("a plan's client is an object").clone());
        if let Some(method) = plan.method {
            more.insert("token_endpoint_auth_method".to_owned(), json!(method));
        }
        let gate = json!({ "port": gate.port(), "authority": campus.authority.pem() });
        provider.control(&tool, "register", json!({ "clients": [client], "gate": gate })).await;
        Self { campus, provider, tool, home }
    }

    /// The same with the provider of a Django site, whose issuer has the path `/o`.
    pub async fn at_toolkit() -> Self {
        let client = json!({
            "client_id": "campus-gate",
            "client_secret": SECRET,
            "redirect_uris": [format!("{SIGN_IN}{CALLBACK}")],
            "post_logout_redirect_uris": [format!("{SIGN_IN}{RETURN}")],
        });
        let settings = json!({ "people": people(), "clients": [client] });
        let provider = RealProvider::start(Make::DjangoToolkit, settings).await;
        let campus = builder(&Plan::default(), &provider).open().await;
        campus.watch.forbid("the client's secret", SECRET);
        let tool = campus.browser();
        Self { campus, provider, tool, home: SIGN_IN.to_owned() }
    }

    /// Through sign-in page, provider and thanks to `url`.
    pub async fn sign_in(&self, browser: &Browser, url: &str, name: &str) -> Answer {
        let page = browser.open(url).await;
        self.arrive(page, name).await
    }

    /// From wherever a visit led.
    pub async fn arrive(&self, page: Answer, name: &str) -> Answer {
        let page =
            if page.url.path() == "/.lychgate/sign-in" { page.click("Sign in at 127.0.0.1").await } else { page };
        let page = sign_in_there(page, name).await;
        let page = if page.text().contains("May the gate know you?") { page.press("Allow").await } else { page };
        if page.url.path() == "/.lychgate/connected" { page.click("Continue").await } else { page }
    }

    /// Signs out at the provider by its own page, as somebody does who never heard of the gate.
    pub async fn sign_out_there(&self, browser: &Browser) {
        let page = browser.open(&format!("{}/session/end", self.provider.issuer)).await;
        page.assert_says("Sign out of the campus?").press("Yes, sign me out").await.assert_status(200);
    }

    pub async fn count(&self, what: &str) -> u64 {
        self.provider.count(&self.tool, what).await
    }

    /// A token signed by the provider, of whatever is given.
    pub async fn sign(&self, header: Value, claims: Value) -> String {
        let signed = self.provider.control(&self.tool, "sign", json!({ "header": header, "claims": claims })).await;
        signed["token"].as_str().expect("the provider signs").to_owned()
    }

    /// Brings a logout token, as a provider does: no browser, no cookie, no origin.
    pub async fn tell(&self, token: &str) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
        self.tell_as("application/x-www-form-urlencoded", &form).await
    }

    pub async fn tell_as(&self, kind: &str, body: &str) -> Answer {
        let request = self.tool.request(http::Method::POST, &format!("{}{WEBHOOK}", self.home)).by_tool();
        request.header("content-type", kind).body(body.to_owned()).send().await
    }

    /// The value of a line of the gate's metrics that begins so.
    pub async fn metric(&self, line: &str) -> u64 {
        let ops = self.campus.gate().addresses().ops;
        let text = self.tool.get(&format!("http://{ops}/metrics")).by_tool().send().await.text();
        let value = text.lines().find_map(|known| known.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    pub async fn close(self) {
        self.campus.close().await;
    }
}

fn builder(plan: &Plan, provider: &RealProvider) -> Builder {
    let secret = SECRET.replace('\\', "\\\\").replace('"', "\\\"");
    Campus::build().client(&format!(
        "environment = \"other\"\nid = \"campus-gate\"\nsecret = \"{secret}\"\nissuer = \"{}\"\nalgorithms = [\"{}\"]\n{}\n",
        provider.issuer, plan.alg, plan.lines
    ))
}

/// The provider's own sign-in page, if that is where the person is.
pub async fn sign_in_there(page: Answer, name: &str) -> Answer {
    match page.text().contains("Sign in at the campus") {
        true => page.form(0).fill("name", name).press("Sign in").await,
        false => page,
    }
}
