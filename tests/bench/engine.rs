//! The bare engine: pingora forwarding with no hook of ours, with the allocator, the profile, the TLS stack and
//! the threads of the gate. What it costs is what the gate cannot get below. Runs in a process of its own.

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream;
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

struct Bare {
    app: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.app, false, String::new());
        peer.options.idle_timeout = Some(Duration::from_secs(50));
        // WebSockets pass, as at the gate.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
        Ok(Box::new(peer))
    }
}

/// Forwards to `app` with the certificate in `folder`; prints one line of JSON with its address.
pub fn run(app: SocketAddr, folder: &Path, cores: usize) {
    let tls = Arc::new(server_config(folder));
    let first = socket();
    first.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("loopback has a free port");
    let address = first.local_addr().ok().and_then(|address| address.as_socket()).expect("a bound socket");
    let mut sockets = vec![first];
    for _ in 1..cores {
        let other = socket();
        other.bind(&address.into()).expect("the port is ours");
        sockets.push(other);
    }
    let threads: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            socket.listen(1024).expect("a bound socket can listen");
            let tls = tls.clone();
            std::thread::spawn(move || serve(socket.into(), tls, app))
        })
        .collect();
    std::thread::spawn(end_when_asked);
    super::say(format_args!("{{\"listeners\":{{\"gate\":\"{address}\"}}}}"));
    for thread in threads {
        thread.join().expect("a core does not panic");
    }
}

/// Ends the process at SIGTERM as one that is done: what is built to count its steps writes them then.
fn end_when_asked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be asked for");
        terminate.recv().await;
    });
    std::process::exit(0);
}

fn socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("sockets can be made");
    socket.set_reuse_address(true).and(socket.set_reuse_port(true)).and(socket.set_nonblocking(true)).expect("Linux");
    socket
}

fn server_config(folder: &Path) -> rustls::ServerConfig {
    let chain = CertificateDer::pem_file_iter(folder.join("leaf.pem")).expect("the harness wrote it");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("it is PEM");
    let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key")).expect("the harness wrote it");
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).expect("certificate and key belong together");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new().expect("ring makes tickets");
    config
}

fn serve(listener: std::net::TcpListener, tls: Arc<rustls::ServerConfig>, app: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
        let mut proxy = HttpProxy::new(Bare { app }, Arc::new(conf));
        proxy.handle_init_modules();
        let (proxy, acceptor) = (Arc::new(proxy), Arc::new(Acceptor::from_server_config(tls)));
        // Never stopped: the process ends.
        let (_stop, stopped) = watch::channel(false);
        let listener = tokio::net::TcpListener::from_std(listener).expect("the socket does not block");
        loop {
            let Ok((tcp, _)) = listener.accept().await else { continue };
            let (proxy, acceptor, stopped) = (proxy.clone(), acceptor.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut stream: Stream = tcp.into();
                if stream.set_nodelay().is_err() {
                    return;
                }
                if let Ok(tls) = acceptor.tls_handshake(stream).await {
                    proxy.process_new(Box::new(tls), &stopped).await;
                }
            });
        }
    });
}
