/**
 * What an owner asks of a running machine beyond a bit: messages to its thread, each answered once, in the order they came.
 */
import { allocateMessageRing, MessageReceiver, MessageSender, parseValue, printValue, type Value } from "#base";
import type { PublishRule } from "#net/rules";
import type { MemoryQuestion } from "#vm";
import { VmError } from "./vm-api.ts";

export type Order =
  /**
   * Writes a snapshot to `path`, of what differs from `base` where there is one; `live`: the machine runs on meanwhile; `owner`: words
   * for whoever restores it, as `printValue` writes them; `key`: a file with a secret, by which it is encrypted.
   */
  | {
      readonly type: "snapshot";
      readonly path: string;
      readonly owner: string;
      readonly base?: string;
      readonly live?: boolean;
      readonly key?: string;
    }
  /** Those who were sent to the thread before with this number go on as this machine does. */
  | { readonly type: "fork"; readonly number: number }
  /** A port of the host that leads to one of the guest's from now on, or not any more (`open` false). */
  | { readonly type: "port"; readonly rule: PublishRule; readonly open: boolean }
  /** Answered by what the machine's memory says (vm/machine-memory.ts). */
  | { readonly type: "memory"; readonly question: MemoryQuestion };

/** The answer to an order: what it gives, or why it failed. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const ringBytes = 64 * 1024;
/** Orders that are sent and not answered. */
const mostOpen = 64;

/** The owner's end. */
export class OrderBook {
  readonly ring = allocateMessageRing(ringBytes);
  readonly #sender: MessageSender;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;
  #ended: VmError | undefined;

  /** `wake`: the machine's thread is to look. */
  constructor(wake: () => void) {
    this.#sender = new MessageSender(this.ring, wake);
  }

  /** Rejected with "order" where the machine could not do it, with "ended" where it ended before. */
  async give(order: Order): Promise<unknown> {
    if (this.#ended) throw this.#ended;
    const id = this.#next++;
    const message = new TextEncoder().encode(printValue({ id, order: order as unknown as Value }));
    const fits = message.length <= this.#sender.maxBytes && this.#open.size < mostOpen && this.#sender.send(message);
    if (!fits) throw new VmError("order", "the machine has too many orders to take another one");
    const answer = Promise.withResolvers<unknown>();
    this.#open.set(id, answer);
    return answer.promise;
  }

  receive({ id, value, error }: Answer): void {
    const answer = this.#open.get(id);
    this.#open.delete(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new VmError("order", error));
  }

  end(error: VmError): void {
    this.#ended = error;
    for (const answer of this.#open.values()) answer.reject(error);
    this.#open.clear();
  }
}

/** In place of an answer: it comes later, once. */
export class Later {
  #settle: ((answer: Omit<Answer, "id">) => void) | undefined;

  /** For the desk. */
  await(settle: (answer: Omit<Answer, "id">) => void): void {
    this.#settle = settle;
  }

  give(value: unknown): void {
    this.#settle?.({ value });
  }

  fail(error: string): void {
    this.#settle?.({ error });
  }
}

/** The machine's end. */
export class OrderDesk {
  readonly #receiver: MessageReceiver;
  readonly #carryOut: (order: Order) => unknown;
  readonly #answer: (answer: Answer) => void;

  /** `carryOut` gives the answer, or a `Later`; it throws an Error whose message says why not. */
  constructor(ring: SharedArrayBuffer, carryOut: (order: Order) => unknown, answer: (answer: Answer) => void) {
    this.#receiver = new MessageReceiver(ring, () => {});
    this.#carryOut = carryOut;
    this.#answer = answer;
  }

  /** Carries out what has come. */
  poll(): void {
    for (let message = this.#receiver.receive(); message; message = this.#receiver.receive()) {
      const { id, order } = parseValue(new TextDecoder().decode(message)) as unknown as { id: number; order: Order };
      try {
        const value = this.#carryOut(order);
        if (value instanceof Later) value.await((answer) => this.#answer({ id, ...answer }));
        else this.#answer({ id, value });
      } catch (error) {
        this.#answer({ id, error: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}
