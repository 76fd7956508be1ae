//! [`Directory`]: what is known about the provider, its endpoints and keys: fetched when first needed,
//! kept on disk, renewed ahead of time. An old answer outlives a failed fetch; a false one is refused.

use super::OrcidTrouble;
use super::cache_file::{CacheFile, Entry};
use super::endpoints::{Endpoints, discovery_url};
use super::http_client::{Answer, HttpClient};
use super::jwks::{KeySet, NotVerified};
use super::settings::ProviderSettings;
use super::signed_token::SignedToken;
use super::trouble::{Check, Defect, Endpoint};
use crate::domain::{Clock, UnixTime};
use arc_swap::ArcSwapOption;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How long an answer counts as fresh, whatever its Cache-Control says (`stack.md` §3.2).
const FRESH_AT_LEAST: u64 = 5 * 60;
const FRESH_AT_MOST: u64 = 24 * 60 * 60;
const FRESH_BY_DEFAULT: u64 = 60 * 60;

/// After a failed fetch: how soon a sign-in may try again, with nothing to fall back on, and with.
const RETRY_WITHOUT_OLD: Duration = Duration::from_secs(5);
const RETRY_WITH_OLD: Duration = Duration::from_secs(30);

/// An unknown key id makes one more fetch, at most this often: a thousand invented ids are one request (T57).
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(60);

/// Who brought a token whose key is not known. What strangers send must not use up the one fetch that a
/// sign-in may need after a rotation, so each has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BroughtBy {
    /// The provider, in answer to a question of ours.
    Provider,
    /// Anybody.
    Stranger,
}

/// Something fetched, with its document for the disk.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) value: T,
    entry: Entry,
}

impl<T> Kept<T> {
    fn is_fresh(&self, now: UnixTime) -> bool {
        // A clock that was set back must not keep an answer fresh for years.
        now < self.entry.fresh_until && now.plus(Duration::from_secs(FRESH_AT_MOST)) >= self.entry.fresh_until
    }
}

/// One kind of answer: the present one, and the lock that makes fetching a single flight.
struct Shelf<T> {
    present: ArcSwapOption<Kept<T>>,
    flight: Mutex<Flight>,
}

#[derive(Default)]
struct Flight {
    failed: Option<(UnixTime, OrcidTrouble)>,
    unknown_key: Option<Look>,
    unknown_to_strangers: Option<Look>,
}

/// A fetch because a key was not known.
struct Look {
    at: UnixTime,
    failed: Option<OrcidTrouble>,
}

/// What came of looking for newer keys.
enum Newer {
    Keys(Arc<Kept<KeySet>>),
    /// Somebody has looked within the last minute.
    LookedJustNow,
}

impl<T> Shelf<T> {
    fn empty() -> Self {
        Self { present: ArcSwapOption::empty(), flight: Mutex::new(Flight::default()) }
    }

    fn fresh(&self, now: UnixTime) -> Option<Arc<Kept<T>>> {
        self.present.load_full().filter(|kept| kept.is_fresh(now))
    }
}

pub(super) struct Directory {
    settings: Arc<ProviderSettings>,
    http: Arc<HttpClient>,
    clock: Arc<dyn Clock>,
    endpoints: Shelf<Endpoints>,
    keys: Shelf<KeySet>,
    disk: Option<CacheFile>,
    disk_read: OnceCell<()>,
}

impl Directory {
    pub(super) fn new(settings: Arc<ProviderSettings>, http: Arc<HttpClient>, clock: Arc<dyn Clock>) -> Self {
        let disk = settings.cache_file.clone().map(|path| CacheFile::new(path, settings.issuer.clone()));
        Self {
            settings,
            http,
            clock,
            endpoints: Shelf::empty(),
            keys: Shelf::empty(),
            disk,
            disk_read: OnceCell::new(),
        }
    }

    /// The provider's endpoints; fetched if there are none or they have gone stale.
    pub(super) async fn endpoints(&self) -> Result<Arc<Kept<Endpoints>>, OrcidTrouble> {
        self.read_disk().await;
        self.look_up(&self.endpoints, || self.fetch_endpoints()).await
    }

    /// The endpoints as far as they are known by now, be they stale; asks nobody.
    pub(super) fn known_endpoints(&self) -> Option<Arc<Kept<Endpoints>>> {
        self.endpoints.present.load_full()
    }

    /// The provider's keys, likewise.
    async fn keys(&self) -> Result<Arc<Kept<KeySet>>, OrcidTrouble> {
        self.read_disk().await;
        self.look_up(&self.keys, || self.fetch_keys()).await
    }

    /// The keys as far as they are known by now; to be remembered by whoever asks the provider something,
    /// for [`Directory::verify`].
    pub(super) fn known_keys(&self) -> Option<Arc<Kept<KeySet>>> {
        self.keys.present.load_full()
    }

    /// Verifies a token's signature, fetching the keys again once if none answers to it; or if the one that
    /// does says no, for a provider that was set up anew may have kept the name of its key. `asked_with` are
    /// the keys known when the question was asked that the token answers: they count too, or of two
    /// sign-ins at the moment of a rotation the quicker one's fetch would spoil the other's.
    pub(super) async fn verify(
        &self,
        token: &SignedToken<'_>,
        from: BroughtBy,
        asked_with: Option<&Arc<Kept<KeySet>>>,
    ) -> Result<(), OrcidTrouble> {
        let seen = self.keys().await?;
        let Err(first) = token.verify(&seen.value) else { return Ok(()) };
        let lie = |why| match why {
            NotVerified::Wrong => OrcidTrouble::Lied(Check::Signature),
            NotVerified::NoKey => OrcidTrouble::Lied(Check::UnknownKey),
        };
        if first == NotVerified::Wrong && from == BroughtBy::Stranger {
            // Whoever comes in from the open network gets a plain no for a signature that is simply wrong.
            return Err(lie(first));
        }
        if asked_with.is_some_and(|known| token.verify(&known.value).is_ok()) {
            return Ok(());
        }
        match self.keys_after(&seen, from).await {
            Ok(Newer::Keys(newer)) => token.verify(&newer.value).map_err(lie),
            // Somebody may have used up the strangers' one look of this minute on purpose. A provider that has
            // just changed its key is told to come again, not that its word is worth nothing.
            Ok(Newer::LookedJustNow) if from == BroughtBy::Stranger => Err(OrcidTrouble::LookedJustNow),
            Ok(Newer::LookedJustNow) => Err(lie(first)),
            // Without newer keys the old ones' no stands.
            Err(_) if first == NotVerified::Wrong => Err(lie(first)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Keys newer than `seen`: what another task has fetched meanwhile, or one fetch, at most once a minute. A
    /// fetch that failed may be tried again after some seconds; until then its trouble stands.
    async fn keys_after(&self, seen: &Arc<Kept<KeySet>>, from: BroughtBy) -> Result<Newer, OrcidTrouble> {
        let mut flight = self.keys.flight.lock().await;
        if let Some(present) = self.keys.present.load_full()
            && !Arc::ptr_eq(&present, seen)
        {
            return Ok(Newer::Keys(present));
        }
        let now = self.clock.now();
        let last = match from {
            BroughtBy::Provider => &mut flight.unknown_key,
            BroughtBy::Stranger => &mut flight.unknown_to_strangers,
        };
        match last {
            Some(Look { at, failed: Some(trouble) }) if is_within(*at, now, RETRY_WITHOUT_OLD) => {
                return Err(trouble.clone());
            }
            Some(Look { at, failed: None }) if is_within(*at, now, UNKNOWN_KEY_PAUSE) => {
                return Ok(Newer::LookedJustNow);
            }
            _ => {}
        }
        // Marked before the fetch, as one that failed: a caller may go away half-way.
        let look = last.insert(Look { at: now, failed: Some(OrcidTrouble::TimedOut(Endpoint::Keys)) });
        let fetched = self.fetch_keys().await;
        look.failed = fetched.as_ref().err().cloned();
        let kept = Arc::new(fetched?);
        self.keys.present.store(Some(kept.clone()));
        self.write_disk().await;
        Ok(Newer::Keys(kept))
    }

    /// Fetches both anew, whether stale or not, unless somebody else is about it.
    async fn renew(&self) -> Result<(), OrcidTrouble> {
        let mut flight = self.endpoints.flight.lock().await;
        self.store(&self.endpoints, &mut flight, self.fetch_endpoints().await)?;
        drop(flight);
        let mut flight = self.keys.flight.lock().await;
        self.store(&self.keys, &mut flight, self.fetch_keys().await)?;
        drop(flight);
        self.write_disk().await;
        Ok(())
    }

    /// Fetches and checks the endpoints, and keeps nothing: neither does a failure here stand in the way of a
    /// sign-in's own fetch.
    pub(super) async fn ask(&self) -> Result<(), OrcidTrouble> {
        self.fetch_endpoints().await.map(drop)
    }

    /// Keeps both fresh for ever, at 80 to 95 per cent of their life; after failures every half minute
    /// at first, every half hour at last. Spread, so that many gates do not ask in the same second.
    pub(super) async fn keep_fresh(&self) {
        self.read_disk().await;
        let mut failures = 0;
        loop {
            let pause = self.pause(failures);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match self.renew().await {
                Ok(()) => failures = 0,
                Err(trouble) => {
                    failures += 1;
                    tracing::warn!(
                        client.name = %self.settings.name, trouble = trouble.code(), failures,
                        "the provider's endpoints and keys could not be renewed; what is known stays in use"
                    );
                }
            }
        }
    }

    /// How long until the next renewal.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let now = self.clock.now();
        let spread = self.spread(now, failures);
        if failures > 0 {
            let seconds = 30u64.saturating_mul(1 << (failures - 1).min(6)).min(30 * 60);
            return Duration::from_millis(seconds * (750 + spread / 2));
        }
        let ends = [
            self.endpoints.fresh(now).map(|kept| kept.entry.fresh_until),
            self.keys.fresh(now).map(|kept| kept.entry.fresh_until),
        ];
        let first_end = ends.into_iter().min().flatten();
        // `None` sorts first: whatever is missing or stale is due now.
        first_end
            .map_or(Duration::ZERO, |end| Duration::from_millis(end.since(now).as_secs() * (800 + spread * 3 / 20)))
    }

    /// 0 to 999, different for every gate and moment. Nobody gains by guessing it, so it needs no
    /// randomness.
    fn spread(&self, now: UnixTime, failures: u32) -> u64 {
        let seed = format!("{}|{}|{}|{failures}", self.settings.client_id, self.settings.redirect_uri, now.0);
        let digest = ring::digest::digest(&ring::digest::SHA256, seed.as_bytes());
        digest.as_ref().iter().take(4).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)) % 1000
    }

    async fn look_up<T, F>(&self, shelf: &Shelf<T>, fetch: impl FnOnce() -> F) -> Result<Arc<Kept<T>>, OrcidTrouble>
    where
        F: Future<Output = Result<Kept<T>, OrcidTrouble>>,
    {
        if let Some(fresh) = shelf.fresh(self.clock.now()) {
            return Ok(fresh);
        }
        // With something old in hand nobody waits for somebody else's fetch.
        let old = shelf.present.load_full();
        let mut flight = match &old {
            None => shelf.flight.lock().await,
            Some(old) => match shelf.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(old.clone()),
            },
        };
        let now = self.clock.now();
        if let Some(fresh) = shelf.fresh(now) {
            return Ok(fresh);
        }
        let pause = if old.is_some() { RETRY_WITH_OLD } else { RETRY_WITHOUT_OLD };
        if let Some((last, trouble)) = &flight.failed
            && is_within(*last, now, pause)
        {
            return old.ok_or_else(|| trouble.clone());
        }
        let outcome = fetch().await;
        match self.store(shelf, &mut flight, outcome) {
            Ok(kept) => {
                drop(flight);
                self.write_disk().await;
                Ok(kept)
            }
            Err(trouble) => old.ok_or(trouble),
        }
    }

    fn store<T>(
        &self,
        shelf: &Shelf<T>,
        flight: &mut Flight,
        outcome: Result<Kept<T>, OrcidTrouble>,
    ) -> Result<Arc<Kept<T>>, OrcidTrouble> {
        match outcome {
            Ok(kept) => {
                let kept = Arc::new(kept);
                shelf.present.store(Some(kept.clone()));
                flight.failed = None;
                Ok(kept)
            }
            Err(trouble) => {
                flight.failed = Some((self.clock.now(), trouble.clone()));
                Err(trouble)
            }
        }
    }

    async fn fetch_endpoints(&self) -> Result<Kept<Endpoints>, OrcidTrouble> {
        let answer = self.http.get_json(Endpoint::Discovery, &discovery_url(&self.settings.issuer)?).await?;
        let value = Endpoints::read(&answer.body, &self.settings)?;
        Ok(Kept { value, entry: self.entry(Endpoint::Discovery, &answer)? })
    }

    async fn fetch_keys(&self) -> Result<Kept<KeySet>, OrcidTrouble> {
        let url = self.endpoints().await?.value.keys.clone();
        let answer = self.http.get_json(Endpoint::Keys, &url).await?;
        let value = KeySet::read(&answer.body, &self.settings.algorithms)?;
        Ok(Kept { value, entry: self.entry(Endpoint::Keys, &answer)? })
    }

    fn entry(&self, endpoint: Endpoint, answer: &Answer) -> Result<Entry, OrcidTrouble> {
        let malformed = OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        let document = serde_json::from_slice(&answer.body).map_err(|_| malformed)?;
        let fetched = self.clock.now();
        Ok(Entry { fetched, fresh_until: fetched.plus(lifetime(&answer.headers)), document })
    }

    /// Takes over what an earlier run left on disk, once, after the same checks as a fetched answer.
    async fn read_disk(&self) {
        let Some(disk) = &self.disk else { return };
        self.disk_read
            .get_or_init(|| async {
                let Some(contents) = disk.read().await else { return };
                if let Some(entry) = contents.endpoints
                    && let Ok(value) = Endpoints::read(entry.document.to_string().as_bytes(), &self.settings)
                {
                    self.endpoints.present.store(Some(Arc::new(Kept { value, entry })));
                }
                if let Some(entry) = contents.keys
                    && let Ok(value) = KeySet::read(entry.document.to_string().as_bytes(), &self.settings.algorithms)
                {
                    self.keys.present.store(Some(Arc::new(Kept { value, entry })));
                }
            })
            .await;
    }

    async fn write_disk(&self) {
        let Some(disk) = &self.disk else { return };
        let endpoints = self.endpoints.present.load_full().map(|kept| kept.entry.clone());
        let keys = self.keys.present.load_full().map(|kept| kept.entry.clone());
        if let Err(error) = disk.write(endpoints, keys).await {
            tracing::warn!(
                client.name = %self.settings.name, %error,
                "the provider's endpoints and keys could not be kept on disk; a start without the provider will not work"
            );
        }
    }
}

/// Whether `now` is less than `pause` after `last`. A clock set back counts as past.
fn is_within(last: UnixTime, now: UnixTime, pause: Duration) -> bool {
    now >= last && now.since(last) < pause
}

/// How long an answer may be used without asking again (RFC 9111 §5.2.2.1), within our own bounds.
fn lifetime(headers: &HeaderMap) -> Duration {
    let mut seconds = FRESH_BY_DEFAULT;
    for value in headers.get_all(http::header::CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("").split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.strip_prefix("max-age=") {
                Some(age) => seconds = age.trim_matches('"').parse().unwrap_or(FRESH_AT_LEAST),
                None if directive == "no-store" || directive == "no-cache" => seconds = FRESH_AT_LEAST,
                None => {}
            }
        }
    }
    Duration::from_secs(seconds.clamp(FRESH_AT_LEAST, FRESH_AT_MOST))
}
