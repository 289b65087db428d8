package switchboard

import (
	"context"
	"time"

	"google.golang.org/grpc"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Client is a connection to Switchboard, for any number of goroutines. Each of its methods fails with an [*Error].
type Client struct {
	conn     *grpc.ClientConn
	address  string
	deadline time.Duration
	inject   injector
}

// WithDeadline is the same connection with another deadline for each call.
func (c *Client) WithDeadline(deadline time.Duration) *Client {
	other := *c
	other.deadline = deadline
	return &other
}

// Conn is the connection itself, for generated stubs such as [pb.NewConverseServiceClient]. Their errors are gRPC's own; see
// [AsError].
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close ends the connection, and every call that still runs on it.
func (c *Client) Close() error { return c.conn.Close() }

// Text asks one question and returns the words of the answer. [Client.Converse] also says why they ended.
func (c *Client) Text(ctx context.Context, task, prompt string) (string, error) {
	response, err := c.Converse(ctx, Ask(task, prompt))
	if err != nil {
		return "", err
	}
	return Collect(response).Text(), nil
}

// Converse asks for an answer, whole.
func (c *Client) Converse(ctx context.Context, request *pb.ConverseRequest) (*pb.ConverseResponse, error) {
	return send(ctx, c, request, pb.NewConverseServiceClient(c.conn).Converse)
}

// CountTokens counts the tokens of a request, free of charge.
func (c *Client) CountTokens(ctx context.Context, request *pb.CountTokensRequest) (*pb.CountTokensResponse, error) {
	return send(ctx, c, request, pb.NewConverseServiceClient(c.conn).CountTokens)
}

// Tasks lists every task that the configuration names, and the models that serve it.
func (c *Client) Tasks(ctx context.Context) (*pb.ListTasksResponse, error) {
	return send(ctx, c, &pb.ListTasksRequest{}, pb.NewRoutingServiceClient(c.conn).ListTasks)
}

// Explain says what a call would do now, for a task or for a whole request. It calls no model.
func (c *Client) Explain(ctx context.Context, request *pb.ExplainRouteRequest) (*pb.ExplainRouteResponse, error) {
	return send(ctx, c, request, pb.NewRoutingServiceClient(c.conn).ExplainRoute)
}

// RecordFeedback says what became of an answer, which the request id of its route names. Said again by the same judge it takes
// the place of what was said before.
func (c *Client) RecordFeedback(
	ctx context.Context, feedback *pb.RecordFeedbackRequest,
) (*pb.RecordFeedbackResponse, error) {
	return send(ctx, c, feedback, pb.NewFeedbackServiceClient(c.conn).RecordFeedback)
}

// Stream asks for an answer while it is generated. Reading it to its end, leaving a loop over it, [EventStream.Close] and the
// end of ctx all free what it holds; before the answer's end they cancel the call, at Bedrock too. What goes wrong with the
// call itself comes with the first event.
func (c *Client) Stream(ctx context.Context, request *pb.ConverseRequest) (*EventStream, error) {
	ctx, cancel := c.begin(ctx)
	stream := &EventStream{cancel: cancel, call: call{ctx: ctx, address: c.address}}
	replies, err := pb.NewConverseServiceClient(c.conn).ConverseStream(ctx, request, stream.call.watch()...)
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
	response, err := rpc(ctx, request, call.watch()...)
	if err != nil {
		return nil, call.failed(err)
	}
	return response, nil
}

// begin gives a call its deadline and its trace.
func (c *Client) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = c.inject.into(ctx)
	if c.deadline > 0 {
		return context.WithTimeout(ctx, c.deadline)
	}
	return context.WithCancel(ctx)
}
