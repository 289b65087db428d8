package main

import (
	"strings"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// layer makes calls through package switchboard.
type layer struct{ client *switchboard.Client }

func newLayer(target string) (driver, error) {
	client, err := switchboard.Connect(target, switchboard.WithDialOptions(dialOptions()), switchboard.WithPropagator(propagator))
	return layer{client}, err
}

func (l layer) converse(c *running) reply {
	request, invalid := parse(c, &pb.ConverseRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := l.client.Converse(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	collected := switchboard.Collect(response)
	if c.Then == "history" {
		return l.sendHistory(c, request, collected)
	}
	r := responded(response)
	r.take(collected)
	return r
}

func (l layer) converseStream(c *running) reply {
	request, invalid := parse(c, &pb.ConverseRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	var r reply
	var text strings.Builder
	var collector switchboard.Collector
	stream, err := l.client.Stream(c.ctx, request)
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	if c.CancelAfterEvents != nil && *c.CancelAfterEvents == 0 {
		c.cancel()
	}
	for event, err := range stream.Events() {
		if err != nil {
			r.Error = errorOf(err)
			break
		}
		r.event(event, &text)
		collector.Push(event)
		if c.CancelAfterEvents != nil && len(r.Events) == *c.CancelAfterEvents {
			c.cancel()
		}
	}
	if r.Error != nil {
		return r
	}
	collected, err := collector.Finish()
	if err != nil {
		r.Error = errorOf(err)
		return r
	}
	if c.Then == "history" {
		return l.sendHistory(c, request, collected)
	}
	r.take(collected)
	received := text.String() // with blank text, which the collected message omits
	r.Text = &received
	return r
}

func (l layer) countTokens(c *running) reply {
	request, invalid := parse(c, &pb.CountTokensRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := l.client.CountTokens(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	return responded(response)
}

func (l layer) listTasks(c *running) reply {
	response, err := l.client.Tasks(c.cancelOnceSent())
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	return responded(response)
}

func (l layer) explainRoute(c *running) reply {
	request, invalid := parse(c, &pb.ExplainRouteRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := l.client.Explain(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	return responded(response)
}

func (l layer) recordFeedback(c *running) reply {
	request, invalid := parse(c, &pb.RecordFeedbackRequest{})
	if invalid != nil {
		return reply{Error: invalid}
	}
	response, err := l.client.RecordFeedback(c.cancelOnceSent(), request)
	if err != nil {
		return reply{Error: errorOf(err)}
	}
	return responded(response)
}

func (l layer) sendHistory(c *running, request *pb.ConverseRequest, answer *switchboard.Collected) reply {
	response, err := l.client.Converse(c.ctx, andNow(request, answer.Message))
	if err != nil {
		return reply{Error: errorOf(err)}
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

func errorOf(err error) *failure {
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
