//! A real Chromium, driven through Debian's chromedriver: for what only a real browser can judge (pages as
//! rendered, `form-action`, cookie prefixes, no JavaScript, 320 pixels, the accessibility tree).

use super::temp;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DRIVER: &str = "/usr/bin/chromedriver";
const BROWSER: &str = "/usr/bin/chromium";
const CERTUTIL: &str = "/usr/bin/certutil";

/// How long the page may take to show what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser window with a fresh profile. Call [`Chromium::quit`] at the end; a dropped one is killed.
pub struct Chromium {
    client: Client,
    driver: Child,
    /// Chromium's own process: the driver does not take it along when it is killed.
    browser: Option<u64>,
    home: TempDir,
}

impl Chromium {
    /// Whether to run browser tests. Panics when the browser is not installed, for a test that silently does
    /// nothing is worse; `LYCHGATE_NO_BROWSER=1` says that this is intended.
    pub fn available() -> bool {
        if std::env::var_os("LYCHGATE_NO_BROWSER").is_some_and(|value| value == "1") {
            return false;
        }
        let missing: Vec<&str> =
            [DRIVER, BROWSER, CERTUTIL].into_iter().filter(|path| !Path::new(path).exists()).collect();
        assert!(
            missing.is_empty(),
            "{missing:?} not found: `apt-get install chromium chromium-driver libnss3-tools`, \
             or set LYCHGATE_NO_BROWSER=1 to leave the browser tests out"
        );
        true
    }

    /// Starts a browser that trusts `authority` (PEM) besides the usual ones, and for which every name is
    /// 127.0.0.1, ports as they are. `None` if [`Chromium::available`] says so.
    pub async fn start(authority: &str) -> Option<Self> {
        if !Self::available() {
            return None;
        }
        let home = temp::directory();
        trust(home.path(), authority);
        let (driver, port) = start_driver(home.path());
        let mut starting = Starting(Some(driver));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(home.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("chromium does not start: {error}"));
        let browser = client.capabilities().and_then(|known| known.get("goog:processID")).and_then(Value::as_u64);
        let driver = starting.0.take().expect("it was put there above");
        Some(Self { client, driver, browser, home })
    }

    /// The WebDriver client, for what has no helper here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Types an address; returns when the page has loaded. Panics when Chromium shows an error page instead,
    /// such as for a certificate it does not trust.
    pub async fn open(&self, url: &str) -> &Self {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("chromium cannot open {url}: {error}"));
        if self.shows_an_error().await {
            panic!("chromium cannot open {url}:\n{}", self.text().await);
        }
        self
    }

    /// Whether what is shown is Chromium's own page about a connection that failed.
    pub async fn shows_an_error(&self) -> bool {
        self.script("return location.href").await.as_str().is_some_and(|url| url.starts_with("chrome-error:"))
    }

    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("the browser answers").to_string()
    }

    /// What a reader sees.
    pub async fn text(&self) -> String {
        let read = async || self.client.find(Locator::Css("body")).await?.text().await;
        settled(read, |_| true).await.unwrap_or_else(|error| panic!("the page cannot be read: {error}"))
    }

    /// Clicks the link, or presses the button, that reads `text`.
    pub async fn click(&self, text: &str) -> &Self {
        let quoted = format!("\"{}\"", text.replace('"', ""));
        let path = format!(
            "(//a | //button)[contains(normalize-space(.), {quoted})] | //input[@type='submit' and @value={quoted}]"
        );
        let click = async || self.client.find(Locator::XPath(&path)).await?.click().await;
        // What is covered, or cannot be clicked, is a fault of the page: only what is not there (yet) is waited for.
        let Err(error) = settled(click, is_of_another_page).await else { return self };
        panic!("{text:?} cannot be clicked: {error}\n{}\n{}", self.url().await, self.text().await)
    }

    /// Types `value` into the field `name`.
    pub async fn fill(&self, name: &str, value: &str) -> &Self {
        let css = format!("[name='{name}']");
        let fill = async || {
            let field = self.client.find(Locator::Css(&css)).await?;
            field.clear().await?;
            field.send_keys(value).await
        };
        settled(fill, is_of_another_page).await.unwrap_or_else(|error| panic!("{name:?} cannot be filled: {error}"));
        self
    }

    /// Waits until the address starts with `url`.
    pub async fn wait_for_url(&self, url: &str) -> &Self {
        let arrived = async {
            while !self.url().await.starts_with(url) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, arrived).await.is_err() {
            panic!("expected to arrive at {url}, but this is {}:\n{}", self.url().await, self.text().await);
        }
        self
    }

    /// Waits until the page holds every one of `words`: what was clicked may still be on its way, and opening
    /// the next address would call it off.
    pub async fn says(&self, words: &[&str]) -> &Self {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut text = String::new();
            if let Ok(body) = self.client.find(Locator::Css("body")).await {
                text = body.text().await.unwrap_or_default();
            }
            let missing = words.iter().find(|word| !text.contains(**word));
            let Some(missing) = missing else { return self };
            assert!(Instant::now() < end, "{} does not say {missing:?}:\n{text}", self.url().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses a key, such as `Key::Tab`, wherever the focus is.
    pub async fn key(&self, key: Key) -> &Self {
        let press = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key.into() })
            .then(KeyAction::Up { value: key.into() });
        self.client.perform_actions(press).await.expect("the browser takes keys");
        self
    }

    /// Text and tag of the element that has the focus.
    pub async fn focused(&self) -> (String, String) {
        let ask = async || {
            let element = self.client.active_element().await?;
            Ok((element.tag_name().await?, element.text().await?))
        };
        settled(ask, |_| true).await.unwrap_or_else(|error| panic!("nothing has the focus: {error}"))
    }

    /// Runs a script on the page and returns what it returns.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Saves what is shown as `NAME.png` in the build's temporary directory and returns the file.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&directory).expect("cargo's temporary directory is writable");
        let file = directory.join(format!("{name}.png"));
        let picture = self.client.screenshot().await.expect("the browser answers");
        std::fs::write(&file, picture).expect("cargo's temporary directory is writable");
        file
    }

    /// A window so many CSS pixels wide; 320 is what WCAG 2.1 §1.4.10 asks pages to live with.
    pub async fn width(&self, pixels: u32) -> &Self {
        let metrics = json!({ "width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self
    }

    /// Whether the page is wider than the window.
    pub async fn scrolls_sideways(&self) -> bool {
        let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        self.script(wider).await == Value::Bool(true)
    }

    pub async fn dark(&self) -> &Self {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
        self
    }

    /// From the next page on, scripts do not run.
    pub async fn without_javascript(&self) -> &Self {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        self
    }

    /// The accessibility tree in reading order, without what assistive technology skips.
    pub async fn accessibility_tree(&self) -> Vec<Accessible> {
        self.devtools("Accessibility.enable", json!({})).await;
        let tree = self.devtools("Accessibility.getFullAXTree", json!({})).await;
        let text = |node: &Value, part: &str| node[part]["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = nodes.iter().filter(|node| node["ignored"] != Value::Bool(true));
        told.map(|node| Accessible { role: text(node, "role"), name: text(node, "name") }).collect()
    }

    /// What the browser's console holds since the last call: blocked resources, CSP violations, errors.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.issue("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect()
    }

    /// Any command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.issue("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        let command = OfChromium { path, body };
        let answer = self.client.issue_cmd(command.clone()).await;
        answer.unwrap_or_else(|error| panic!("chromium refuses {command:?}: {error}"))
    }

    /// Closes the browser and waits until it is gone.
    pub async fn quit(mut self) {
        // Whatever goes wrong here, Drop kills what is left.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.client.clone().close()).await;
        self.browser = None;
    }

    /// Where Chromium keeps its things; gone with it.
    pub fn profile(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if let Some(browser) = self.browser {
            // It may have gone by itself.
            let _ = Command::new("kill").args(["-KILL", &browser.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Does `step` again while it fails with an error that `passes`, for at most [`PATIENCE`]: while one page gives way
/// to the next there is no element, or one that was found a moment ago belongs to the page that is gone.
async fn settled<T>(step: impl AsyncFn() -> Result<T, CmdError>, passes: fn(&CmdError) -> bool) -> Result<T, CmdError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match step().await {
            Err(error) if passes(&error) && Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

/// Whether an element is not there yet, or was one of the page before: chromedriver has three ways of saying so.
fn is_of_another_page(error: &CmdError) -> bool {
    error.is_no_such_element()
        || error.is_stale_element_reference()
        || error.to_string().contains("does not belong to the document")
}

/// One thing assistive technology tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accessible {
    pub role: String,
    pub name: String,
}

/// A driver whose browser has not started yet.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(driver) = &mut self.0 {
            let _ = driver.kill();
            let _ = driver.wait();
        }
    }
}

/// Puts `authority` into the certificate store of the profile: errors must be real errors, so they are never
/// switched off.
fn trust(home: &Path, authority: &str) {
    let file = temp::write(home, "authority.pem", authority);
    let store = home.join(".pki/nssdb");
    std::fs::create_dir_all(&store).expect("folders can be made below a temporary directory");
    let store = format!("sql:{}", store.display());
    let file = file.display().to_string();
    for arguments in [
        &["-d", &store, "-N", "--empty-password"][..],
        &["-d", &store, "-A", "-t", "C,,", "-n", "lychgate test authority", "-i", &file],
    ] {
        let done = Command::new(CERTUTIL).args(arguments).output().expect("certutil is installed");
        assert!(done.status.success(), "certutil {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Starts chromedriver on a port of its own choosing. It takes a free one of ::1 and wants the same one of 127.0.0.1,
/// which some other program may hold: then it ends, and is started again.
fn start_driver(home: &Path) -> (Child, u16) {
    const ATTEMPTS: usize = 5;
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        match try_driver(home) {
            Ok(driver) => return driver,
            Err(complaint) => said = complaint,
        }
        if !said.contains("port not available") {
            break;
        }
    }
    panic!("chromedriver did not say which port it took: {said}");
}

/// Starts it once, and waits until it says on stdout which port it took; or what else it said before it ended.
fn try_driver(home: &Path) -> Result<(Child, u16), String> {
    let errors = home.join("chromedriver.err");
    let mut driver = Command::new(DRIVER)
        .arg("--port=0")
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_CACHE_HOME", home.join(".cache"))
        .env("XDG_DATA_HOME", home.join(".local/share"))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&errors).expect("the browser's home is writable"))
        .spawn()
        .expect("chromedriver is installed");
    let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
    let mut said = Vec::new();
    let port = lines.find_map(|line| {
        said.push(line.ok()?);
        said.last()?.split_once("started successfully on port ")?.1.trim_end_matches('.').trim().parse().ok()
    });
    // Somebody must go on reading, or a talkative driver stops at a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let Some(port) = port else {
        let _ = driver.kill();
        let ended = driver.wait();
        let errors = std::fs::read_to_string(errors).unwrap_or_default();
        return Err(format!("{ended:?}\n{}\n{errors}", said.join("\n")));
    };
    Ok((driver, port))
}

fn capabilities(home: &Path) -> fantoccini::wd::Capabilities {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--lang=en",
        "--window-size=1024,900",
        // No name leads out of this machine; ports stay as they are.
        "--host-resolver-rules=MAP * 127.0.0.1",
    ]
    .map(str::to_owned)
    .to_vec();
    // Chromium's sandbox cannot be set up by root, as which containers run.
    if std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t")) {
        arguments.push("--no-sandbox".to_owned());
    }
    arguments.push(format!("--user-data-dir={}", home.join("profile").display()));
    let wanted = json!({
        "browserName": "chrome",
        "acceptInsecureCerts": false,
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": BROWSER, "args": arguments },
    });
    wanted.as_object().expect("it is written as an object").clone()
}

/// A command beyond the WebDriver standard.
#[derive(Clone, Debug)]
struct OfChromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OfChromium {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
