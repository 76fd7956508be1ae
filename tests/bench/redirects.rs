//! Whoever is not signed in costs little: a navigation that ends in the redirect to the sign-in, beside the same
//! request of somebody who is signed in.

use crate::contenders::{Contender, Gate, Log, SIGNED_IN};
use crate::load::Http;
use crate::measure::{Effort, Turn, median, ratio, rounds, turn};
use crate::report::{Figure, Table, verdict};
use crate::stage::Stage;
use std::sync::Arc;

const STRANGER: &str = "gate, nobody signed in";
/// `design.md` §7.
const MOST: f64 = 1.0;

pub async fn run(effort: &Effort) -> Vec<Table> {
    let stage = Stage::set();
    let gate = Gate::open(&stage, 2, Log::Warnings).await;
    let [_, signed_in, _] = gate.contenders();
    let stranger =
        Contender { name: STRANGER, cookie: None, server: Arc::clone(&signed_in.server), ..signed_in.clone() };
    let contenders = [signed_in, stranger];
    tokio::task::block_in_place(|| Http::USUAL.map(|http| table(&contenders, http, effort)).into())
}

fn table(contenders: &[Contender], http: Http, effort: &Effort) -> Table {
    let status = |contender: &Contender| if contender.name == SIGNED_IN { 200 } else { 303 };
    let all: Vec<Vec<Turn>> =
        rounds(contenders, effort.rounds, |contender| turn(contender, http, effort.seconds, status(contender)));
    let command = format!("bash tests/bench/run redirects --rounds {} --seconds {}", effort.rounds, effort.seconds);
    let columns = ["", "CPU a request", "÷ signed in", "requests/s", "p50", "p99"];
    let mut table = Table::new(&format!("The redirect to the sign-in over {}", http.name()), &command, &columns);
    for (contender, turns) in contenders.iter().zip(&all) {
        let middle = median(turns);
        table.row(
            contender.name,
            vec![
                Figure::new(middle.cpu_us, 1, " µs"),
                Figure::ratio(ratio(turns, &all[0])),
                Figure::new(middle.per_second, 0, ""),
                Figure::new(middle.p50_ms, 2, " ms"),
                Figure::new(middle.p99_ms, 2, " ms"),
            ],
        );
    }
    table.note(verdict("redirect ÷ signed in", ratio(&all[1], &all[0]), MOST));
    table
}
