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

// call has what is needed to find out why a call failed.
type call struct {
	ctx     context.Context
	address string
	peer    peer.Peer
	trailer metadata.MD
}

func (c *call) options() []grpc.CallOption {
	return []grpc.CallOption{grpc.Peer(&c.peer), grpc.Trailer(&c.trailer)}
}

// failed converts the error of a call. A status that gRPC itself created for a failure on the client has no
// details.
func (c *call) failed(err error) *Error {
	converted, isStatus := status.FromError(err)
	if !isStatus {
		converted = status.FromContextError(err)
	}
	failure := fromStatus(converted)
	failure.cause = contextError(c.ctx, failure)
	if len(converted.Details()) > 0 || len(c.trailer) > 0 {
		return failure
	}
	switch converted.Code() {
	case codes.Canceled:
		if failure.cause != nil {
			return cancelled()
		}
		failure.Kind = KindTransport // the server reset the stream
		failure.Message = "the connection broke: " + converted.Message()
	case codes.DeadlineExceeded:
		failure.Kind, failure.Message = KindDeadline, "the deadline passed"
	case codes.Unavailable:
		if c.peer.Addr == nil {
			failure.Kind = KindConnect
			failure.Message = fmt.Sprintf("could not connect to %s: %s", c.address, converted.Message())
			break
		}
		failure.Kind = KindTransport
		failure.Message = "the connection broke: " + converted.Message()
	}
	return failure
}
