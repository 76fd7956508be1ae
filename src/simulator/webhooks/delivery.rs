//! One delivery: an empty POST to an address of this machine (`orcid.md` §7). Called by `run`.

use super::target::Target;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// From the connection to the head of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts nothing to `target` and says how it was answered. Neither a signature nor a name goes with it, and no
/// redirect is followed.
pub(super) async fn post(target: &Target) -> io::Result<StatusCode> {
    tokio::time::timeout(PATIENCE, send(target)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn send(target: &Target) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(target.at.as_slice()).await?;
    if !target.secure {
        return speak(stream, target).await;
    }
    let name = target.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(trusting()?)).connect(name, stream).await?;
    speak(stream, target).await
}

async fn speak<S>(stream: S, target: &Target) -> io::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let standard = if target.secure { 443 } else { 80 };
    let host = match target.port {
        port if port == standard => target.host.clone(),
        port => format!("{}:{port}", target.host),
    };
    let request = Request::post(&target.path)
        .header(header::HOST, host)
        .header(header::CONTENT_LENGTH, "0")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let carried = async {
        // How the connection ends the answer says, too.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    // The head is all we want: what follows it ends with the connection.
    tokio::select! {
        answer = sender.send_request(request) => answer.map(|answer| answer.status()).map_err(io::Error::other),
        never = carried => match never {},
    }
}

fn trusting() -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes any certificate: what answers on loopback is this machine, its authority is often made an hour ago, and
/// nothing is sent that it could not know.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
