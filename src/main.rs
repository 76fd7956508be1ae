//! Parses nothing and knows nothing: hands over to `cli` and sets the exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lychgate::cli::run()
}
