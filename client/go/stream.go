package switchboard

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// EventStream has the events of a streamed answer, in order: the route is the first, the metadata the last.
//
// Nothing is buffered: HTTP/2 flow control connects the reader with the model. A stream that ends without
// metadata ends with an error, because the answer is incomplete. Only one goroutine may read; any goroutine
// may close.
type EventStream struct {
	replies  grpc.ServerStreamingClient[pb.ConverseStreamResponse]
	cancel   context.CancelFunc
	call     call
	complete bool
	ended    error
}

// Recv returns the next event; [io.EOF] after the last one.
func (s *EventStream) Recv() (*pb.ConverseStreamResponse, error) {
	if s.ended != nil {
		return nil, s.ended
	}
	if errors.Is(s.call.ctx.Err(), context.Canceled) {
		s.ended = cancelled() // events that arrived before are discarded
		return nil, s.ended
	}
	reply, err := s.replies.Recv()
	switch {
	case err == nil:
		s.complete = s.complete || reply.GetMetadata() != nil
		return reply, nil
	case errors.Is(err, io.EOF) && s.complete:
		s.ended = io.EOF
	case errors.Is(err, io.EOF):
		s.ended = incomplete()
	default:
		s.ended = s.call.failed(err)
	}
	s.cancel()
	return nil, s.ended
}

// Events returns an iterator over all events. An error is always the last item; leaving the loop closes the
// stream.
func (s *EventStream) Events() iter.Seq2[*pb.ConverseStreamResponse, error] {
	return func(yield func(*pb.ConverseStreamResponse, error) bool) {
		defer s.Close()
		for {
			event, err := s.Recv()
			if err == io.EOF || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// Text returns an iterator over the text. If another model starts over after text was returned, it ends with
// an error of the kind [KindRestarted], because the text cannot be taken back: for tasks that allow restarts,
// read the events.
func (s *EventStream) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		hasText := false
		for event, err := range s.Events() {
			text := event.GetContentBlockDelta().GetDelta().GetText()
			switch {
			case err != nil:
			case event.GetRestart() != nil && hasText:
				err = restarted(event.GetRestart().GetReason())
			case text == "":
				continue
			}
			hasText = true
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// CollectMessage reads to the end and assembles the complete answer.
func (s *EventStream) CollectMessage() (*Collected, error) {
	var collector Collector
	for event, err := range s.Events() {
		if err != nil {
			return nil, err
		}
		collector.Push(event)
	}
	return collector.Finish()
}

// Close closes the stream; before the end of the answer it cancels the call, also at Bedrock. Later calls
// have no effect.
func (s *EventStream) Close() error {
	s.cancel()
	return nil
}
