//! [`World`]: everything the simulator knows, shared by all requests: settings, clients, records, sessions,
//! codes and tokens. Made by `mod`, used by every endpoint.

use super::SimulatorSettings;
use super::calls::Calls;
use super::clients::SimulatedClient;
use super::keys::{KeyRing, SigningKey};
use super::ledger::Ledger;
use super::pages::Pages;
use super::people::Person;
use super::sessions::{FormKey, Sessions};
use crate::domain::{Chance, Clock, OrcidId, UnixTime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Most people one simulator may have.
pub(super) const MOST_PEOPLE: usize = 10_000;

/// One person's record. Who they are is here now; what they have done joins when the record API does.
pub(super) struct Record {
    pub(super) person: Arc<Person>,
    /// Last change of the record.
    pub(super) modified: UnixTime,
    /// Last sign-in of the person, in any browser: `auth_time` (`orcid.md` §1.4).
    pub(super) signed_in: Option<UnixTime>,
}

/// What changes while the simulator runs, behind one lock that is never held across an await.
pub(super) struct Books {
    pub(super) clients: BTreeMap<String, Arc<SimulatedClient>>,
    pub(super) records: BTreeMap<OrcidId, Record>,
    pub(super) sessions: Sessions,
    pub(super) ledger: Ledger,
}

pub(super) struct World {
    /// The base of every address the simulator names, and its issuer; without a trailing slash.
    pub(super) base: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    pub(super) jwks_alg: bool,
    pub(super) amr_array: bool,
    pub(super) pages: Pages,
    pub(super) forms: FormKey,
    pub(super) keys: RwLock<KeyRing>,
    pub(super) calls: Calls,
    books: Mutex<Books>,
}

impl World {
    pub(super) fn new(settings: SimulatorSettings, base: String, key: SigningKey) -> Self {
        let now = settings.clock.now();
        let records = settings
            .people
            .into_iter()
            .map(|person| (person.orcid, Record { person: Arc::new(person), modified: now, signed_in: None }))
            .collect();
        let clients = settings.clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
        Self {
            base,
            pages: Pages::new(),
            forms: FormKey::new(&*settings.chance),
            clock: settings.clock,
            chance: settings.chance,
            jwks_alg: settings.jwks_alg,
            amr_array: settings.amr_array,
            keys: RwLock::new(KeyRing::new(key)),
            calls: Calls::default(),
            books: Mutex::new(Books { clients, records, sessions: Sessions::default(), ledger: Ledger::default() }),
        }
    }

    /// The books. A panic elsewhere leaves them readable: they hold no half-done change worth refusing.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(super) fn client(&self, id: &str) -> Option<Arc<SimulatedClient>> {
        self.books().clients.get(id).cloned()
    }

    pub(super) fn person(&self, orcid: OrcidId) -> Option<Arc<Person>> {
        self.books().records.get(&orcid).map(|record| record.person.clone())
    }

    /// Finds a person by what they type at the sign-in: an iD in any spelling, or an e-mail address.
    pub(super) fn person_called(&self, typed: &str) -> Option<Arc<Person>> {
        if let Ok(orcid) = typed.parse::<OrcidId>() {
            return self.person(orcid);
        }
        let typed = typed.trim();
        let books = self.books();
        books.records.values().find(|record| record.person.email.eq_ignore_ascii_case(typed)).map(|r| r.person.clone())
    }

    /// Everybody, by iD.
    pub(super) fn people(&self) -> Vec<Arc<Person>> {
        self.books().records.values().map(|record| record.person.clone()).collect()
    }
}
