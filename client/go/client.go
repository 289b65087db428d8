package switchboard

import (
	"context"
	"time"

	"google.golang.org/grpc"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Client is a connection to Switchboard. Any number of goroutines can share it. Its methods return errors of
// the type [*Error].
type Client struct {
	conn     *grpc.ClientConn
	address  string
	deadline time.Duration
	inject   injector
}

// WithDeadline returns a client with the same connection and another deadline for each call.
func (c *Client) WithDeadline(deadline time.Duration) *Client {
	other := *c
	other.deadline = deadline
	return &other
}

// Conn returns the connection, for generated stubs such as [pb.NewConverseServiceClient]. See [AsError] for
// their errors.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close cancels running calls and closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Text sends one prompt and returns the text of the answer. [Client.Converse] also returns the stop reason.
func (c *Client) Text(ctx context.Context, task, prompt string) (string, error) {
	response, err := c.Converse(ctx, Ask(task, prompt))
	if err != nil {
		return "", err
	}
	return Collect(response).Text(), nil
}

// Converse generates an answer and returns it when it is complete.
func (c *Client) Converse(ctx context.Context, request *pb.ConverseRequest) (*pb.ConverseResponse, error) {
	return send(ctx, c, request, pb.NewConverseServiceClient(c.conn).Converse)
}

// CountTokens counts the input tokens of a request, free of charge.
func (c *Client) CountTokens(ctx context.Context, request *pb.CountTokensRequest) (*pb.CountTokensResponse, error) {
	return send(ctx, c, request, pb.NewConverseServiceClient(c.conn).CountTokens)
}

// Tasks lists every task of the configuration and the models that serve it.
func (c *Client) Tasks(ctx context.Context) (*pb.ListTasksResponse, error) {
	return send(ctx, c, &pb.ListTasksRequest{}, pb.NewRoutingServiceClient(c.conn).ListTasks)
}

// Explain describes what a call for a task, or a request, would do now. It calls no model.
func (c *Client) Explain(ctx context.Context, request *pb.ExplainRouteRequest) (*pb.ExplainRouteResponse, error) {
	return send(ctx, c, request, pb.NewRoutingServiceClient(c.conn).ExplainRoute)
}

// RecordFeedback records feedback on the answer with the request id of its route. A later judgement by the
// same judge for the same criterion replaces the earlier one.
func (c *Client) RecordFeedback(
	ctx context.Context, feedback *pb.RecordFeedbackRequest,
) (*pb.RecordFeedbackResponse, error) {
	return send(ctx, c, feedback, pb.NewFeedbackServiceClient(c.conn).RecordFeedback)
}

// Stream generates an answer and streams it. Reading it to the end, leaving a loop over it,
// [EventStream.Close] and the end of ctx release its resources; before the end of the answer they cancel the
// call, also at Bedrock. An error of the call is returned with the first event.
func (c *Client) Stream(ctx context.Context, request *pb.ConverseRequest) (*EventStream, error) {
	ctx, cancel := c.begin(ctx)
	stream := &EventStream{cancel: cancel, call: call{ctx: ctx, address: c.address}}
	replies, err := pb.NewConverseServiceClient(c.conn).ConverseStream(ctx, request, stream.call.options()...)
	if err != nil {
		cancel()
		return nil, stream.call.failed(err)
	}
	stream.replies = replies
	return stream, nil
}

type unary[Q, R any] func(context.Context, *Q, ...grpc.CallOption) (*R, error)

func send[Q, R any](ctx context.Context, c *Client, request *Q, rpc unary[Q, R]) (*R, error) {
	ctx, cancel := c.begin(ctx)
	defer cancel()
	call := call{ctx: ctx, address: c.address}
	response, err := rpc(ctx, request, call.options()...)
	if err != nil {
		return nil, call.failed(err)
	}
	return response, nil
}

// begin adds the deadline and the trace context to the context of a call.
func (c *Client) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = c.inject.into(ctx)
	if c.deadline > 0 {
		return context.WithTimeout(ctx, c.deadline)
	}
	return context.WithCancel(ctx)
}
