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

// readmeProgram is what stands around the README's blocks but for the first, which is a program of its own.
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

func tooling(ctx context.Context, client *switchboard.Client, tools *pb.ToolConfiguration) error {
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
	schema := &pb.ToolInputSchema_JsonText{JsonText: "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}"}
	weather := &pb.ToolSpecification{Name: "get_weather", InputSchema: &pb.ToolInputSchema{Schema: schema}}
	tools := &pb.ToolConfiguration{Tools: []*pb.Tool{{Tool: &pb.Tool_ToolSpec{ToolSpec: weather}}}}
	for _, err := range []error{
		connecting(), asking(ctx, client), streaming(ctx, client), tooling(ctx, client, tools), failing(ctx, client),
		judging(ctx, client),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
}
`

// The README's steps, in a module of their own and in its order, with nothing changed but the address and the path.
func TestTheReadmeWorksAsWritten(t *testing.T) {
	stage := newStage(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, blocks := fenced(string(readme), "sh"), fenced(string(readme), "go")
	if len(steps) != 1 || len(blocks) != 7 {
		t.Fatalf("the README has %d blocks of sh and %d of go: mend this test", len(steps), len(blocks))
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
	step := strings.ReplaceAll(steps[0], "/path/to/switchboard/client/go", here)
	if said := run(t, module, "sh", "-ec", step); !strings.Contains(said, "simulat") {
		t.Fatalf("%q", said)
	}

	write("rest/main.go", fmt.Sprintf(readmeProgram, blocks[1], blocks[2], blocks[3], blocks[4], blocks[5], blocks[6]))
	write("ca.pem", string(newAuthority(t).pem))
	// The version that this module has, so that nothing else is looked up.
	run(t, module, "go", "get", "go.opentelemetry.io/otel@"+version(t, "go.opentelemetry.io/otel"))
	t.Setenv("SWITCHBOARD_TOKEN", "s3cret")
	said := run(t, module, "go", "run", "./rest")
	for _, want := range []string{
		"(from " + primary + ")", // a whole request
		"output_tokens:",         // a stream
		`The tool answered: {"celsius":21}`,
	} {
		if !strings.Contains(strings.ReplaceAll(said, ": 21", ":21"), want) {
			t.Errorf("%q is not in what it said: %s", want, said)
		}
	}
}

// fenced is the blocks of code in a language.
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

// run returns what a program said; it must succeed.
func run(t *testing.T, folder, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = folder
	said, err := command.Output()
	if err != nil {
		failure, _ := err.(*exec.ExitError)
		if failure == nil {
			failure = &exec.ExitError{}
		}
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(arguments, " "), err, said, failure.Stderr)
	}
	return string(said)
}
