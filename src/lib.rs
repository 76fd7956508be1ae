//! Lychgate: ORCID sign-in in front of web applications that cannot do it themselves.
//!
//! An import goes down this list only (docs/ARCHITECTURE.md has the picture; `tests/it/floor_plan.rs`
//! reads the sources and says so when one goes up).

#![forbid(unsafe_code)]

// Ground floor: words.
pub mod domain;

// First floor: skills. They know `domain` and not each other.
pub mod assertion;
pub mod config;
pub mod metrics;
pub mod orcid;
pub mod pages;
pub mod policy;
pub mod small_http;
pub mod tls;
pub mod vault;

// Second floor: custody.
pub mod session;
pub mod tokens;

// Third floor: journeys.
pub mod signin;

// Fourth floor: the gate.
pub mod ops;
pub mod proxy;

// Beside the house.
#[cfg(feature = "simulator")]
pub mod simulator;

// Roof.
pub mod app;
pub mod cli;
#[cfg(feature = "simulator")]
pub mod demo;
