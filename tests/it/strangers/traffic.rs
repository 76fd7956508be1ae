//! WebSockets, long polls and event streams of an app on aiohttp: unharmed, and only for who is signed in.

use crate::campus::browser::Browser;
use crate::campus::installed::{Server, left_out, python, script};
use crate::campus::ws::{Next, WebSocket};
use crate::campus::{Campus, people};
use std::time::Duration;

const SITE: &str = r#"
[site]
name = "live"
hosts = ["live.campus.example"]
upstream = "{upstream}"

[[rule]]
access = "signed-in"

[[case]]
request = "GET /"
expect = "sign-in"
"#;
const SOON: Duration = Duration::from_secs(20);
const LIVE: &str = "https://live.campus.example";

async fn tell(browser: &Browser, news: &str) {
    let told = browser.request(http::Method::POST, &format!("{LIVE}/tell")).body(news.to_owned()).by_script_on(LIVE);
    told.send().await.assert_status(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_open_stays_unharmed_behind_the_gate() {
    if left_out() {
        return;
    }
    let server = Server::start(&python(), &[&script("strangers/serve_traffic.py")], &[]).await;
    let campus = Campus::build().site("live", &SITE.replace("{upstream}", &server.address)).open().await;
    let declined = WebSocket::open(&campus.browser(), "wss://live.campus.example/socket").await.err();
    assert_eq!(declined.expect("a guest gets none").status, 401);
    let browser = campus.browser();
    // The page that does not exist is the app's own 404: the sign-in is over by then.
    campus.sign_in(&browser, &format!("{LIVE}/"), &people::ordinary()).await.assert_status(404);

    let mut socket = WebSocket::open(&browser, "wss://live.campus.example/socket").await.expect("it opens");
    assert_eq!(socket.next(SOON).await, Some(Next::Text(format!("hello {}", people::ordinary().orcid))));
    for text in ["", "abc", "ελληνικά", &"x".repeat(200_000)] {
        assert_eq!(socket.ask(text).await, text.chars().rev().collect::<String>());
    }

    let polling = tokio::spawn(browser.get(&format!("{LIVE}/poll")).by_script_on(LIVE).send());
    tell(&browser, "something new").await;
    polling.await.unwrap().assert_status(200).assert_says("something new");

    let mut events =
        browser.get(&format!("{LIVE}/events")).header("accept", "text/event-stream").by_script_on(LIVE).stream().await;
    for number in 0..3 {
        // Each comes before the next is even known.
        tell(&browser, &format!("event {number}")).await;
        let piece = events.next(SOON).await.expect("the stream goes on");
        assert_eq!(piece, format!("data: {number} event {number}\n\n"));
    }
    campus.close().await;
}
