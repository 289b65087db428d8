/**
 * An answer while it is generated.
 *
 * Nothing is buffered here: HTTP/2 flow control reaches from the reader of these streams to the model.
 */

import { Collector, type Collected } from "./collect.js";
import { incomplete, restarted } from "./error.js";
import type * as pb from "./gen/pb.js";

/** One event of a stream: `event.case` says which, `event.value` is its message. */
export type Event = Exclude<pb.ConverseStreamResponse["event"], { case: undefined }>;

/**
 * The events of an answer, in order: the route first, the metadata last. The call begins with the first read; leaving
 * the loop cancels it, at Bedrock too. A stream can be read once, in one of three ways: `for await` over it, over its
 * {@link text}, or {@link collectMessage}.
 *
 * A stream that just ends, without its metadata, throws: the answer is not whole.
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
   * Only the words. Where another model starts over after some were given out, the text ends with an error of the kind
   * "restarted", since words cannot be taken back: read events for such tasks.
   */
  text(): AsyncGenerator<string, void, undefined> {
    return textOf(eventsOf(this.#take()));
  }

  /** Reads to the end and puts the pieces together. */
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
  let isWhole = false;
  for await (const { event } of replies) {
    if (event.case === undefined) {
      continue; // newer than this contract
    }
    isWhole ||= event.case === "metadata";
    yield event;
  }
  if (!isWhole) {
    throw incomplete();
  }
}

async function* textOf(events: AsyncIterable<Event>): AsyncGenerator<string, void, undefined> {
  let wrote = false;
  for await (const event of events) {
    if (event.case === "restart" && wrote) {
      throw restarted(event.value.reason);
    }
    const delta = event.case === "contentBlockDelta" ? event.value.delta?.delta : undefined;
    if (delta?.case === "text" && delta.value !== "") {
      wrote = true;
      yield delta.value;
    }
  }
}
