//! `/.lychgate/arrive` on a site host: redeems a ticket (J5). Only the browser that set out with the arrival
//! cookie can; anything else is a fresh start, never a session.

use super::arrival::{ArrivalCookie, LEFT_COOKIE, Target};
use super::ticket::Ticket;
use super::{OwnRequest, SignIn, StepFault, allowing, with_cookies};
use crate::domain::ReturnTo;
use crate::pages::{self, Link, LinkLabel, Notice, Page};
use crate::policy::Site;
use crate::session::cookie;
use crate::vault::{HashedSessionKey, Mark};
use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use std::sync::Arc;

/// What to do with somebody whose ticket was looked at.
enum Landing {
    SignedIn {
        cookies: [HeaderValue; 2],
    },
    /// The ticket is no good; the page itself will begin anew, or open if they are signed in.
    FreshStart,
}

impl SignIn {
    pub(super) async fn arrive(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if request.method != Method::GET {
            // A HEAD must not spend the ticket of the GET that follows.
            return Ok(allowing(self.notice(Notice::MethodNotAllowed, Some(site), request.language), "GET"));
        }
        let parameters = request.parameters().ok();
        let text = parameters.as_ref().and_then(|parameters| parameters.get("ticket"));
        let ticket = text.and_then(|text| Ticket::open(&self.tickets, &request.host, text));
        let Some(mut arrival) = self.arrival_cookie(request) else {
            return self.without_arrival_cookie(site, request).await;
        };
        let Some(ticket) = ticket else {
            let front = ReturnTo::front_page(request.host.clone());
            return Ok(self.go(site, request, arrival, &front, Vec::new()));
        };
        let hash = arrival.hash();
        if ticket.hash != hash {
            arrival.forget_rounds();
        }
        let landing = if ticket.is_good(&site.name, hash, self.clock.now()) {
            self.redeem(site, &ticket, request).await?
        } else {
            tracing::info!(site.name = %site.name, "a ticket was late, or of another browser; beginning anew");
            Landing::FreshStart
        };
        let (target, mut cookies) = self.find_target(&ticket, request);
        let Landing::SignedIn { cookies: session } = landing else {
            return Ok(self.go(site, request, arrival, &target.unwrap_or_else(|| front(request)), cookies));
        };
        cookies.extend(session);
        cookies.push(cookie::expire(LEFT_COOKIE));
        Ok(match target {
            Some(target) => self.go(site, request, arrival, &target, cookies),
            None => self.target_lost(site, request, arrival, cookies),
        })
    }

    /// Spends the ticket, durably, and begins the session, if the root still lives.
    async fn redeem(&self, site: &Arc<Site>, ticket: &Ticket, request: &OwnRequest) -> Result<Landing, StepFault> {
        let replaces = self.sessions.authentic(request.cookies());
        if !self.vault.spend(Mark { purpose: "ticket", id: ticket.id }, ticket.mark_until()).await? {
            tracing::info!(site.name = %site.name, "a ticket was brought twice");
            return Ok(Landing::FreshStart);
        }
        // T64: a new key, whatever the browser brought along.
        let key = self.sessions.draw(&*self.chance);
        let begun = self
            .vault
            .begin_site_session(
                &HashedSessionKey(ticket.root),
                HashedSessionKey(key.hash()),
                site.name.clone(),
                request.host.clone(),
                request.agent(),
                replaces,
            )
            .await?;
        Ok(match begun {
            Some(live) => Landing::SignedIn {
                cookies: [cookie::set(cookie::SESSION, &key.text(), None), self.whose_cookie(&request.host, &live)],
            },
            None => Landing::FreshStart,
        })
    }

    /// Where the ticket leads, on this host and no other; `None` if it was too long to keep.
    fn find_target(&self, ticket: &Ticket, request: &OwnRequest) -> (Option<ReturnTo>, Vec<HeaderValue>) {
        match &ticket.target {
            Target::Here(target) => (ReturnTo::new(request.host.clone(), target).ok(), Vec::new()),
            Target::Waiting(number) => self.take_target(request, *number, ticket.hash),
            Target::TooLong => (None, Vec::new()),
        }
    }

    fn go(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        arrival: ArrivalCookie,
        to: &ReturnTo,
        mut cookies: Vec<HeaderValue>,
    ) -> Response<Bytes> {
        cookies.push(self.arrived_cookie(&request.host, arrival));
        with_cookies(self.onward(site, request, to, None), cookies)
    }

    /// Signed in, but the exact page could not be kept: says so and leads to the front page.
    fn target_lost(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        arrival: ArrivalCookie,
        mut cookies: Vec<HeaderValue>,
    ) -> Response<Bytes> {
        cookies.push(self.arrived_cookie(&request.host, arrival));
        let next = vec![Link::new(LinkLabel::FrontPage, front(request).url(self.port()))];
        let site = Some(self.site_view(site));
        let page = Page::Notice { notice: Notice::ReturnTargetLost, incident: None, next, site };
        with_cookies(self.show(request, &page), cookies)
    }

    /// No arrival cookie: cookies are off, or the link was opened in another browser. Sending such a
    /// visitor to sign in again would go on for ever (B8), and a session would be somebody else's.
    async fn without_arrival_cookie(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
    ) -> Result<Response<Bytes>, StepFault> {
        let front = front(request).url(self.port());
        if self.visitor(request).await?.is_some() {
            return Ok(pages::redirect(&front));
        }
        let next = vec![Link::new(LinkLabel::StartAgain, front)];
        let site = Some(self.site_view(site));
        Ok(self.show(request, &Page::Notice { notice: Notice::CookiesMissing, incident: None, next, site }))
    }
}

fn front(request: &OwnRequest) -> ReturnTo {
    ReturnTo::front_page(request.host.clone())
}
