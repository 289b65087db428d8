/**
 * Streamed answers.
 *
 * Nothing is buffered here: HTTP/2 flow control connects the reader of a stream with the model.
 */

import { Collector, type Collected } from "./collect.js";
import { incomplete, restarted } from "./error.js";
import type * as pb from "./gen/pb.js";

/** One event of a stream: `event.case` is its kind, `event.value` its message. */
export type Event = Exclude<pb.ConverseStreamResponse["event"], { case: undefined }>;

/**
 * Events of a streamed answer, in order: the route is the first, the metadata the last. The call is sent with
 * the first read; leaving the loop cancels it, also at Bedrock. A stream can be read once, in one of three
 * ways: `for await` over it, over its {@link text}, or {@link collectMessage}.
 *
 * A stream that ends without metadata throws: the answer is incomplete.
 */
export class EventStream implements AsyncIterable<Event> {
  #replies: AsyncGenerator<pb.ConverseStreamResponse, void, undefined> | undefined;

  /** @internal */
  constructor(replies: AsyncGenerator<pb.ConverseStreamResponse, void, undefined>) {
    this.#replies = replies;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    return eventsOf(this.#take());
  }

  /**
   * Returns only the text. If another model starts over after text was returned, it throws an error of the
   * kind "restarted", because the text cannot be taken back: for tasks that allow restarts, read the events.
   */
  text(): AsyncGenerator<string, void, undefined> {
    return textOf(eventsOf(this.#take()));
  }

  /** Reads to the end and assembles the complete answer. */
  async collectMessage(): Promise<Collected> {
    const collector = new Collector();
    for await (const event of this) {
      collector.push(event);
    }
    return collector.finish();
  }

  #take(): AsyncGenerator<pb.ConverseStreamResponse, void, undefined> {
    const replies = this.#replies;
    if (replies === undefined) {
      throw new TypeError("this stream has been read already");
    }
    this.#replies = undefined;
    return replies;
  }
}

async function* eventsOf(replies: AsyncIterable<pb.ConverseStreamResponse>): AsyncGenerator<Event, void, undefined> {
  let isComplete = false;
  for await (const { event } of replies) {
    if (event.case === undefined) {
      continue; // newer than this contract
    }
    isComplete ||= event.case === "metadata";
    yield event;
  }
  if (!isComplete) {
    throw incomplete();
  }
}

async function* textOf(events: AsyncIterable<Event>): AsyncGenerator<string, void, undefined> {
  let hasText = false;
  for await (const event of events) {
    if (event.case === "restart" && hasText) {
      throw restarted(event.value.reason);
    }
    const delta = event.case === "contentBlockDelta" ? event.value.delta?.delta : undefined;
    if (delta?.case === "text" && delta.value !== "") {
      hasText = true;
      yield delta.value;
    }
  }
}
