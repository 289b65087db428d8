package main

import (
	"slices"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// joined assembles a streamed turn without package switchboard: text, reasoning and tool uses.
type joined struct{ blocks map[int32]*pb.ContentBlock }

func (j *joined) add(event *pb.ConverseStreamResponse) {
	if event.GetRestart() != nil || j.blocks == nil {
		j.blocks = map[int32]*pb.ContentBlock{}
	}
	if started := event.GetContentBlockStart(); started.GetStart().GetToolUse() != nil {
		start := started.GetStart().GetToolUse()
		use := &pb.ToolUseBlock{ToolUseId: start.GetToolUseId(), Name: start.GetName(), Type: start.Type}
		use.Arguments = &pb.ToolUseBlock_InputJson{}
		block := &pb.ContentBlock{Block: &pb.ContentBlock_ToolUse{ToolUse: use}}
		j.blocks[started.GetContentBlockIndex()] = block
	}
	index := event.GetContentBlockDelta().GetContentBlockIndex()
	switch part := event.GetContentBlockDelta().GetDelta().GetDelta().(type) {
	case *pb.ContentBlockDelta_Text:
		before := j.blocks[index].GetText()
		j.blocks[index] = &pb.ContentBlock{Block: &pb.ContentBlock_Text{Text: before + part.Text}}
	case *pb.ContentBlockDelta_ToolUse:
		use := j.blocks[index].GetToolUse()
		use.Arguments = &pb.ToolUseBlock_InputJson{InputJson: use.GetInputJson() + part.ToolUse.GetInput()}
	case *pb.ContentBlockDelta_ReasoningContent:
		j.addReasoning(index, part.ReasoningContent)
	}
}

func (j *joined) addReasoning(index int32, part *pb.ReasoningContentBlockDelta) {
	thought := j.blocks[index].GetReasoningContent().GetReasoningText()
	if thought == nil {
		thought = &pb.ReasoningTextBlock{}
		plain := &pb.ReasoningContentBlock_ReasoningText{ReasoningText: thought}
		content := &pb.ContentBlock_ReasoningContent{ReasoningContent: &pb.ReasoningContentBlock{Block: plain}}
		j.blocks[index] = &pb.ContentBlock{Block: content}
	}
	thought.Text += part.GetText()
	if signature := part.GetSignature(); signature != "" {
		signature = thought.GetSignature() + signature
		thought.Signature = &signature
	}
}

func (j *joined) message() *pb.Message {
	message := &pb.Message{Role: "assistant"}
	indexes := make([]int32, 0, len(j.blocks))
	for index := range j.blocks {
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	for _, index := range indexes {
		message.Content = append(message.Content, j.blocks[index])
	}
	return message
}
