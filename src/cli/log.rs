//! Logs go to stderr: readable lines or JSON. The engine speaks the `log` crate and is bridged. Lines are made where
//! something happens and written by a thread of their own: a request waits for it only behind very many others.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// Whether an event may be written at all, whatever level the sysadmin asked for. Below `info` the
/// libraries print whole request heads, cookies and codes included; only our own modules are known
/// not to (invariant 6, T85).
pub fn may_speak(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    // The engine calls every visitor who hangs up an error. Whatever fails is told by `proxy`, with an
    // incident number.
    if target.starts_with("pingora_core::apps") || target.starts_with("pingora_proxy") {
        return false;
    }
    *metadata.level() <= Level::INFO || target == "access" || target == "lychgate" || target.starts_with("lychgate::")
}

/// Lines that may wait to be written. Whoever has one more waits: a log that forgets under load would help whoever
/// makes the load.
const MOST_WAITING: usize = 16_384;
/// After a write the thread lets lines gather for this long. While it does, a new line wakes nobody, which would cost
/// a request more than the line itself.
const GATHER: Duration = Duration::from_millis(10);

/// Standard error, a batch of lines at a time.
struct Batches<W: Write>(BufWriter<W>);

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    /// Called when no further line waits.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        std::thread::sleep(GATHER);
        Ok(())
    }
}

/// Sets the process's logger. `level` is a tracing filter such as `info` or `lychgate=debug,info`. What still waits is
/// written when the guard is dropped.
#[must_use = "without its guard the log ends at once"]
pub(super) fn start(level: &str, json: bool) -> anyhow::Result<WorkerGuard> {
    let filter = EnvFilter::try_new(level)
        .map_err(|fault| anyhow::anyhow!("log.level `{level}` is not a log filter: {fault}"))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(MOST_WAITING)
        .thread_name("log")
        .finish(Batches(BufWriter::with_capacity(64 * 1024, io::stderr())));
    // Colours are for eyes: in a file or a journal they are litter.
    let lines = fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json { lines.json().boxed() } else { lines.boxed() };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter_fn(may_speak)))
        .with(filter)
        .try_init()
        .map_err(|fault| anyhow::anyhow!("the log cannot be started: {fault}"))?;
    Ok(guard)
}
