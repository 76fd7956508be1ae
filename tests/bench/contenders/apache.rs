//! Apache with mod_auth_openidc: somebody is signed in at the simulator, and their iD goes on as a header.

use super::{APACHE, Contender, cookie_header};
use crate::campus::{people, temp};
use crate::process::{Process, free_port};
use crate::stage::{CLIENT, CLIENT_SECRET, Stage};
use std::process::Command;
use std::sync::Arc;

/// As Debian sets it up (the event model), without a log of requests.
const CONFIGURATION: &str = r#"
ServerRoot /usr/lib/apache2
ServerName apache.bench.example
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
LogLevel warn
Listen 127.0.0.1:{port} https
{user}
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule headers_module modules/mod_headers.so
LoadModule ssl_module modules/mod_ssl.so
LoadModule socache_shmcb_module modules/mod_socache_shmcb.so
LoadModule http2_module modules/mod_http2.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
LoadModule auth_openidc_module modules/mod_auth_openidc.so
Mutex file:{folder}
StartServers 2
ServerLimit 4
ThreadsPerChild 64
MaxRequestWorkers 256
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Protocols h2 http/1.1
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
SSLSessionCache shmcb:{folder}/sessions(512000)
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCRedirectURI https://apache.bench.example/oidc
OIDCCryptoPassphrase benchmark-benchmark-benchmark
OIDCSSLValidateServer Off
OIDCScope openid
OIDCProviderTokenEndpointAuth client_secret_post
OIDCRemoteUserClaim sub
OIDCSessionInactivityTimeout 28800
OIDCXForwardedHeaders X-Forwarded-Proto
RequestHeader set X-Forwarded-Proto https early
<Location />
    AuthType openid-connect
    Require valid-user
    ProxyPass http://{app}/ max=256
</Location>
"#;

pub async fn start(stage: &Stage) -> Contender {
    let address = free_port();
    let folder = stage.subfolder("apache");
    // Started by root, it has to give root up; and then it must be able to write here.
    let is_root = std::env::var_os("USER").is_none_or(|user| user == "root");
    if is_root {
        for place in [stage.path(), &folder] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).expect("the folder is ours");
        }
    }
    let text = CONFIGURATION
        .replace("{folder}", &folder.display().to_string())
        .replace("{user}", if is_root { "User www-data\nGroup www-data" } else { "" })
        .replace("{app}", &stage.app.to_string())
        .replace("{port}", &address.port().to_string())
        .replace("{certificate}", &stage.path().join("leaf.pem").display().to_string())
        .replace("{key}", &stage.path().join("leaf.key").display().to_string())
        .replace("{issuer}", &stage.issuer)
        .replace("{client}", CLIENT)
        .replace("{secret}", CLIENT_SECRET);
    let file = temp::write(&folder, "apache.conf", text);
    let mut command = Command::new("apache2");
    command.arg("-f").arg(file).arg("-DFOREGROUND");
    let process = Process::start(command, &folder, address);
    let url = "https://apache.bench.example/loans";
    let browser = stage.browser(address);
    let there = people::arrive(browser.open(url).await, &people::ordinary()).await;
    there.assert_status(200).assert_says("Seven.");
    Contender {
        name: APACHE,
        address,
        server: Arc::new(process),
        url: url.to_owned(),
        cookie: Some(cookie_header(&browser, url)),
    }
}
