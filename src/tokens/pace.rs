//! [`Pace`]: when ORCID may be asked again. Its limits are counted by the second, and are not written down in one
//! place (`orcid.md` §8.7): this stays far below all of them, and falls silent when it was too much after all.

use crate::domain::UnixTime;
use std::time::Duration;

/// The first silence after an answer that asks for one; each further one is twice as long.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// So many questions a second, and silence after trouble.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u32,
    second: UnixTime,
    asked: u32,
    silent_until: Option<UnixTime>,
    /// Silences in a row.
    failures: u32,
}

impl Pace {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, second: UnixTime(i64::MIN), asked: 0, silent_until: None, failures: 0 }
    }

    /// Whether a question may be asked now; if so, it counts as asked.
    pub(super) fn may_ask(&mut self, now: UnixTime) -> bool {
        // A silence longer than any means that the clock was set back meanwhile.
        if self.silent_until.is_some_and(|until| now < until && until.since(now) <= LONGEST) {
            return false;
        }
        self.silent_until = None;
        if now != self.second {
            (self.second, self.asked) = (now, 0);
        }
        let may = self.asked < self.rate;
        self.asked += u32::from(may);
        may
    }

    /// The last question was answered.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// It was not: ORCID is away, or says that it is asked too much (429, 503). Gives how long to be silent.
    pub(super) fn unanswered(&mut self, now: UnixTime) -> Duration {
        let silence = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.be_silent(now, silence);
        silence
    }

    pub(super) fn be_silent(&mut self, now: UnixTime, silence: Duration) {
        self.silent_until = Some(now.plus(silence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, StoppedClock};

    #[test]
    fn f6_ten_thousand_connections_stay_within_the_rate() {
        for rate in [1, 3, 10] {
            let clock = StoppedClock::at(1_790_000_000);
            let mut pace = Pace::new(rate);
            let (mut left, mut seconds) = (10_000u32, 0u32);
            while left > 0 {
                let mut now = 0;
                // However often the task looks in one second.
                for _ in 0..50 {
                    if left > 0 && pace.may_ask(clock.now()) {
                        pace.answered();
                        (left, now) = (left - 1, now + 1);
                    }
                }
                assert!(now <= rate, "{now} questions in one second");
                clock.advance(1);
                seconds += 1;
            }
            assert_eq!(seconds, 10_000u32.div_ceil(rate), "and no slower than that");
        }
    }

    #[test]
    fn f14_trouble_is_followed_by_silence_that_grows_to_an_hour() {
        let clock = StoppedClock::at(1_790_000_000);
        let mut pace = Pace::new(2);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(pace.may_ask(clock.now()));
            assert_eq!(pace.unanswered(clock.now()), Duration::from_secs(minutes * 60));
            clock.advance(i64::try_from(minutes * 60).unwrap() - 1);
            assert!(!pace.may_ask(clock.now()), "{minutes}");
            clock.advance(1);
        }
        assert!(pace.may_ask(clock.now()));
        pace.answered();
        assert_eq!(pace.unanswered(clock.now()), SHORTEST, "one answer and all is well again");
        clock.advance(-86_400);
        assert!(pace.may_ask(clock.now()), "t68: a clock set back does not silence it for a day");
    }
}
