package ai.switchboard.client;

import static ai.switchboard.client.Events.cited;
import static ai.switchboard.client.Events.imageBytes;
import static ai.switchboard.client.Events.imageStart;
import static ai.switchboard.client.Events.input;
import static ai.switchboard.client.Events.json;
import static ai.switchboard.client.Events.messageStop;
import static ai.switchboard.client.Events.metadata;
import static ai.switchboard.client.Events.restart;
import static ai.switchboard.client.Events.result;
import static ai.switchboard.client.Events.resultStart;
import static ai.switchboard.client.Events.route;
import static ai.switchboard.client.Events.redacted;
import static ai.switchboard.client.Events.signature;
import static ai.switchboard.client.Events.text;
import static ai.switchboard.client.Events.thought;
import static ai.switchboard.client.Events.toolStart;
import static ai.switchboard.client.Events.unknown;
import static ai.switchboard.client.Events.unknownStart;
import static ai.switchboard.client.Events.part;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.StopReason;
import ai.switchboard.v1.UnknownEvent;
import com.google.protobuf.util.JsonFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class CollectorTest {
  private static Arguments of(String name, String content, ConverseStreamResponse... events) {
    return Arguments.of(name, content, List.of(events));
  }

  static Stream<Arguments> answers() {
    return Stream.of(
        of("text", "[{'text':'Zürich 🦀'}]", text(0, "Zür"), text(0, "ich 🦀")),
        of("omits blank text", "[{'text':'x'}]", text(0, " "), text(1, "\n"), text(2, "x")),
        of(
            "interleaved blocks",
            "[{'text':'xy'},{'toolUse':{'toolUseId':'t1','name':'a','inputJson':'[9007199254740993]'}}]",
            toolStart(1, "t1", "a"), text(0, "x"), input(1, "[90071992"), text(0, "y"), input(1, "54740993]")),
        of(
            "a tool without arguments",
            "[{'toolUse':{'toolUseId':'t1','name':'now','inputJson':'{}'}}]",
            toolStart(0, "t1", "now")),
        of(
            "signed reasoning",
            "[{'reasoningContent':{'reasoningText':{'text':'hmm','signature':'c2ln'}}}]",
            thought(0, "hm"), thought(0, "m"), signature(0, "c2"), signature(0, "ln")),
        of(
            "reasoning with nothing but a signature",
            "[{'reasoningContent':{'reasoningText':{'signature':'c2ln'}}}]",
            signature(0, "c2ln")),
        of("encrypted reasoning", "[{'reasoningContent':{'redactedContent':'YWJj'}}]", redacted(0, "ab"), redacted(0, "c")),
        of(
            "citations",
            "[{'citationsContent':{'content':[{'text':'so'}],"
                + "'citations':[{'title':'a book','sourceContent':[{'text':'the source'}]}]}}]",
            text(0, "so"), cited(0, "a book")),
        of(
            "a tool result",
            "[{'toolResult':{'toolUseId':'t1','status':'success',"
                + "'content':[{'text':'ab'},{'jsonText':'[1]'},{'text':'c'}]}}]",
            resultStart(0, "t1"), result(0, part("a"), part("b")), result(0, json("[1]"), part("c"))),
        of(
            "an image",
            "[{'image':{'format':'png','source':{'bytes':'YWJj'}}}]",
            imageStart(0), imageBytes(0, "ab"), imageBytes(0, "c")),
        of(
            "an unknown kind",
            "[{'unknownJson':'[1]'},{'unknownJson':'[2]'}]",
            unknownStart(0, "[1]"), unknown(0, "[2]")));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("answers")
  void collects_deltas_into_blocks(String name, String content, List<ConverseStreamResponse> events) throws Exception {
    Message.Builder expected = Message.newBuilder();
    JsonFormat.parser().merge("{'role':'assistant','content':" + content + "}", expected);
    Collector collector = new Collector();

    events.forEach(collector::push);
    collector.push(metadata());

    assertEquals(new Collected(collector.finish().response(), List.of()), collector.finish(), "has no unplaced events");
    assertEquals(expected.build(), collector.finish().message());
  }

  @Test
  void keeps_events_without_a_block() {
    UnknownEvent unknownEvent = UnknownEvent.newBuilder().setEventType("moonPhase").setJson("{}").build();
    Collector collector = new Collector();

    collector.push(ConverseStreamResponse.newBuilder().setUnknown(unknownEvent).build());
    collector.push(input(0, "{}"));
    collector.push(unknown(1, "[1]"));
    collector.push(ConverseStreamResponse.getDefaultInstance());
    collector.push(text(1, "known words follow"));
    collector.push(input(1, "{}"));
    collector.push(metadata());

    assertEquals(5, collector.finish().unplaced().size());
    assertEquals("known words follow", collector.finish().text());
  }

  @Test
  void collects_every_field_of_the_metadata() {
    ConverseStreamResponse.Builder event = ConverseStreamResponse.newBuilder();
    var metadata = event.getMetadataBuilder();
    metadata.getDescriptorForType().getFields().forEach(metadata::getFieldBuilder);
    Collector collector = new Collector();

    collector.push(event.build());
    var response = collector.finish().response();

    for (var field : metadata.getDescriptorForType().getFields()) {
      assertTrue(response.hasField(response.getDescriptorForType().findFieldByName(field.getName())), field.getName());
    }
  }

  @Test
  void a_restart_discards_earlier_events() {
    Collector collector = new Collector();
    for (ConverseStreamResponse event :
        List.of(
            route("one"), text(0, "Half an ans"), toolStart(1, "t1", "a"), restart(), route("two"),
            text(0, "A whole one."), messageStop(StopReason.STOP_REASON_END_TURN, "end_turn"), metadata())) {
      collector.push(event);
    }

    Collected collected = collector.finish();

    assertEquals("A whole one.", collected.text());
    assertEquals(List.of(), collected.toolUses());
    assertEquals("two", collected.route().getModelId());
    assertEquals("end_turn", collected.rawStopReason());
    assertEquals(7, collected.usage().orElseThrow().getOutputTokens());
  }

  @Test
  void an_answer_without_metadata_is_incomplete() {
    Collector collector = new Collector();
    collector.push(text(0, "Half an ans"));

    assertEquals(ErrorKind.INCOMPLETE, assertThrows(SwitchboardException.class, collector::finish).kind());
  }
}
