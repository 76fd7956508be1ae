//! One line per request, on the target `access`: who asked which site for what, what the gate decided
//! and by which rule. Never a query, a cookie, a token or a body (T85).

use super::passage::Passage;
use pingora::proxy::Session;

/// Writes the line. `ended` says how an exchange without an answer came to its end.
pub(super) fn write(session: &Session, passage: &Passage, ended: Option<&str>) {
    let status = session.response_written().map_or(0, |header| header.status.as_u16());
    let (host, path, peer) = match &passage.visit {
        Some(visit) => (visit.host.as_str(), visit.raw_path.as_str(), Some(visit.connection.peer.ip())),
        None => ("-", "-", None),
    };
    let admission = passage.admission.as_ref();
    tracing::info!(
        target: "access",
        { site.name = passage.site_name(),
        host,
        method = session.req_header().method.as_str(),
        path = %Shown(path),
        status,
        outcome = passage.outcome,
        rule = admission.map_or("-", |admission| admission.rule().name.as_str()),
        peer = peer.map(tracing::field::display),
        duration_ms = u64::try_from(passage.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        incident = passage.incident.map(tracing::field::display),
        ended },
        "request"
    );
}

/// A path in a log line: bounded, so that a long one cannot fill the disk.
struct Shown<'a>(&'a str);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LONGEST: usize = 512;
        match self.0.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}
