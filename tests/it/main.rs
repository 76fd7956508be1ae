//! The one integration binary. Its module list is the list of journeys.

#[allow(dead_code, unreachable_pub, reason = "a toolbox: not every journey uses every tool")]
mod campus;

mod browser;
mod cli;
mod demo;
mod first_visit;
mod floor_plan;
mod headers;
mod parser_corpus;
