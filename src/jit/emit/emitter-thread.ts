/**
 * Emitting regions on a thread of their own, beside the machine's: it costs as much as interpreting an operating system's
 * start for a sixth of its time.
 *
 * The machine's thread sends what it wants and goes on; once in a while it looks for what is ready (`RemoteEmitter`). The other one
 * sleeps until there is something to do, or it is told to end.
 */
import { allocateMessageRing, MessageReceiver, MessageSender } from "#base";
import { type EmitOptions, emitRegions, type RegionCode } from "./region.ts";
import {
  decodeReply,
  decodeRequest,
  type EmitReply,
  encodeFailure,
  encodeReply,
  encodeRequest,
} from "./region-messages.ts";

/** Everything the thread is given; it can be sent there. */
export interface EmitterSetup {
  readonly options: EmitOptions;
  readonly requests: SharedArrayBuffer;
  readonly replies: SharedArrayBuffer;
  /** i32: a bell, and whether the thread is to end. */
  readonly words: SharedArrayBuffer;
}

const bell = 0;
const closing = 1;
const ringBytes = 1 << 21;

/** The machine's side. */
export class RemoteEmitter {
  readonly #setup: EmitterSetup;
  /** Until it is started. */
  #start: ((setup: EmitterSetup) => void) | undefined;
  readonly #words: Int32Array;
  readonly #requests: MessageSender;
  readonly #replies: MessageReceiver;

  /** `start` starts the thread, when it is first wanted: a machine that does little never has one. */
  constructor(options: EmitOptions, start: (setup: EmitterSetup) => void) {
    this.#start = start;
    this.#setup = {
      options,
      requests: allocateMessageRing(ringBytes),
      replies: allocateMessageRing(ringBytes),
      words: new SharedArrayBuffer(8),
    };
    this.#words = new Int32Array(this.#setup.words);
    this.#requests = new MessageSender(this.#setup.requests, () => this.#ring());
    this.#replies = new MessageReceiver(this.#setup.replies, () => this.#ring());
  }

  /** Asks for a module; false where there is too much to do already. `words`: the arena. */
  request(number: number, words: Int32Array, codes: readonly RegionCode[]): boolean {
    const message = encodeRequest(number, words, codes);
    this.#start?.(this.#setup);
    this.#start = undefined;
    return message.length <= this.#requests.maxBytes && this.#requests.send(message);
  }

  /** A module that is ready, by the number it was asked for with. */
  reply(): EmitReply | undefined {
    const message = this.#replies.receive();
    return message && decodeReply(message);
  }

  close(): void {
    Atomics.store(this.#words, closing, 1);
    this.#ring();
  }

  #ring(): void {
    Atomics.add(this.#words, bell, 1);
    Atomics.notify(this.#words, bell);
  }
}

/** The thread: returns when it is told to end. */
export function runEmitterThread({ options, requests, replies, words: shared }: EmitterSetup): void {
  const words = new Int32Array(shared);
  // Who asked looks by itself.
  const sender = new MessageSender(replies, () => {});
  const receiver = new MessageReceiver(requests, () => {});
  const isOpen = (): boolean => Atomics.load(words, closing) === 0;
  for (let seen = Atomics.load(words, bell); isOpen(); seen = Atomics.load(words, bell)) {
    const message = receiver.receive();
    if (message === undefined) {
      Atomics.wait(words, bell, seen);
      continue;
    }
    const { number, words: operations, codes } = decodeRequest(message);
    let reply: readonly Uint8Array[];
    try {
      reply = encodeReply(number, emitRegions(operations, codes, options));
      if (reply.reduce((sum, part) => sum + part.length, 0) > sender.maxBytes)
        throw new Error("the module is too large");
    } catch (error) {
      reply = encodeFailure(number, String(error));
    }
    while (isOpen()) {
      const before = Atomics.load(words, bell);
      if (sender.send(...reply)) break;
      Atomics.wait(words, bell, before);
    }
  }
}
