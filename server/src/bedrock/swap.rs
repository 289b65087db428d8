//! The swap: our body into the SDK's request before it is signed, the answer's body out before the SDK reads it.
use super::failure::{failure, request_id_of};
use crate::failure::{Failure, FailureKind};
use aws_sdk_bedrockruntime::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut},
    },
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::client::{interceptors::OverriddenHooks, orchestrator::HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Puts our body into the SDK's request and takes the body out of the answer.
#[derive(Clone)]
pub(super) struct Swap {
    request: Bytes,
    answer: Arc<Mutex<Taken>>,
}

/// What came back.
#[derive(Default)]
struct Taken {
    request_id: String,
    body: Option<SdkBody>,
}

// === impl Swap ===

impl Swap {
    pub(super) fn new(request: Bytes) -> Self {
        Self { request, answer: Arc::default() }
    }

    /// The answer's body if there is one; it is there only when the status said success. The SDK's own opinion of the
    /// empty body that it got in its place does not count.
    pub(super) fn answer<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(
        &self,
        error: Option<SdkError<E, HttpResponse>>,
    ) -> Result<(String, SdkBody), Failure> {
        let mut taken = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        match (taken.body.take(), error) {
            (Some(body), _) => Ok((std::mem::take(&mut taken.request_id), body)),
            (None, Some(error)) => Err(failure(&error)),
            (None, None) => Err(Failure::new(FailureKind::Protocol, "an answer without a body")),
        }
    }
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swap") // never the prompt
    }
}

impl Intercept for Swap {
    fn name(&self) -> &'static str {
        "Swap"
    }

    /// Spares the SDK the calls of the seventeen hooks that do nothing here.
    fn overridden_hooks(&self) -> OverriddenHooks {
        OverriddenHooks::MODIFY_BEFORE_SIGNING | OverriddenHooks::MODIFY_BEFORE_DESERIALIZATION
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.request.len().to_string());
        *request.body_mut() = SdkBody::from(self.request.clone());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let response = context.response_mut();
        if response.status().is_success() {
            let request_id = request_id_of(response);
            let body = std::mem::replace(response.body_mut(), SdkBody::from("{}"));
            let mut taken = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            *taken = Taken { request_id, body: Some(body) };
        }
        Ok(())
    }
}
