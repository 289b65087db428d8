package switchboard

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// injector writes the trace context of a context to headers.
type injector func(ctx context.Context, headers traceHeaders)

// WithPropagator sends the trace context of each call's context, in the format of this propagator:
//
//	switchboard.WithPropagator(otel.GetTextMapPropagator())
//
// It accepts every propagator of OpenTelemetry. C is propagation.TextMapCarrier, which the compiler infers,
// so that this package does not depend on a version of OpenTelemetry.
func WithPropagator[C any](propagator interface {
	Inject(ctx context.Context, carrier C)
}) Option {
	return func(o *options) {
		if _, fits := any(traceHeaders{}).(C); !fits {
			o.fail("the propagator wants a carrier that is not OpenTelemetry's TextMapCarrier")
			return
		}
		o.inject = func(ctx context.Context, headers traceHeaders) {
			if carrier, fits := any(headers).(C); fits {
				propagator.Inject(ctx, carrier)
			}
		}
	}
}

// traceHeaders implements OpenTelemetry's TextMapCarrier.
type traceHeaders map[string]string

// Get returns a header.
func (h traceHeaders) Get(key string) string { return h[key] }

// Set sets a header.
func (h traceHeaders) Set(key, value string) { h[key] = value }

// Keys returns the names of the headers, in no particular order.
func (h traceHeaders) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

func (inject injector) into(ctx context.Context) context.Context {
	if inject == nil {
		return ctx
	}
	headers := traceHeaders{}
	inject(ctx, headers)
	for key, value := range headers {
		ctx = metadata.AppendToOutgoingContext(ctx, key, value)
	}
	return ctx
}
