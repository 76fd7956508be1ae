//! Nothing measured: the contenders are opened and left standing, for whoever wants to look at one with a profiler.

use crate::contenders;
use crate::stage::Stage;
use std::io::Read;

/// Prints a line for each contender, with its process and how to ask it, and waits for the end of stdin.
pub async fn run() {
    let stage = Stage::set();
    let contenders = contenders::few(&stage).await;
    crate::say(format_args!("folder {}, app {}", stage.path().display(), stage.app));
    for contender in &contenders {
        crate::say(format_args!(
            "{}: process {}; h2load --connect-to={} -H 'cookie: {}' {}",
            contender.name,
            contender.server.pid(),
            contender.address,
            contender.cookie.as_deref().unwrap_or_default(),
            contender.url
        ));
    }
    tokio::task::block_in_place(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    });
}
