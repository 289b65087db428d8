package switchboard

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// injector writes the trace of a context into headers.
type injector func(ctx context.Context, headers traceHeaders)

// WithPropagator sends the trace of each call's context along, as this propagator writes it:
//
//	switchboard.WithPropagator(otel.GetTextMapPropagator())
//
// Any of OpenTelemetry's propagators will do; C is its propagation.TextMapCarrier, found by the compiler. So this package
// needs no OpenTelemetry, and every version of it fits.
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

// traceHeaders is what OpenTelemetry calls a TextMapCarrier.
type traceHeaders map[string]string

// Get returns a header as it was set.
func (h traceHeaders) Get(key string) string { return h[key] }

// Set adds a header, or replaces it.
func (h traceHeaders) Set(key, value string) { h[key] = value }

// Keys lists the headers, in no order.
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
