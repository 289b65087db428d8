//! AWS Signature Version 4, for the one kind of request that this engine sends: a POST without a query and
//! with at most four signed headers.
//!
//! AWS's signer supports every request. For each one it sorts, normalizes and encodes what never changes
//! here, and derives the signing key of the day again. That took a fifth of the CPU time of a call. This
//! module uses AWS's key derivation and HMAC, and the tests compare its signatures with those of the whole
//! signer.
use super::endpoint::{Endpoint, JSON, SigningScope, push_encoded};
use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::date_time::{DateTime, Format};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};
use std::{error::Error, fmt, sync::Arc, time::SystemTime};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs requests with access keys.
pub(super) struct SigV4Signer {
    keys: Credentials,
    /// Absent: the keys are permanent.
    session_token: Option<HeaderValue>,
    /// Derived keys of the current day, one for each scope.
    signing_keys: RwLock<Vec<SigningKey>>,
}

/// Key that signs all requests of one day and scope.
struct SigningKey {
    /// Date in UTC, such as `20261123`.
    day: String,
    scope: SigningScope,
    key: Arc<[u8]>,
}

// === impl SigV4Signer ===

impl SigV4Signer {
    /// Fails if the session token has characters that a header cannot hold.
    pub(super) fn new(keys: Credentials) -> Result<Self, InvalidHeaderValue> {
        let session_token = keys.session_token().map(sensitive).transpose()?;
        Ok(Self { keys, session_token, signing_keys: RwLock::default() })
    }

    #[cfg(test)]
    pub(super) fn access_key_id(&self) -> &str {
        self.keys.access_key_id()
    }

    /// Headers that authenticate one request. Headers that a proxy may change are not signed. AWS requires
    /// only `host`.
    pub(super) fn sign(
        &self,
        endpoint: &Endpoint,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
        let time = timestamp(now)?;
        let day = time.get(..8).unwrap_or_default();
        let scope = [day, &endpoint.scope.region, &endpoint.scope.service, "aws4_request"].join("/");
        let (names, token_name, token) = match &self.session_token {
            Some(token) => {
                let names = "content-type;host;x-amz-date;x-amz-security-token";
                (names, "\nx-amz-security-token:", token.to_str()?)
            }
            None => ("content-type;host;x-amz-date", "", ""),
        };
        let request = [
            "POST\n",
            &canonical_path(path),
            "\n\ncontent-type:",
            JSON,
            "\nhost:",
            endpoint.host(),
            "\nx-amz-date:",
            &time,
            token_name,
            token,
            "\n\n",
            names,
            "\n",
            &hex::encode(Sha256::digest(body)),
        ];
        let request = hex::encode(Sha256::digest(request.concat()));
        let to_sign = ["AWS4-HMAC-SHA256", &time, &scope, &request].join("\n");
        let signature = calculate_signature(self.signing_key(day, &endpoint.scope, now), to_sign.as_bytes());
        let authorization = [
            "AWS4-HMAC-SHA256 Credential=",
            self.keys.access_key_id(),
            "/",
            &scope,
            ", SignedHeaders=",
            names,
            ", Signature=",
            &signature,
        ];
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(DATE, HeaderValue::try_from(time)?);
        headers.insert(AUTHORIZATION, sensitive(&authorization.concat())?);
        headers.extend(self.session_token.clone().map(|token| (SECURITY_TOKEN, token)));
        Ok(headers)
    }

    /// Key for `day` and `scope`, derived on first use. Keys of earlier days are removed.
    fn signing_key(&self, day: &str, scope: &SigningScope, now: SystemTime) -> Arc<[u8]> {
        let keys = self.signing_keys.read();
        if let Some(known) = keys.iter().find(|known| known.day == day && known.scope == *scope) {
            return Arc::clone(&known.key);
        }
        drop(keys);
        let SigningScope { region, service } = scope;
        let derived = generate_signing_key(self.keys.secret_access_key(), now, region, service);
        let key: Arc<[u8]> = derived.as_ref().into();
        let mut keys = self.signing_keys.write();
        keys.retain(|known| known.day == day && known.scope != *scope);
        keys.push(SigningKey { day: day.to_owned(), scope: scope.clone(), key: Arc::clone(&key) });
        key
    }
}

impl fmt::Debug for SigV4Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigV4Signer") // without the keys
    }
}

/// Path as it is signed: without empty and dot segments, and with every other segment encoded once more.
fn canonical_path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 8);
    for segment in segments {
        canonical.push('/');
        push_encoded(&mut canonical, segment);
    }
    canonical
}

/// Time in the format of signatures, such as `20261123T094500Z`.
fn timestamp(now: SystemTime) -> Result<String, Box<dyn Error + Send + Sync>> {
    let now = DateTime::from_secs(DateTime::from(now).secs()); // without the fraction of a second
    let mut text = now.fmt(Format::DateTime)?;
    text.retain(|character| character.is_ascii_alphanumeric());
    Ok(text)
}

/// Header value that `Debug` does not show.
fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Method;
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
        sign::v4,
    };
    use proptest::prelude::*;
    use std::{collections::BTreeMap, time::Duration};

    /// Headers by AWS's own signer.
    fn signed_by_aws(
        keys: &Credentials,
        endpoint: &Endpoint,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> BTreeMap<String, String> {
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(&endpoint.scope.region);
        let params = params.name(&endpoint.scope.service).time(now).settings(settings).build();
        let params = SigningParams::V4(params.expect("has all parameters"));
        let headers = [("content-type", JSON), ("host", endpoint.host())].into_iter();
        let request = SignableRequest::new("POST", path, headers, SignableBody::Bytes(body));
        let signed = sign(request.expect("is a request"), &params).expect("signs");
        let (headers, _) = signed.into_parts().0.into_parts();
        headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect()
    }

    proptest! {
        #[test]
        fn signatures_equal_those_of_the_aws_signer(
            base in prop::sample::select(vec!["", "/", "/a/proxy/", "/a//b/./c/../d", "/..", "/a%20b/c:d@e+f=g"]),
            model in "[ -~]{1,40}|\\.{1,3}",
            body in prop::collection::vec(any::<u8>(), 0..200),
            token in prop::option::of("[A-Za-z0-9+/=]{0,80}"),
            seconds in prop::collection::vec(0_u64..200_000, 1..4),
        ) {
            let credentials = Credentials::new("AKID", "SECRET", token, None, "test");
            let signer = SigV4Signer::new(credentials.clone()).expect("is valid in a header");
            for (region, seconds) in ["us-east-1", "eu-west-1", "us-east-1"].into_iter().zip(seconds) {
                let scope = SigningScope { region: region.to_owned(), service: "bedrock".to_owned() };
                let url = format!("http://127.0.0.1:8080{base}");
                let endpoint = Endpoint::new(&url, scope, region).expect("is a URL");
                let path = endpoint.path(Method::Converse, &model).expect("has an id");
                let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_500 + seconds * 1000);
                let headers = signer.sign(&endpoint, &path, &body, now).expect("signs");
                let headers = headers.iter().map(|(name, value)| {
                    (name.as_str().to_owned(), value.to_str().expect("is text").to_owned())
                });
                prop_assert_eq!(headers.collect::<BTreeMap<_, _>>(), signed_by_aws(&credentials, &endpoint, &path, &body, now));
            }
        }
    }

    #[test]
    fn a_signing_key_is_derived_once_for_each_day_and_scope() {
        let signer = SigV4Signer::new(Credentials::new("AKID", "SECRET", None, None, "test"));
        let signer = signer.expect("has no token");
        let scope = |region: &str| SigningScope { region: region.to_owned(), service: "bedrock".to_owned() };
        let key = |day, region| signer.signing_key(day, &scope(region), SystemTime::UNIX_EPOCH);
        let first = key("20261123", "us-east-1");
        assert!(!Arc::ptr_eq(&first, &key("20261123", "eu-west-1")));
        assert!(Arc::ptr_eq(&first, &key("20261123", "us-east-1")));
        assert!(!Arc::ptr_eq(&first, &key("20261124", "us-east-1")));
        assert_eq!(signer.signing_keys.read().len(), 1, "keys of the day before are gone");
    }

    #[test]
    fn refuses_a_session_token_that_is_invalid_in_a_header() {
        let keys = Credentials::new("AKID", "SECRET", Some("TO\nKEN".to_owned()), None, "test");
        assert!(SigV4Signer::new(keys).is_err());
    }
}
