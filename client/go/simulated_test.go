package switchboard_test

// Against a real Switchboard and a simulated Bedrock: what callers see, and what the simulator saw.

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

func TestOneLineAsksAndAnswers(t *testing.T) {
	client := newStage(t).client()

	text, err := client.Text(t.Context(), switchboard.TaskSummarization, "Summarize: Zürich, 東京 and 🦀 are well.")

	if err != nil || !strings.Contains(text, "Zürich") {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestAStreamIsTheSameAnswerInPieces(t *testing.T) {
	client := newStage(t).client()
	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts 東京 and Zürich 🦀.")
	response, err := client.Converse(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	whole := switchboard.Collect(response)

	var pieces []string
	for piece, err := range stream(t, client, request).Text() {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, piece)
	}
	collected, err := stream(t, client, request).CollectMessage()

	if err != nil || len(pieces) < 2 || strings.Join(pieces, "") != whole.Text() || collected.Text() != whole.Text() {
		t.Fatalf("%q\n%+v\n%+v\n%v", pieces, collected, whole, err)
	}
	if collected.StopReason != pb.StopReason_STOP_REASON_END_TURN || collected.Usage.GetOutputTokens() == 0 {
		t.Fatalf("%+v", collected)
	}
	if collected.Route.GetModelId() != primary || collected.Latency.GetFirstToken() == nil {
		t.Fatalf("%+v", collected)
	}
}

func TestAThrottledModelIsReplacedAndTheRouteTells(t *testing.T) {
	stage := newStage(t)
	stage.upset(primary, `{"kind":"throttle"}`)

	collected, err := stream(t, stage.client(), switchboard.Ask(switchboard.TaskCoding, "Who answers?")).CollectMessage()

	if err != nil {
		t.Fatal(err)
	}
	route := collected.Route
	if !route.GetFallbackUsed() || route.GetModelId() != fallback || len(route.GetAttempts()) != 2 {
		t.Fatalf("%v", route)
	}
	if route.GetAttempts()[0].GetReason() != "BEDROCK_THROTTLED" {
		t.Fatalf("%v", route)
	}
}

func TestToolsAreCalledAndAnsweredWithTheirExactArguments(t *testing.T) {
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

func TestACollectedMessageGoesBackAsHistory(t *testing.T) {
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

func TestAStreamThatBreaksOffIsATypedError(t *testing.T) {
	stage := newStage(t)
	stage.upset("*", `{"kind":"exception","after_events":5,"name":"modelStreamErrorException"}`)
	var words string
	var failure *switchboard.Error

	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts words, with care.")
	for piece, err := range stream(t, stage.client(), request).Text() {
		words += piece
		_ = errors.As(err, &failure)
	}

	if words == "" || failure == nil || failure.Kind != switchboard.KindStatus {
		t.Fatalf("%q, %v", words, failure)
	}
	if failure.Code != codes.Unavailable || failure.Reason != pb.ErrorReason_ERROR_REASON_STREAM_INTERRUPTED {
		t.Fatalf("%+v", failure)
	}
	if failure.RequestID == "" || len(failure.Route.GetAttempts()) != 1 {
		t.Fatalf("%+v", failure)
	}
}

func TestABadRequestNamesItsFieldAndTheCall(t *testing.T) {
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

func TestADeadlineEndsTheCallHereAndAtTheModel(t *testing.T) {
	stage := newStage(t)
	stage.upset("*", `{"kind":"hang"}`)
	client := stage.client(switchboard.WithDeadline(time.Hour)).WithDeadline(400 * time.Millisecond)

	_, err := client.Text(t.Context(), switchboard.TaskCoding, "Take your time.")

	if failure := switchboard.AsError(err); failure == nil || failure.Code != codes.DeadlineExceeded {
		t.Fatalf("%v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v does not say that it was the deadline", err)
	}
	stage.sees("the call's end", everyoneHungUp)
}

func TestLeavingTheLoopEndsTheModelsWork(t *testing.T) {
	stage := newStage(t)
	stage.upset("*", `{"kind":"stall","after_events":5}`)
	request := switchboard.Ask(switchboard.TaskCoding, "Write a function that sorts words, with care.")

	for _, err := range stream(t, stage.client(), request).Text() {
		if err != nil {
			t.Fatal(err)
		}
		break
	}

	stage.sees("the stream's end", everyoneHungUp)
}

func TestTheEndOfTheContextEndsTheModelsWork(t *testing.T) {
	stage := newStage(t)
	stage.upset("*", `{"kind":"stall","after_events":5}`)
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
	stage.sees("the stream's end", everyoneHungUp)
}

func TestTokensAreCountedAndRoutesExplained(t *testing.T) {
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

func TestALargeRequestReachesTheModel(t *testing.T) {
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

func TestWhereNobodyListensTheCallWasNeverAsked(t *testing.T) {
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
		Description: new("The weather in a city, now."),
		InputSchema: &pb.ToolInputSchema{Schema: &pb.ToolInputSchema_JsonText{JsonText: schema}},
	}
	return &pb.ToolConfiguration{Tools: []*pb.Tool{{Tool: &pb.Tool_ToolSpec{ToolSpec: specification}}}}
}

func everyoneHungUp(calls []simulatedCall) bool {
	stayed := func(call simulatedCall) bool { return !call.HungUp }
	return len(calls) > 0 && !slices.ContainsFunc(calls, stayed)
}
