//! The one integration binary. Its module list is the list of journeys.

#![allow(clippy::unwrap_used, reason = "a test that meets a surprise ends with it")]
#![allow(unreachable_pub, reason = "modules of a test binary share their helpers")]

#[allow(dead_code, unreachable_pub, reason = "a toolbox: not every journey uses every tool")]
mod campus;

mod account;
mod app_cookies;
mod auth_age;
mod badge;
mod browser;
mod chooser;
mod cli;
mod demo;
mod documents;
mod first_visit;
mod flood;
mod floor_plan;
mod fragments;
mod headers;
mod hints;
mod kept_forms;
mod kiosk;
mod languages;
mod liars;
mod limits;
mod many_sites;
mod outage;
mod parallel;
mod parser_corpus;
mod providers;
mod reload;
mod return_targets;
mod revoked;
mod rotation;
mod scripts;
mod sessions;
mod sign_in_attacks;
mod step_up;
mod strangers;
mod streams;
mod tickets;
mod tls;
mod torture;
mod upstream;
mod vault_faults;
