//! Brings a posted form that meets a sign-in into the spool (J4). The body is read on the listener core and written
//! by a thread of the background; between them lies a short queue, so that neither runs ahead of the other.

use super::shared::Shared;
use crate::policy::Ask;
use crate::signin::{Ended, Keeping, OwnRequest};
use crate::vault::{FormId, FormRefused, FormWriter, LiveSession, Sender};
use bytes::Bytes;
use http::{Response, header};
use pingora::proxy::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Pieces read and not yet written.
const QUEUE: usize = 4;
/// Who sends nothing for so long has gone, …
const PAUSE: Duration = Duration::from_secs(20);
/// … so has who sends less than so many bytes a second after that, …
const LEAST_RATE: u64 = 4 * 1024;
/// … and who takes longer than this in all holds room that others need.
const ALL: Duration = Duration::from_secs(5 * 60);

/// A form that the policy does not let through yet.
pub(super) struct Held {
    pub(super) ask: Ask,
    pub(super) request: OwnRequest,
    pub(super) live: Option<Arc<LiveSession>>,
}

/// What goes to the writing thread. Without [`Piece::End`] the form is not whole, and is not kept.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Answers a posted form that needs a sign-in first: keeps it if it may be, and says so if not. `read` is what was
/// taken of its body already.
pub(super) async fn answer(
    session: &mut Session,
    shared: &Shared,
    held: Held,
    read: Option<Bytes>,
) -> pingora::Result<Response<Bytes>> {
    let Held { ask, request, live } = held;
    let sign_in = &shared.sign_in;
    let Some(keeping) = sign_in.may_keep(&ask.site, &request, live.as_deref()) else {
        return Ok(sign_in.begin_or_401(&ask, &request, live.as_deref()));
    };
    let length = request.header(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok());
    let most = ask.site.limits.body.unwrap_or(u64::MAX);
    if length.is_some_and(|length| length > most) {
        return Ok(sign_in.not_kept(&ask, &request, Some(&FormRefused::TooLarge)));
    }
    let Keeping { facts, browser, ended, holds } = keeping;
    if let Some(ended) = ended
        && !came_back(shared, ended).await
    {
        return Ok(sign_in.not_kept(&ask, &request, None));
    }
    let sender = Sender { browser, person: facts.person, address: request.peer, holds: &holds };
    let writer = match shared.forms.begin(&sender, length) {
        Ok(writer) => writer,
        Err(refused) => return Ok(sign_in.not_kept(&ask, &request, Some(&refused))),
    };
    if request.headers.contains_key(header::EXPECT) {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let (pieces, queue) = mpsc::channel(QUEUE);
    let writing = shared.background.spawn_blocking(move || write(writer, queue, facts));
    match tokio::time::timeout(ALL, bring(session, pieces, read, most)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => return Err(fault),
        Err(_) => tracing::info!("a form came too slowly to be kept"),
    }
    let written = writing.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "keeping a form ended in a panic");
        Ok(None)
    });
    Ok(match written {
        Ok(Some(id)) => sign_in.kept(id, &ask, &request),
        Ok(None) => sign_in.not_kept(&ask, &request, None),
        Err(refused) => sign_in.not_kept(&ask, &request, Some(&refused)),
    })
}

/// Whether whoever shows an ended session may still be its person: nobody left it. Who cannot be asked about is nobody.
async fn came_back(shared: &Shared, ended: Ended) -> bool {
    let sign_in = shared.sign_in.clone();
    match shared.background.spawn(async move { sign_in.was_left(ended).await }).await {
        Ok(Ok(left)) => !left,
        Ok(Err(fault)) => {
            tracing::error!(%fault, "whether a session was left could not be looked up");
            false
        }
        Err(panic) => {
            tracing::error!(%panic, "looking up whether a session was left ended in a panic");
            false
        }
    }
}

/// Reads the body to its end and hands it on, as fast as it is written. Ends early when the writer takes no more.
async fn bring(
    session: &mut Session,
    pieces: mpsc::Sender<Piece>,
    read: Option<Bytes>,
    most: u64,
) -> pingora::Result<()> {
    let begun = Instant::now();
    let mut taken = 0;
    let mut next = read;
    loop {
        if let Some(bytes) = next.take() {
            taken += bytes.len() as u64;
            if taken > most || is_dripping(taken, begun.elapsed()) || pieces.send(Piece::Bytes(bytes)).await.is_err() {
                return Ok(());
            }
        }
        match tokio::time::timeout(PAUSE, session.as_downstream_mut().read_request_body()).await {
            Ok(Ok(Some(bytes))) => next = Some(bytes),
            Ok(Ok(None)) => break,
            Ok(Err(fault)) => return Err(fault),
            Err(_) => return Ok(()),
        }
    }
    // Nobody listens only after a fault, which the writer reports itself.
    let _ = pieces.send(Piece::End).await;
    Ok(())
}

/// Whether a body comes so slowly that it is sent to hold room, not to arrive.
fn is_dripping(taken: u64, elapsed: Duration) -> bool {
    elapsed > PAUSE && taken < elapsed.as_secs() * LEAST_RATE
}

/// On a thread that may wait for the disk. `None` if the end never came.
fn write(
    mut writer: FormWriter,
    mut pieces: mpsc::Receiver<Piece>,
    facts: crate::vault::FormFacts,
) -> Result<Option<FormId>, FormRefused> {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => writer.append(&bytes)?,
            Piece::End => return writer.finish(facts).map(Some),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t92_a_form_that_drips_in_is_given_up_and_a_slow_one_is_not() {
        let after = |bytes, seconds| is_dripping(bytes, Duration::from_secs(seconds));
        assert!(!after(1, 20), "a small form may take its time");
        assert!(after(1, 21) && after(60, 60) && after(1 << 20, 5 * 60));
        // 64 kbit/s.
        assert!(!after(21 * 8 * 1024, 21) && !after(5 * 60 * 8 * 1024, 5 * 60));
    }
}
