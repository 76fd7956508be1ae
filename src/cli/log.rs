//! Logs go to stderr: readable lines or JSON. The engine speaks the `log` crate and is bridged.

use std::io::IsTerminal;
use tracing::{Level, Metadata};
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

/// Sets the process's logger. `level` is a tracing filter such as `info` or `lychgate=debug,info`.
pub(super) fn start(level: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level)
        .map_err(|fault| anyhow::anyhow!("log.level `{level}` is not a log filter: {fault}"))?;
    // Colours are for eyes: in a file or a journal they are litter.
    let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json { lines.json().boxed() } else { lines.boxed() };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter_fn(may_speak)))
        .with(filter)
        .try_init()
        .map_err(|fault| anyhow::anyhow!("the log cannot be started: {fault}"))
}
