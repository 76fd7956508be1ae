//! nginx: forwarding over TLS with no sign-in at all, and with an auth subrequest to a constant answer.

use super::{Contender, NGINX, SUBREQUEST};
use crate::process::{Process, free_port};
use crate::stage::Stage;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// As Debian sets it up, but for the log of requests, which is left out: the hardest to compare with.
const CONFIGURATION: &str = r#"
worker_processes {workers};
worker_rlimit_nofile 32768;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 16384; }
http {
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_max_body_size 0;
    large_client_header_buffers 4 32k;
    ssl_session_cache shared:bench:10m;
    map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
    upstream app { server {app}; keepalive 256; keepalive_requests 100000000; }
    server {
        listen 127.0.0.1:{port} ssl http2 backlog=1024;
        server_name nginx.bench.example subrequest.bench.example;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        location / { proxy_pass http://app; }
        location /guarded/ { auth_request /auth; proxy_pass http://app; }
        location = /auth {
            internal;
            proxy_pass http://app;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
        location /sink { proxy_request_buffering off; proxy_pass http://app; }
        location /bytes/ { proxy_buffering off; proxy_pass http://app; }
    }
}
"#;

pub fn start(stage: &Stage, folder: &Path, cookie: Option<&str>, workers: usize) -> [Contender; 2] {
    let address = free_port();
    let text = CONFIGURATION
        .replace("{workers}", &workers.to_string())
        .replace("{folder}", &folder.display().to_string())
        .replace("{app}", &stage.app.to_string())
        .replace("{port}", &address.port().to_string())
        .replace("{certificate}", &stage.path().join("leaf.pem").display().to_string())
        .replace("{key}", &stage.path().join("leaf.key").display().to_string());
    let file = crate::campus::temp::write(folder, "nginx.conf", text);
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file).arg("-p").arg(folder);
    let server = Arc::new(Process::start(command, folder, address));
    let contender = |name, path: &str| Contender {
        name,
        server: server.clone(),
        address,
        url: format!("https://nginx.bench.example{path}"),
        cookie: cookie.map(str::to_owned),
    };
    [contender(NGINX, "/loans"), contender(SUBREQUEST, "/guarded/loans")]
}
