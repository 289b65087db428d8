package switchboard_test

import (
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Short constructors of events.

func route(model string) *pb.ConverseStreamResponse {
	it := &pb.Route{ModelId: model}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_Route{Route: it}}
}

func messageStart() *pb.ConverseStreamResponse {
	it := &pb.MessageStartEvent{Role: "assistant"}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_MessageStart{MessageStart: it}}
}

func toolStart(index int32, id, name string) *pb.ConverseStreamResponse {
	tool := &pb.ToolUseBlockStart{ToolUseId: id, Name: name}
	return blockStart(index, &pb.ContentBlockStart{Start: &pb.ContentBlockStart_ToolUse{ToolUse: tool}})
}

func resultStart(index int32, id string) *pb.ConverseStreamResponse {
	result := &pb.ToolResultBlockStart{ToolUseId: id, Status: new("success")}
	return blockStart(index, &pb.ContentBlockStart{Start: &pb.ContentBlockStart_ToolResult{ToolResult: result}})
}

func imageStart(index int32) *pb.ConverseStreamResponse {
	image := &pb.ImageBlockStart{Format: "png"}
	return blockStart(index, &pb.ContentBlockStart{Start: &pb.ContentBlockStart_Image{Image: image}})
}

func unknownStart(index int32, json string) *pb.ConverseStreamResponse {
	return blockStart(index, &pb.ContentBlockStart{Start: &pb.ContentBlockStart_UnknownJson{UnknownJson: json}})
}

func blockStart(index int32, start *pb.ContentBlockStart) *pb.ConverseStreamResponse {
	it := &pb.ContentBlockStartEvent{ContentBlockIndex: index, Start: start}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_ContentBlockStart{ContentBlockStart: it}}
}

func text(index int32, words string) *pb.ConverseStreamResponse {
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_Text{Text: words}})
}

func input(index int32, piece string) *pb.ConverseStreamResponse {
	it := &pb.ToolUseBlockDelta{Input: piece}
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_ToolUse{ToolUse: it}})
}

func result(index int32, parts ...*pb.ToolResultBlockDelta) *pb.ConverseStreamResponse {
	it := &pb.ToolResultDelta{Blocks: parts}
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_ToolResult{ToolResult: it}})
}

func thought(index int32, words string) *pb.ConverseStreamResponse {
	return reasoning(index, &pb.ReasoningContentBlockDelta{Delta: &pb.ReasoningContentBlockDelta_Text{Text: words}})
}

func signature(index int32, signature string) *pb.ConverseStreamResponse {
	it := &pb.ReasoningContentBlockDelta_Signature{Signature: signature}
	return reasoning(index, &pb.ReasoningContentBlockDelta{Delta: it})
}

func redacted(index int32, bytes string) *pb.ConverseStreamResponse {
	it := &pb.ReasoningContentBlockDelta_RedactedContent{RedactedContent: []byte(bytes)}
	return reasoning(index, &pb.ReasoningContentBlockDelta{Delta: it})
}

func reasoning(index int32, part *pb.ReasoningContentBlockDelta) *pb.ConverseStreamResponse {
	it := &pb.ContentBlockDelta_ReasoningContent{ReasoningContent: part}
	return delta(index, &pb.ContentBlockDelta{Delta: it})
}

func cited(index int32, title string) *pb.ConverseStreamResponse {
	it := &pb.CitationsDelta{Title: &title, SourceContent: []*pb.CitationSourceContentDelta{{Text: new("the source")}}}
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_Citation{Citation: it}})
}

func imageBytes(index int32, bytes string) *pb.ConverseStreamResponse {
	source := &pb.ImageSource{Source: &pb.ImageSource_Bytes{Bytes: []byte(bytes)}}
	it := &pb.ImageBlockDelta{Source: source}
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_Image{Image: it}})
}

func unknown(index int32, json string) *pb.ConverseStreamResponse {
	return delta(index, &pb.ContentBlockDelta{Delta: &pb.ContentBlockDelta_UnknownJson{UnknownJson: json}})
}

func delta(index int32, delta *pb.ContentBlockDelta) *pb.ConverseStreamResponse {
	it := &pb.ContentBlockDeltaEvent{ContentBlockIndex: index, Delta: delta}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_ContentBlockDelta{ContentBlockDelta: it}}
}

func messageStop(reason pb.StopReason, raw string) *pb.ConverseStreamResponse {
	it := &pb.MessageStopEvent{StopReason: reason, RawStopReason: raw}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_MessageStop{MessageStop: it}}
}

func restart() *pb.ConverseStreamResponse {
	it := &pb.RestartEvent{Reason: pb.ErrorReason_ERROR_REASON_MODEL_ERROR}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_Restart{Restart: it}}
}

func metadata() *pb.ConverseStreamResponse {
	it := &pb.ConverseStreamMetadataEvent{Usage: &pb.TokenUsage{OutputTokens: 7}}
	return &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_Metadata{Metadata: it}}
}
