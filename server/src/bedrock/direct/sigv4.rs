//! Signature Version 4, of the one kind of request that goes out here: a POST without a query, with four headers at most to
//! sign.
//!
//! AWS's signer is made for every request: for each it sorts, cleans and encodes what here always is the same, and derives
//! the key of the day anew. That was a fifth of what a call cost. Its derivation and its HMAC are used as they are; all of it
//! is the oracle of the tests.
use super::{
    auth::Scope,
    endpoint::{JSON, Place, canonical},
};
use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_types::date_time::{DateTime, Format};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use sha2::{Digest as _, Sha256};
use std::{
    error::Error,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Access keys, and what was derived from them.
pub(super) struct Keys {
    keys: Credentials,
    /// For temporary keys.
    token: Option<HeaderValue>,
    of_the_day: RwLock<Vec<DayKey>>,
}

/// What requests of one day to one place are signed with.
struct DayKey {
    day: String,
    scope: Scope,
    key: Arc<[u8]>,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(keys: Credentials) -> Result<Self, InvalidHeaderValue> {
        let token = keys.session_token().map(secret).transpose()?;
        Ok(Self { keys, token, of_the_day: RwLock::default() })
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> &str {
        self.keys.access_key_id()
    }

    /// The headers that prove a request to be ours. What a proxy may change is not signed; AWS asks for the host alone.
    pub(super) fn sign(
        &self,
        place: &Place,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
        let time = timestamp(now)?;
        let day = time.get(..8).unwrap_or_default();
        let scope = [day, &place.scope.region, &place.scope.service, "aws4_request"].join("/");
        let (names, before_token, token) = match &self.token {
            Some(token) => {
                let names = "content-type;host;x-amz-date;x-amz-security-token";
                (names, "\nx-amz-security-token:", token.to_str()?)
            }
            None => ("content-type;host;x-amz-date", "", ""),
        };
        let request = [
            "POST\n",
            &canonical(path),
            "\n\ncontent-type:",
            JSON,
            "\nhost:",
            place.host(),
            "\nx-amz-date:",
            &time,
            before_token,
            token,
            "\n\n",
            names,
            "\n",
            &hex::encode(Sha256::digest(body)),
        ];
        let request = hex::encode(Sha256::digest(request.concat()));
        let to_sign = ["AWS4-HMAC-SHA256", &time, &scope, &request].join("\n");
        let signature = calculate_signature(self.of_the_day(day, &place.scope, now), to_sign.as_bytes());
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
        headers.insert(AUTHORIZATION, secret(&authorization.concat())?);
        headers.extend(self.token.clone().map(|token| (TOKEN, token)));
        Ok(headers)
    }

    fn of_the_day(&self, day: &str, scope: &Scope, now: SystemTime) -> Arc<[u8]> {
        let known = self.of_the_day.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.iter().find(|known| known.day == day && known.scope == *scope) {
            return Arc::clone(&known.key);
        }
        drop(known);
        let Scope { region, service } = scope;
        let derived = generate_signing_key(self.keys.secret_access_key(), now, region, service);
        let key: Arc<[u8]> = derived.as_ref().into();
        let mut known = self.of_the_day.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.day == day && known.scope != *scope);
        known.push(DayKey { day: day.to_owned(), scope: scope.clone(), key: Arc::clone(&key) });
        key
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys") // never one of them
    }
}

/// As signatures have it: `20261123T094500Z`.
fn timestamp(now: SystemTime) -> Result<String, Box<dyn Error + Send + Sync>> {
    let now = DateTime::from_secs(DateTime::from(now).secs()); // without its fraction
    let mut text = now.fmt(Format::DateTime)?;
    text.retain(|sign| sign.is_ascii_alphanumeric());
    Ok(text)
}

fn secret(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
        sign::v4,
    };
    use proptest::prelude::*;
    use std::{collections::BTreeMap, time::Duration};

    fn by_aws(
        keys: &Credentials,
        place: &Place,
        path: &str,
        body: &[u8],
        now: SystemTime,
    ) -> BTreeMap<String, String> {
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(&place.scope.region);
        let params = params.name(&place.scope.service).time(now).settings(settings).build();
        let params = SigningParams::V4(params.expect("is all"));
        let headers = [("content-type", JSON), ("host", place.host())].into_iter();
        let request = SignableRequest::new("POST", path, headers, SignableBody::Bytes(body));
        let signed = sign(request.expect("is a request"), &params).expect("signs");
        let (headers, _) = signed.into_parts().0.into_parts();
        headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect()
    }

    proptest! {
        #[test]
        fn signatures_are_those_of_awss_signer(
            base in prop::sample::select(vec!["", "/", "/a/proxy/", "/a//b/./c/../d", "/..", "/a%20b/c:d@e+f=g"]),
            model in "[ -~]{1,40}|\\.{1,3}",
            body in prop::collection::vec(any::<u8>(), 0..200),
            token in prop::option::of("[A-Za-z0-9+/=]{0,80}"),
            seconds in prop::collection::vec(0_u64..200_000, 1..4),
        ) {
            let credentials = Credentials::new("AKID", "SECRET", token, None, "test");
            let keys = Keys::new(credentials.clone()).expect("can stand in headers");
            for (region, seconds) in ["us-east-1", "eu-west-1", "us-east-1"].into_iter().zip(seconds) {
                let scope = Scope { region: region.to_owned(), service: "bedrock".to_owned() };
                let url = format!("http://127.0.0.1:8080{base}");
                let place = Place::at(&url, scope, region).expect("is a place");
                let path = place.path(super::super::Operation::Converse, &model).expect("has an id");
                let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_500 + seconds * 1000);
                let ours = keys.sign(&place, &path, &body, now).expect("signs");
                let ours = ours.iter().map(|(name, value)| {
                    (name.as_str().to_owned(), value.to_str().expect("is text").to_owned())
                });
                prop_assert_eq!(ours.collect::<BTreeMap<_, _>>(), by_aws(&credentials, &place, &path, &body, now));
            }
        }
    }

    #[test]
    fn a_key_is_derived_once_a_day_for_each_place() {
        let keys = Keys::new(Credentials::new("AKID", "SECRET", None, None, "test")).expect("are keys");
        let scope = |region: &str| Scope { region: region.to_owned(), service: "bedrock".to_owned() };
        let of = |day, region| keys.of_the_day(day, &scope(region), SystemTime::UNIX_EPOCH);
        let here = of("20261123", "us-east-1");
        assert!(!Arc::ptr_eq(&here, &of("20261123", "eu-west-1")));
        assert!(Arc::ptr_eq(&here, &of("20261123", "us-east-1")));
        assert!(!Arc::ptr_eq(&here, &of("20261124", "us-east-1")));
        assert_eq!(keys.of_the_day.read().expect("is whole").len(), 1, "yesterday's are gone");
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_before_any_request() {
        let keys = Keys::new(Credentials::new("AKID", "SECRET", Some("TO\nKEN".to_owned()), None, "test"));
        assert!(keys.is_err());
    }
}
