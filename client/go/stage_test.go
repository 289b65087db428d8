package switchboard_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
)

// bound is the timeout for waiting in tests.
const bound = 30 * time.Second

// Models of a Switchboard without a configuration file.
const (
	primary  = "us.anthropic.claude-opus-4-8"
	fallback = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
)

// stage is a real Switchboard with a real simulator.
type stage struct {
	t         *testing.T
	address   string
	simulator string
}

// simulatedCall is a call that the simulator received.
type simulatedCall struct {
	Operation string          `json:"operation"`
	Model     string          `json:"model"`
	Body      json.RawMessage `json:"body"`
	HungUp    bool            `json:"hung_up"`
}

func newStage(t *testing.T) *stage {
	t.Helper()
	simulator := start(t, regexp.MustCompile(`listens on (http://[0-9.:]+)`), nil,
		program(t, "bedrock-sim"), "--listen", "127.0.0.1:0", "--speed", "0")
	address := start(t, regexp.MustCompile(`"serving","address":"([0-9.:]+)"`), []string{
		"SWITCHBOARD_LISTEN=127.0.0.1:0",
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=" + simulator,
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=simulated",
		"AWS_SECRET_ACCESS_KEY=simulated",
	}, program(t, "switchboard"), "serve")
	return &stage{t: t, address: address, simulator: simulator}
}

// program returns the path of a program of this repository. If it is missing, the test is skipped, or fails
// in CI.
func program(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("SWITCHBOARD_PROGRAMS")
	if folder == "" {
		target := os.Getenv("CARGO_TARGET_DIR")
		if target == "" {
			target = filepath.Join("..", "..", "target")
		}
		folder = filepath.Join(target, "debug")
	}
	path, err := filepath.Abs(filepath.Join(folder, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%v: build it with `cargo build --workspace --bins`, or set SWITCHBOARD_PROGRAMS to its folder", err)
	default:
		t.Skipf("%v: build it with `cargo build --workspace --bins`, or set SWITCHBOARD_PROGRAMS to its folder", err)
	}
	return ""
}

// start runs a program until the test ends, and returns the match in its output.
func start(t *testing.T, ready *regexp.Regexp, environment []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Env = append(os.Environ(), environment...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	reader, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = writer.Close()
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if match := ready.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
				_, _ = io.Copy(io.Discard, reader)
			}
		}
	}()
	select {
	case it := <-found:
		return it
	case <-time.After(bound):
		t.Fatalf("%s did not start", name)
		return ""
	}
}

func (s *stage) client(options ...switchboard.Option) *switchboard.Client {
	s.t.Helper()
	return connect(s.t, s.address, options...)
}

func connect(t *testing.T, address string, options ...switchboard.Option) *switchboard.Client {
	t.Helper()
	client, err := switchboard.Connect(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// inject injects a fault for a model; the fault is JSON of the simulator.
func (s *stage) inject(model, fault string) {
	s.t.Helper()
	rule := fmt.Sprintf(`{"model":%q,"fault":%s}`, model, fault)
	response, err := http.Post(s.simulator+"/_sim/faults", "application/json", bytes.NewBufferString(rule))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		s.t.Fatalf("%s: %s", rule, text)
	}
}

// calls returns the calls that the simulator received.
func (s *stage) calls() []simulatedCall {
	s.t.Helper()
	response, err := http.Get(s.simulator + "/_sim/calls")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Calls []simulatedCall `json:"calls"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Calls
}

// waitFor waits until the calls of the simulator meet a condition.
func (s *stage) waitFor(what string, shown func([]simulatedCall) bool) {
	s.t.Helper()
	for ends := time.Now().Add(bound); time.Now().Before(ends); time.Sleep(20 * time.Millisecond) {
		if shown(s.calls()) {
			return
		}
	}
	s.t.Fatalf("the simulator did not receive %s: %+v", what, s.calls())
}
