//! The admin socket: a Unix socket, 0600, for the gate's own user and root. Takes the verbs that need
//! a running gate; it shares no listener with anything else.

use super::reload::{Outcome, Reloader};
use crate::domain::Problem;
use crate::small_http;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

const MOST: usize = 16;

/// Says what runs at the moment it is asked. May block.
pub(super) type Status = Arc<dyn Fn() -> Value + Send + Sync>;

/// A bound socket; its file goes with it.
pub(super) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Nothing to be done if somebody removed it before us.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl AdminSocket {
    /// Binds `path`. A file left by a gate that died is replaced; one that answers is an error.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "a running gate answers there"));
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way"));
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until `stop` turns true.
    pub(super) async fn run(
        self,
        status: Status,
        reloader: Arc<Reloader>,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let owner = std::fs::metadata(&self.path)?.uid();
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        let room = Arc::new(Semaphore::new(MOST));
        loop {
            let accepted = tokio::select! {
                _ = stop.changed() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let Ok(peer) = stream.peer_cred() else { continue };
            if peer.uid() != owner && peer.uid() != 0 {
                tracing::warn!(uid = peer.uid(), "somebody else's process tried the admin socket");
                continue;
            }
            let Ok(place) = room.clone().try_acquire_owned() else { continue };
            let (status, reloader) = (status.clone(), reloader.clone());
            tokio::spawn(async move {
                small_http::serve_one(stream, |request| answer(request, status.clone(), reloader.clone())).await;
                drop(place);
            });
        }
    }
}

async fn answer(request: Request<Incoming>, status: Status, reloader: Arc<Reloader>) -> Response<Full<Bytes>> {
    let (code, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/status") => match tokio::task::spawn_blocking(move || status()).await {
            Ok(told) => (StatusCode::OK, told),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "it ended in a panic; see the log" })),
        },
        (&Method::POST, "/reload") => match reloader.aside().await {
            Some(outcome) => reloaded(&outcome),
            None => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": "reading ended in a panic; see the log" })),
        },
        _ => (StatusCode::NOT_FOUND, json!({ "error": "unknown", "known": ["GET /status", "POST /reload"] })),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn reloaded(outcome: &Outcome) -> (StatusCode, Value) {
    let told = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let refused = outcome.values().any(|problems| !problems.is_empty());
    let code = if refused { StatusCode::CONFLICT } else { StatusCode::OK };
    let complaints: BTreeMap<_, _> = outcome.iter().map(|(kind, problems)| (*kind, told(problems))).collect();
    (code, json!({ "reloaded": !refused, "refused": complaints }))
}
