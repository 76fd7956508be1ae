//! [`Life`]: how long a session still lives. Pure; asked on every request (T68).

use super::outages::Outages;
use crate::domain::{ClientName, UnixTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A clock read by several cores, or corrected by a network, may seem to go back by this much.
const TOLERANCE: Duration = Duration::from_secs(60);
/// How far the use on disk may lag behind.
pub(super) const WRITE_BACK: Duration = Duration::from_secs(60);

/// When a session ends at the latest, and when it was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) over: UnixTime,
    pub(super) used: UnixTime,
}

impl Life {
    /// The life after a use at `now`; `None` if it has ended by then.
    ///
    /// When the clock has been set back by more than a minute, the time that would be lived twice is
    /// taken off the end: no session lives longer than it was given, whatever happens to the clock.
    pub(super) fn used_at(self, now: UnixTime, idle: Duration) -> Option<Life> {
        let back = self.used.since(now);
        let life = if back > TOLERANCE {
            let lost = i64::try_from(back.as_secs()).unwrap_or(i64::MAX);
            Life { over: UnixTime(self.over.0.saturating_sub(lost)), used: now }
        } else {
            self
        };
        let alive = now < life.over && now.since(life.used) < idle;
        alive.then_some(Life { used: life.used.max(now), ..life })
    }

    /// The same life as if it had been given so much more time.
    fn longer_by(self, grace: Duration) -> Life {
        Life { over: self.over.plus(grace), ..self }
    }

    /// The life after a use at `now` that its absolute end may lie at most `grace` before.
    fn used_within(self, grace: Duration, now: UnixTime, idle: Duration) -> Option<Life> {
        let used = self.longer_by(grace).used_at(now, idle)?;
        let grace = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        Some(Life { over: UnixTime(used.over.0.saturating_sub(grace)), ..used })
    }

    /// When it ends if it is never used again.
    fn idle_end(self, idle: Duration) -> UnixTime {
        self.used.plus(idle).min(self.over)
    }

    /// Whether this life says enough more than what was last `written` to be written back.
    pub(super) fn is_news(&self, written: &Life) -> bool {
        self.used.since(written.used) >= WRITE_BACK || self.over < written.over
    }
}

/// What lives are measured by at one moment.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub(super) now: UnixTime,
    pub(super) idle: Duration,
    pub(super) outages: &'a Outages,
}

impl Measure<'_> {
    /// The life of a session of `client` after a use now; `None` if it has ended. Its absolute end passes only when its
    /// people can sign in again, or when they could not for as long as is granted.
    pub(super) fn used(&self, life: Life, client: &ClientName) -> Option<Life> {
        life.used_at(self.now, self.idle).or_else(|| {
            let grace = self.outages.grace_of(client);
            if grace.is_zero() { None } else { life.used_within(grace, self.now, self.idle) }
        })
    }

    /// When a session that is alive now ends if it is never used again.
    pub(super) fn idle_end(&self, life: Life, client: &ClientName) -> UnixTime {
        if self.now < life.over {
            return life.idle_end(self.idle);
        }
        life.longer_by(self.outages.grace_of(client)).idle_end(self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(8 * 3600);
    const HOUR: i64 = 3600;
    /// 2039-01-01, behind the end of 32-bit seconds.
    const Y2039: i64 = 2_177_452_800;

    #[test]
    fn t68_a_session_ends_on_time_whatever_the_clock_does() {
        // Begins at the first instant and lives 24 hours; used at the others; alive at the last one?
        for (instants, alive, about) in [
            (&[0, 1][..], true, "just begun"),
            (&[0, 8 * HOUR - 1], true, "a second before the idle limit"),
            (&[0, 8 * HOUR], false, "at the idle limit"),
            (&[0, 7 * HOUR, 14 * HOUR, 21 * HOUR, 24 * HOUR - 1], true, "used all the time"),
            (&[0, 7 * HOUR, 14 * HOUR, 21 * HOUR, 24 * HOUR], false, "at the absolute limit"),
            (&[0, 7 * HOUR, 6 * HOUR, 13 * HOUR, 20 * HOUR, 23 * HOUR - 1], true, "an hour back, to the last second"),
            (&[0, 7 * HOUR, 6 * HOUR, 13 * HOUR, 20 * HOUR, 23 * HOUR], false, "an hour back is taken off the end"),
            (&[0, 7 * HOUR, 6 * HOUR, 14 * HOUR], false, "idle since an hour back"),
            (&[0, -HOUR, 6 * HOUR, 13 * HOUR, 20 * HOUR, 23 * HOUR], false, "an hour back at once"),
            (&[0, 30, 0, 30, 0, 7 * HOUR, 14 * HOUR, 21 * HOUR, 24 * HOUR - 1], true, "clocks of cores differ"),
            (&[0, -30 * HOUR, -23 * HOUR, -16 * HOUR, -9 * HOUR, -6 * HOUR], false, "back by more than its whole life"),
        ] {
            for start in [1_795_500_000, Y2039, i64::from(i32::MAX) - 5, -10 * HOUR] {
                let begun = UnixTime(start);
                let first = Life { over: UnixTime(start + 24 * HOUR), used: begun };
                let end = instants.iter().try_fold(first, |life, at| life.used_at(UnixTime(start + at), IDLE));
                assert_eq!(end.is_some(), alive, "{about}, begun at {start}");
            }
        }
    }

    #[test]
    fn a_clock_that_visited_the_future_leaves_no_endless_session() {
        let begun = Life { over: UnixTime(Y2039 + 24 * HOUR), used: UnixTime(Y2039) };
        let now = 1_795_500_000;
        let back = begun.used_at(UnixTime(now), IDLE).unwrap();
        assert_eq!(back.over, UnixTime(now + 24 * HOUR));
    }

    #[test]
    fn a_use_is_written_back_once_a_minute() {
        let written = Life { over: UnixTime(1000), used: UnixTime(0) };
        for (used, over, news) in [(0, 1000, false), (59, 1000, false), (60, 1000, true), (1, 999, true)] {
            assert_eq!(Life { over: UnixTime(over), used: UnixTime(used) }.is_news(&written), news, "{used} {over}");
        }
    }

    #[test]
    fn f14_while_a_provider_is_away_sessions_outlive_their_absolute_end_within_a_bound() {
        let (main, other): (ClientName, ClientName) = ("main".parse().unwrap(), "other".parse().unwrap());
        let outages = Outages::new(Duration::from_secs(2 * 3600));
        outages.set(&main, true);
        let none = Outages::new(Duration::ZERO);
        none.set(&main, true);
        for (instants, outages, client, alive, about) in [
            (&[24 * HOUR - 1][..], &outages, &other, true, "before its end"),
            (&[24 * HOUR], &outages, &other, false, "another provider is away"),
            (&[24 * HOUR], &none, &main, false, "nothing is granted"),
            (&[24 * HOUR, 26 * HOUR - 1], &outages, &main, true, "to the last second"),
            (&[24 * HOUR, 26 * HOUR - 1, 26 * HOUR], &outages, &main, false, "within a bound"),
            (&[26 * HOUR], &outages, &main, false, "within a bound, at once"),
            (&[24 * HOUR, 23 * HOUR, 25 * HOUR - 1], &outages, &main, true, "an hour back"),
            (&[24 * HOUR, 23 * HOUR, 25 * HOUR], &outages, &main, false, "an hour back is taken off the end"),
        ] {
            let first = Life { over: UnixTime(Y2039 + 24 * HOUR), used: UnixTime(Y2039 + 20 * HOUR) };
            let measure = |at: &i64| Measure { now: UnixTime(Y2039 + at), idle: IDLE, outages };
            let end = instants.iter().try_fold(first, |life, at| measure(at).used(life, client));
            assert_eq!(end.is_some(), alive, "{about}");
        }
        let idle = Life { over: UnixTime(Y2039 + 24 * HOUR), used: UnixTime(Y2039 + 15 * HOUR) };
        let measure = |at: i64| Measure { now: UnixTime(Y2039 + at), idle: IDLE, outages: &outages };
        assert_eq!(measure(23 * HOUR).used(idle, &main), None, "idle ends are not put off");
        let busy = Life { used: UnixTime(Y2039 + 23 * HOUR), ..idle };
        assert_eq!(measure(23 * HOUR).idle_end(busy, &main), UnixTime(Y2039 + 24 * HOUR));
        assert_eq!(measure(24 * HOUR).idle_end(busy, &main), UnixTime(Y2039 + 26 * HOUR));
        outages.set(&main, false);
        assert_eq!(measure(24 * HOUR).used(busy, &main), None, "it is back");
    }
}
