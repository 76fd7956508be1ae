//! WebSockets that outlive a session whose time was up, where their site grants it (F15): an app that computes for an
//! afternoon keeps its page. Whatever the person ends, ends them too; in all orders in `vault/tests/lapsed.rs`.

use super::{PROMISED, SOCKET, SOON, assert_cut, sign_out};
use crate::app_cookies::forget_orcid;
use crate::campus::browser::Browser;
use crate::campus::legacy_app::Behaviour;
use crate::campus::ws::{Next, WebSocket};
use crate::campus::{Campus, LIBRARY, SIGN_IN, people};
use crate::sign_in_attacks::{TODAY, start_of, through_orcid};
use lychgate::domain::StoppedClock;
use std::sync::Arc;

const HOUR: i64 = 3600;
const PATIENT: &str = "https://notebooks.campus.example";
const SITE: &str = r#"
[site]
name = "notebooks"
hosts = ["notebooks.campus.example"]
upstream = "{notebooks}"
websocket_grace = "2h"

[[rule]]
name = "publish"
paths = ["/publish"]
access = "signed-in"
scopes = ["/activities/update"]
why = "Notebooks become works of your record."

[[rule]]
access = "signed-in"
researchers = [{ file = "notebooks.txt" }]
"#;

struct Afternoon {
    clock: Arc<StoppedClock>,
    campus: Campus,
}

impl Afternoon {
    async fn open() -> Self {
        let clock = Arc::new(StoppedClock::at(TODAY));
        let listed = format!("{}\n{}\n", people::ordinary().orcid, people::from_afar().orcid);
        let campus = Campus::build().clock(clock.clone()).site("notebooks", SITE);
        let campus = campus.file("policies/notebooks.txt", &listed).open().await;
        campus.app("notebooks").on("/live", Behaviour::WebSocketEcho);
        Self { clock, campus }
    }

    async fn signed_in(&self) -> Browser {
        let browser = self.campus.browser();
        self.sign_in(&browser, &people::ordinary()).await;
        browser
    }

    async fn sign_in(&self, browser: &Browser, person: &people::Person) {
        self.campus.sign_in(browser, &format!("{PATIENT}/"), person).await.assert_status(200);
    }

    async fn socket(&self, browser: &Browser) -> WebSocket {
        let mut socket = WebSocket::open(browser, "wss://notebooks.campus.example/live").await.expect("signed in");
        assert_eq!(socket.ask("1 + 1").await, "1 + 1");
        socket
    }

    /// From now on only these may use the notebooks.
    fn list(&self, people: &str) {
        std::fs::write(self.campus.folder().join("policies/notebooks.txt"), people).unwrap();
        tokio::task::block_in_place(|| self.campus.gate().reload());
    }

    async fn close(self) {
        self.campus.close().await;
    }
}

async fn assert_stays(socket: &mut WebSocket) {
    assert_eq!(socket.next(PROMISED).await, None, "nothing was said");
    assert_eq!(socket.ask("still there?").await, "still there?");
}

async fn assert_ended(socket: &mut WebSocket) {
    assert_eq!(socket.next(PROMISED).await, Some(Next::Closed(Some(1008))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_websocket_outlives_a_session_whose_time_was_up_for_so_long_and_nothing_else_does() {
    let day = Afternoon::open().await;
    let browser = day.signed_in().await;
    let mut patient = day.socket(&browser).await;
    // The library grants nothing, and other open exchanges are no WebSockets, whatever they ask for.
    browser.open(&format!("{LIBRARY}/loans")).await.assert_status(200);
    day.campus.library().on("/live", Behaviour::WebSocketEcho);
    let mut strict = WebSocket::open(&browser, SOCKET).await.expect("signed in");
    assert_eq!(strict.ask("a").await, "a");
    let push = day.campus.app("notebooks").stream("/events");
    let page = format!("{PATIENT}/");
    let request = browser.get(&format!("{PATIENT}/events")).by_script_on(&page).header("accept", "text/event-stream");
    let mut stream = request.header("connection", "upgrade").header("upgrade", "websocket").stream().await;
    push.send(b"data: 1\n\n".to_vec()).await.unwrap();
    assert_eq!(stream.next(SOON).await.unwrap(), "data: 1\n\n");

    day.clock.advance(8 * HOUR);
    assert_ended(&mut strict).await;
    assert_cut(stream.try_next(PROMISED).await);
    assert_stays(&mut patient).await;
    browser.get(&page).by_script_on(&page).send().await.assert_status(401);
    day.clock.advance(2 * HOUR - 1);
    assert_stays(&mut patient).await;
    day.clock.advance(1);
    assert_ended(&mut patient).await;

    // Nor does a clock that is set back give anybody more.
    day.sign_in(&browser, &people::ordinary()).await;
    let mut patient = day.socket(&browser).await;
    day.clock.advance(8 * HOUR);
    assert_stays(&mut patient).await;
    day.clock.advance(-HOUR);
    assert_ended(&mut patient).await;
    day.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_signing_in_again_keeps_it_and_signing_out_ends_it_where_ever_that_is() {
    for last in ["here", "everywhere", "here, at once", "everywhere, at once", "somebody else"] {
        let day = Afternoon::open().await;
        let browser = day.signed_in().await;
        let mut socket = day.socket(&browser).await;
        day.clock.advance(8 * HOUR);
        assert_stays(&mut socket).await;
        if last == "somebody else" {
            // On a shared computer: whoever signs in next sees nothing of what the first one's page receives.
            forget_orcid(&day.campus, &browser);
            day.sign_in(&browser, &people::from_afar()).await;
        } else {
            if !last.ends_with("at once") {
                day.sign_in(&browser, &people::ordinary()).await;
                assert_stays(&mut socket).await;
            }
            sign_out(&browser, if last.starts_with("here") { PATIENT } else { SIGN_IN }).await;
        }
        let end = socket.next(PROMISED).await;
        assert_eq!(end, Some(Next::Closed(Some(1008))), "{last}");
        day.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_further_permission_leaves_it_open_and_being_struck_off_the_list_does_not() {
    let day = Afternoon::open().await;
    let browser = day.signed_in().await;
    let mut socket = day.socket(&browser).await;
    let publish = format!("{PATIENT}/publish");
    let page = browser.open(&publish).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &people::ordinary(), "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    connected.click("Continue").await.assert_status(200).assert_at(&publish);
    assert_stays(&mut socket).await;
    day.clock.advance(HOUR);
    day.list("");
    assert_ended(&mut socket).await;
    day.close().await;
}
