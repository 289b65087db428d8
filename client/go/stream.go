package switchboard

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// EventStream is the events of an answer, in order: the route first, the metadata last.
//
// Nothing is buffered: HTTP/2 flow control reaches from its reader to the model. A stream that just ends, without its
// metadata, ends with an error: the answer is not whole. One goroutine reads; any may close.
type EventStream struct {
	replies grpc.ServerStreamingClient[pb.ConverseStreamResponse]
	cancel  context.CancelFunc
	call    call
	whole   bool
	ended   error
}

// Recv returns the next event; [io.EOF] after the last.
func (s *EventStream) Recv() (*pb.ConverseStreamResponse, error) {
	if s.ended != nil {
		return nil, s.ended
	}
	if errors.Is(s.call.ctx.Err(), context.Canceled) {
		s.ended = cancelled() // what had arrived before is not wanted any more
		return nil, s.ended
	}
	reply, err := s.replies.Recv()
	switch {
	case err == nil:
		s.whole = s.whole || reply.GetMetadata() != nil
		return reply, nil
	case errors.Is(err, io.EOF) && s.whole:
		s.ended = io.EOF
	case errors.Is(err, io.EOF):
		s.ended = incomplete()
	default:
		s.ended = s.call.failed(err)
	}
	s.cancel()
	return nil, s.ended
}

// Events is all events, for one loop. An error is always the last item; leaving the loop closes the stream.
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

// Text is only the words, piece by piece. Where another model starts over after some were given out, they end with an error
// of the kind [KindRestarted], since words cannot be taken back: read events for such tasks.
func (s *EventStream) Text() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		wrote := false
		for event, err := range s.Events() {
			words := event.GetContentBlockDelta().GetDelta().GetText()
			switch {
			case err != nil:
			case event.GetRestart() != nil && wrote:
				err = restarted(event.GetRestart().GetReason())
			case words == "":
				continue
			}
			wrote = true
			if !yield(words, err) || err != nil {
				return
			}
		}
	}
}

// CollectMessage reads to the end and puts the pieces together.
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

// Close ends the stream; before the answer's end it cancels the call, at Bedrock too. Further calls of it do nothing.
func (s *EventStream) Close() error {
	s.cancel()
	return nil
}
