package switchboard_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// readmeProgram contains the README's blocks except the first one, which is a complete program.
const readmeProgram = `package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
	"go.opentelemetry.io/otel"
)

func connecting() error {
%s
	return nil
}

func asking(ctx context.Context, client *switchboard.Client) error {
%s
	return nil
}

func streaming(ctx context.Context, client *switchboard.Client) error {
%s
	return nil
}

func tooling(ctx context.Context, client *switchboard.Client) error {
%s
	return nil
}

func failing(ctx context.Context, client *switchboard.Client) error {
%s
	return nil
}

func judging(ctx context.Context, client *switchboard.Client) error {
%s
	return nil
}

func main() {
	ctx := context.Background()
	client, err := switchboard.Connect("127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	for _, err := range []error{
		connecting(), asking(ctx, client), streaming(ctx, client), tooling(ctx, client), failing(ctx, client),
		judging(ctx, client),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
}
`

// Runs the README's steps in a module of their own. Only the address and the path of the checkout are
// replaced.
func TestTheReadmeRunsAsWritten(t *testing.T) {
	stage := newStage(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, blocks := fenced(string(readme), "sh"), fenced(string(readme), "go")
	if len(steps) != 1 || len(blocks) != 7 {
		t.Fatalf("the README has %d blocks of sh and %d of go: update this test", len(steps), len(blocks))
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	run(t, module, "go", "mod", "init", "example.com/reader")
	write := func(name, text string) {
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "127.0.0.1:50051", stage.address)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	write("main.go", blocks[0])
	t.Setenv("SWITCHBOARD", filepath.Join(here, "..", ".."))
	if output := run(t, module, "sh", "-ec", steps[0]+"go run .\n"); !strings.Contains(output, "simulat") {
		t.Fatalf("%q", output)
	}

	write("rest/main.go", fmt.Sprintf(readmeProgram, blocks[1], blocks[2], blocks[3], blocks[4], blocks[5], blocks[6]))
	write("ca.pem", string(newAuthority(t).pem))
	// Use the version of this module, to avoid a lookup.
	run(t, module, "go", "get", "go.opentelemetry.io/otel@"+version(t, "go.opentelemetry.io/otel"))
	t.Setenv("SWITCHBOARD_TOKEN", "s3cret")
	output := run(t, module, "go", "run", "./rest")
	for _, want := range []string{
		"(from " + primary + ")", // Requests
		"output_tokens:",         // Streaming
		`The tool answered: {"celsius":21}`,
	} {
		if !strings.Contains(strings.ReplaceAll(output, ": 21", ":21"), want) {
			t.Errorf("%q is not in the output: %s", want, output)
		}
	}
}

// fenced returns the code blocks of a language.
func fenced(markdown, language string) []string {
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(markdown, -1)
	blocks := make([]string, 0, len(found))
	for _, it := range found {
		blocks = append(blocks, it[1])
	}
	return blocks
}

func version(t *testing.T, module string) string {
	t.Helper()
	return strings.TrimSpace(run(t, ".", "go", "list", "-m", "-f", "{{.Version}}", module))
}

// run returns the output of a program, which must succeed.
func run(t *testing.T, folder, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = folder
	output, err := command.Output()
	if err != nil {
		failure, _ := err.(*exec.ExitError)
		if failure == nil {
			failure = &exec.ExitError{}
		}
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(arguments, " "), err, output, failure.Stderr)
	}
	return string(output)
}
