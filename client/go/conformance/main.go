// Command conformance is the Go driver of the conformance suite. It reads a call per line from standard input
// and writes its result as a line to standard output. The mode "layer" uses package switchboard; the mode
// "plain" uses only generated stubs and gRPC.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
)

// propagator converts spans from and to the header traceparent.
var propagator = propagation.TraceContext{}

// call is one line of input.
type call struct {
	RPC               string          `json:"rpc"`
	Request           json.RawMessage `json:"request"`
	DeadlineMS        int64           `json:"deadline_ms"`
	CancelAfterEvents *int            `json:"cancel_after_events"`
	Then              string          `json:"then"`
	// Traceparent is the span of the caller, as in the header.
	Traceparent string `json:"traceparent"`
}

// driver makes calls. The error of a call is part of the reply.
type driver interface {
	converse(*running) reply
	converseStream(*running) reply
	countTokens(*running) reply
	listTasks(*running) reply
	explainRoute(*running) reply
	recordFeedback(*running) reply
}

// running is a call that is being made.
type running struct {
	call
	ctx    context.Context
	cancel context.CancelFunc
}

func main() {
	target := flag.String("target", "", "address of Switchboard, as `HOST:PORT`")
	mode := flag.String("mode", "layer", "layer or plain")
	flag.Parse()
	if err := run(*target, *mode); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(target, mode string) error {
	driver, err := newDriver(target, mode)
	if err != nil {
		return err
	}
	lines, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var it call
		if err := json.Unmarshal(line, &it); err != nil {
			return fmt.Errorf("a line of input: %w", err)
		}
		if err := out.Encode(answer(driver, it)); err != nil {
			return err
		}
	}
}

func newDriver(target, mode string) (driver, error) {
	switch mode {
	case "layer":
		return newLayer(target)
	case "plain":
		return newPlain(target)
	default:
		return nil, fmt.Errorf("--mode %q: use layer or plain", mode)
	}
}

func answer(driver driver, it call) reply {
	span := propagation.MapCarrier{"traceparent": it.Traceparent}
	ctx, cancel := context.WithCancel(propagator.Extract(context.Background(), span))
	defer cancel()
	if it.DeadlineMS > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(it.DeadlineMS)*time.Millisecond)
		defer stop()
	}
	running := &running{call: it, ctx: ctx, cancel: cancel}
	switch it.RPC {
	case "Converse":
		return driver.converse(running)
	case "ConverseStream":
		return driver.converseStream(running)
	case "CountTokens":
		return driver.countTokens(running)
	case "ListTasks":
		return driver.listTasks(running)
	case "ExplainRoute":
		return driver.explainRoute(running)
	case "RecordFeedback":
		return driver.recordFeedback(running)
	default:
		return reply{Error: &failure{Code: "UNIMPLEMENTED", Message: "the driver has no rpc " + it.RPC}}
	}
}

// cancelOnceSent cancels a call as soon as its request has been sent, if the line requests it.
func (c *running) cancelOnceSent() context.Context {
	if c.CancelAfterEvents == nil {
		return c.ctx
	}
	return context.WithValue(c.ctx, sentKey{}, c.cancel)
}

// dialOptions returns the gRPC options that only a driver needs.
func dialOptions() grpc.DialOption { return grpc.WithStatsHandler(sentWatch{}) }
