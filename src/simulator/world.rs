//! [`World`]: everything the simulator knows, shared by all requests: settings, clients, records, sessions,
//! codes and tokens. Made by `mod`, used by every endpoint.

use super::SimulatorSettings;
use super::calls::Calls;
use super::clients::SimulatedClient;
use super::face::Face;
use super::keys::{EllipticKey, KeyRing, SigningKey};
use super::ledger::{Exchange, Ledger, NewPair, Offer, Pair};
use super::lies::{self, Facts};
use super::pages::Pages;
use super::people::{self, Person};
use super::random;
use super::record::{PutCodes, Record, Visibility, known_source};
use super::sessions::{FormKey, Sessions};
use super::switches::Switches;
use super::webhooks::Registry;
use crate::domain::{Chance, Clock, OrcidId, UnixTime};
use arc_swap::ArcSwap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// Most people one simulator may have.
pub(super) const MOST_PEOPLE: usize = 10_000;

/// What changes while the simulator runs, behind one lock that is never held across an await.
pub(super) struct Books {
    pub(super) clients: BTreeMap<String, Arc<SimulatedClient>>,
    pub(super) records: BTreeMap<OrcidId, Record>,
    pub(super) sessions: Sessions,
    pub(super) ledger: Ledger,
    pub(super) webhooks: Registry,
    /// For what is put on records while the simulator runs.
    pub(super) put_codes: PutCodes,
}

impl Books {
    /// Adds a person who did not exist before.
    pub(super) fn enrol(&mut self, person: Person, now: UnixTime) -> Arc<Person> {
        let person = Arc::new(person);
        self.records.insert(person.orcid, Record::new(person.clone(), now));
        person
    }

    /// Puts a place of work on somebody's record, on their own word.
    pub(super) fn employ(
        &mut self,
        orcid: OrcidId,
        place: &str,
        role: Option<&str>,
        seen_by: Visibility,
        now: UnixTime,
    ) {
        if let Some(record) = self.records.get_mut(&orcid) {
            record.add_employment(self.put_codes.next(), place, role, seen_by, now);
        }
    }

    /// Trades a code for a pair; see [`Ledger::exchange`].
    pub(super) fn exchange(
        &mut self,
        offer: &Offer<'_>,
        switches: &Switches,
        now: UnixTime,
        chance: &dyn Chance,
    ) -> Exchange {
        let exchange = self.ledger.exchange(offer, switches, now, chance);
        if let Exchange::Bought { pair, .. } = &exchange {
            self.stored(pair, now);
        }
        exchange
    }

    /// Issues a pair; see [`Ledger::issue_pair`].
    pub(super) fn issue_pair(&mut self, new: NewPair<'_>, now: UnixTime, chance: &dyn Chance) -> Pair {
        let pair = self.ledger.issue_pair(new, now, chance);
        self.stored(&pair, now);
        pair
    }

    /// A stored pair counts as a change of the person's record, its end does not (`orcid.md` §5.3).
    fn stored(&mut self, pair: &Pair, now: UnixTime) {
        if let Some(record) = pair.orcid.and_then(|orcid| self.records.get_mut(&orcid)) {
            record.touch(now);
        }
    }
}

/// The bases of the APIs, as far as they have listeners of their own; without a trailing slash.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiBases {
    pub(super) public_api: Option<String>,
    pub(super) member_api: Option<String>,
}

pub(super) struct World {
    /// The base of every address the simulator names, and its issuer; without a trailing slash.
    pub(super) base: String,
    bases: ApiBases,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    switches: ArcSwap<Switches>,
    pub(super) pages: Pages,
    pub(super) forms: FormKey,
    pub(super) keys: RwLock<KeyRing>,
    /// For lies alone.
    pub(super) elliptic: EllipticKey,
    foreign: OnceLock<SigningKey>,
    pub(super) calls: Calls,
    books: Mutex<Books>,
    /// Held while webhooks are told of changes: one run at a time.
    pub(super) webhook_run: tokio::sync::Mutex<()>,
}

impl World {
    pub(super) fn new(settings: SimulatorSettings, base: String, bases: ApiBases, key: SigningKey) -> io::Result<Self> {
        let now = settings.clock.now();
        let records =
            settings.people.into_iter().map(|person| (person.orcid, Record::new(Arc::new(person), now))).collect();
        let clients = settings.clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
        Ok(Self {
            base,
            bases,
            pages: Pages::new(),
            forms: FormKey::new(&*settings.chance),
            clock: settings.clock,
            chance: settings.chance,
            switches: ArcSwap::from_pointee(settings.switches),
            keys: RwLock::new(KeyRing::new(key)),
            elliptic: EllipticKey::generate()?,
            foreign: OnceLock::new(),
            calls: Calls::default(),
            books: Mutex::new(Books {
                clients,
                records,
                sessions: Sessions::default(),
                ledger: Ledger::default(),
                webhooks: Registry::default(),
                put_codes: PutCodes::after_the_seeds(),
            }),
            webhook_run: tokio::sync::Mutex::new(()),
        })
    }

    /// How the simulator behaves at the moment. Taken once a request, so that one request sees one setting.
    pub(super) fn switches(&self) -> Arc<Switches> {
        self.switches.load_full()
    }

    /// Changes the switches; `change` may run more than once.
    pub(super) fn change(&self, change: impl Fn(&mut Switches)) {
        self.switches.rcu(|now| {
            let mut next = Switches::clone(now);
            change(&mut next);
            next
        });
    }

    /// Takes one from a count that a switch holds; `false` if it is zero.
    pub(super) fn take_one(&self, count: fn(&mut Switches) -> &mut i64) -> bool {
        let before = self.switches.rcu(|now| {
            let mut next = Switches::clone(now);
            let left = count(&mut next);
            *left = (*left - 1).max(0);
            next
        });
        *count(&mut Switches::clone(&before)) > 0
    }

    /// Makes the key that some lies need, which takes a moment, unless it is there.
    pub(super) fn prepare(&self, switches: &Switches) -> io::Result<()> {
        if lies::need_a_foreign_key(switches) && self.foreign.get().is_none() {
            let key = SigningKey::load(&super::keys::SigningKeyPem::generate(&*self.chance)?)?;
            // Somebody else may have been faster: then theirs is as good.
            let _ = self.foreign.set(key);
        }
        Ok(())
    }

    /// An RSA key that is published nowhere.
    pub(super) fn foreign_key(&self) -> Option<&SigningKey> {
        self.foreign.get()
    }

    /// What lies told to this client about this person may need to know. Costs nothing while none is told.
    pub(super) fn facts(
        &self,
        switches: &Switches,
        person: Option<&Person>,
        client: Option<&SimulatedClient>,
    ) -> Facts {
        if switches.lies().next().is_none() {
            return Facts::default();
        }
        let (modulus, public_pem) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.signing().map_or_else(Default::default, |key| (key.modulus().to_owned(), key.public_pem().to_owned()))
        };
        let somebody_else = match person {
            Some(person) if person.orcid.as_str() == people::CREDIT_NAME => people::ORDINARY,
            _ => people::CREDIT_NAME,
        };
        Facts {
            base: self.base.clone(),
            old_nonce: self.books().ledger.nonce_before_last(),
            client_secret: client.map_or(String::new(), |client| client.secret.expose().to_owned()),
            modulus,
            public_pem,
            elliptic: self.elliptic.jwk().clone(),
            foreign: self.foreign_key().map_or(Value::Null, SigningKey::jwk),
            fresh: random::uuid(&*self.chance),
            somebody_else: somebody_else.to_owned(),
        }
    }

    /// The books. A panic elsewhere leaves them readable: they hold no half-done change worth refusing.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// ORCID's time, which may be ahead of or behind the machine's.
    pub(super) fn now(&self) -> UnixTime {
        let skew = self.switches.load().clock_skew.0;
        UnixTime(self.clock.now().0.saturating_add(skew))
    }

    pub(super) fn client(&self, id: &str) -> Option<Arc<SimulatedClient>> {
        self.books().clients.get(id).cloned()
    }

    pub(super) fn person(&self, orcid: OrcidId) -> Option<Arc<Person>> {
        self.books().records.get(&orcid).map(|record| record.person.clone())
    }

    /// Changes somebody's record, and notes when; gives what they are now.
    pub(super) fn change_person(&self, orcid: OrcidId, change: impl Fn(&Person) -> Person) -> Option<Arc<Person>> {
        let now = self.now();
        let mut books = self.books();
        let record = books.records.get_mut(&orcid)?;
        record.person = Arc::new(change(&record.person));
        record.touch(now);
        Some(record.person.clone())
    }

    /// A copy of somebody's record as it is now.
    pub(super) fn record(&self, orcid: OrcidId) -> Option<Record> {
        self.books().records.get(&orcid).cloned()
    }

    /// Everybody's records as they are now, by iD.
    pub(super) fn records(&self) -> Vec<Record> {
        self.books().records.values().cloned().collect()
    }

    /// Where a redirect on this host leads: an address nobody could make up. An API host that is only a name of the
    /// root's listener is left as it was asked for.
    pub(super) fn base_of(&self, face: Face) -> &str {
        match face {
            Face::Root => &self.base,
            Face::Public => self.bases.public_api.as_deref().unwrap_or(""),
            Face::Member => self.bases.member_api.as_deref().unwrap_or(""),
        }
    }

    /// Name and description of an organisation: a registered client, or one that wrote on a seeded record.
    pub(super) fn organisation(&self, id: &str) -> Option<(String, String)> {
        match self.client(id) {
            Some(client) => Some((client.name.clone(), client.description.clone())),
            None => known_source(id).map(|(name, about)| (name.to_owned(), about.to_owned())),
        }
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
