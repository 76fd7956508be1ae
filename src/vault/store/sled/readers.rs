//! [`Readers`]: the open tree, as it is handed to whoever reads. The writer can ask for it back; readers who come
//! meanwhile wait for the next one.

use sled::Db;
use std::sync::Arc;
use tokio::sync::watch;

enum State {
    Open(Arc<Db>),
    /// The tree is being opened again.
    Paused,
    Closed,
}

pub(super) struct Readers {
    state: watch::Sender<State>,
}

impl Readers {
    pub(super) fn new(db: Arc<Db>) -> Self {
        Self { state: watch::Sender::new(State::Open(db)) }
    }

    /// The tree, to be dropped soon; `None` when the store is closed. Waits while it is being opened again.
    pub(super) async fn tree(&self) -> Option<Arc<Db>> {
        if let State::Open(db) = &*self.state.borrow() {
            return Some(db.clone());
        }
        let mut states = self.state.subscribe();
        match &*states.wait_for(|state| !matches!(state, State::Paused)).await.ok()? {
            State::Open(db) => Some(db.clone()),
            State::Paused | State::Closed => None,
        }
    }

    /// Hands out nothing until [`Readers::resume`].
    pub(super) fn pause(&self) {
        self.state.send_replace(State::Paused);
    }

    pub(super) fn resume(&self, db: Arc<Db>) {
        self.state.send_if_modified(|state| {
            let paused = matches!(state, State::Paused);
            if paused {
                *state = State::Open(db);
            }
            paused
        });
    }

    /// Hands out nothing any more; whoever waits is told.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }
}
