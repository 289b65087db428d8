//! TLS with a private certificate authority and client certificates.

use crate::{
    command_line::run,
    events::*,
    fake::{Answer, Fake},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use std::{fs, path::Path};
use switchboard_client::{ErrorKind, Switchboard};
use tonic::transport::{Certificate as Pem, Identity, ServerTlsConfig};

/// Certificate authority with one certificate for the server and one for the client.
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

    /// Returns a server configuration that accepts only callers with a certificate of this authority.
    fn server_config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.server.0, &self.server.1))
            .client_ca_root(Pem::from_pem(&self.pem))
    }
}

#[tokio::test]
async fn connects_with_a_client_certificate() {
    let authority = Authority::new();
    let (pem, key) = authority.client.clone();
    let fake = Fake::with_tls(authority.server_config(), []).await;
    let options =
        Switchboard::builder(fake.address.trim_start_matches("https://")).ca_certificate(&*authority.pem);

    let client = options.client_certificate(pem, key).connect().await.unwrap();

    assert_eq!(client.tasks().await.unwrap().config_version, "c0ffee");
}

#[tokio::test]
async fn refuses_a_server_of_another_authority() {
    let fake = Fake::with_tls(Authority::new().server_config(), []).await;

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
    let fake = Fake::with_tls(authority.server_config(), [Answer::Events(says(&["Hello"]))]).await;

    let done = run(&fake.address, &["--ca", &ca, "--cert", &cert, "--key", &key, "Hi"], "").await;

    assert_eq!((done.stdout.as_str(), done.code), ("Hello\n", Some(0)), "{}", done.stderr);
}
