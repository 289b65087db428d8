package switchboard

import (
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Shorthands for common parts of a request.

// Ask makes a request with one prompt.
func Ask(task, prompt string) *pb.ConverseRequest {
	return &pb.ConverseRequest{TaskType: task, Messages: []*pb.Message{User(prompt)}}
}

// User makes a user turn with text.
func User(text string) *pb.Message {
	return &pb.Message{Role: "user", Content: []*pb.ContentBlock{textContent(text)}}
}

// Assistant makes an assistant turn with text, for a history that is stored elsewhere. To continue a
// conversation, rather send back the original message, which can have more than text.
func Assistant(text string) *pb.Message {
	return &pb.Message{Role: "assistant", Content: []*pb.ContentBlock{textContent(text)}}
}

// System makes a part of the system prompt.
func System(text string) *pb.SystemContentBlock {
	return &pb.SystemContentBlock{Block: &pb.SystemContentBlock_Text{Text: text}}
}

// ToolResult makes a tool result from exact JSON text. Put the results of all tool uses into the next user
// turn.
func ToolResult(toolUseID, json string) *pb.ContentBlock {
	part := &pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_JsonText{JsonText: json}}
	result := &pb.ToolResultBlock{ToolUseId: toolUseID, Content: []*pb.ToolResultContentBlock{part}}
	return &pb.ContentBlock{Block: &pb.ContentBlock_ToolResult{ToolResult: result}}
}

func textContent(text string) *pb.ContentBlock {
	return &pb.ContentBlock{Block: &pb.ContentBlock_Text{Text: text}}
}
