package switchboard

import (
	"maps"
	"slices"
	"strings"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Collected is an answer, whole, however it came.
type Collected struct {
	// Message is what the model said. Send it back as the next turn's history. Of a stream, blank text, which Bedrock
	// refuses, is left out.
	Message *pb.Message
	// StopReason is why the model stopped.
	StopReason pb.StopReason
	// RawStopReason is the same in Bedrock's own word, such as "end_turn".
	RawStopReason string
	// Usage is what was read and written. Nil: Bedrock did not say.
	Usage *pb.TokenUsage
	// Metrics is Bedrock's own measure.
	Metrics *pb.ConverseMetrics
	// Trace is what a guardrail or a prompt router did.
	Trace *pb.ConverseTrace
	// PerformanceConfig is the form of the model that served.
	PerformanceConfig *pb.PerformanceConfiguration
	// ServiceTier is the tier that served.
	ServiceTier *pb.ServiceTier
	// AdditionalModelResponseFieldsJSON is the model's own reply fields, as exact JSON text.
	AdditionalModelResponseFieldsJSON *string
	// Route is who answered, and every attempt before.
	Route *pb.Route
	// Latency is where the time went.
	Latency *pb.Latency
	// Cost is what the call cost, every attempt included. Nil: the price of a part is unknown; it is not zero.
	Cost *pb.Cost
	// Unplaced are events that have no place in the message: newer than this client, or of no known block.
	Unplaced []*pb.ConverseStreamResponse
}

// Collector collects a stream while something else reads along: Push every event, then Finish. Its zero value is ready.
//
// The index of a piece says which block it belongs to; pieces of several blocks may come in turns, and blocks of text and
// reasoning begin without a start event.
type Collector struct {
	blocks    map[int32]openBlock
	collected Collected
	role      string
	whole     bool
}

// Collect is the answer of a call that was not streamed.
func Collect(response *pb.ConverseResponse) *Collected {
	message := response.GetOutput().GetMessage()
	if message == nil {
		message = &pb.Message{}
	}
	return &Collected{
		Message:                           message,
		StopReason:                        response.GetStopReason(),
		RawStopReason:                     response.GetRawStopReason(),
		Usage:                             response.GetUsage(),
		Metrics:                           response.GetMetrics(),
		Trace:                             response.GetTrace(),
		PerformanceConfig:                 response.GetPerformanceConfig(),
		ServiceTier:                       response.GetServiceTier(),
		AdditionalModelResponseFieldsJSON: response.AdditionalModelResponseFieldsJson,
		Route:                             response.GetRoute(),
		Latency:                           response.GetLatency(),
		Cost:                              response.GetCost(),
	}
}

// Text is the words of the answer, without reasoning and tool uses.
func (c *Collected) Text() string {
	var text strings.Builder
	for _, block := range c.Message.GetContent() {
		text.WriteString(block.GetText())
		for _, part := range block.GetCitationsContent().GetContent() {
			text.WriteString(part.GetText())
		}
	}
	return text.String()
}

// ToolUses are the tools that the model asks for; their arguments are exact JSON text in GetInputJson.
func (c *Collected) ToolUses() []*pb.ToolUseBlock {
	var uses []*pb.ToolUseBlock
	for _, block := range c.Message.GetContent() {
		if use := block.GetToolUse(); use != nil {
			uses = append(uses, use)
		}
	}
	return uses
}

// Push takes the next event in. After a restart it forgets what it had.
func (c *Collector) Push(event *pb.ConverseStreamResponse) {
	switch it := event.GetEvent().(type) {
	case *pb.ConverseStreamResponse_Route:
		c.collected.Route = it.Route
	case *pb.ConverseStreamResponse_MessageStart:
		c.role = it.MessageStart.GetRole()
	case *pb.ConverseStreamResponse_ContentBlockStart:
		c.put(it.ContentBlockStart.GetContentBlockIndex(), begin(it.ContentBlockStart.GetStart()))
	case *pb.ConverseStreamResponse_ContentBlockDelta:
		c.add(event, it.ContentBlockDelta)
	case *pb.ConverseStreamResponse_ContentBlockStop:
		// Bedrock has been seen to forget it, so nothing waits for it.
	case *pb.ConverseStreamResponse_MessageStop:
		c.collected.StopReason = it.MessageStop.GetStopReason()
		c.collected.RawStopReason = it.MessageStop.GetRawStopReason()
		c.collected.AdditionalModelResponseFieldsJSON = it.MessageStop.AdditionalModelResponseFieldsJson
	case *pb.ConverseStreamResponse_Restart:
		*c = Collector{}
	case *pb.ConverseStreamResponse_Metadata:
		c.takeMetadata(it.Metadata)
	default:
		c.collected.Unplaced = append(c.collected.Unplaced, event)
	}
}

// Finish is the answer; an [*Error] of the kind [KindIncomplete] if its metadata never came.
func (c *Collector) Finish() (*Collected, error) {
	if !c.whole {
		return nil, incomplete()
	}
	collected := c.collected
	collected.Message = &pb.Message{Role: orElse(c.role, "assistant")}
	for _, index := range slices.Sorted(maps.Keys(c.blocks)) {
		collected.Message.Content = append(collected.Message.Content, c.blocks[index].close()...)
	}
	return &collected, nil
}

func (c *Collector) put(index int32, block openBlock) {
	if c.blocks == nil {
		c.blocks = map[int32]openBlock{}
	}
	if block != nil {
		c.blocks[index] = block
	}
}

func (c *Collector) add(event *pb.ConverseStreamResponse, piece *pb.ContentBlockDeltaEvent) {
	index, delta := piece.GetContentBlockIndex(), piece.GetDelta()
	if c.blocks[index] == nil {
		c.put(index, beginWith(delta))
	}
	if block := c.blocks[index]; block == nil || !block.append(delta) {
		c.collected.Unplaced = append(c.collected.Unplaced, event)
	}
}

func (c *Collector) takeMetadata(metadata *pb.ConverseStreamMetadataEvent) {
	c.whole = true
	c.collected.Usage = metadata.GetUsage()
	c.collected.Metrics = metadata.GetMetrics()
	c.collected.Trace = metadata.GetTrace()
	c.collected.PerformanceConfig = metadata.GetPerformanceConfig()
	c.collected.ServiceTier = metadata.GetServiceTier()
	c.collected.Latency = metadata.GetLatency()
	c.collected.Cost = metadata.GetCost()
}
