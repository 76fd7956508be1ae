//! Opening and closing: whose directory it is, and what is refused.

use super::bench::{Bench, JOSIAH};
use crate::vault::{Vault, VaultFault, VaultSettings};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_closed_vault_opens_again_at_once_and_says_that_it_is_closed() {
    let bench = Bench::new();
    let mut roots = Vec::new();
    for _ in 0..5 {
        let vault = bench.open();
        roots.push(bench.sign_in(&vault, JOSIAH, "openid").await.0);
        for root in &roots {
            assert!(vault.session(root).await.unwrap().is_some());
        }
        vault.healthy().await.unwrap();
        vault.close();
        vault.close();
        assert!(matches!(vault.healthy().await, Err(VaultFault::Closed)));
        assert!(matches!(vault.end_session(&roots[0]).await, Err(VaultFault::Closed)));
    }
}

#[tokio::test]
async fn a_second_gate_is_told_whose_the_directory_is_and_a_late_one_waits() {
    let bench = Bench::new();
    let vault = bench.open();
    let fault = bench.try_open().unwrap_err();
    assert!(matches!(fault, VaultFault::InUse { .. }));
    let text = fault.to_string();
    assert!(text.contains(&bench.directory().display().to_string()) && text.contains("another gate"), "{text}");
    std::thread::scope(|threads| {
        let late = threads.spawn(|| bench.try_open().map(|vault| vault.close()));
        vault.close();
        late.join().unwrap().unwrap();
    });
}

#[test]
fn a_vault_is_private_and_a_simulated_one_stays_simulated() {
    let bench = Bench::new();
    let simulated = VaultSettings { simulated: true, ..bench.settings() };
    let open = |settings: VaultSettings| Vault::open(settings, bench.clock.clone(), bench.chance.clone());
    open(simulated.clone()).unwrap().close();
    assert!(matches!(open(bench.settings()), Err(VaultFault::HoldsSimulation { .. })));
    open(simulated).unwrap().close();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.directory()), 0o700);
    assert_eq!(mode(&bench.key_file()), 0o600);
    for file in ["journal", "names", "FORMAT"] {
        assert_eq!(mode(&bench.directory().join(file)), 0o600, "{file}");
    }
}

#[test]
fn what_is_no_vault_or_a_newer_one_is_refused_untouched() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.directory()).unwrap();
    let other = bench.directory().join("thesis.tex");
    std::fs::write(&other, "x").unwrap();
    assert!(matches!(bench.try_open(), Err(VaultFault::Foreign { .. })));
    assert!(!bench.key_file().exists());
    std::fs::remove_file(other).unwrap();
    bench.open().close();
    let format = bench.directory().join("FORMAT");
    let text = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, text.replace("format 1", "format 2")).unwrap();
    assert!(matches!(bench.try_open(), Err(VaultFault::Newer { found: 2, known: 1, .. })));
    std::fs::write(&format, text).unwrap();
    bench.open().close();
}

#[tokio::test]
async fn t90_a_key_file_others_can_read_is_refused() {
    let bench = Bench::new();
    bench.open().close();
    std::fs::set_permissions(bench.key_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(bench.try_open(), Err(VaultFault::KeyFileExposed { mode: 0o644, .. })));
}

/// Making a vault can be interrupted after each of its steps.
#[test]
fn a_vault_that_was_half_made_is_finished() {
    for kept in [&["FORMAT"][..], &["FORMAT", "names"], &["FORMAT", "names", "journal"], &["lock"]] {
        let bench = Bench::new();
        bench.open().close();
        for entry in std::fs::read_dir(bench.directory()).unwrap() {
            let entry = entry.unwrap();
            if !kept.contains(&entry.file_name().to_str().unwrap()) {
                let path = entry.path();
                if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
            }
        }
        bench.open().close();
    }
}

#[tokio::test]
async fn missing_parts_of_a_used_vault_are_named() {
    for (missing, says) in [("names", "no researcher can be found again"), ("FORMAT", "no FORMAT file")] {
        let bench = Bench::new();
        let vault = bench.open();
        bench.sign_in(&vault, JOSIAH, "openid").await;
        vault.close();
        std::fs::remove_file(bench.directory().join(missing)).unwrap();
        let fault = bench.try_open().unwrap_err().to_string();
        assert!(fault.contains(says), "{fault}");
    }
}
