// Command conformance drives this client for the conformance suite: one JSON request per line on standard input, one JSON
// reply per line on standard output, until the input ends. Mode "layer" calls through package switchboard, mode "plain"
// through generated stubs and gRPC alone, as other teams will.
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

	"google.golang.org/grpc"
)

// question is one line of input.
type question struct {
	RPC               string          `json:"rpc"`
	Request           json.RawMessage `json:"request"`
	DeadlineMS        int64           `json:"deadline_ms"`
	CancelAfterEvents *int            `json:"cancel_after_events"`
	Then              string          `json:"then"`
}

// driver answers questions; what a call ends with is part of the reply.
type driver interface {
	converse(*asked) reply
	converseStream(*asked) reply
	countTokens(*asked) reply
	listTasks(*asked) reply
	explainRoute(*asked) reply
	recordFeedback(*asked) reply
}

// asked is a question while it is answered.
type asked struct {
	question
	ctx    context.Context
	cancel context.CancelFunc
}

func main() {
	target := flag.String("target", "", "where Switchboard listens, as `HOST:PORT`")
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
		var it question
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
		return nil, fmt.Errorf("--mode %q: want layer or plain", mode)
	}
}

func answer(driver driver, it question) reply {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if it.DeadlineMS > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(it.DeadlineMS)*time.Millisecond)
		defer stop()
	}
	asked := &asked{question: it, ctx: ctx, cancel: cancel}
	switch it.RPC {
	case "Converse":
		return driver.converse(asked)
	case "ConverseStream":
		return driver.converseStream(asked)
	case "CountTokens":
		return driver.countTokens(asked)
	case "ListTasks":
		return driver.listTasks(asked)
	case "ExplainRoute":
		return driver.explainRoute(asked)
	case "RecordFeedback":
		return driver.recordFeedback(asked)
	default:
		return reply{Error: &failure{Code: "UNIMPLEMENTED", Message: "the driver has no rpc " + it.RPC}}
	}
}

// cancelOnceSent cancels a call as soon as its request is on its way, where the question wants that.
func (a *asked) cancelOnceSent() context.Context {
	if a.CancelAfterEvents == nil {
		return a.ctx
	}
	return context.WithValue(a.ctx, sentKey{}, a.cancel)
}

// dialOptions are those that only a driver needs.
func dialOptions() grpc.DialOption { return grpc.WithStatsHandler(sentWatch{}) }
