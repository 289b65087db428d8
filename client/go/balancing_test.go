package switchboard_test

// Two real Switchboards with gRPC's client-side load balancing: calls while one of the two shuts down.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // a ClientConn watches health only where this is linked in
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

const (
	// callersOfEachKind is the number of callers of Converse, and of ConverseStream. They call without pauses.
	callersOfEachKind = 4

	// inARow is the number of consecutive calls to one server after which no calls are expected at the other
	// one. With round robin over both, there are at most two.
	inARow = 30
)

// GOAWAY alone moves callers to the other server: drain_delay is not needed for it.
func TestGoawayMovesCallersToTheOtherServer(t *testing.T) {
	pair := newPair(t, "0s")
	conn := pair.balanced(`{"loadBalancingConfig": [{"round_robin": {}}]}`)

	traffic := pair.drainOneUnderLoad(conn)

	if err := pair.first.exited(); err != nil {
		t.Fatalf("the drained server: %v", err)
	}
	traffic.staysWith(pair.second)
	pair.accountFor(traffic.stop())
}

// During drain_delay the connection stays open and calls are served: here, health checks move callers to the
// other server.
func TestHealthChecksMoveCallersToTheOtherServer(t *testing.T) {
	pair := newPair(t, "10min")
	conn := pair.balanced(`{
	  "loadBalancingConfig": [{"round_robin": {}}],
	  "healthCheckConfig": {"serviceName": "switchboard.v1.ConverseService"}
	}`)

	traffic := pair.drainOneUnderLoad(conn)

	traffic.staysWith(pair.second)
	pair.accountFor(traffic.stop())
}

// pair is two servers with one simulator.
type pair struct {
	t             *testing.T
	first, second *server
}

// server is a `switchboard serve` and the calls in its log.
type server struct {
	address string
	process *exec.Cmd
	ended   chan error

	mutex  sync.Mutex
	served map[string]string // outcomes, by request id
}

// logLine has the needed members of a line of Switchboard's log.
type logLine struct {
	Message   string `json:"message"`
	Address   string `json:"address"`
	RequestID string `json:"request_id"`
	Outcome   string `json:"outcome"`
}

func newPair(t *testing.T, drainDelay string) *pair {
	t.Helper()
	// An answer takes about 300 ms, so that several calls are running when the drain starts.
	simulator := start(t, regexp.MustCompile(`listens on (http://[0-9.:]+)`), nil,
		program(t, "bedrock-sim"), "--listen", "127.0.0.1:0", "--speed", "10")
	config := filepath.Join(t.TempDir(), "switchboard.toml")
	text := fmt.Sprintf(`
[server]
drain_delay = %q

[bedrock]
region = "us-east-1"

# Tests need to see failures.
[retry]
rounds = 0

[models.haiku]
id = %q

[tasks.default]
models = ["haiku"]
`, drainDelay, fallback)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &pair{t: t, first: serve(t, config, simulator), second: serve(t, config, simulator)}
}

func serve(t *testing.T, config, simulator string) *server {
	t.Helper()
	process := exec.Command(program(t, "switchboard"), "serve", "--config", config, "--listen", "127.0.0.1:0")
	process.Env = append(os.Environ(), "AWS_ENDPOINT_URL_BEDROCK_RUNTIME="+simulator,
		"AWS_ACCESS_KEY_ID=simulated", "AWS_SECRET_ACCESS_KEY=simulated")
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{process: process, ended: make(chan error, 1), served: map[string]string{}}
	serving := make(chan string, 1)
	go func() {
		s.read(log, serving)
		s.ended <- process.Wait()
	}()
	t.Cleanup(func() { _ = process.Process.Kill() })
	select {
	case s.address = <-serving:
	case err := <-s.ended:
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(bound):
		t.Fatal("the server did not start")
	}
	return s
}

// read reads the log until the server ends.
func (s *server) read(log io.Reader, serving chan<- string) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line logLine
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Message {
		case "serving":
			serving <- line.Address
		case "call ended":
			s.mutex.Lock()
			s.served[line.RequestID] = line.Outcome
			s.mutex.Unlock()
		}
	}
}

// exited waits until the server has ended.
func (s *server) exited() error {
	select {
	case err := <-s.ended:
		return err
	case <-time.After(bound):
		return errors.New("still runs")
	}
}

// outcome returns the outcome of a call in the log. Empty: this server has not served the call.
func (s *server) outcome(requestID string) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.served[requestID]
}

func (s *server) count() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.served)
}

// balanced returns a connection to both servers. Its target has a name, because HTTP/2 requires an authority.
func (p *pair) balanced(serviceConfig string) *grpc.ClientConn {
	p.t.Helper()
	both := manual.NewBuilderWithScheme("pair")
	both.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: p.first.address}, {Addr: p.second.address}}})
	conn, err := grpc.NewClient("pair:///switchboard", grpc.WithResolvers(both), grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// drainOneUnderLoad stops the first server while it serves calls, and returns when no more calls arrive
// there.
func (p *pair) drainOneUnderLoad(conn *grpc.ClientConn) *traffic {
	p.t.Helper()
	traffic := begin(p.t, conn)
	traffic.until("calls spread over both", func() bool {
		first, second := traffic.answeredBy(p.first), traffic.answeredBy(p.second)
		return min(first, second) > 20 && max(first, second) < 2*min(first, second)
	})
	traffic.until("a running stream on the first server", func() bool { return traffic.streaming[p.first.address] > 0 })

	if err := p.first.process.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}

	traffic.until("callers move to the second server", func() bool { return traffic.lastWereBy(p.second) })
	return traffic
}

// accountFor compares the calls with the servers' logs.
func (p *pair) accountFor(calls []finished) {
	p.t.Helper()
	byAddress := map[string]*server{p.first.address: p.first, p.second.address: p.second}
	for _, call := range calls {
		server := byAddress[call.server]
		for ends := time.Now().Add(bound); server.outcome(call.requestID) == ""; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(ends) {
				p.t.Fatalf("%s is not in the log of its server: %+v", call.requestID, call)
			}
		}
		if outcome := server.outcome(call.requestID); outcome != "OK" {
			p.t.Errorf("%s was %s: %+v", call.requestID, outcome, call)
		}
	}
	if served := p.first.count() + p.second.count(); served != len(calls) {
		p.t.Errorf("callers had %d answers, and the servers served %d calls", len(calls), served)
	}
}

// finished is a successful call.
type finished struct {
	server    string
	requestID string
	text      string
}

// traffic is a group of callers.
type traffic struct {
	t       *testing.T
	calls   pb.ConverseServiceClient
	stopped chan struct{}
	callers sync.WaitGroup

	mutex     sync.Mutex
	answers   []finished
	lost      []error
	streaming map[string]int // running streams, by server
}

func begin(t *testing.T, conn *grpc.ClientConn) *traffic {
	traffic := &traffic{
		t: t, calls: pb.NewConverseServiceClient(conn), stopped: make(chan struct{}), streaming: map[string]int{},
	}
	for range callersOfEachKind {
		traffic.callers.Go(func() { traffic.repeat(traffic.converse) })
		traffic.callers.Go(func() { traffic.repeat(traffic.converseStream) })
	}
	return traffic
}

func (c *traffic) repeat(call func(context.Context) (finished, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*bound)
	defer cancel()
	for {
		select {
		case <-c.stopped:
			return
		default:
		}
		answer, err := call(ctx)
		c.mutex.Lock()
		if err == nil {
			c.answers = append(c.answers, answer)
		} else {
			c.lost = append(c.lost, err)
		}
		c.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

var question = switchboard.Ask(switchboard.TaskDefault, "Who answers?")

func (c *traffic) converse(ctx context.Context) (finished, error) {
	var server peer.Peer
	response, err := c.calls.Converse(ctx, question, grpc.Peer(&server))
	if err != nil {
		return finished{}, err
	}
	return answered(server.Addr.String(), switchboard.Collect(response)), nil
}

func (c *traffic) converseStream(ctx context.Context) (finished, error) {
	events, err := c.calls.ConverseStream(ctx, question)
	if err != nil {
		return finished{}, err
	}
	var collector switchboard.Collector
	var server string
	for {
		event, err := events.Recv()
		switch {
		case errors.Is(err, io.EOF):
			collected, err := collector.Finish()
			if err != nil {
				return finished{}, err
			}
			c.streams(server, -1)
			return answered(server, collected), nil
		case err != nil:
			return finished{}, err
		case server == "":
			from, _ := peer.FromContext(events.Context())
			server = from.Addr.String()
			c.streams(server, 1)
		}
		collector.Push(event)
	}
}

func answered(server string, collected *switchboard.Collected) finished {
	return finished{server: server, requestID: collected.Route.GetRequestId(), text: collected.Text()}
}

func (c *traffic) streams(server string, more int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.streaming[server] += more
}

// until waits for a condition.
func (c *traffic) until(what string, condition func() bool) {
	c.t.Helper()
	for ends := time.Now().Add(bound); time.Now().Before(ends); time.Sleep(time.Millisecond) {
		c.mutex.Lock()
		holds, lost := condition(), c.lost
		c.mutex.Unlock()
		if len(lost) > 0 {
			c.t.Fatalf("before %s %d calls were lost: %v", what, len(lost), errors.Join(lost...))
		}
		if holds {
			return
		}
	}
	c.t.Fatalf("condition not met: %s", what)
}

func (c *traffic) answeredBy(server *server) (count int) {
	for _, answer := range c.answers {
		if answer.server == server.address {
			count++
		}
	}
	return count
}

func (c *traffic) lastWereBy(server *server) bool {
	for at := len(c.answers) - inARow; at < len(c.answers); at++ {
		if at < 0 || c.answers[at].server != server.address {
			return false
		}
	}
	return true
}

// staysWith checks that no further call goes to another server.
func (c *traffic) staysWith(server *server) {
	c.t.Helper()
	c.mutex.Lock()
	before := len(c.answers)
	elsewhere := before - c.answeredBy(server)
	c.mutex.Unlock()
	c.until("calls go on", func() bool { return len(c.answers) > before+2*inARow })
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := len(c.answers) - c.answeredBy(server); now != elsewhere {
		c.t.Fatalf("%d calls went to the drained server", now-elsewhere)
	}
}

// stop waits for running calls and returns all calls. It checks that none failed and that all have the same
// answer.
func (c *traffic) stop() []finished {
	c.t.Helper()
	close(c.stopped)
	c.callers.Wait()
	if len(c.lost) > 0 {
		c.t.Fatalf("%d calls were lost: %v", len(c.lost), errors.Join(c.lost...))
	}
	for _, answer := range c.answers {
		if answer.text == "" || answer.text != c.answers[0].text {
			c.t.Errorf("%q is not %q", answer.text, c.answers[0].text)
		}
	}
	return c.answers
}
