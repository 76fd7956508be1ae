//! Programs nobody here wrote: apps behind the gate, and clients of ORCID in front of the simulator. They are
//! installed by package name when a test needs them, into `target/strangers`, and run unchanged.

mod clients;
mod otterwiki;
mod samples;
mod traffic;
