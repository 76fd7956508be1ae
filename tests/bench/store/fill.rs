//! Fills the vault, by the calls that a sign-in makes: each researcher in two browsers, each of them signed in at the
//! sign-in host and at four sites. In the second one they granted more, so a connection holds two pairs of tokens.
//! A thousand researchers arrive at a time, and every write is durable before the next one of the same researcher.

use super::researchers::{AGENT, grant};
use super::{Extent, Place, SITES, disk, grouped};
use crate::report::{Figure, Table};
use futures_util::StreamExt;
use lychgate::domain::{Chance, Environment, SystemChance};
use lychgate::session::Sessions;
use lychgate::vault::{Completed, HashedSessionKey, SignInCompletion, Vault};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BROWSERS: usize = 2;
/// Sessions of one researcher.
pub const EACH: usize = BROWSERS * (1 + SITES.len());
/// Scopes granted in the first browser and in the second.
const SCOPES: [&str; BROWSERS] = ["openid", "openid /activities/update"];
/// Researchers who arrive at the same time.
const AT_ONCE: usize = 1024;
/// A fill that takes longer than this is a fault.
const LIMIT: Duration = Duration::from_secs(90 * 60);

/// Who was signed in, and by which keys.
pub struct Researcher {
    pub number: usize,
    /// The sessions at the sign-in host.
    pub roots: Vec<HashedSessionKey>,
    pub at_sites: Vec<HashedSessionKey>,
    /// What the first browser shows at site [`Researcher::site`].
    pub cookie: String,
}

impl Researcher {
    /// One of [`SITES`].
    pub fn site(&self) -> usize {
        self.number % SITES.len()
    }
}

/// The vault with what draws keys for browsers, and randomness.
pub struct Writing {
    pub vault: Arc<Vault>,
    sessions: Sessions,
    pub chance: SystemChance,
}

impl Writing {
    pub fn new(vault: Arc<Vault>) -> Arc<Self> {
        Arc::new(Self { sessions: Sessions::new(vault.clone()), vault, chance: SystemChance::default() })
    }

    /// A key for a browser: what is stored, and what the browser shows.
    pub fn draw(&self) -> (HashedSessionKey, String) {
        let key = self.sessions.draw(&self.chance);
        (HashedSessionKey(key.hash()), key.text().to_string())
    }

    /// Researcher `number` comes back from ORCID.
    pub async fn sign_in(&self, number: usize, scopes: &str, root: HashedSessionKey) -> Completed {
        let chance: &dyn Chance = &self.chance;
        let done = SignInCompletion {
            grant: &grant(number, scopes, chance),
            environment: Environment::Simulator,
            client: "main".parse().expect("a name"),
            root,
            agent: AGENT.to_owned(),
            replaces: None,
            place: None,
            proven: false,
            held: None,
        };
        let completed = self.vault.complete_sign_in(done).await;
        completed.unwrap_or_else(|fault| panic!("a sign-in was not written: {fault}")).expect("nobody signed out")
    }

    /// And goes on to a site.
    pub async fn arrive(&self, root: &HashedSessionKey, child: HashedSessionKey, site: usize) {
        let (name, _, _) = SITES[site];
        let host = format!("{name}.bench.example").parse().expect("a host");
        let site = name.parse().expect("a name");
        let begun = self.vault.begin_site_session(root, child, site, host, AGENT.to_owned(), None).await;
        let begun = begun.unwrap_or_else(|fault| panic!("a session was not written: {fault}"));
        assert!(begun.is_some(), "the root session has just begun, and is gone");
    }

    async fn everything_of(self: Arc<Self>, number: usize) -> Researcher {
        let mut researcher = Researcher { number, roots: Vec::new(), at_sites: Vec::new(), cookie: String::new() };
        for scopes in SCOPES {
            let (root, _) = self.draw();
            self.sign_in(number, scopes, root).await;
            for site in 0..SITES.len() {
                let (child, cookie) = self.draw();
                self.arrive(&root, child, site).await;
                researcher.at_sites.push(child);
                if researcher.cookie.is_empty() && site == researcher.site() {
                    researcher.cookie = cookie;
                }
            }
            researcher.roots.push(root);
        }
        researcher
    }
}

/// Does `one` for every number below `count`, `at_once` of them at any time.
pub async fn side_by_side<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    at_once: usize,
    one: impl Fn(usize) -> F,
) -> Vec<T> {
    let mut under_way =
        futures_util::stream::iter((0..count).map(|number| tokio::spawn(one(number)))).buffer_unordered(at_once);
    let end = Instant::now() + LIMIT;
    let mut done = Vec::with_capacity(count);
    while let Some(next) = under_way.next().await {
        assert!(Instant::now() < end, "{} of {count} are done after {LIMIT:?}", done.len());
        done.push(next.expect("a write does not panic"));
        if done.len().is_multiple_of((count / 10).max(1000)) {
            crate::aside(format_args!("{} of {}", grouped(done.len()), grouped(count)));
        }
    }
    done
}

pub fn table(place: &Place, extent: &Extent) -> (Table, Vec<Researcher>) {
    let count = extent.researchers();
    crate::aside(format_args!("fills the vault with {} researchers", grouped(count)));
    let vault = place.open();
    let begun = Instant::now();
    let writing = Writing::new(vault.clone());
    let people = crate::wait_for(side_by_side(count, AT_ONCE, |number| writing.clone().everything_of(number)));
    let took = begun.elapsed().as_secs_f64();
    vault.close();
    let sessions = (count * EACH) as f64;
    let columns = ["", "took", "sessions/s", "on disk", "a session"];
    let mut table = Table::new("A vault is filled", &extent.command(), &columns);
    let mib = |bytes: f64| bytes / (1024.0 * 1024.0);
    let whole = disk::taken(&place.vault()) as f64;
    table.row(
        format!("{} of {} researchers", extent.stored(), grouped(count)),
        vec![
            Figure::new(took, 0, " s"),
            Figure::new(sessions / took, 0, ""),
            Figure::new(mib(whole), 0, " MiB"),
            Figure::new(whole / sessions, 0, " B"),
        ],
    );
    let part = |name: &str| mib(disk::taken(&place.vault().join(name)) as f64);
    table.note(format!(
        "On disk: {:.0} MiB of store, {:.0} MiB of journal, {:.0} MiB of data keys. Every write was durable before \
         it was acknowledged, {AT_ONCE} researchers at a time.",
        part("store"),
        part("journal"),
        part("people"),
    ));
    (table, people)
}
