//! TLS with a private authority, and certificates on both sides.

use crate::{
    command_line::run,
    fake::{Answer, Fake},
    words::*,
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use std::{fs, path::Path};
use switchboard_client::{ErrorKind, Switchboard};
use tonic::transport::{Certificate as Pem, Identity, ServerTlsConfig};

/// An authority that signed one certificate for the server and one for the client.
struct Authority {
    pem: String,
    server: (String, String),
    client: (String, String),
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own: Certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let sign = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        Self { pem: own.pem(), server: sign("localhost"), client: sign("caller") }
    }

    /// Accepts only callers with a certificate of this authority.
    fn demanding(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.server.0, &self.server.1))
            .client_ca_root(Pem::from_pem(&self.pem))
    }
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let authority = Authority::new();
    let (pem, key) = authority.client.clone();
    let fake = Fake::with_tls(authority.demanding(), []).await;
    let known =
        Switchboard::builder(fake.address.trim_start_matches("https://")).ca_certificate(&*authority.pem);

    let welcome = known.client_certificate(pem, key).connect().await.unwrap();

    assert_eq!(welcome.tasks().await.unwrap().config_version, "c0ffee");
}

#[tokio::test]
async fn a_stranger_of_a_server_is_not_trusted() {
    let fake = Fake::with_tls(Authority::new().demanding(), []).await;

    let error = fake.options().ca_certificate(Authority::new().pem).connect().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn the_command_line_reads_certificates_from_files() {
    let authority = Authority::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, cert, key) = (
        file("ca.pem", &authority.pem),
        file("cert.pem", &authority.client.0),
        file("key.pem", &authority.client.1),
    );
    let fake = Fake::with_tls(authority.demanding(), [Answer::Events(says(&["Hello"]))]).await;

    let done = run(&fake.address, &["--ca", &ca, "--cert", &cert, "--key", &key, "Hi"], "").await;

    assert_eq!((done.stdout.as_str(), done.code), ("Hello\n", Some(0)), "{}", done.stderr);
}
