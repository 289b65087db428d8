//! Interceptor that replaces the body of the SDK's request before it is signed, and takes the body of the
//! response before the SDK parses it.
use super::super::{
    failure::{sdk_failure, sdk_request_id},
    transport::Reply,
};
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
use parking_lot::Mutex;
use std::{error::Error, fmt, sync::Arc};

/// The bodies of one call. A clone is the interceptor; the original takes the reply afterwards.
#[derive(Clone)]
pub(super) struct BodyInterceptor {
    request: Bytes,
    /// Absent: no successful response has arrived.
    reply: Arc<Mutex<Option<Reply>>>,
}

// === impl BodyInterceptor ===

impl BodyInterceptor {
    pub(super) fn new(request: Bytes) -> Self {
        Self { request, reply: Arc::default() }
    }

    /// Takes the reply, which exists only if the status was a success. The SDK's error is then ignored: it is
    /// about the empty body that the SDK got instead.
    pub(super) fn take_reply<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(
        &self,
        error: Option<SdkError<E, HttpResponse>>,
    ) -> Result<Reply, Failure> {
        let reply = self.reply.lock().take();
        match (reply, error) {
            (Some(reply), _) => Ok(reply),
            (None, Some(error)) => Err(sdk_failure(&error)),
            (None, None) => Err(Failure::new(FailureKind::Protocol, "the response has no body")),
        }
    }
}

impl fmt::Debug for BodyInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyInterceptor") // without the prompt
    }
}

impl Intercept for BodyInterceptor {
    fn name(&self) -> &'static str {
        "BodyInterceptor"
    }

    /// Tells the SDK to skip the seventeen hooks that this interceptor does not implement.
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
            let request_id = sdk_request_id(response);
            let body = std::mem::replace(response.body_mut(), SdkBody::from("{}"));
            let reply = Reply::new(request_id, body);
            *self.reply.lock() = Some(reply);
        }
        Ok(())
    }
}
