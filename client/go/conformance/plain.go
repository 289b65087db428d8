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

// plain drives generated stubs alone.
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

func (p plain) converse(a *asked) reply {
	request, unread := parse(a, &pb.ConverseRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := p.calls.Converse(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	if a.Then == "history" {
		return p.goOn(a, request, response.GetOutput().GetMessage())
	}
	return whole(response)
}

func (p plain) converseStream(a *asked) reply {
	request, unread := parse(a, &pb.ConverseRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	stream, err := p.calls.ConverseStream(a.ctx, request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	if a.CancelAfterEvents != nil && *a.CancelAfterEvents == 0 {
		a.cancel()
	}
	var r reply
	var text strings.Builder
	var turn joined
	for {
		event, err := stream.Recv()
		if errors.Is(a.ctx.Err(), context.Canceled) { // what had arrived before is not wanted any more
			r.Error = decoded(status.FromContextError(a.ctx.Err()).Err())
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
		if a.CancelAfterEvents != nil && len(r.Events) == *a.CancelAfterEvents {
			a.cancel()
		}
	}
	if r.Error != nil {
		return r
	}
	if a.Then == "history" {
		return p.goOn(a, request, turn.message())
	}
	words := text.String()
	r.Text = &words
	return r
}

func (p plain) countTokens(a *asked) reply {
	request, unread := parse(a, &pb.CountTokensRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := p.calls.CountTokens(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) listTasks(a *asked) reply {
	response, err := p.routes.ListTasks(a.cancelOnceSent(), &pb.ListTasksRequest{})
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) explainRoute(a *asked) reply {
	request, unread := parse(a, &pb.ExplainRouteRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := p.routes.ExplainRoute(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) recordFeedback(a *asked) reply {
	request, unread := parse(a, &pb.RecordFeedbackRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := p.feedback.RecordFeedback(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return responded(response)
}

func (p plain) goOn(a *asked, request *pb.ConverseRequest, answer *pb.Message) reply {
	response, err := p.calls.Converse(a.ctx, andNow(request, answer))
	if err != nil {
		return reply{Error: decoded(err)}
	}
	return whole(response)
}

func whole(response *pb.ConverseResponse) reply {
	r := responded(response)
	var text strings.Builder
	for _, block := range response.GetOutput().GetMessage().GetContent() {
		text.WriteString(block.GetText())
		for _, part := range block.GetCitationsContent().GetContent() {
			text.WriteString(part.GetText())
		}
	}
	words := text.String()
	r.Text = &words
	return r
}

func decoded(err error) *failure {
	told := status.Convert(err)
	f := &failure{Code: codeNames[told.Code()], Message: told.Message()}
	for _, detail := range told.Details() {
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
