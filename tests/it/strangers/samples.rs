//! The samples of docs/HEADERS.md in PHP, Python and Java, as they stand there: they take the gate's assertion,
//! and nothing else that looks like one (T18, T49, T51).

use crate::campus::installed::{left_out, python, run};
use crate::campus::legacy_app::{Behaviour, LegacyApp};
use crate::campus::people;
use crate::campus::{Campus, SIGN_IN, temp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The block of the document that is written in `language`.
fn sample(language: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HEADERS.md")).unwrap();
    let (_, after) =
        text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language} in HEADERS.md"));
    after.split_once("\n```").unwrap().0.to_owned()
}

/// An assertion fresh from the gate for the app called repository, and the keys beside it.
async fn assertion(campus: &Campus) -> (String, String) {
    let browser = campus.browser();
    campus.sign_in(&browser, "https://repository.campus.example/browse", &people::ordinary()).await.assert_status(200);
    let token = campus.repository().last_request().header("x-lychgate-assertion").unwrap().to_owned();
    let keys = browser.get(&format!("{SIGN_IN}/.lychgate/jwks.json")).send().await;
    (token, keys.assert_status(200).text())
}

fn header_and_claims(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap_or_default());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

fn written(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// Everything that must be refused, made from a good one.
fn forgeries(token: &str, of_another_app: &str) -> Vec<(&'static str, String)> {
    let (header, claims) = header_and_claims(token);
    let signature = token.rsplit('.').next().unwrap();
    let mut other = claims.clone();
    other["sub"] = "0000-0002-1825-0097".into();
    let mut unsigned = header.clone();
    unsigned["alg"] = "none".into();
    let mut unknown = header.clone();
    unknown["kid"] = "nobody".into();
    let mut last: Vec<u8> = URL_SAFE_NO_PAD.decode(signature).unwrap();
    last[63] ^= 1;
    vec![
        ("nothing", String::new()),
        ("no token", "a.b".to_owned()),
        ("other claims", written(&header, &other, signature)),
        ("no signature", written(&unsigned, &other, "")),
        ("an unknown key", written(&unknown, &claims, signature)),
        ("a broken signature", written(&header, &claims, &URL_SAFE_NO_PAD.encode(last))),
        ("another app's", of_another_app.to_owned()),
    ]
}

/// A key of the test's own, published beside the gate's: what it signs is right but for what the claims say.
struct OwnKey(EcdsaKeyPair);

impl OwnKey {
    fn generate() -> Self {
        let rng = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &rng).unwrap())
    }

    /// `keys` with this one among them.
    fn published_beside(&self, keys: &str) -> String {
        let mut keys: Value = serde_json::from_str(keys).unwrap();
        let point = self.0.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let own = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "own", "x": x, "y": y});
        keys["keys"].as_array_mut().unwrap().push(own);
        keys.to_string()
    }

    /// `token` with other claims, signed.
    fn signs(&self, token: &str, edit: impl FnOnce(&mut Value)) -> String {
        let (mut header, mut claims) = header_and_claims(token);
        header["kid"] = "own".into();
        edit(&mut claims);
        let unsigned = written(&header, &claims, "");
        let signature = self.0.sign(&SystemRandom::new(), unsigned.trim_end_matches('.').as_bytes()).unwrap();
        format!("{unsigned}{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A second app with assertions, for one that is meant for somebody else.
const ARCHIVE: &str = r#"
[site]
name = "archive"
hosts = ["archive.campus.example"]
upstream = "{archive}"

[hand-off]
preset = "none"
assertion = { header = "X-Lychgate-Assertion", audience = "archive" }

[[rule]]
access = "signed-in"

[[case]]
request = "GET /"
expect = "sign-in"
"#;

/// How one language's sample is run: with the assertion in the variable, it prints the iD or fails.
struct Runner {
    program: PathBuf,
    arguments: Vec<String>,
}

async fn holds_to_the_contract(language: &str, prepare: impl FnOnce(String, &Path) -> Runner) {
    if left_out() {
        return;
    }
    let campus = Campus::build().site("archive", ARCHIVE).open().await;
    let (token, keys) = assertion(&campus).await;
    let browser = campus.browser();
    campus.sign_in(&browser, "https://archive.campus.example/", &people::ordinary()).await.assert_status(200);
    let elsewhere = campus.app("archive").last_request().header("x-lychgate-assertion").unwrap().to_owned();
    let folder = temp::directory();
    // The gate's name leads nowhere on this machine, so its keys stand where the sample can fetch them.
    let shelf = LegacyApp::start().await;
    let own = OwnKey::generate();
    let keys = own.published_beside(&keys);
    shelf.on("/jwks.json", Behaviour::answer(200, &[("Content-Type", "application/json")], &keys));
    let address = format!("{SIGN_IN}/.lychgate/jwks.json");
    let text = sample(language);
    assert!(text.contains(&address), "the sample no longer names {address}");
    let runner = prepare(text.replace(&address, &format!("{}/jwks.json", shelf.upstream())), folder.path());
    let arguments: Vec<&str> = runner.arguments.iter().map(String::as_str).collect();
    let ask = async |token: &str| run(&runner.program, &arguments, &[("HTTP_X_LYCHGATE_ASSERTION", token)]).await;
    assert_eq!(ask(&token).await, Ok(people::ordinary().orcid.to_string()));
    assert_eq!(ask(&own.signs(&token, |_| {})).await, Ok(people::ordinary().orcid.to_string()));
    let mut refused = forgeries(&token, &elsewhere);
    refused.push(("one that is over", own.signs(&token, |claims| claims["exp"] = 1_700_000_000.into())));
    refused.push(("another gate's", own.signs(&token, |claims| claims["iss"] = "https://gate.example".into())));
    for (what, forged) in refused {
        let outcome = ask(&forged).await;
        assert!(outcome.is_err(), "{language} took {what}: {outcome:?}");
    }
    shelf.stop().await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_the_sample_in_python_takes_our_assertion_and_no_other() {
    holds_to_the_contract("python", |text, folder| {
        let file = temp::write(folder, "sample.py", text + "\n\nimport os\nprint(researcher(os.environ)[\"sub\"])\n");
        Runner { program: python(), arguments: vec![file.display().to_string()] }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_the_sample_in_php_takes_our_assertion_and_no_other() {
    holds_to_the_contract("php", |text, folder| {
        let file = temp::write(folder, "sample.php", text + "\n\necho researcher(getenv())['sub'];\n");
        Runner { program: "php".into(), arguments: vec![file.display().to_string()] }
    })
    .await;
}

/// Where Debian's libjackson2-databind-java puts its archives.
const JACKSON: &str =
    "/usr/share/java/jackson-core.jar:/usr/share/java/jackson-databind.jar:/usr/share/java/jackson-annotations.jar";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_the_sample_in_java_takes_our_assertion_and_no_other() {
    holds_to_the_contract("java", |text, folder| {
        let main = "\nfinal class Sample {\n    public static void main(String[] arguments) throws Exception {\n        \
                    System.out.println(LychgateAssertion.researcher(System.getenv(\"HTTP_X_LYCHGATE_ASSERTION\")).path(\"sub\").asText());\n    }\n}\n";
        temp::write(folder, "Sample.java", text + main);
        let compiled = std::process::Command::new("javac")
            .args(["-cp", JACKSON, "-d"])
            .arg(folder)
            .arg(folder.join("Sample.java"))
            .output()
            .expect("apt-get install default-jdk-headless libjackson2-databind-java");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let classpath = format!("{JACKSON}:{}", folder.display());
        Runner { program: "java".into(), arguments: vec!["-cp".into(), classpath, "Sample".into()] }
    })
    .await;
}
