//! Small writes of one answer joined into one record and one send.
//!
//! The engine writes head and body of an answer apart, and a stream of TLS makes of every write a record
//! and a system call of its own. It asks for a flush wherever somebody waits for bytes: after interim
//! answers, after a head without `Content-Length`, after each piece of such a body, and at every end.
//! Between those, a few KiB may be held. What is held never waits for a peer: it also leaves when there
//! is nothing to read, which is when the engine waits for an app that announced more than it has sent.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are held at most; longer writes take what is held along with them.
const MOST_HELD: usize = 4 * 1024;

/// A stream whose small writes are held until a flush, a longer write, or a read that finds nothing.
pub(super) struct Coalesced<S> {
    inner: S,
    /// Empty and without memory whenever nothing is under way: open connections are many.
    held: Vec<u8>,
    /// `false`: every write is passed on as it is.
    holds: bool,
}

impl<S> Coalesced<S> {
    /// `holds` is for HTTP/1.1; over h2 the engine joins the frames by itself.
    pub(super) fn new(inner: S, holds: bool) -> Self {
        Self { inner, held: Vec::new(), holds }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }

    pub(super) fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<S: AsyncWrite + Unpin> Coalesced<S> {
    fn may_hold(&self, more: usize) -> bool {
        self.holds && self.held.len() + more <= MOST_HELD
    }

    /// Writes what is held, and as much of `next` as goes along with it; returns how much of `next` did.
    fn poll_send_held(&mut self, cx: &mut Context<'_>, next: &[u8]) -> Poll<io::Result<usize>> {
        while !self.held.is_empty() {
            let both = [IoSlice::new(&self.held), IoSlice::new(next)];
            let sent = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &both))?;
            match sent.checked_sub(self.held.len()) {
                Some(of_next) => {
                    self.held = Vec::new();
                    return Poll::Ready(Ok(of_next));
                }
                None if sent == 0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                None => drop(self.held.drain(..sent)),
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_pending() && !self.held.is_empty() {
            // Still pending is no fault: the task is woken when there is room, and comes back here.
            if let Poll::Ready(flushed) = self.as_mut().poll_flush(cx) {
                flushed?;
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.may_hold(buf.len()) {
            self.held.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        match ready!(self.poll_send_held(cx, buf))? {
            0 => Pin::new(&mut self.inner).poll_write(cx, buf),
            sent => Poll::Ready(Ok(sent)),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        if self.may_hold(offered) {
            bufs.iter().for_each(|buf| self.held.extend_from_slice(buf));
            return Poll::Ready(Ok(offered));
        }
        ready!(self.poll_send_held(cx, &[]))?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_held(cx, &[]))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send_held(cx, &[]))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::VecDeque;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A stream without input that takes at most so many bytes for each write, `None` being once pending.
    #[derive(Default)]
    struct Recorder {
        takes: VecDeque<Option<usize>>,
        writes: Vec<Vec<u8>>,
        shut: bool,
    }

    impl AsyncRead for Recorder {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Recorder {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            match self.takes.pop_front().unwrap_or(Some(usize::MAX)) {
                None => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(most) => bytes.truncate(most),
            }
            self.writes.push(bytes.clone());
            Poll::Ready(Ok(bytes.len()))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shut = true;
            Poll::Ready(Ok(()))
        }
    }

    fn stream(takes: &[Option<usize>]) -> Coalesced<Recorder> {
        Coalesced::new(Recorder { takes: takes.iter().copied().collect(), ..Recorder::default() }, true)
    }

    #[tokio::test]
    async fn a_head_and_its_small_body_leave_in_one_write_at_the_flush() {
        let mut stream = stream(&[]);
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        assert!(stream.get_ref().writes.is_empty());
        stream.flush().await.unwrap();
        assert_eq!(stream.get_ref().writes, [b"headbody"]);
        assert_eq!(stream.held.capacity(), 0, "an idle connection holds memory");
    }

    #[tokio::test]
    async fn a_long_write_takes_along_what_is_held() {
        let mut stream = stream(&[]);
        let body = vec![b'b'; MOST_HELD];
        stream.write_all(b"head").await.unwrap();
        stream.write_all(&body).await.unwrap();
        assert_eq!(stream.get_ref().writes, [[b"head".as_slice(), &body].concat()]);
    }

    #[tokio::test]
    async fn whatever_the_stream_takes_at_a_time_all_bytes_leave_in_order() {
        let (head, body) = (vec![b'h'; 300], vec![b'b'; 3 * MOST_HELD]);
        let whole = [head.as_slice(), &body, b"end"].concat();
        for takes in [
            vec![None, Some(1), None, Some(298), Some(1)],
            vec![Some(300), None, Some(5000)],
            vec![Some(301), Some(1), None, None],
            vec![Some(299), None, Some(2)],
        ] {
            let mut stream = stream(&takes);
            stream.write_all(&head).await.unwrap();
            stream.write_all(&body).await.unwrap();
            stream.write_all(b"end").await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(stream.get_ref().writes.concat(), whole, "{takes:?}");
            assert!(stream.get_ref().shut);
        }
    }

    #[tokio::test]
    async fn vectored_writes_keep_their_place() {
        let mut stream = stream(&[Some(2)]);
        let long = vec![b'l'; MOST_HELD];
        stream.write_all(b"one").await.unwrap();
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"t"), IoSlice::new(b"wo")]).await.unwrap(), 3);
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(&long)]).await.unwrap(), MOST_HELD + 1);
        assert_eq!(stream.get_ref().writes.concat(), [b"onetwox".as_slice(), &long].concat());
    }

    #[tokio::test]
    async fn held_bytes_leave_when_there_is_nothing_to_read() {
        let mut stream = stream(&[None]);
        stream.write_all(b"an announced body, begun").await.unwrap();
        let waiting = std::future::poll_fn(|cx| {
            let mut room = [0; 1];
            let mut reading = std::pin::pin!(stream.read(&mut room));
            let read = reading.as_mut().poll(cx);
            drop(read);
            if stream.held.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        waiting.await;
        assert_eq!(stream.get_ref().writes, [b"an announced body, begun"]);
    }

    #[tokio::test]
    async fn a_stream_that_takes_nothing_is_a_fault() {
        let mut stream = stream(&[Some(0)]);
        stream.write_all(b"held").await.unwrap();
        assert_eq!(stream.flush().await.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    #[tokio::test]
    async fn over_h2_writes_pass_as_they_are() {
        let mut stream = Coalesced::new(Recorder::default(), false);
        stream.write_all(b"frame").await.unwrap();
        assert_eq!(stream.get_ref().writes, [b"frame"]);
    }
}
