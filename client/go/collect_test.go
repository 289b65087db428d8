package switchboard_test

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

func TestCollectsDeltasIntoBlocks(t *testing.T) {
	part := func(text string) *pb.ToolResultBlockDelta {
		return &pb.ToolResultBlockDelta{Block: &pb.ToolResultBlockDelta_Text{Text: text}}
	}
	json := &pb.ToolResultBlockDelta{Block: &pb.ToolResultBlockDelta_JsonText{JsonText: `{"a":1}`}}
	type events = []*pb.ConverseStreamResponse
	for name, it := range map[string]struct {
		events events
		want   string
	}{
		"text":             {events{text(0, "Zür"), text(0, "ich 🦀")}, `[{"text":"Zürich 🦀"}]`},
		"omits blank text": {events{text(0, " "), text(1, "\n"), text(2, "x")}, `[{"text":"x"}]`},
		"interleaved blocks": {
			events{toolStart(1, "t1", "a"), text(0, "x"), input(1, `{"n":`), text(0, "y"), input(1, `9007199254740993}`)},
			`[{"text":"xy"},{"toolUse":{"toolUseId":"t1","name":"a","inputJson":"{\"n\":9007199254740993}"}}]`,
		},
		"a tool without arguments": {
			events{toolStart(0, "t1", "now")},
			`[{"toolUse":{"toolUseId":"t1","name":"now","inputJson":"{}"}}]`,
		},
		"signed reasoning": {
			events{thought(0, "hm"), thought(0, "m"), signature(0, "c2"), signature(0, "ln")},
			`[{"reasoningContent":{"reasoningText":{"text":"hmm","signature":"c2ln"}}}]`,
		},
		"reasoning with nothing but a signature": {
			events{signature(0, "c2ln")},
			`[{"reasoningContent":{"reasoningText":{"signature":"c2ln"}}}]`,
		},
		"encrypted reasoning": {
			events{redacted(0, "ab"), redacted(0, "c")},
			`[{"reasoningContent":{"redactedContent":"YWJj"}}]`,
		},
		"citations": {
			events{text(0, "so"), cited(0, "a book")},
			`[{"citationsContent":{"content":[{"text":"so"}],
				"citations":[{"title":"a book","sourceContent":[{"text":"the source"}]}]}}]`,
		},
		"a tool result": {
			events{resultStart(0, "t1"), result(0, part("a"), part("b")), result(0, json, part("c"))},
			`[{"toolResult":{"toolUseId":"t1","status":"success",
				"content":[{"text":"ab"},{"jsonText":"{\"a\":1}"},{"text":"c"}]}}]`,
		},
		"an image": {
			events{imageStart(0), imageBytes(0, "ab"), imageBytes(0, "c")},
			`[{"image":{"format":"png","source":{"bytes":"YWJj"}}}]`,
		},
		"an unknown kind": {
			events{unknownStart(0, `{"new":{}}`), unknown(0, `{"new":{"a":1}}`)},
			`[{"unknownJson":"{\"new\":{}}"},{"unknownJson":"{\"new\":{\"a\":1}}"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var collector switchboard.Collector
			for _, event := range append(it.events, metadata()) {
				collector.Push(event)
			}
			collected, err := collector.Finish()

			want := &pb.Message{}
			if err := protojson.Unmarshal([]byte(`{"role":"assistant","content":`+it.want+`}`), want); err != nil {
				t.Fatal(err)
			}
			if err != nil || !proto.Equal(collected.Message, want) || len(collected.Unplaced) != 0 {
				t.Fatalf("%+v, %v", collected, err)
			}
		})
	}
}

func TestCollectsEveryFieldOfAnAnswer(t *testing.T) {
	response, metadata := &pb.ConverseResponse{}, &pb.ConverseStreamMetadataEvent{}
	fill(response.ProtoReflect())
	fill(metadata.ProtoReflect())
	var collector switchboard.Collector
	collector.Push(&pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_Metadata{Metadata: metadata}})
	streamed, err := collector.Finish()
	if err != nil {
		t.Fatal(err)
	}

	for _, it := range []struct {
		from proto.Message
		into *switchboard.Collected
	}{{response, switchboard.Collect(response)}, {metadata, streamed}} {
		fields := reflect.TypeOf(it.from).Elem()
		for i := range fields.NumField() {
			name := fields.Field(i).Name
			if !fields.Field(i).IsExported() || name == "Output" { // its message is in Collected
				continue
			}
			got := reflect.ValueOf(*it.into).FieldByName(strings.Replace(name, "Json", "JSON", 1))
			want := reflect.ValueOf(it.from).Elem().Field(i)
			if !got.IsValid() || !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%s of %T is not collected", name, it.from)
			}
		}
	}
}

// fill sets every field that is not a list.
func fill(message protoreflect.Message) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		switch field := fields.Get(i); {
		case field.IsList() || field.IsMap():
		case field.Kind() == protoreflect.MessageKind:
			message.Mutable(field)
		case field.Kind() == protoreflect.StringKind:
			message.Set(field, protoreflect.ValueOfString("set"))
		case field.Kind() == protoreflect.EnumKind:
			message.Set(field, protoreflect.ValueOfEnum(1))
		}
	}
}

func TestKeepsEventsWithoutABlock(t *testing.T) {
	unknownEvent := &pb.ConverseStreamResponse{Event: &pb.ConverseStreamResponse_Unknown{
		Unknown: &pb.UnknownEvent{EventType: "moonPhase", Json: "{}"},
	}}
	lost := []*pb.ConverseStreamResponse{unknownEvent, input(0, "{}"), unknown(1, `{"new":1}`), {}}
	var collector switchboard.Collector

	for _, event := range append(lost, text(1, "known words follow"), input(1, "{}"), metadata()) {
		collector.Push(event)
	}
	collected, err := collector.Finish()

	if err != nil || len(collected.Unplaced) != 5 || collected.Text() != "known words follow" {
		t.Fatalf("%+v, %v", collected, err)
	}
}

func TestARestartDiscardsEarlierEvents(t *testing.T) {
	var collector switchboard.Collector

	for _, event := range []*pb.ConverseStreamResponse{
		route("one"), messageStart(), text(0, "Half an ans"), toolStart(1, "t1", "a"), restart(),
		route("two"), messageStart(), text(0, "A whole one."),
		messageStop(pb.StopReason_STOP_REASON_END_TURN, "end_turn"), metadata(),
	} {
		collector.Push(event)
	}
	collected, err := collector.Finish()

	if err != nil || collected.Text() != "A whole one." || collected.ToolUses() != nil {
		t.Fatalf("%+v, %v", collected, err)
	}
	if collected.Route.GetModelId() != "two" || collected.RawStopReason != "end_turn" || collected.Usage == nil {
		t.Fatalf("%+v", collected)
	}
}

func TestAnAnswerWithoutMetadataIsIncomplete(t *testing.T) {
	var collector switchboard.Collector
	collector.Push(text(0, "Half an ans"))

	_, err := collector.Finish()

	if failure := switchboard.AsError(err); failure == nil || failure.Kind != switchboard.KindIncomplete {
		t.Fatalf("%v", err)
	}
}
