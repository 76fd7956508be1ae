//! The numbers the gate counts, in Prometheus form; served by the ops listener only. Made once by
//! `app` and handed to whoever counts.

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// Every metric of the gate. A test holds this list against docs/CONFIGURATION.md.
pub const NAMES: &[(&str, &str)] = &[
    ("lychgate_requests_total", "Requests, by site and by what the gate decided"),
    ("lychgate_identity_claims_total", "Identity header fields that clients sent and that were dropped"),
    ("lychgate_failures_total", "Requests the gate could not serve, by kind"),
    ("lychgate_connections", "Open TLS connections"),
    ("lychgate_connections_refused_total", "Connections closed at once because of a limit"),
    ("lychgate_handshake_failures_total", "TLS handshakes that failed or took too long"),
    ("lychgate_streams_ended_total", "Open exchanges ended because their session or admission ended"),
    ("lychgate_store_healthy", "1 while the vault can be read and written, else 0"),
    ("lychgate_certificate_expiry_seconds", "End of validity of each certificate, seconds since 1970"),
    ("lychgate_reload_failures_total", "Changes on disk that were refused, by kind"),
    ("lychgate_provider_sign_outs_total", "Logout tokens brought by providers, by client and by outcome"),
    ("lychgate_record_checks_total", "Questions to ORCID about connections, by client and by what came of them"),
    (
        "lychgate_provider_away",
        "1 while a provider cannot be reached and sessions outlive their end, else 0, by client",
    ),
    ("lychgate_simulated", "1 when sign-ins are simulated, else 0"),
];

/// The registered metrics.
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub identity_claims: IntCounter,
    pub failures: IntCounterVec,
    pub connections: IntGauge,
    pub connections_refused: IntCounter,
    pub handshake_failures: IntCounter,
    pub streams_ended: IntCounter,
    pub store_healthy: IntGauge,
    pub certificate_expiry: IntGaugeVec,
    pub reload_failures: IntCounterVec,
    pub provider_sign_outs: IntCounterVec,
    pub record_checks: IntCounterVec,
    pub provider_away: IntGaugeVec,
    pub simulated: IntGauge,
}

fn options(name: &str) -> Opts {
    let help = NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help);
    Opts::new(name, help)
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            requests: IntCounterVec::new(options("lychgate_requests_total"), &["site", "decision"])?,
            identity_claims: IntCounter::with_opts(options("lychgate_identity_claims_total"))?,
            failures: IntCounterVec::new(options("lychgate_failures_total"), &["kind"])?,
            connections: IntGauge::with_opts(options("lychgate_connections"))?,
            connections_refused: IntCounter::with_opts(options("lychgate_connections_refused_total"))?,
            handshake_failures: IntCounter::with_opts(options("lychgate_handshake_failures_total"))?,
            streams_ended: IntCounter::with_opts(options("lychgate_streams_ended_total"))?,
            store_healthy: IntGauge::with_opts(options("lychgate_store_healthy"))?,
            certificate_expiry: IntGaugeVec::new(options("lychgate_certificate_expiry_seconds"), &["names"])?,
            reload_failures: IntCounterVec::new(options("lychgate_reload_failures_total"), &["kind"])?,
            provider_sign_outs: IntCounterVec::new(
                options("lychgate_provider_sign_outs_total"),
                &["client", "outcome"],
            )?,
            record_checks: IntCounterVec::new(options("lychgate_record_checks_total"), &["client", "outcome"])?,
            provider_away: IntGaugeVec::new(options("lychgate_provider_away"), &["client"])?,
            simulated: IntGauge::with_opts(options("lychgate_simulated"))?,
            registry,
        };
        let all: [Box<dyn prometheus::core::Collector>; 14] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.identity_claims.clone()),
            Box::new(metrics.failures.clone()),
            Box::new(metrics.connections.clone()),
            Box::new(metrics.connections_refused.clone()),
            Box::new(metrics.handshake_failures.clone()),
            Box::new(metrics.streams_ended.clone()),
            Box::new(metrics.store_healthy.clone()),
            Box::new(metrics.certificate_expiry.clone()),
            Box::new(metrics.reload_failures.clone()),
            Box::new(metrics.provider_sign_outs.clone()),
            Box::new(metrics.record_checks.clone()),
            Box::new(metrics.provider_away.clone()),
            Box::new(metrics.simulated.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// The text exposition format.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_metric_is_served() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.with_label_values(&["library", "admit"]).inc();
        metrics.failures.with_label_values(&["upstream"]).inc();
        metrics.certificate_expiry.with_label_values(&["a.example"]).set(1);
        metrics.reload_failures.with_label_values(&["certificates"]).inc();
        metrics.provider_sign_outs.with_label_values(&["campus", "ended"]).inc();
        metrics.record_checks.with_label_values(&["campus", "fine"]).inc();
        metrics.provider_away.with_label_values(&["campus"]).set(0);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for (name, help) in NAMES {
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name} missing in\n{text}");
        }
    }
}
