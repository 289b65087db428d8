package main

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// reply is one line of output.
type reply struct {
	Response json.RawMessage   `json:"response,omitempty"`
	Events   []json.RawMessage `json:"events,omitempty"`
	Text     *string           `json:"text,omitempty"`
	Message  json.RawMessage   `json:"message,omitempty"`
	ToolUses []toolUse         `json:"tool_uses,omitempty"`
	Error    *failure          `json:"error,omitempty"`
}

type toolUse struct {
	ToolUseID string `json:"tool_use_id"`
	Name      string `json:"name"`
	InputJSON string `json:"input_json"`
}

type failure struct {
	Code         string   `json:"code"`
	Message      string   `json:"message"`
	Reason       string   `json:"reason,omitempty"`
	RetryDelayMS *int64   `json:"retry_delay_ms,omitempty"`
	Fields       []string `json:"fields,omitempty"`
	RequestID    string   `json:"request_id,omitempty"`
	Attempts     *int     `json:"attempts,omitempty"`
}

var codeNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

// parse parses the request of a call.
func parse[M proto.Message](c *running, request M) (M, *failure) {
	if len(c.Request) == 0 {
		return request, nil
	}
	if err := protojson.Unmarshal(c.Request, request); err != nil {
		return request, &failure{Code: "INVALID_ARGUMENT", Message: "invalid request: " + err.Error()}
	}
	return request, nil
}

func toJSON(message proto.Message) json.RawMessage {
	text, err := protojson.Marshal(message)
	if err != nil {
		text, _ = json.Marshal("cannot convert to JSON: " + err.Error())
	}
	return text
}

func responded(response proto.Message) reply { return reply{Response: toJSON(response)} }

func (r *reply) event(event *pb.ConverseStreamResponse, text *strings.Builder) {
	r.Events = append(r.Events, toJSON(event))
	if event.GetRestart() != nil {
		text.Reset()
	}
	text.WriteString(event.GetContentBlockDelta().GetDelta().GetText())
}

func milliseconds(delay time.Duration) *int64 {
	ms := delay.Milliseconds()
	return &ms
}

// andNow returns the conversation with this answer and another question.
func andNow(request *pb.ConverseRequest, answer *pb.Message) *pb.ConverseRequest {
	question := &pb.ContentBlock{Block: &pb.ContentBlock_Text{Text: "and now?"}}
	request.Messages = append(request.Messages, answer, &pb.Message{Role: "user", Content: []*pb.ContentBlock{question}})
	return request
}
