package switchboard_test

// Tests with a real Switchboard and a simulated Bedrock.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

func TestTextReturnsTheTextOfTheAnswer(t *testing.T) {
	client := newStage(t).client()

	text, err := client.Text(t.Context(), switchboard.TaskSummarization, "Summarize: Zürich, 東京 and 🦀 are well.")

	if err != nil || !strings.Contains(text, "Zürich") {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestAStreamEqualsTheCompleteAnswer(t *testing.T) {
	client := newStage(t).client()
	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts 東京 and Zürich 🦀.")
	response, err := client.Converse(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	complete := switchboard.Collect(response)

	var parts []string
	for part, err := range stream(t, client, request).Text() {
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	collected, err := stream(t, client, request).CollectMessage()

	if err != nil || len(parts) < 2 || strings.Join(parts, "") != complete.Text() || collected.Text() != complete.Text() {
		t.Fatalf("%q\n%+v\n%+v\n%v", parts, collected, complete, err)
	}
	if collected.StopReason != pb.StopReason_STOP_REASON_END_TURN || collected.Usage.GetOutputTokens() == 0 {
		t.Fatalf("%+v", collected)
	}
	if collected.Route.GetModelId() != primary || collected.Latency.GetFirstToken() == nil {
		t.Fatalf("%+v", collected)
	}
}

func TestTheRouteShowsAFallback(t *testing.T) {
	stage := newStage(t)
	stage.inject(primary, `{"kind":"throttle"}`)

	collected, err := stream(t, stage.client(), switchboard.Ask(switchboard.TaskCoding, "Who answers?")).CollectMessage()

	if err != nil {
		t.Fatal(err)
	}
	route := collected.Route
	if !route.GetFallbackUsed() || route.GetModelId() != fallback || len(route.GetAttempts()) != 2 {
		t.Fatalf("%v", route)
	}
	if route.GetAttempts()[0].GetReason() != pb.ErrorReason_ERROR_REASON_BEDROCK_THROTTLED {
		t.Fatalf("%v", route)
	}
}

func TestToolUsesAndResultsAreExact(t *testing.T) {
	stage := newStage(t)
	client := stage.client()
	request := switchboard.Ask(switchboard.TaskReasoning, "What is the weather in Oslo?")
	request.ToolConfig = weather()

	asked, err := stream(t, client, request).CollectMessage()
	if err != nil || asked.StopReason != pb.StopReason_STOP_REASON_TOOL_USE || len(asked.ToolUses()) != 1 {
		t.Fatalf("%+v, %v", asked, err)
	}
	use := asked.ToolUses()[0]
	var arguments struct{ City string }
	if err := json.Unmarshal([]byte(use.GetInputJson()), &arguments); err != nil || arguments.City != "Oslo" {
		t.Fatalf("%q, %v", use.GetInputJson(), err)
	}
	result := switchboard.ToolResult(use.GetToolUseId(), `{"station":9007199254740993}`)
	turn := &pb.Message{Role: "user", Content: []*pb.ContentBlock{result}}
	request.Messages = append(request.Messages, asked.Message, turn)
	answered, err := stream(t, client, request).CollectMessage()

	if err != nil || answered.StopReason != pb.StopReason_STOP_REASON_END_TURN {
		t.Fatalf("%+v, %v", answered, err)
	}
	calls := stage.calls()
	body := string(calls[len(calls)-1].Body)
	if !strings.Contains(body, `{"station":9007199254740993}`) || !strings.Contains(body, use.GetToolUseId()) {
		t.Fatal(body)
	}
}

func TestSendsACollectedMessageBackAsHistory(t *testing.T) {
	client := newStage(t).client()
	request := switchboard.Ask(switchboard.TaskReasoning, "Think about rivers.")
	request.AdditionalRequestFields = &pb.ConverseRequest_AdditionalModelRequestFieldsJson{
		AdditionalModelRequestFieldsJson: `{"thinking":{"type":"adaptive"}}`,
	}

	first, err := stream(t, client, request).CollectMessage()
	if err != nil || first.Message.GetContent()[0].GetReasoningContent().GetReasoningText().GetSignature() == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	request.Messages = append(request.Messages, first.Message, switchboard.User("And lakes?"))
	second, err := client.Converse(t.Context(), request)

	if err != nil || switchboard.Collect(second).Text() == "" {
		t.Fatalf("%v, %v", second, err)
	}
	if adjustments := second.GetRoute().GetAttempts()[0].GetAdjustments(); len(adjustments) > 1 {
		t.Fatalf("the signed reasoning did not pass: %v", adjustments)
	}
}

func TestABrokenStreamIsATypedError(t *testing.T) {
	stage := newStage(t)
	stage.inject("*", `{"kind":"exception","after_events":5,"name":"modelStreamErrorException"}`)
	var text string
	var failure *switchboard.Error

	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts words, with care.")
	for part, err := range stream(t, stage.client(), request).Text() {
		text += part
		_ = errors.As(err, &failure)
	}

	if text == "" || failure == nil || failure.Kind != switchboard.KindStatus {
		t.Fatalf("%q, %v", text, failure)
	}
	if failure.Code != codes.Unavailable || failure.Reason != pb.ErrorReason_ERROR_REASON_STREAM_INTERRUPTED {
		t.Fatalf("%+v", failure)
	}
	if failure.RequestID == "" || len(failure.Route.GetAttempts()) != 1 {
		t.Fatalf("%+v", failure)
	}
}

func TestAnErrorNamesInvalidFields(t *testing.T) {
	client := newStage(t).client()

	_, err := client.Converse(t.Context(), &pb.ConverseRequest{Messages: []*pb.Message{{Role: "robot"}}})

	failure := switchboard.AsError(err)
	if failure == nil || failure.Code != codes.InvalidArgument || failure.ReasonText != "INVALID_FIELD" {
		t.Fatalf("%v", err)
	}
	named := slices.ContainsFunc(failure.FieldViolations, func(it switchboard.FieldViolation) bool {
		return strings.HasPrefix(it.Field, "messages[0]") && it.Problem != ""
	})
	if !named || failure.RequestID == "" {
		t.Fatalf("%+v", failure)
	}
}

func TestADeadlineCancelsTheCallAtBedrock(t *testing.T) {
	stage := newStage(t)
	stage.inject("*", `{"kind":"hang"}`)
	client := stage.client(switchboard.WithDeadline(time.Hour)).WithDeadline(400 * time.Millisecond)

	_, err := client.Text(t.Context(), switchboard.TaskCoding, "Take your time.")

	if failure := switchboard.AsError(err); failure == nil || failure.Code != codes.DeadlineExceeded {
		t.Fatalf("%v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v is not context.DeadlineExceeded", err)
	}
	stage.waitFor("the call's end", allCancelled)
}

func TestLeavingTheLoopCancelsTheCallAtBedrock(t *testing.T) {
	stage := newStage(t)
	stage.inject("*", `{"kind":"stall","after_events":5}`)
	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts words, with care.")

	for _, err := range stream(t, stage.client(), request).Text() {
		if err != nil {
			t.Fatal(err)
		}
		break
	}

	stage.waitFor("the stream's end", allCancelled)
}

func TestCancellingTheContextCancelsTheCallAtBedrock(t *testing.T) {
	stage := newStage(t)
	stage.inject("*", `{"kind":"stall","after_events":5}`)
	ctx, cancel := context.WithCancel(t.Context())
	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts words, with care.")
	stream, err := stage.client().Stream(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}

	cancel()
	_, err = stream.Recv()

	failure := switchboard.AsError(err)
	if failure == nil || failure.Kind != switchboard.KindCancelled || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	stage.waitFor("the stream's end", allCancelled)
}

func TestCountsTokensListsTasksAndExplainsRoutes(t *testing.T) {
	client := newStage(t).client()
	input := &pb.ConverseTokensRequest{Messages: []*pb.Message{switchboard.User("How many tokens are these?")}}

	counted, err := client.CountTokens(t.Context(), &pb.CountTokensRequest{
		TaskType: switchboard.TaskSummarization,
		Input:    &pb.CountTokensInput{Input: &pb.CountTokensInput_Converse{Converse: input}},
	})
	if err != nil || counted.GetInputTokens() == 0 {
		t.Fatalf("%v, %v", counted, err)
	}
	tasks, err := client.Tasks(t.Context())
	if err != nil || len(tasks.GetTasks()) != 6 {
		t.Fatalf("%v, %v", tasks, err)
	}
	explained, err := client.Explain(t.Context(), &pb.ExplainRouteRequest{TaskType: switchboard.TaskCoding})
	if err != nil || explained.GetCandidates()[0].GetModelId() != primary {
		t.Fatalf("%v, %v", explained, err)
	}
}

func TestSendsLargeRequests(t *testing.T) {
	stage := newStage(t)
	picture := &pb.ImageBlock{
		Format: "png",
		Source: &pb.ImageSource{Source: &pb.ImageSource_Bytes{Bytes: bytes.Repeat([]byte("png!"), 3<<20/4)}},
	}
	block := &pb.ContentBlock{Block: &pb.ContentBlock_Image{Image: picture}}
	request := switchboard.Ask(switchboard.TaskAnalysis, "What do these show?")
	request.Messages[0].Content = append(request.Messages[0].Content, block, block)

	_, err := stage.client().Converse(t.Context(), request)

	if calls := stage.calls(); err != nil || len(calls) != 1 || len(calls[0].Body) < 8<<20 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
}

func TestARefusedConnectionIsAConnectError(t *testing.T) {
	client := connect(t, "127.0.0.1:1")

	_, err := client.Text(t.Context(), switchboard.TaskDefault, "Anyone?")

	failure := switchboard.AsError(err)
	if failure == nil || failure.Kind != switchboard.KindConnect || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Fatalf("%v", err)
	}
}

func stream(t *testing.T, client *switchboard.Client, request *pb.ConverseRequest) *switchboard.EventStream {
	t.Helper()
	stream, err := client.Stream(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func weather() *pb.ToolConfiguration {
	schema := `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`
	specification := &pb.ToolSpecification{
		Name:        "get_weather",
		Description: new("Current weather in a city."),
		InputSchema: &pb.ToolInputSchema{Schema: &pb.ToolInputSchema_JsonText{JsonText: schema}},
	}
	return &pb.ToolConfiguration{Tools: []*pb.Tool{{Tool: &pb.Tool_ToolSpec{ToolSpec: specification}}}}
}

func allCancelled(calls []simulatedCall) bool {
	running := func(call simulatedCall) bool { return !call.HungUp }
	return len(calls) > 0 && !slices.ContainsFunc(calls, running)
}
