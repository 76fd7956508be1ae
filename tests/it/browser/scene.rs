//! [`Scene`]: a demo with a real Chromium before it, the steps a person takes, and what every page of ours
//! must be for eyes, ears and fingers. Used by `browser`.

use crate::campus::chromium::Chromium;
use crate::campus::people::Person;
use crate::demo::DemoChild;
use serde_json::json;

/// A demo and a browser that trusts it.
pub struct Scene {
    pub demo: DemoChild,
    pub chromium: Chromium,
    /// Screenshots begin with it.
    name: &'static str,
}

impl Scene {
    /// `None` where browsers are left out.
    pub async fn open(name: &'static str) -> Option<Self> {
        if !Chromium::available() {
            return None;
        }
        let demo = DemoChild::start(&[]);
        let chromium = Chromium::start(&demo.authority()).await?;
        Some(Self { demo, chromium, name })
    }

    pub async fn shot(&self, step: &str) -> &Self {
        self.chromium.screenshot(&format!("{}-{step}", self.name)).await;
        self
    }

    pub fn wiki(&self, path: &str) -> String {
        format!("{}{path}", self.demo.site("wiki"))
    }

    pub fn repository(&self, path: &str) -> String {
        format!("{}{path}", self.demo.site("repository"))
    }

    /// An own address of the sign-in host.
    pub fn own(&self, path: &str) -> String {
        format!("{}.lychgate/{path}", self.demo.sign_in())
    }

    /// [`Chromium::says`], of what is shown.
    pub async fn says(&self, words: &[&str]) -> &Self {
        self.chromium.says(words).await;
        self
    }

    #[track_caller]
    pub fn assert_same(found: &str, expected: &str) {
        assert_eq!(found, expected);
    }

    /// Fills in the simulator's sign-in form.
    pub async fn sign_in_at_orcid(&self, person: &Person) {
        let chromium = &self.chromium;
        chromium.wait_for_url(&self.demo.simulator()).await;
        chromium.fill("username", person.orcid.as_str()).await;
        chromium.fill("password", &person.password).await;
        chromium.click("Sign in to ORCID").await;
    }

    /// From a page with the button through ORCID and the page that thanks, to `there`.
    pub async fn sign_in(&self, person: &Person, there: &str) {
        self.chromium.click("Create or connect your ORCID iD").await;
        self.sign_in_at_orcid(person).await;
        self.chromium.click("Authorize access").await;
        self.chromium.wait_for_url(&self.own("connected")).await;
        self.chromium.click("Continue").await;
        self.chromium.wait_for_url(there).await;
    }

    /// Neither a blocked resource nor an error may be in the console.
    pub async fn assert_console_empty(&self) {
        let console = self.chromium.console().await;
        assert!(console.is_empty(), "the console holds:\n{}", console.join("\n"));
    }

    /// [`assert_well_made`], of what is shown.
    pub async fn assert_well_made(&self) {
        assert_well_made(&self.chromium).await;
    }

    pub async fn close(self) {
        self.chromium.quit().await;
        self.demo.child.stop().assert_code(0);
    }
}

/// What every page of ours must be for eyes, ears and fingers.
pub async fn assert_well_made(chromium: &Chromium) {
    let url = chromium.url().await;
    let tree = chromium.accessibility_tree().await;
    let of_role = |role: &str| tree.iter().filter(|node| node.role == role).collect::<Vec<_>>();
    assert_eq!(of_role("main").len(), 1, "one main on {url}: {tree:?}");
    for role in ["link", "button", "textbox"] {
        assert!(of_role(role).iter().all(|node| !node.name.trim().is_empty()), "a {role} without a name on {url}");
    }
    let facts = chromium.script(FACTS).await;
    assert_eq!(facts["h1"], 1, "one h1 on {url}");
    assert!(facts["lang"].as_str().is_some_and(|lang| !lang.is_empty()), "{url} does not say its language");
    assert!(facts["title"].as_str().is_some_and(|title| !title.is_empty()), "{url} has no title");
    assert_eq!(facts["skipped"], json!([]), "headings of {url} skip a level");
    assert_eq!(facts["small"], json!([]), "too small to hit on {url}");
    assert_eq!(facts["pale"], json!([]), "too little contrast on {url}");
    assert!(!chromium.scrolls_sideways().await, "{url} scrolls sideways");
}

/// Counts and measures: headings, targets under 24 pixels (WCAG 2.2 §2.5.8; links within a sentence are
/// exempt), text whose contrast is under 4.5 (§1.4.3).
const FACTS: &str = r#"
const visible = (element) => element.getClientRects().length > 0 && !element.closest('.hidden, .skip');
const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parse = (text) => { const n = text.match(/[\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n; };
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor);
    if (found) return found;
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
};
const pale = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !visible(element)) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) pale.push(`${walker.currentNode.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
const small = [...document.querySelectorAll('main a, main button, footer a')].filter(visible).filter((element) => {
  const box = element.getBoundingClientRect();
  const inSentence = getComputedStyle(element).display === 'inline' && element.parentElement.textContent.trim() !== element.textContent.trim();
  return !inSentence && (box.height < 24 || box.width < 24);
}).map((element) => element.textContent.trim());
const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map((heading) => Number(heading.tagName[1]));
return {
  h1: document.querySelectorAll('h1').length,
  lang: document.documentElement.lang,
  title: document.title,
  skipped: levels.filter((level, at) => at > 0 && level > levels[at - 1] + 1),
  small, pale,
};
"#;
