package switchboard

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// openBlock is one block of a message while its pieces come in.
type openBlock interface {
	// append adds a piece; false: it does not belong to this kind of block.
	append(*pb.ContentBlockDelta) bool
	// close is the block as history wants it: none for blank text, and one for each piece of an unknown kind, since how
	// those would join is unknown too.
	close() []*pb.ContentBlock
}

type (
	textBlock struct {
		words     strings.Builder
		citations []*pb.Citation
	}
	toolUseBlock struct {
		start *pb.ToolUseBlockStart
		input strings.Builder
	}
	toolResultBlock struct{ result *pb.ToolResultBlock }
	// reasoningBlock is readable or sealed; a model sends one or the other.
	reasoningBlock struct {
		words     strings.Builder
		spoke     bool
		signature *string
		sealed    []byte
		unknown   []string
	}
	imageBlock   struct{ image *pb.ImageBlock }
	unknownBlock struct{ pieces []string }
)

// begin is the block that a start event begins; nil: the first piece decides.
func begin(start *pb.ContentBlockStart) openBlock {
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

// beginWith is the block that a piece begins. Tools name themselves in a start event: without one there is no block to add
// to. Nor does a piece of an unknown kind begin one: known pieces may follow.
func beginWith(delta *pb.ContentBlockDelta) openBlock {
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
		b.words.WriteString(delta.Text)
	case *pb.ContentBlockDelta_Citation:
		b.citations = append(b.citations, citation(delta.Citation))
	default:
		return false
	}
	return true
}

func (b *textBlock) close() []*pb.ContentBlock {
	words := b.words.String()
	if len(b.citations) > 0 {
		part := &pb.CitationGeneratedContent{Block: &pb.CitationGeneratedContent_Text{Text: words}}
		cited := &pb.CitationsContentBlock{Content: []*pb.CitationGeneratedContent{part}, Citations: b.citations}
		return one(&pb.ContentBlock{Block: &pb.ContentBlock_CitationsContent{CitationsContent: cited}})
	}
	if strings.TrimSpace(words) == "" {
		return nil
	}
	return one(textContent(words))
}

func (b *toolUseBlock) append(delta *pb.ContentBlockDelta) bool {
	piece, ok := delta.GetDelta().(*pb.ContentBlockDelta_ToolUse)
	if ok {
		b.input.WriteString(piece.ToolUse.GetInput())
	}
	return ok
}

// close takes no input at all for {}: models leave it out for tools without arguments.
func (b *toolUseBlock) close() []*pb.ContentBlock {
	use := &pb.ToolUseBlock{
		ToolUseId: b.start.GetToolUseId(),
		Name:      b.start.GetName(),
		Type:      b.start.Type,
		Arguments: &pb.ToolUseBlock_InputJson{InputJson: orElse(b.input.String(), "{}")},
	}
	return one(&pb.ContentBlock{Block: &pb.ContentBlock_ToolUse{ToolUse: use}})
}

// append lets words go on where the words before ended; every JSON value is a part of its own.
func (b *toolResultBlock) append(delta *pb.ContentBlockDelta) bool {
	piece, ok := delta.GetDelta().(*pb.ContentBlockDelta_ToolResult)
	if !ok {
		return false
	}
	for _, part := range piece.ToolResult.GetBlocks() {
		switch part := part.GetBlock().(type) {
		case *pb.ToolResultBlockDelta_Text:
			b.appendWords(part.Text)
		case *pb.ToolResultBlockDelta_JsonText:
			b.appendPart(&pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_JsonText{JsonText: part.JsonText}})
		case *pb.ToolResultBlockDelta_UnknownJson:
			b.appendPart(&pb.ToolResultContentBlock{
				Block: &pb.ToolResultContentBlock_UnknownJson{UnknownJson: part.UnknownJson},
			})
		}
	}
	return true
}

func (b *toolResultBlock) appendWords(words string) {
	if last := len(b.result.Content) - 1; last >= 0 {
		if before, ok := b.result.Content[last].GetBlock().(*pb.ToolResultContentBlock_Text); ok {
			before.Text += words
			return
		}
	}
	b.appendPart(&pb.ToolResultContentBlock{Block: &pb.ToolResultContentBlock_Text{Text: words}})
}

func (b *toolResultBlock) appendPart(part *pb.ToolResultContentBlock) {
	b.result.Content = append(b.result.Content, part)
}

func (b *toolResultBlock) close() []*pb.ContentBlock {
	return one(&pb.ContentBlock{Block: &pb.ContentBlock_ToolResult{ToolResult: b.result}})
}

func (b *reasoningBlock) append(delta *pb.ContentBlockDelta) bool {
	piece, ok := delta.GetDelta().(*pb.ContentBlockDelta_ReasoningContent)
	if !ok {
		return false
	}
	switch piece := piece.ReasoningContent.GetDelta().(type) {
	case *pb.ReasoningContentBlockDelta_Text:
		b.words.WriteString(piece.Text)
		b.spoke = true
	case *pb.ReasoningContentBlockDelta_Signature:
		b.signature = proto.String(b.signed() + piece.Signature)
	case *pb.ReasoningContentBlockDelta_RedactedContent:
		b.sealed = append(b.sealed, piece.RedactedContent...)
	case *pb.ReasoningContentBlockDelta_UnknownJson:
		b.unknown = append(b.unknown, piece.UnknownJson)
	}
	return true
}

func (b *reasoningBlock) signed() string {
	if b.signature == nil {
		return ""
	}
	return *b.signature
}

func (b *reasoningBlock) close() []*pb.ContentBlock {
	var content []*pb.ContentBlock
	if b.spoke || b.signature != nil {
		readable := &pb.ReasoningTextBlock{Text: b.words.String(), Signature: b.signature}
		content = append(content, reasoning(&pb.ReasoningContentBlock{
			Block: &pb.ReasoningContentBlock_ReasoningText{ReasoningText: readable},
		}))
	}
	if len(b.sealed) > 0 {
		content = append(content, reasoning(&pb.ReasoningContentBlock{
			Block: &pb.ReasoningContentBlock_RedactedContent{RedactedContent: b.sealed},
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
	piece, ok := delta.GetDelta().(*pb.ContentBlockDelta_Image)
	if !ok {
		return false
	}
	if problem := piece.Image.GetError(); problem != nil {
		b.image.Error = problem
	}
	if source := piece.Image.GetSource(); source != nil {
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
	piece, ok := delta.GetDelta().(*pb.ContentBlockDelta_UnknownJson)
	if ok {
		b.pieces = append(b.pieces, piece.UnknownJson)
	}
	return ok
}

func (b *unknownBlock) close() []*pb.ContentBlock {
	var content []*pb.ContentBlock
	for _, piece := range b.pieces {
		content = append(content, &pb.ContentBlock{Block: &pb.ContentBlock_UnknownJson{UnknownJson: piece}})
	}
	return content
}

func one(block *pb.ContentBlock) []*pb.ContentBlock { return []*pb.ContentBlock{block} }

func reasoning(block *pb.ReasoningContentBlock) *pb.ContentBlock {
	return &pb.ContentBlock{Block: &pb.ContentBlock_ReasoningContent{ReasoningContent: block}}
}

func citation(delta *pb.CitationsDelta) *pb.Citation {
	cited := &pb.Citation{Title: delta.Title, Source: delta.Source, Location: delta.GetLocation()}
	for _, words := range delta.GetSourceContent() {
		content := &pb.CitationSourceContent{}
		if words.Text != nil {
			content.Block = &pb.CitationSourceContent_Text{Text: words.GetText()}
		}
		cited.SourceContent = append(cited.SourceContent, content)
	}
	return cited
}
