package switchboard

import (
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Shorthands for the parts of a request that almost every caller writes.

// Ask is a request for one answer to one prompt.
func Ask(task, prompt string) *pb.ConverseRequest {
	return &pb.ConverseRequest{TaskType: task, Messages: []*pb.Message{User(prompt)}}
}

// User is a turn of the user's, in words.
func User(text string) *pb.Message {
	return &pb.Message{Role: "user", Content: []*pb.ContentBlock{textContent(text)}}
}

// Assistant is a turn of the model's, in words: for history that was kept elsewhere. What a model answered here is better
// sent back as the message that it came as, which may hold more than words.
func Assistant(text string) *pb.Message {
	return &pb.Message{Role: "assistant", Content: []*pb.ContentBlock{textContent(text)}}
}

// System is one part of the system prompt, in words.
func System(text string) *pb.SystemContentBlock {
	return &pb.SystemContentBlock{Block: &pb.SystemContentBlock_Text{Text: text}}
}

// ToolResult is what a tool answered, in exact JSON text: a block of the user's next turn, which answers every tool use at
// once.
func ToolResult(toolUseID, json string) *pb.ContentBlock {
	part := &pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_JsonText{JsonText: json}}
	result := &pb.ToolResultBlock{ToolUseId: toolUseID, Content: []*pb.ToolResultContentBlock{part}}
	return &pb.ContentBlock{Block: &pb.ContentBlock_ToolResult{ToolResult: result}}
}

func textContent(text string) *pb.ContentBlock {
	return &pb.ContentBlock{Block: &pb.ContentBlock_Text{Text: text}}
}
