package switchboard

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// call is what is remembered of a call to tell afterwards who ended it.
type call struct {
	ctx     context.Context
	address string
	peer    peer.Peer
	trailer metadata.MD
}

func (c *call) watch() []grpc.CallOption {
	return []grpc.CallOption{grpc.Peer(&c.peer), grpc.Trailer(&c.trailer)}
}

// failed says what a call ended with. gRPC makes statuses of its own for failures on this side; those have no details.
func (c *call) failed(err error) *Error {
	told, isStatus := status.FromError(err)
	if !isStatus {
		told = status.FromContextError(err)
	}
	failure := fromStatus(told)
	failure.cause = endedHere(c.ctx, failure)
	if len(told.Details()) > 0 || len(c.trailer) > 0 {
		return failure
	}
	switch told.Code() {
	case codes.Canceled:
		if failure.cause != nil {
			return cancelled()
		}
		failure.Kind = KindTransport // a stream that was reset, not by us
		failure.Message = "the connection broke: " + told.Message()
	case codes.DeadlineExceeded:
		failure.Kind, failure.Message = KindDeadline, "the deadline passed"
	case codes.Unavailable:
		if c.peer.Addr == nil {
			failure.Kind = KindConnect
			failure.Message = fmt.Sprintf("could not connect to %s: %s", c.address, told.Message())
			break
		}
		failure.Kind = KindTransport
		failure.Message = "the connection broke: " + told.Message()
	}
	return failure
}
