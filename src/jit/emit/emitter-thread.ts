/**
 * Emitting regions on a thread of their own, beside the machine's: it costs as much as interpreting an operating system's
 * start for a sixth of its time.
 *
 * The machine's thread sends what it wants and goes on; once in a while it looks for what is ready (`RemoteEmitter`). The other one
 * sleeps until there is something to do, or it is told to end. Between two modules it touches memory that the machine is about to use
 * (memory/ahead.ts).
 */
import { allocateMessageRing, MessageReceiver, MessageSender } from "#base";
import { Ahead, type Arena, aheadBytes, Toucher, type Translations } from "#memory";
import { Event } from "#vcpu";
import { isLasting, recordOf } from "./kept-regions.ts";
import { type EmitOptions, emitRegions, memoryPagesOf, type RegionCode } from "./region.ts";
import {
  decodeReply,
  decodeRequest,
  type EmitReply,
  encodeFailure,
  encodeReply,
  encodeRequest,
} from "./region-messages.ts";
import { Rehearsal } from "./rehearsal.ts";

/** Everything the thread is given; it can be sent there. */
export interface EmitterSetup {
  readonly options: EmitOptions;
  readonly requests: SharedArrayBuffer;
  readonly replies: SharedArrayBuffer;
  /**
   * i32: a bell, whether the thread is to end, the EVENTS of the vCPU that waits for what is emitted, a word of the arena, and whether what is
   * emitted is kept.
   */
  readonly words: SharedArrayBuffer;
  /** The arena, and how far to touch it. */
  readonly memory: WebAssembly.Memory;
  readonly ahead: SharedArrayBuffer;
  /** Words: how many of records there are, then records of the regions that were emitted (kept-regions.ts). */
  readonly fresh: SharedArrayBuffer;
}

const bell = 0;
const closing = 1;
const asking = 2;
const keeping = 3;
const wordCount = 4;
const ringBytes = 1 << 21;
/** Regions of several boots. What is not used of it costs nothing. */
const freshBytes = 8 << 20;

/** What the machine's side has once there is a thread. */
interface Running {
  readonly requests: MessageSender;
  readonly replies: MessageReceiver;
  readonly ahead: Ahead;
  readonly fresh: Int32Array;
}

/** The machine's side. */
export class RemoteEmitter {
  readonly #arena: Arena;
  readonly #translations: Translations;
  readonly #options: EmitOptions;
  readonly #start: (setup: EmitterSetup) => void;
  /** EmitterSetup.words */
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * wordCount));
  #running: Running | undefined;

  /**
   * `translations`: those of the machine's thread. `start` starts the other one, when it is first wanted: a machine that does little never
   * has one, nor the rings to it.
   */
  constructor(arena: Arena, translations: Translations, options: EmitOptions, start: (setup: EmitterSetup) => void) {
    this.#arena = arena;
    this.#translations = translations;
    this.#options = options;
    this.#start = start;
  }

  /** What is emitted from here on is kept for runs to come. */
  keep(): void {
    Atomics.store(this.#words, keeping, 1);
  }

  /** Records of the regions that were kept so far. */
  get fresh(): Int32Array {
    const fresh = this.#running?.fresh;
    return fresh === undefined ? new Int32Array(0) : fresh.subarray(1, 1 + Atomics.load(fresh, 0));
  }

  /** The thread is wanted now, and so many bytes of frames soon. */
  begin(expectedBytes: number): void {
    this.#running ??= this.#begin(expectedBytes);
  }

  /** To be called once in a while: memory that was taken is a reason to touch more. */
  look(): void {
    if (this.#running?.ahead.look()) this.#ring();
  }

  /**
   * Asks for a module; false where there is too much to do already. `words`: the arena. `events`: one of them, the EVENTS of the vCPU that
   * is told when the module is there.
   */
  request(number: number, words: Int32Array, codes: readonly RegionCode[], events: number): boolean {
    const message = encodeRequest(number, words, codes);
    this.#running ??= this.#begin(0);
    const { requests } = this.#running;
    Atomics.store(this.#words, asking, events);
    return message.length <= requests.maxBytes && requests.send(message);
  }

  /** A module that is ready, by the number it was asked for with. */
  reply(): EmitReply | undefined {
    const message = this.#running?.replies.receive();
    return message && decodeReply(message);
  }

  close(): void {
    Atomics.store(this.#words, closing, 1);
    this.#ring();
  }

  #begin(expectedBytes: number): Running {
    const { memory } = this.#arena;
    const aheadWords = new SharedArrayBuffer(aheadBytes);
    const ahead = new Ahead(this.#arena, aheadWords, this.#translations, expectedBytes);
    const setup = {
      memory,
      ahead: aheadWords,
      options: this.#options,
      requests: allocateMessageRing(ringBytes),
      replies: allocateMessageRing(ringBytes),
      words: this.#words.buffer as SharedArrayBuffer,
      fresh: new SharedArrayBuffer(freshBytes),
    };
    this.#start(setup);
    return {
      requests: new MessageSender(setup.requests, () => this.#ring()),
      replies: new MessageReceiver(setup.replies, () => this.#ring()),
      ahead,
      fresh: new Int32Array(setup.fresh),
    };
  }

  #ring(): void {
    Atomics.add(this.#words, bell, 1);
    Atomics.notify(this.#words, bell);
  }
}

/** Ends the vCPU's run. Where another one has its place by now that run ends, which nobody minds. */
function tell(memory: WebAssembly.Memory, events: number): void {
  const arena = new Int32Array(memory.buffer);
  if (events < arena.length) Atomics.or(arena, events, Event.host);
}

/** The thread: returns when it is told to end. `toucher`: one that has begun, if there is; it has seen to it that all of the memory is seen. */
export function runEmitterThread(setup: EmitterSetup, toucher = new Toucher(setup.memory, setup.ahead)): void {
  const { options, requests, replies, words: shared, memory } = setup;
  const words = new Int32Array(shared);
  // Who asked looks by itself.
  const sender = new MessageSender(replies, () => {});
  const receiver = new MessageReceiver(requests, () => {});
  const rehearsal = new Rehearsal();
  const fresh = new Int32Array(setup.fresh);
  const keep = (record: Int32Array): void => {
    const length = fresh[0];
    if (1 + length + record.length > fresh.length) return;
    fresh.set(record, 1 + length);
    Atomics.store(fresh, 0, length + record.length);
  };
  const isOpen = (): boolean => Atomics.load(words, closing) === 0;
  for (let seen = Atomics.load(words, bell); isOpen(); seen = Atomics.load(words, bell)) {
    const touches = toucher.touch();
    const message = receiver.receive();
    if (message === undefined) {
      if (!touches) Atomics.wait(words, bell, seen);
      continue;
    }
    const { number, words: operations, codes } = decodeRequest(message);
    let reply: readonly Uint8Array[];
    try {
      const batch = emitRegions(operations, codes, options, new Int32Array(memory.buffer), (code, object) => {
        if (Atomics.load(words, keeping) !== 0 && isLasting(code.region))
          keep(recordOf(operations, code, object, options.exact));
      });
      rehearsal.of(batch.bytes, memoryPagesOf(codes));
      reply = encodeReply(number, batch);
      if (reply.reduce((sum, part) => sum + part.length, 0) > sender.maxBytes)
        throw new Error("the module is too large");
    } catch (error) {
      reply = encodeFailure(number, error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    while (isOpen()) {
      const before = Atomics.load(words, bell);
      if (sender.send(...reply)) break;
      Atomics.wait(words, bell, before);
    }
    tell(memory, Atomics.load(words, asking));
  }
}
