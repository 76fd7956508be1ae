//! The spool: bytes come back as they were, nothing readable lies on the disk, room is shared fairly.

use super::file::PIECE;
use super::quota::{LEAST, UNDER_WAY_EACH, UNDER_WAY_PERSON};
use super::*;
use crate::domain::{StoppedClock, SystemChance};
use std::path::Path;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const LIMITS: SpoolLimits = SpoolLimits {
    body: 10 * MIB,
    per_browser: 2,
    per_address: 64 * MIB,
    total: 1024 * MIB,
    lifetime: Duration::from_secs(15 * 60),
};

struct Place {
    spool: Arc<Spool>,
    clock: Arc<StoppedClock>,
    directory: TempDir,
}

fn place(limits: SpoolLimits) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(StoppedClock::at(1_000));
    let spool = Spool::open(directory.path().join("spool"), limits, clock.clone(), Arc::new(SystemChance::default()));
    Place { spool: spool.unwrap(), clock, directory }
}

impl Place {
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join("spool")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn keep(&self, browser: u8, address: &str, body: &[u8]) -> Result<FormId, Refused> {
        let mut writer = self.spool.begin(&sender(browser, address), Some(body.len() as u64))?;
        for piece in body.chunks(10_000) {
            writer.append(piece)?;
        }
        writer.finish(facts())
    }
}

fn sender(browser: u8, address: &str) -> Sender<'static> {
    let key = HashedSessionKey([browser; 32]);
    Sender { browser: key, person: [browser; 16], address: address.parse().unwrap(), holds: &[] }
}

fn facts() -> FormFacts {
    FormFacts {
        site: "repository".parse().unwrap(),
        host: "repository.example".parse().unwrap(),
        target: "/deposit?draft=7".to_owned(),
        content_type: "multipart/form-data; boundary=x".to_owned(),
        referer: None,
        person: [3; 16],
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_was_kept_comes_back_byte_for_byte_whatever_its_length() {
    let place = place(LIMITS);
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17] {
        let body = noise(length);
        let id = place.keep(1, "192.0.2.1", &body).unwrap();
        assert_eq!(FormId::read(&id.to_string()), Some(id));
        let form = place.spool.find(id).unwrap();
        assert_eq!((form.size, &*form.facts), (length as u64, &facts()));
        assert!(place.spool.read(id).unwrap().unwrap() == body, "{length}");
        assert!(place.spool.take(id).is_some());
        assert!(place.spool.take(id).is_none() && place.spool.find(id).is_none(), "once");
        assert!(place.spool.read(id).unwrap().is_none());
        assert!(place.files().is_empty(), "{length}");
    }
    assert!(place.spool.quota.is_unused());
}

#[test]
fn t72_a_copy_of_the_directory_shows_nothing_and_no_byte_may_change() {
    use std::os::unix::fs::PermissionsExt;
    let place = place(LIMITS);
    let body = b"a very secret manuscript ".repeat(PIECE / 10);
    let id = place.keep(1, "192.0.2.1", &body).unwrap();
    let files = place.files();
    let [path] = files.as_slice() else { panic!("one file a form") };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
    let sealed = std::fs::read(path).unwrap();
    for word in [&b"secret"[..], b"manuscript", b"deposit", b"repository"] {
        assert!(!sealed.windows(word.len()).any(|window| window == word));
    }
    let damaged = |bytes: &[u8], what: &str| {
        std::fs::write(path, bytes).unwrap();
        assert!(place.spool.read(id).is_err(), "{what}");
    };
    let piece = sealed.len() - sealed.len() % (PIECE + 40);
    damaged(&sealed[..sealed.len() - 1], "cut");
    damaged(&sealed[..PIECE + 40], "whole pieces missing");
    for at in [0, PIECE, piece, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        damaged(&changed, "changed");
    }
    let mut swapped = sealed.clone();
    swapped[..PIECE + 40].copy_from_slice(&sealed[PIECE + 40..2 * (PIECE + 40)]);
    swapped[PIECE + 40..2 * (PIECE + 40)].copy_from_slice(&sealed[..PIECE + 40]);
    damaged(&swapped, "pieces changed places");
    std::fs::write(path, &sealed).unwrap();
    assert!(place.spool.read(id).unwrap().unwrap() == body);
}

#[test]
fn t92_a_form_is_gone_after_its_time_and_with_the_gate() {
    let place = place(LIMITS);
    let id = place.keep(1, "192.0.2.1", b"text").unwrap();
    place.clock.advance(15 * 60 - 1);
    assert!(place.spool.find(id).is_some());
    place.clock.advance(1);
    assert!(place.spool.find(id).is_none() && place.spool.read(id).unwrap().is_none());
    assert_eq!(place.files().len(), 1);
    place.spool.sweep();
    assert!(place.files().is_empty() && place.spool.quota.is_unused());

    // A crash: the file stays, the next gate removes it.
    let kept = place.keep(1, "192.0.2.1", b"text").unwrap();
    let Place { spool, clock, directory } = place;
    let left = directory.path().join("spool").join(kept.to_string());
    let text = std::fs::read(&left).unwrap();
    drop(spool);
    std::fs::write(&left, text).unwrap();
    let spool = Spool::open(directory.path().join("spool"), LIMITS, clock, Arc::new(SystemChance::default())).unwrap();
    assert!(!left.exists() && spool.find(kept).is_none());
}

#[test]
fn t92_a_form_larger_than_allowed_is_refused_announced_or_not() {
    let place = place(SpoolLimits { body: MIB, ..LIMITS });
    let announced = place.spool.begin(&sender(1, "192.0.2.1"), Some(1 << 30));
    assert!(matches!(announced, Err(Refused::TooLarge)));
    let mut writer = place.spool.begin(&sender(1, "192.0.2.1"), None).unwrap();
    for _ in 0..16 {
        writer.append(&[0; 64 * 1024]).unwrap();
    }
    assert!(matches!(writer.append(&[0]), Err(Refused::TooLarge)));
    drop(writer);
    assert!(place.files().is_empty() && place.spool.quota.is_unused(), "half a form is no form");
}

#[test]
fn the_newcomer_is_refused_and_the_older_stays() {
    let place = place(SpoolLimits { per_address: 4 * LEAST, total: 6 * LEAST, ..LIMITS });
    let small = b"x";
    let first = place.keep(1, "192.0.2.1", small).unwrap();
    place.keep(1, "192.0.2.1", small).unwrap();
    assert!(matches!(place.keep(1, "192.0.2.1", small), Err(Refused::BrowserFull)));

    // A browser with a new session is the same browser, for it holds the cookies of its forms.
    let anew = Sender { holds: &[first, FormId([0; 15])], ..sender(2, "192.0.2.9") };
    let kept = place.spool.begin(&anew, None).unwrap().finish(facts()).unwrap();
    assert!(matches!(place.spool.begin(&anew, None), Err(Refused::BrowserFull)));
    drop(place.spool.take(kept));

    place.keep(3, "192.0.2.1", &noise(2 * PIECE)).unwrap();
    assert!(matches!(place.keep(4, "192.0.2.1", small), Err(Refused::Full)), "the address has all of its own");
    place.keep(4, "2001:db8::1", small).unwrap();
    place.keep(5, "2001:db8::2", small).unwrap();
    assert!(matches!(place.keep(6, "2001:db8:9::3", small), Err(Refused::Full)), "nothing is left for anybody");
    assert!(place.spool.read(first).unwrap().is_some(), "who came first stays");
    drop(place.spool.take(first));
    place.keep(6, "2001:db8:9::3", small).unwrap();
}

#[test]
fn few_are_received_at_a_time_and_growth_is_counted() {
    let place = place(SpoolLimits { per_address: 10 * LEAST, ..LIMITS });
    let begin = |n: usize| place.spool.begin(&sender(u8::try_from(n).unwrap(), "192.0.2.1"), None);
    let mut under_way: Vec<_> = (0..UNDER_WAY_EACH).map(|n| begin(n).unwrap()).collect();
    assert!(matches!(begin(99), Err(Refused::Full)));
    under_way[0].append(&noise(3 * PIECE)).unwrap();
    assert!(matches!(under_way[1].append(&noise(2 * PIECE)), Err(Refused::Full)), "8 + 2 are taken");
    under_way.pop();
    assert!(begin(99).is_ok());
    drop(under_way);
    assert!(place.spool.quota.is_unused() && place.files().is_empty());
}

#[test]
fn t70_a_disk_that_takes_nothing_is_a_refusal() {
    let place = place(LIMITS);
    std::fs::remove_dir(place.directory.path().join("spool")).unwrap();
    assert!(matches!(place.keep(1, "192.0.2.1", b"text"), Err(Refused::Disk(_))));
    assert!(place.spool.quota.is_unused());
}

#[test]
fn t92_one_person_sends_few_at_a_time_from_wherever() {
    let place = place(LIMITS);
    let begin = |n: u8| {
        let address = format!("192.0.2.{n}");
        place.spool.begin(&Sender { person: [7; 16], ..sender(n, &address) }, None)
    };
    let mut under_way: Vec<_> = (0..UNDER_WAY_PERSON).map(|n| begin(u8::try_from(n).unwrap()).unwrap()).collect();
    assert!(matches!(begin(99), Err(Refused::Full)));
    assert!(place.keep(99, "192.0.2.99", b"of somebody else").is_ok());
    under_way.pop().unwrap().finish(facts()).unwrap();
    assert!(begin(99).is_ok());
}

#[test]
fn j7_all_forms_of_one_person_can_be_forgotten() {
    let place = place(LIMITS);
    let of = |browser: u8, person| {
        let writer = place.spool.begin(&sender(browser, "192.0.2.1"), None).unwrap();
        writer.finish(FormFacts { person, ..facts() }).unwrap()
    };
    let (one, other, foreign) = (of(1, [1; 16]), of(2, [1; 16]), of(3, [2; 16]));
    place.spool.forget([1; 16]);
    assert!(place.spool.find(one).is_none() && place.spool.find(other).is_none());
    assert!(place.spool.find(foreign).is_some());
    assert_eq!(place.files().len(), 1);
}

#[test]
fn a_spool_that_is_a_file_system_of_its_own_has_a_directory_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let lost = directory.path().join("spool/lost+found");
    std::fs::create_dir_all(&lost).unwrap();
    let chance = Arc::new(SystemChance::default());
    let spool = Spool::open(directory.path().join("spool"), LIMITS, Arc::new(StoppedClock::at(0)), chance);
    assert!(spool.is_ok() && lost.exists());
}
