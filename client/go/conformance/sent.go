package main

import (
	"context"

	"google.golang.org/grpc/stats"
)

// sentKey is the context key of the function to call when the request has been sent.
type sentKey struct{}

// sentWatch is notified by gRPC when a request has been sent.
type sentWatch struct{}

func (sentWatch) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, sent := event.(*stats.OutPayload); !sent {
		return
	}
	if cancel, wanted := ctx.Value(sentKey{}).(context.CancelFunc); wanted {
		cancel()
	}
}

func (sentWatch) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentWatch) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentWatch) HandleConn(context.Context, stats.ConnStats) {}
