//! Durable writes in the full vault: many at a time, which share commits, and one after the other, which shows what
//! one commit takes. Nothing is counted before it was acknowledged as durable.

use super::fill::{Researcher, Writing, side_by_side};
use super::{Extent, Place};
use crate::report::{Figure, Table};
use lychgate::domain::{Chance, Clock, SystemClock};
use lychgate::vault::{HashedSessionKey, Mark};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Writers at a time, and writes of each kind; a tenth of the writes when there is one writer.
const WRITERS: usize = 256;
const WRITES: usize = 5_000;

/// Something that is written, for a number that is not used again.
#[derive(Clone, Copy)]
enum Kind {
    /// An attempt is spent.
    Mark,
    /// Somebody new comes back from ORCID.
    First,
    /// Somebody known does; the pair of tokens they had before is queued to be revoked.
    Known,
    /// Somebody signed in goes on to a site.
    Site,
    /// Everything that one sign-in writes: attempt, connection and session, ticket, session at the site.
    Whole,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Mark, Self::First, Self::Known, Self::Site, Self::Whole];

    fn name(self) -> &'static str {
        match self {
            Self::Mark => "a single-use mark",
            Self::First => "a sign-in of somebody new",
            Self::Known => "a sign-in of somebody known",
            Self::Site => "a session at a site",
            Self::Whole => "all that a sign-in writes",
        }
    }
}

/// The full vault and who is in it.
struct Scene {
    writing: Arc<Writing>,
    /// Number and root session of each.
    people: Vec<(usize, HashedSessionKey)>,
}

impl Scene {
    async fn write(self: Arc<Self>, kind: Kind, number: usize) -> Duration {
        let (known, root) = self.people[number % self.people.len()];
        let (fresh, _) = self.writing.draw();
        let begun = Instant::now();
        match kind {
            Kind::Mark => self.spend("attempt").await,
            Kind::First => drop(self.writing.sign_in(self.people.len() + number, "openid", fresh).await),
            Kind::Known => drop(self.writing.sign_in(known, "openid", fresh).await),
            Kind::Site => self.writing.arrive(&root, fresh, number % super::SITES.len()).await,
            Kind::Whole => {
                self.spend("attempt").await;
                self.writing.sign_in(known, "openid", fresh).await;
                self.spend("ticket").await;
                self.writing.arrive(&fresh, self.writing.draw().0, number % super::SITES.len()).await;
            }
        }
        begun.elapsed()
    }

    async fn spend(&self, purpose: &'static str) {
        let chance: &dyn Chance = &self.writing.chance;
        let mark = Mark { purpose, id: chance.bytes() };
        let spent = self.writing.vault.spend(mark, SystemClock.now().plus(Duration::from_secs(900))).await;
        assert!(
            spent.unwrap_or_else(|fault| panic!("a mark was not written: {fault}")),
            "a random mark was spent before"
        );
    }
}

pub fn table(place: &Place, people: &[Researcher], extent: &Extent) -> Table {
    let vault = place.open();
    let people = people.iter().map(|researcher| (researcher.number, researcher.roots[0])).collect();
    let scene = Arc::new(Scene { writing: Writing::new(vault.clone()), people });
    let columns = ["", "writers", "a second", "p50", "p99"];
    let mut table = Table::new("Durable writes", &extent.command(), &columns);
    let mut next = 0;
    for kind in Kind::ALL {
        for (writers, writes) in [(WRITERS, WRITES), (1, WRITES / 10)] {
            crate::aside(format_args!("{}, writers: {writers}", kind.name()));
            let begun = Instant::now();
            let write = |number| -> Pin<Box<dyn Future<Output = Duration> + Send>> {
                Box::pin(scene.clone().write(kind, next + number))
            };
            let mut took = crate::wait_for(side_by_side(writes, writers, write));
            let per_second = writes as f64 / begun.elapsed().as_secs_f64();
            next += writes;
            took.sort_unstable();
            let part = |percent: usize| took[took.len() * percent / 100].as_secs_f64() * 1e3;
            table.row(
                kind.name(),
                vec![
                    Figure::new(writers as f64, 0, ""),
                    Figure::new(per_second, 0, ""),
                    Figure::new(part(50), 1, " ms"),
                    Figure::new(part(99), 1, " ms"),
                ],
            );
        }
    }
    vault.close();
    table.note(format!("With {} stored. Each is acknowledged when it is on the disk.", extent.stored()));
    table
}
