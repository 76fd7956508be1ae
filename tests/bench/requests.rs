//! The main table: what a request costs at each contender, over HTTP/1.1 and HTTP/2.

use crate::contenders::{self, APACHE, ASSERTED, Contender, ENGINE, NGINX, SIGNED_IN, SUBREQUEST};
use crate::load::Http;
use crate::measure::{Effort, median, ratio, rounds, turn, turns_of};
use crate::report::{Figure, Table, verdict};
use crate::stage::Stage;

pub async fn run(effort: &Effort) -> Vec<Table> {
    let stage = Stage::set();
    let contenders = contenders::all(&stage).await;
    tokio::task::block_in_place(|| Http::USUAL.map(|http| table(&contenders, http, effort)).into())
}

fn table(contenders: &[Contender], http: Http, effort: &Effort) -> Table {
    let all = rounds(contenders, effort.rounds, |contender| turn(contender, http, effort.seconds, 200));
    let command = format!("bash tests/bench/run requests --rounds {} --seconds {}", effort.rounds, effort.seconds);
    let columns = ["", "CPU a request", "÷ nginx", "÷ engine", "requests/s", "p50", "p99", "memory"];
    let mut table = Table::new(&format!("A request over {}", http.name()), &command, &columns);
    let of = |name: &str| turns_of(contenders, &all, name);
    for (contender, turns) in contenders.iter().zip(&all) {
        let middle = median(turns);
        table.row(
            contender.name,
            vec![
                Figure::new(middle.cpu_us, 1, " µs"),
                Figure::ratio(ratio(turns, of(NGINX))),
                Figure::ratio(ratio(turns, of(ENGINE))),
                Figure::new(middle.per_second, 0, ""),
                Figure::new(middle.p50_ms, 2, " ms"),
                Figure::new(middle.p99_ms, 2, " ms"),
                Figure::new(middle.memory_mib, 0, " MiB"),
            ],
        );
    }
    for (what, of_what, than, most) in [
        ("signed in ÷ nginx", SIGNED_IN, NGINX, 1.5),
        ("signed in ÷ bare engine", SIGNED_IN, ENGINE, 1.10),
        ("with assertion ÷ bare engine", ASSERTED, ENGINE, 1.15),
        ("signed in ÷ Apache", SIGNED_IN, APACHE, 0.25),
        ("signed in ÷ nginx with a subrequest", SIGNED_IN, SUBREQUEST, 0.67),
    ] {
        table.note(verdict(what, ratio(of(of_what), of(than)), most));
    }
    table
}
