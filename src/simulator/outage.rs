//! The outage switch: the simulator as a whole refuses, fails or hangs, as orcid.org may (journey J14).
//! Set through the handle, asked by `server`. How single endpoints answer is in `manners`, what is untrue about
//! it in `lies`.

use super::answer::{Answer, HTML, plain, with};
use http::{StatusCode, header};
use tokio::sync::watch;

/// How the simulator is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outage {
    /// Connections are refused, and those that were open are cut.
    Refuse,
    /// Every request is answered 503 with an HTML page, as a front-end server would.
    Unavailable,
    /// Requests are taken and not answered until the outage ends.
    Hang,
}

/// The switch, seen by every connection.
pub(super) struct Valve(watch::Sender<Option<Outage>>);

impl Default for Valve {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Valve {
    pub(super) fn set(&self, outage: Option<Outage>) {
        self.0.send_replace(outage);
    }

    pub(super) fn now(&self) -> Option<Outage> {
        *self.0.borrow()
    }

    /// What a request gets instead of its answer; `None` once it may have its answer after all.
    pub(super) async fn instead(&self, outage: Outage) -> Option<Answer> {
        if outage == Outage::Hang {
            let mut changes = self.0.subscribe();
            // The sender lives in `self`, so this cannot fail before the outage ends.
            changes.wait_for(|now| *now != Some(Outage::Hang)).await.ok()?;
        }
        self.now().map(|_| unavailable())
    }
}

/// 503 with a page, as a front-end server gives it.
pub(super) fn unavailable() -> Answer {
    let page = "<!doctype html><html lang=\"en\"><title>SIMULATED: 503 Service Unavailable</title>\
                <h1>SIMULATED: 503 Service Unavailable</h1></html>";
    with(plain(StatusCode::SERVICE_UNAVAILABLE, HTML, page), header::CONNECTION, "close")
}
