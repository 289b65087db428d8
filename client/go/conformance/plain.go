package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// plain makes calls through generated stubs only.
type plain struct {
	calls    pb.ConverseServiceClient
	routes   pb.RoutingServiceClient
	feedback pb.FeedbackServiceClient
}

func newPlain(target string) (driver, error) {
	conn, err := grpc.NewClient(
		target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		dialOptions(),
	)
	if err != nil {
		return nil, err
	}
	return plain{
		calls:    pb.NewConverseServiceClient(conn),
		routes:   pb.NewRoutingServiceClient(conn),
		feedback: pb.NewFeedbackServiceClient(conn),
	}, nil
}

func (p plain) converse(c *running) reply {
	request, invalid := parse(c, &pb.ConverseRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := p.calls.Converse(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	if c.Then == "history" {
		return p.sendHistory(c, request, response.GetOutput().GetMessage())
	}
	return complete(response)
}

func (p plain) converseStream(c *running) reply {
	request, invalid := parse(c, &pb.ConverseRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	stream, err := p.calls.ConverseStream(c.ctx, request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	if c.CancelAfterEvents != nil && *c.CancelAfterEvents == 0 {
		c.cancel()
	}
	var r reply
	var text strings.Builder
	var turn joined
	for {
		event, err := stream.Recv()
		if errors.Is(c.ctx.Err(), context.Canceled) { // events that arrived before are discarded
			r.Error = decoded(status.FromContextError(c.ctx.Err()).Err())
			break
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.Error = decoded(err)
			break
		}
		r.event(event, &text)
		turn.add(event)
		if c.CancelAfterEvents != nil && len(r.Events) == *c.CancelAfterEvents {
			c.cancel()
		}
	}
	if r.Error != nil {
		return r
	}
	if c.Then == "history" {
		return p.sendHistory(c, request, turn.message())
	}
	received := text.String()
	r.Text = &received
	return r
}

func (p plain) countTokens(c *running) reply {
	request, invalid := parse(c, &pb.CountTokensRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := p.calls.CountTokens(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) listTasks(c *running) reply {
	response, err := p.routes.ListTasks(c.cancelOnceSent(), &pb.ListTasksRequest{})
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) explainRoute(c *running) reply {
	request, invalid := parse(c, &pb.ExplainRouteRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := p.routes.ExplainRoute(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) recordFeedback(c *running) reply {
	request, invalid := parse(c, &pb.RecordFeedbackRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := p.feedback.RecordFeedback(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) sendHistory(c *running, request *pb.ConverseRequest, answer *pb.Message) reply {
	response, err := p.calls.Converse(c.ctx, andNow(request, answer))
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return complete(response)
}

func complete(response *pb.ConverseResponse) reply {
	r := responded(response)
	var text strings.Builder
	for _, block := range response.GetOutput().GetMessage().GetContent() {
		text.WriteString(block.GetText())
		for _, part := range block.GetCitationsContent().GetContent() {
			text.WriteString(part.GetText())
		}
	}
	received := text.String()
	r.Text = &received
	return r
}

func decoded(err error) *failure {
	s := status.Convert(err)
	f := &failure{Code: codeNames[s.Code()], Message: s.Message()}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			f.Reason = detail.GetReason()
		case *errdetails.RetryInfo:
			f.RetryDelayMS = milliseconds(detail.GetRetryDelay().AsDuration())
		case *errdetails.RequestInfo:
			f.RequestID = detail.GetRequestId()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				f.Fields = append(f.Fields, violation.GetField())
			}
		case *pb.Route:
			attempts := len(detail.GetAttempts())
			f.Attempts = &attempts
		}
	}
	return f
}
