//! How files lie on disk at one moment, without reading them. A watch follows a folder wherever it is moved, and hears
//! nothing of a link that leads elsewhere now, nor of much that happens on a network's disk: two sights tell (T74).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Which file lies there, behind all links, and when it was last touched: device, inode, size, and the time of the last
/// change, which nobody can set back as an unpacked archive sets back the time of the last writing.
type Mark = (u64, u64, u64, i64, i64);

/// `None` where there is nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sight(BTreeMap<PathBuf, Option<Mark>>);

impl Sight {
    /// Of these files, and of a folder with what lies in it. Blocks.
    pub(super) fn of(files: impl IntoIterator<Item = PathBuf>, folder: &Path) -> Self {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mark = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
        };
        let paths = files.into_iter().chain(inside).chain([folder.to_owned()]);
        Self(paths.map(|path| (path.clone(), mark(&path))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn t74_whatever_is_changed_added_removed_or_linked_elsewhere_is_another_sight() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for release in ["41", "42"] {
            fs::create_dir(at(release)).unwrap();
            fs::write(at(release).join("site.toml"), "same").unwrap();
        }
        let list = at("list.txt");
        fs::write(&list, "a").unwrap();
        std::os::unix::fs::symlink("41", at("policies")).unwrap();
        let look = || Sight::of([list.clone()], &at("policies"));
        let mut last = look();
        assert_eq!(look(), last);
        let mut changes = |what: &str, change: &dyn Fn()| {
            // The time of a change is as fine as the kernel's tick.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change();
            let now = look();
            assert_ne!(now, last, "{what}");
            assert_eq!(look(), now, "{what}");
            last = now;
        };
        changes("a link that leads elsewhere, to the same content", &|| {
            std::os::unix::fs::symlink("42", at("new")).unwrap();
            fs::rename(at("new"), at("policies")).unwrap();
        });
        changes("a list written in its place, of the same length", &|| fs::write(&list, "b").unwrap());
        changes("a site changed", &|| fs::write(at("42/site.toml"), "else").unwrap());
        changes("a site added", &|| fs::write(at("42/new.toml"), "").unwrap());
        changes("a site removed", &|| fs::remove_file(at("42/new.toml")).unwrap());
        changes("a folder that took another's place", &|| {
            fs::rename(at("42"), at("old")).unwrap();
            fs::rename(at("41"), at("42")).unwrap();
        });
        changes("a folder that is gone", &|| fs::remove_dir_all(at("42")).unwrap());
        changes("a list that is gone", &|| fs::remove_file(&list).unwrap());
    }
}
