package switchboard_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// driven is a line of the driver's output.
type driven struct {
	Response map[string]any   `json:"response"`
	Events   []map[string]any `json:"events"`
	Text     string           `json:"text"`
	Message  map[string]any   `json:"message"`
	ToolUses []map[string]any `json:"tool_uses"`
	Error    map[string]any   `json:"error"`
}

// Checks that the driver of the conformance suite answers every line in both modes. The suite itself checks
// the answers.
func TestTheDriverAnswersEveryLine(t *testing.T) {
	stage := newStage(t)
	stage.inject(fallback, `{"kind":"hang"}`)
	tools := `"toolConfig":{"tools":[{"toolSpec":{"name":"get_weather","inputSchema":{"jsonText":"{\"type\":\"object\"}"}}}]}`
	lines := strings.Join([]string{
		`{"rpc":"Converse","request":{"messages":[{"role":"user","content":[{"text":"Zürich 🦀?"}]}]}}`,
		`{"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"The weather?"}]}],` + tools + `}}`,
		`{"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"Zürich?"}]}]},"then":"history"}`,
		`{"rpc":"ConverseStream","request":{"messages":[{"role":"user","content":[{"text":"Go on."}]}]},"cancel_after_events":2}`,
		`{"rpc":"Converse","request":{"taskType":"summarization","messages":[{"role":"user","content":[{"text":"Go on."}]}]},"cancel_after_events":0}`,
		`{"rpc":"Converse","request":{"taskType":"summarization","messages":[{"role":"user","content":[{"text":"Go on."}]}]},"deadline_ms":1}`,
		`{"rpc":"Converse","request":{"messages":[{"role":"robot"}]}}`,
		`{"rpc":"CountTokens","request":{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"How many?"}]}]}}}}`,
		`{"rpc":"ListTasks","request":{}}`,
		`{"rpc":"ExplainRoute","request":{"taskType":"coding"}}`,
	}, "\n")
	program := filepath.Join(t.TempDir(), "driver")
	run(t, ".", "go", "build", "-o", program, "./conformance")
	for _, mode := range []string{"layer", "plain"} {
		t.Run(mode, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), program, "--target", stage.address, "--mode", mode)
			command.Stdin = strings.NewReader(lines)
			output, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got []driven
			for line := range strings.Lines(string(output)) {
				var it driven
				if err := json.Unmarshal([]byte(line), &it); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				got = append(got, it)
			}
			if len(got) != 10 {
				t.Fatalf("%d lines: %s", len(got), output)
			}
			layer := mode == "layer"
			for name, holds := range map[string]bool{
				"an answer":         got[0].Response["stopReason"] == "STOP_REASON_END_TURN" && strings.Contains(got[0].Text, "Zürich"),
				"its message":       (got[0].Message["role"] == "assistant") == layer,
				"the route first":   got[1].Events[0]["route"] != nil,
				"the metadata last": got[1].Events[len(got[1].Events)-1]["metadata"] != nil,
				"its tool uses":     (len(got[1].ToolUses) == 1 && got[1].ToolUses[0]["name"] == "get_weather") == layer,
				"a second answer":   got[2].Response != nil && got[2].Text != "" && got[2].Events == nil,
				"two events":        len(got[3].Events) == 2 && got[3].Error["code"] == "CANCELLED",
				"a cancelled call":  got[4].Error["code"] == "CANCELLED",
				"a deadline":        got[5].Error["code"] == "DEADLINE_EXCEEDED",
				"a bad field":       fmt.Sprint(got[6].Error["reason"], got[6].Error["fields"]) == "INVALID_FIELD[messages[0].role messages[0].content]",
				"a count":           got[7].Response["inputTokens"] != nil,
				"the tasks":         got[8].Response["tasks"] != nil,
				"a route":           got[9].Response["candidates"] != nil,
			} {
				if !holds {
					t.Errorf("missing: %s, in\n%.9000s", name, output)
				}
			}
		})
	}
}
