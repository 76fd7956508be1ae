//! J5 on a campus with a thousand sites: one sign-in, no second trip to ORCID, and no site's ticket or session that is
//! good at another's, however its name is written (T27, T64).

use crate::campus::browser::Browser;
use crate::campus::{Campus, LIBRARY, people, raw};
use crate::sign_in_attacks::{given_session, session};
use url::Url;

const SITES: usize = 1_000;
/// Sites that are visited; every one costs a trip to the sign-in host.
const VISITED: usize = 60;

fn host(n: usize) -> String {
    format!("s{n:04}.campus.example")
}

fn page(n: usize) -> String {
    format!("https://{}/desk?n={n}", host(n))
}

async fn campus() -> Campus {
    let mut builder = Campus::build();
    for n in 0..SITES {
        let text = format!(
            "[site]\nname = \"s{n:04}\"\nhosts = [\"{}\"]\nupstream = \"{{library}}\"\n\
             [[rule]]\npaths = [\"/open\"]\naccess = \"public\"\n[[rule]]\naccess = \"signed-in\"\n",
            host(n)
        );
        builder = builder.site(&format!("s{n:04}"), &text);
    }
    builder.open().await
}

/// Pairs of different sites, spread over all of them: the same ones every time.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..VISITED).map(|at| ((at * 389 + 17) % SITES, (at * 241 + 500) % SITES)).filter(|(one, other)| one != other)
}

async fn ticket_to(browser: &Browser, n: usize) -> Url {
    let away = browser.get(&page(n)).send().await;
    let ticket = browser.get(away.assert_status(303).location().unwrap().as_str()).send().await;
    ticket.assert_status(303).location().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_thousand_sites_know_one_person_and_none_takes_what_another_was_given() {
    let campus = campus().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
    let asked = campus.simulator.calls("authorize");
    for (here, there) in pairs() {
        // A ticket for one site, brought to another: no session, for the very browser it was made for.
        browser.open(&format!("https://{}/open", host(there))).await.assert_status(200);
        let ticket = ticket_to(&browser, here).await;
        let mut elsewhere = ticket.clone();
        elsewhere.set_host(Some(&host(there))).unwrap();
        let answer = browser.get(elsewhere.as_str()).send().await;
        assert_eq!(given_session(&answer), None, "{here} to {there}\n{}", answer.story());
        // At home it is still good, once.
        browser.open(ticket.as_str()).await.assert_status(200).assert_at(&page(here));
        assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()]);
        assert_eq!(campus.library().last_request().all("host"), [host(here)]);
        // T64: the session of one is none at another, whoever puts it there.
        let own = session(&browser, &page(here)).unwrap();
        let thief = campus.browser();
        let line = format!("__Host-Http-lychgate={own}");
        let there = thief.get(&page(there)).header("cookie", &line).by_tool().send().await;
        there.assert_status(401).assert_lacks(person.orcid.as_str());
        thief.get(&page(here)).header("cookie", &line).by_tool().send().await.assert_status(200);
    }
    assert_eq!(campus.simulator.calls("authorize"), asked, "nobody went to ORCID again");
    // Signing out everywhere ends them all.
    let out = browser.open("https://gate.campus.example/.lychgate/sign-out").await;
    out.form(0).submit().await.assert_status(200);
    for (here, _) in pairs() {
        browser.get(&page(here)).by_tool().send().await.assert_status(401);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_a_host_is_the_same_site_in_every_spelling_and_no_other() {
    let campus = campus().await;
    let gate = campus.gate().addresses().gate;
    for n in (0..SITES).step_by(7) {
        let name = host(n);
        for (spelled, status) in [
            (name.clone(), 200),
            (name.to_uppercase(), 200),
            (format!("{name}:443"), 200),
            (format!("{name}."), 200),
            (format!("x{name}"), 421),
            (format!("{name}.evil.example"), 421),
            (format!("{name}, s0001.campus.example"), 400),
            (format!("user@{name}"), 400),
        ] {
            let head = format!("GET /open HTTP/1.1\r\nHost: {spelled}\r\nConnection: close\r\n\r\n");
            let said = raw::exchange(gate, &name, campus.authority.roots(), head).await;
            assert_eq!(said.status(), status, "{spelled}");
            if status == 200 {
                // The engine passes the name on as configured or as asked for: one site either way.
                let heard = campus.library().last_request();
                assert_eq!(heard.all("x-forwarded-host"), [name.as_str()], "{spelled}");
            }
        }
    }
    campus.close().await;
}
