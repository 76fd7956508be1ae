//! Our own addresses under `/.lychgate/`: the body is read here, bounded, and the journey itself runs
//! on the background runtime, so that a slow provider or disk never holds a listener core.

use super::respond;
use super::shared::Shared;
use super::visit::Visit;
use crate::pages::Notice;
use crate::policy::Site;
use crate::signin::OwnRequest;
use bytes::Bytes;
use http::{Method, Response};
use pingora::proxy::Session;
use std::sync::Arc;

/// Forms of ours are small.
const FORM_LIMIT: usize = 64 * 1024;

/// Where an own address is answered.
pub(super) enum Place {
    SignInHost,
    Site(Arc<Site>),
}

/// Reads what was sent and lets `signin` answer.
pub(super) async fn answer(
    session: &mut Session,
    shared: &Arc<Shared>,
    visit: &Visit,
    path: String,
    place: Place,
) -> pingora::Result<Response<Bytes>> {
    let body = if visit.method == Method::POST {
        match respond::read_body(session, FORM_LIMIT).await? {
            Some(body) => body,
            None => return Ok(shared.notice(Notice::BodyTooLarge, None, respond::language(session))),
        }
    } else {
        Bytes::new()
    };
    let language = respond::language(session);
    let request = OwnRequest {
        host: visit.host.clone(),
        method: visit.method.clone(),
        path: path.clone(),
        query: visit.query.clone(),
        headers: session.req_header().headers.clone(),
        body,
        peer: visit.connection.peer.ip(),
        language,
    };
    let sign_in = shared.sign_in.clone();
    let journey = shared.background.spawn(async move {
        match place {
            Place::SignInHost => sign_in.at_sign_in_host(request).await,
            Place::Site(site) => sign_in.at_site_host(&site, request).await,
        }
    });
    // A visitor who leaves does not stop a sign-in half-way: the journey goes on in the background.
    match tokio::time::timeout(shared.sign_in.patience(), journey).await {
        Ok(Ok(response)) => {
            if response.status() == http::StatusCode::SERVICE_UNAVAILABLE {
                shared.metrics.failures.with_label_values(&["sign-in"]).inc();
            }
            Ok(response)
        }
        Ok(Err(panic)) => Ok(shared.sign_in.broken_off(&path, Notice::Internal, language, &panic)),
        Err(_) => Ok(shared.sign_in.broken_off(&path, Notice::ProviderUnreachable, language, &"it took too long")),
    }
}
