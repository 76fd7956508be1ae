//! The bare engine, in a process of its own.

use super::{Contender, ENGINE};
use crate::process::{Process, listener, role};
use crate::stage::Stage;
use std::path::Path;
use std::sync::Arc;

pub fn start(stage: &Stage, folder: &Path, cookie: Option<String>, cores: usize) -> Contender {
    let certificate = stage.path().display().to_string();
    let command = role(&["engine", &stage.app.to_string(), &certificate, &cores.to_string()]);
    let (process, ready) = Process::announced(command, folder);
    Contender {
        name: ENGINE,
        address: listener(&ready, "gate"),
        server: Arc::new(process),
        url: "https://engine.bench.example/loans".to_owned(),
        cookie,
    }
}
