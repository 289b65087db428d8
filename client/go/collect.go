package switchboard

import (
	"maps"
	"slices"
	"strings"

	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// Collected is the complete answer of Converse or of a stream.
type Collected struct {
	// Message is the assistant's turn. Append it to the messages to continue the conversation. For a stream,
	// blank text, which Bedrock rejects, is left out.
	Message *pb.Message
	// StopReason is why the model stopped.
	StopReason pb.StopReason
	// RawStopReason is the stop reason exactly as Bedrock sent it, such as "end_turn".
	RawStopReason string
	// Usage has the tokens of the attempt that answered. Nil: Bedrock did not report usage.
	Usage *pb.TokenUsage
	// Metrics has the latency measured by Bedrock.
	Metrics *pb.ConverseMetrics
	// Trace has the actions of a guardrail or a prompt router.
	Trace *pb.ConverseTrace
	// PerformanceConfig is the latency optimization that was used.
	PerformanceConfig *pb.PerformanceConfiguration
	// ServiceTier is the service tier that was used.
	ServiceTier *pb.ServiceTier
	// AdditionalModelResponseFieldsJSON has the requested fields of the model's native response, as exact JSON
	// text.
	AdditionalModelResponseFieldsJSON *string
	// Route has the model that answered, and every attempt. For a stream, it is the final route.
	Route *pb.Route
	// Latency is the duration of the call and of its parts.
	Latency *pb.Latency
	// Cost is the cost of the call, including every attempt. Nil: the price of some part is unknown; do not read
	// this as zero.
	Cost *pb.Cost
	// Unplaced has the events that could not be added to the message: they are newer than this client, or belong
	// to no known block.
	Unplaced []*pb.ConverseStreamResponse
}

// Collector assembles an answer while the caller processes the events: Push every event, then Finish. The
// zero value is ready to use.
//
// The index of a delta identifies its block. Deltas of different blocks can be interleaved, and text and
// reasoning blocks start without a start event.
type Collector struct {
	blocks    map[int32]openBlock
	collected Collected
	role      string
	complete  bool
}

// Collect converts a complete response.
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

// Text returns the text of the answer, without reasoning and tool uses.
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

// ToolUses returns the tool calls that the model requests. GetInputJson has the exact JSON text of the
// arguments.
func (c *Collected) ToolUses() []*pb.ToolUseBlock {
	var uses []*pb.ToolUseBlock
	for _, block := range c.Message.GetContent() {
		if use := block.GetToolUse(); use != nil {
			uses = append(uses, use)
		}
	}
	return uses
}

// Push adds the next event. A restart event discards everything before it.
func (c *Collector) Push(event *pb.ConverseStreamResponse) {
	switch it := event.GetEvent().(type) {
	case *pb.ConverseStreamResponse_Route:
		c.collected.Route = it.Route
	case *pb.ConverseStreamResponse_MessageStart:
		c.role = it.MessageStart.GetRole()
	case *pb.ConverseStreamResponse_ContentBlockStart:
		c.put(it.ContentBlockStart.GetContentBlockIndex(), newBlock(it.ContentBlockStart.GetStart()))
	case *pb.ConverseStreamResponse_ContentBlockDelta:
		c.add(event, it.ContentBlockDelta)
	case *pb.ConverseStreamResponse_ContentBlockStop:
		// Not relied on: Bedrock sometimes omits it.
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

// Finish returns the answer; an [*Error] of the kind [KindIncomplete] if the metadata is missing.
func (c *Collector) Finish() (*Collected, error) {
	if !c.complete {
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

func (c *Collector) add(event *pb.ConverseStreamResponse, part *pb.ContentBlockDeltaEvent) {
	index, delta := part.GetContentBlockIndex(), part.GetDelta()
	if c.blocks[index] == nil {
		c.put(index, newBlockFor(delta))
	}
	if block := c.blocks[index]; block == nil || !block.append(delta) {
		c.collected.Unplaced = append(c.collected.Unplaced, event)
	}
}

func (c *Collector) takeMetadata(metadata *pb.ConverseStreamMetadataEvent) {
	c.complete = true
	if route := metadata.GetRoute(); route != nil {
		c.collected.Route = route
	}
	c.collected.Usage = metadata.GetUsage()
	c.collected.Metrics = metadata.GetMetrics()
	c.collected.Trace = metadata.GetTrace()
	c.collected.PerformanceConfig = metadata.GetPerformanceConfig()
	c.collected.ServiceTier = metadata.GetServiceTier()
	c.collected.Latency = metadata.GetLatency()
	c.collected.Cost = metadata.GetCost()
}
