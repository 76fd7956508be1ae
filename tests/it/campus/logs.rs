//! What the whole process logs at the lowest level the gate can be told to log at, kept in memory so that a
//! campus can prove at its end that no secret was in it (T85). Installed by the first [`watch`] of the process.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Once, Weak};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A sealed block of log text.
const BLOCK: usize = 1 << 20;
/// Older blocks are searched once more and dropped, so that the suite's memory stays bounded.
const BLOCKS: usize = 48;
/// Shorter secrets would be found by chance.
const SHORTEST: usize = 6;
/// Below this a secret is looked for as a whole word only.
const LONG_ENOUGH: usize = 16;

/// Crates that only the harness uses and that may print what it sends.
const OF_THE_HARNESS: [&str; 3] = ["tungstenite", "tokio_tungstenite", "fantoccini"];

/// A watch over everything logged from now on. Clones are the same watch.
#[derive(Clone)]
pub struct Watch {
    book: Arc<Book>,
    inner: Arc<Inner>,
}

struct Inner {
    /// Number of the first block that belongs to this watch.
    from: u64,
    secrets: Mutex<Vec<Secret>>,
    found: Mutex<Vec<String>>,
}

struct Secret {
    kind: &'static str,
    text: String,
}

/// Starts watching. The first call of the process installs the collector.
pub fn watch() -> Watch {
    install();
    Watch::over(book())
}

/// Adds text from elsewhere, such as what a child process wrote to stderr.
pub fn add(source: &str, text: &str) {
    book().write(&format!("{source}: {text}\n"));
}

impl Watch {
    fn over(book: &Arc<Book>) -> Self {
        let mut pages = book.pages();
        let inner = Arc::new(Inner { from: pages.next, secrets: Mutex::default(), found: Mutex::default() });
        pages.watches.retain(|watch| watch.strong_count() > 0);
        pages.watches.push(Arc::downgrade(&inner));
        Self { book: book.clone(), inner }
    }

    /// `secret` must be nowhere in the log, neither as it is nor percent-encoded. `kind` names it in the
    /// complaint, which does not repeat it.
    pub fn forbid(&self, kind: &'static str, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let mut secrets = self.inner.secrets.lock().expect("nobody panics while holding this lock");
        for text in [secret.to_owned(), encoded] {
            if !secrets.iter().any(|known| known.text == text) {
                secrets.push(Secret { kind, text });
            }
        }
    }

    /// Panics when a secret of this watch was logged since it began, naming its kind and the line with the
    /// secret blotted out.
    #[track_caller]
    pub fn assert_clean(&self) {
        let found = self.leaks();
        assert!(found.is_empty(), "secrets stand in the log:\n{}", found.join("\n"));
    }

    /// As [`Watch::assert_clean`], for a caller that wants to judge for itself.
    pub fn leaks(&self) -> Vec<String> {
        for (_, text) in self.blocks() {
            self.inner.search(&text);
        }
        let mut found = self.inner.found.lock().expect("nobody panics while holding this lock").clone();
        found.sort();
        found.dedup();
        found
    }

    /// The lines logged since this watch began that contain `needle`. Tests run side by side in one process:
    /// look for something only this test can have caused, such as an incident number.
    pub fn lines_with(&self, needle: &str) -> Vec<String> {
        let blocks = self.blocks();
        blocks
            .iter()
            .flat_map(|(_, text)| text.lines())
            .filter(|line| line.contains(needle))
            .map(str::to_owned)
            .collect()
    }

    fn blocks(&self) -> Vec<(u64, Arc<str>)> {
        let pages = self.book.pages();
        let open: Arc<str> = pages.open.as_str().into();
        let sealed = pages.sealed.iter().filter(|(number, _)| *number >= self.inner.from).cloned();
        sealed.chain([(pages.next, open)]).collect()
    }
}

impl Inner {
    fn search(&self, text: &str) {
        let secrets = self.secrets.lock().expect("nobody panics while holding this lock");
        for secret in secrets.iter() {
            if let Some(line) = leaking_line(text, &secret.text) {
                let line = line.replace(&secret.text, "█████");
                let line: String = line.chars().take(600).collect();
                let mut found = self.found.lock().expect("nobody panics while holding this lock");
                found.push(format!("  {}: {line}", secret.kind));
            }
        }
    }
}

/// The first line of `text` in which `secret` stands.
fn leaking_line<'a>(text: &'a str, secret: &str) -> Option<&'a str> {
    let at = if secret.len() >= LONG_ENOUGH {
        text.find(secret)
    } else {
        let outside = |c: Option<u8>| !c.is_some_and(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        text.match_indices(secret).map(|(at, _)| at).find(|&at| {
            let bytes = text.as_bytes();
            outside(at.checked_sub(1).map(|before| bytes[before])) && outside(bytes.get(at + secret.len()).copied())
        })
    }?;
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..].lines().next()
}

/// Everything logged.
#[derive(Default)]
struct Book {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    sealed: VecDeque<(u64, Arc<str>)>,
    open: String,
    /// The number the open block will have.
    next: u64,
    watches: Vec<Weak<Inner>>,
}

fn book() -> &'static Arc<Book> {
    static BOOK: LazyLock<Arc<Book>> = LazyLock::new(Arc::default);
    &BOOK
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Collector))
            .expect("nothing else in the test process installs a subscriber");
        // pingora speaks through `log`.
        let _ = tracing_log::LogTracer::init();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A failing assertion of a test may print what it likes; a panic of the gate may not.
            if panic.location().is_some_and(|place| place.file().starts_with("src/")) {
                book().write(&format!("PANIC {panic}\n"));
            }
            usual(panic);
        }));
    });
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self, line: &str) {
        let mut dropped = None;
        {
            let mut pages = self.pages();
            pages.open.push_str(line);
            if pages.open.len() >= BLOCK {
                let text: Arc<str> = std::mem::take(&mut pages.open).into();
                let number = pages.next;
                pages.next += 1;
                pages.sealed.push_back((number, text));
                if pages.sealed.len() > BLOCKS {
                    let watches: Vec<Arc<Inner>> = pages.watches.iter().filter_map(Weak::upgrade).collect();
                    dropped = pages.sealed.pop_front().map(|block| (block, watches));
                }
            }
        }
        if let Some(((number, text), watches)) = dropped {
            watches.iter().filter(|watch| watch.from <= number).for_each(|watch| watch.search(&text));
        }
    }
}

/// Collects events, and what spans are given, at every level.
struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // What came through the `log` crate carries its own target and level inside.
        let normalized = event.normalized_metadata();
        record(normalized.as_ref().unwrap_or_else(|| event.metadata()), |line| event.record(line));
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        record(attributes.metadata(), |line| attributes.record(line));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        write_line("span".to_owned(), |line| values.record(line));
    }
}

fn record(metadata: &tracing::Metadata<'_>, fill: impl FnOnce(&mut dyn Visit)) {
    let target = metadata.target();
    // The very guard of production: what it holds back is never written, at any configured level.
    if OF_THE_HARNESS.iter().any(|name| target.starts_with(name)) || !lychgate::cli::log::may_speak(metadata) {
        return;
    }
    write_line(format!("{} {target}", metadata.level()), fill);
}

fn write_line(start: String, fill: impl FnOnce(&mut dyn Visit)) {
    let mut line = Line(start);
    fill(&mut line);
    // An event of one line stays one line, or a leak's line could not be shown.
    let mut text = line.0.replace('\n', "\\n");
    text.push('\n');
    book().write(&text);
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut next = Some(value);
        while let Some(error) = next {
            let _ = write!(self.0, " {}={error}", field.name());
            next = error.source();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t85_a_logged_secret_is_found_wherever_it_stands() {
        let watch = watch();
        for (kind, secret) in
            [("plain", "tok-1a2b3c4d5e6f7a8b9c0d"), ("a code", "Zq81pX"), ("encoded", "ab/cd+ef=gh/ij+kl=")]
        {
            watch.forbid(kind, secret);
        }
        tracing::trace!(target: "lychgate::probe", "nothing to see: tok-1a2b3c4d, xZq81pX9");
        watch.assert_clean();
        tracing::trace!(target: "lychgate::probe", secret = "tok-1a2b3c4d5e6f7a8b9c0d");
        tracing::error!("callback?code=Zq81pX&x");
        let span = tracing::debug_span!(target: "lychgate::probe", "request", query = "ab%2Fcd%2Bef%3Dgh%2Fij%2Bkl%3D");
        drop(span);
        let leaks = watch.leaks();
        assert_eq!(leaks.len(), 3, "{leaks:?}");
        assert!(
            leaks.iter().all(|leak| !leak.contains("Zq81pX&") && !leak.contains("tok-1a2b3c4d5e6f7a8b9c0d")),
            "{leaks:?}"
        );
        assert_eq!(watch.lines_with("nothing to see: tok-1a2b3c4d, xZq81pX9").len(), 1);
    }

    #[test]
    fn what_was_logged_before_the_watch_may_be_forgotten_but_not_what_came_after() {
        let book = Arc::<Book>::default();
        book.write("before: later-secret-0123456789\n");
        let watch = Watch::over(&book);
        watch.forbid("a token", "early-secret-0123456789");
        book.write("after: early-secret-0123456789\n");
        let filler = format!("{}\n", "x".repeat(BLOCK / 2));
        for _ in 0..3 * BLOCKS {
            book.write(&filler);
        }
        assert!(watch.lines_with("early-secret").is_empty(), "the block should be gone by now");
        assert_eq!(watch.leaks().len(), 1);
    }
}
