package main

import (
	"strings"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// layer drives the layer written by hand.
type layer struct{ client *switchboard.Client }

func newLayer(target string) (driver, error) {
	client, err := switchboard.Connect(target, switchboard.WithDialOptions(dialOptions()))
	return layer{client}, err
}

func (l layer) converse(a *asked) reply {
	request, unread := parse(a, &pb.ConverseRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := l.client.Converse(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: told(err)}
	}
	collected := switchboard.Collect(response)
	if a.Then == "history" {
		return l.goOn(a, request, collected)
	}
	r := responded(response)
	r.take(collected)
	return r
}

func (l layer) converseStream(a *asked) reply {
	request, unread := parse(a, &pb.ConverseRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	var r reply
	var text strings.Builder
	var collector switchboard.Collector
	stream, err := l.client.Stream(a.ctx, request)
	if err != nil {
		return reply{Error: told(err)}
	}
	if a.CancelAfterEvents != nil && *a.CancelAfterEvents == 0 {
		a.cancel()
	}
	for event, err := range stream.Events() {
		if err != nil {
			r.Error = told(err)
			break
		}
		r.event(event, &text)
		collector.Push(event)
		if a.CancelAfterEvents != nil && len(r.Events) == *a.CancelAfterEvents {
			a.cancel()
		}
	}
	if r.Error != nil {
		return r
	}
	collected, err := collector.Finish()
	if err != nil {
		r.Error = told(err)
		return r
	}
	if a.Then == "history" {
		return l.goOn(a, request, collected)
	}
	r.take(collected)
	words := text.String() // blank words too, which the collected message leaves out
	r.Text = &words
	return r
}

func (l layer) countTokens(a *asked) reply {
	request, unread := parse(a, &pb.CountTokensRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := l.client.CountTokens(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: told(err)}
	}
	return responded(response)
}

func (l layer) listTasks(a *asked) reply {
	response, err := l.client.Tasks(a.cancelOnceSent())
	if err != nil {
		return reply{Error: told(err)}
	}
	return responded(response)
}

func (l layer) explainRoute(a *asked) reply {
	request, unread := parse(a, &pb.ExplainRouteRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := l.client.Explain(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: told(err)}
	}
	return responded(response)
}

func (l layer) recordFeedback(a *asked) reply {
	request, unread := parse(a, &pb.RecordFeedbackRequest{})
	if unread != nil {
		return reply{Error: unread}
	}
	response, err := l.client.RecordFeedback(a.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: told(err)}
	}
	return responded(response)
}

func (l layer) goOn(a *asked, request *pb.ConverseRequest, answer *switchboard.Collected) reply {
	response, err := l.client.Converse(a.ctx, andNow(request, answer.Message))
	if err != nil {
		return reply{Error: told(err)}
	}
	r := responded(response)
	r.take(switchboard.Collect(response))
	return r
}

func (r *reply) take(collected *switchboard.Collected) {
	text := collected.Text()
	r.Text, r.Message = &text, toJSON(collected.Message)
	for _, use := range collected.ToolUses() {
		r.ToolUses = append(r.ToolUses, toolUse{use.GetToolUseId(), use.GetName(), use.GetInputJson()})
	}
}

func told(err error) *failure {
	it := switchboard.AsError(err)
	if it == nil {
		return &failure{Code: "UNKNOWN", Message: err.Error()}
	}
	f := &failure{Code: codeNames[it.Code], Message: it.Message, Reason: it.ReasonText, RequestID: it.RequestID}
	if delay, ok := it.RetryAfter(); ok {
		f.RetryDelayMS = milliseconds(delay)
	}
	for _, violation := range it.FieldViolations {
		f.Fields = append(f.Fields, violation.Field)
	}
	if it.Route != nil {
		attempts := len(it.Route.GetAttempts())
		f.Attempts = &attempts
	}
	return f
}
