package switchboard

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// openBlock is a content block that is being received.
type openBlock interface {
	// append adds a delta. It returns false if the delta does not belong to this kind of block.
	append(*pb.ContentBlockDelta) bool
	// close returns the block as it is sent back in a history: no block for blank text, and one block for each
	// delta of an unknown kind, because it is unknown how to combine them.
	close() []*pb.ContentBlock
}

type (
	textBlock struct {
		text      strings.Builder
		citations []*pb.Citation
	}
	toolUseBlock struct {
		start *pb.ToolUseBlockStart
		input strings.Builder
	}
	toolResultBlock struct{ result *pb.ToolResultBlock }
	// reasoningBlock is plain text or encrypted; a model sends one or the other.
	reasoningBlock struct {
		text      strings.Builder
		hasText   bool
		signature *string
		redacted  []byte
		unknown   []string
	}
	imageBlock   struct{ image *pb.ImageBlock }
	unknownBlock struct{ parts []string }
)

// newBlock returns the block of a start event; nil if the first delta determines the kind of block.
func newBlock(start *pb.ContentBlockStart) openBlock {
	switch start := start.GetStart().(type) {
	case *pb.ContentBlockStart_ToolUse:
		return &toolUseBlock{start: start.ToolUse}
	case *pb.ContentBlockStart_ToolResult:
		result := start.ToolResult
		return &toolResultBlock{&pb.ToolResultBlock{
			ToolUseId: result.GetToolUseId(), Type: result.Type, Status: result.Status,
		}}
	case *pb.ContentBlockStart_Image:
		return &imageBlock{&pb.ImageBlock{Format: start.Image.GetFormat()}}
	case *pb.ContentBlockStart_UnknownJson:
		return &unknownBlock{[]string{start.UnknownJson}}
	default:
		return nil
	}
}

// newBlockFor returns the kind of block that starts with this delta. Tool blocks need a start event, which
// has their name. A delta of an unknown kind does not determine the kind of block, because known deltas can
// follow.
func newBlockFor(delta *pb.ContentBlockDelta) openBlock {
	switch delta.GetDelta().(type) {
	case *pb.ContentBlockDelta_Text, *pb.ContentBlockDelta_Citation:
		return &textBlock{}
	case *pb.ContentBlockDelta_ReasoningContent:
		return &reasoningBlock{}
	case *pb.ContentBlockDelta_Image:
		return &imageBlock{&pb.ImageBlock{}}
	default:
		return nil
	}
}

func (b *textBlock) append(delta *pb.ContentBlockDelta) bool {
	switch delta := delta.GetDelta().(type) {
	case *pb.ContentBlockDelta_Text:
		b.text.WriteString(delta.Text)
	case *pb.ContentBlockDelta_Citation:
		b.citations = append(b.citations, citation(delta.Citation))
	default:
		return false
	}
	return true
}

func (b *textBlock) close() []*pb.ContentBlock {
	text := b.text.String()
	if len(b.citations) > 0 {
		part := &pb.CitationGeneratedContent{Block: &pb.CitationGeneratedContent_Text{Text: text}}
		cited := &pb.CitationsContentBlock{Content: []*pb.CitationGeneratedContent{part}, Citations: b.citations}
		return one(&pb.ContentBlock{Block: &pb.ContentBlock_CitationsContent{CitationsContent: cited}})
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return one(textContent(text))
}

func (b *toolUseBlock) append(delta *pb.ContentBlockDelta) bool {
	part, ok := delta.GetDelta().(*pb.ContentBlockDelta_ToolUse)
	if ok {
		b.input.WriteString(part.ToolUse.GetInput())
	}
	return ok
}

// close returns the tool use. Models send no input for tools without arguments.
func (b *toolUseBlock) close() []*pb.ContentBlock {
	use := &pb.ToolUseBlock{
		ToolUseId: b.start.GetToolUseId(),
		Name:      b.start.GetName(),
		Type:      b.start.Type,
		Arguments: &pb.ToolUseBlock_InputJson{InputJson: orElse(b.input.String(), "{}")},
	}
	return one(&pb.ContentBlock{Block: &pb.ContentBlock_ToolUse{ToolUse: use}})
}

// append appends text to a preceding text part. Every JSON value is a part of its own.
func (b *toolResultBlock) append(delta *pb.ContentBlockDelta) bool {
	part, ok := delta.GetDelta().(*pb.ContentBlockDelta_ToolResult)
	if !ok {
		return false
	}
	for _, block := range part.ToolResult.GetBlocks() {
		switch block := block.GetBlock().(type) {
		case *pb.ToolResultBlockDelta_Text:
			b.appendText(block.Text)
		case *pb.ToolResultBlockDelta_JsonText:
			b.appendPart(&pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_JsonText{JsonText: block.JsonText}})
		case *pb.ToolResultBlockDelta_UnknownJson:
			b.appendPart(&pb.ToolResultContentBlock{
				Block: &pb.ToolResultContentBlock_UnknownJson{UnknownJson: block.UnknownJson},
			})
		}
	}
	return true
}

func (b *toolResultBlock) appendText(text string) {
	if last := len(b.result.Content) - 1; last >= 0 {
		if before, ok := b.result.Content[last].GetBlock().(*pb.ToolResultContentBlock_Text); ok {
			before.Text += text
			return
		}
	}
	b.appendPart(&pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_Text{Text: text}})
}

func (b *toolResultBlock) appendPart(part *pb.ToolResultContentBlock) {
	b.result.Content = append(b.result.Content, part)
}

func (b *toolResultBlock) close() []*pb.ContentBlock {
	return one(&pb.ContentBlock{Block: &pb.ContentBlock_ToolResult{ToolResult: b.result}})
}

func (b *reasoningBlock) append(delta *pb.ContentBlockDelta) bool {
	part, ok := delta.GetDelta().(*pb.ContentBlockDelta_ReasoningContent)
	if !ok {
		return false
	}
	switch part := part.ReasoningContent.GetDelta().(type) {
	case *pb.ReasoningContentBlockDelta_Text:
		b.text.WriteString(part.Text)
		b.hasText = true
	case *pb.ReasoningContentBlockDelta_Signature:
		b.signature = proto.String(b.currentSignature() + part.Signature)
	case *pb.ReasoningContentBlockDelta_RedactedContent:
		b.redacted = append(b.redacted, part.RedactedContent...)
	case *pb.ReasoningContentBlockDelta_UnknownJson:
		b.unknown = append(b.unknown, part.UnknownJson)
	}
	return true
}

func (b *reasoningBlock) currentSignature() string {
	if b.signature == nil {
		return ""
	}
	return *b.signature
}

func (b *reasoningBlock) close() []*pb.ContentBlock {
	var content []*pb.ContentBlock
	if b.hasText || b.signature != nil {
		plain := &pb.ReasoningTextBlock{Text: b.text.String(), Signature: b.signature}
		content = append(content, reasoning(&pb.ReasoningContentBlock{
			Block: &pb.ReasoningContentBlock_ReasoningText{ReasoningText: plain},
		}))
	}
	if len(b.redacted) > 0 {
		content = append(content, reasoning(&pb.ReasoningContentBlock{
			Block: &pb.ReasoningContentBlock_RedactedContent{RedactedContent: b.redacted},
		}))
	}
	for _, json := range b.unknown {
		content = append(content, reasoning(&pb.ReasoningContentBlock{
			Block: &pb.ReasoningContentBlock_UnknownJson{UnknownJson: json},
		}))
	}
	return content
}

func (b *imageBlock) append(delta *pb.ContentBlockDelta) bool {
	part, ok := delta.GetDelta().(*pb.ContentBlockDelta_Image)
	if !ok {
		return false
	}
	if problem := part.Image.GetError(); problem != nil {
		b.image.Error = problem
	}
	if source := part.Image.GetSource(); source != nil {
		before, more := b.image.GetSource().GetBytes(), source.GetBytes()
		if before != nil && more != nil {
			source = &pb.ImageSource{Source: &pb.ImageSource_Bytes{Bytes: slices.Concat(before, more)}}
		}
		b.image.Source = source
	}
	return true
}

func (b *imageBlock) close() []*pb.ContentBlock {
	return one(&pb.ContentBlock{Block: &pb.ContentBlock_Image{Image: b.image}})
}

func (b *unknownBlock) append(delta *pb.ContentBlockDelta) bool {
	part, ok := delta.GetDelta().(*pb.ContentBlockDelta_UnknownJson)
	if ok {
		b.parts = append(b.parts, part.UnknownJson)
	}
	return ok
}

func (b *unknownBlock) close() []*pb.ContentBlock {
	var content []*pb.ContentBlock
	for _, json := range b.parts {
		content = append(content, &pb.ContentBlock{Block: &pb.ContentBlock_UnknownJson{UnknownJson: json}})
	}
	return content
}

func one(block *pb.ContentBlock) []*pb.ContentBlock { return []*pb.ContentBlock{block} }

func reasoning(block *pb.ReasoningContentBlock) *pb.ContentBlock {
	return &pb.ContentBlock{Block: &pb.ContentBlock_ReasoningContent{ReasoningContent: block}}
}

func citation(delta *pb.CitationsDelta) *pb.Citation {
	cited := &pb.Citation{Title: delta.Title, Source: delta.Source, Location: delta.GetLocation()}
	for _, text := range delta.GetSourceContent() {
		content := &pb.CitationSourceContent{}
		if text.Text != nil {
			content.Block = &pb.CitationSourceContent_Text{Text: text.GetText()}
		}
		cited.SourceContent = append(cited.SourceContent, content)
	}
	return cited
}
