/**
 * Lines between devices and the host: the machine's thread leaves files and sockets to others, since it would stand still. But for
 * files that are lent to it (lent-file.ts), and services that are near (near-line.ts).
 *
 *     device ── IoLine ── ring ──▶ ServicePort ── service      machine's thread │ I/O thread
 *                       ◀── ring ──
 *
 * A line carries messages, in order, each way; what they say is between a device and its service. A *service* is opened with
 * a plain description (`IoRequest`), says whether that went well, and lives as long as the machine. Services of one kind share
 * a thread of their own, so one that blocks, as files do, keeps nobody waiting but its like.
 *
 * Frames of the first byte, service to machine: 0 data, 1 opened (with what the service has to say), 2 failed (with a text).
 */
import { allocateMessageRing, MessageReceiver, MessageSender } from "#base";
import { LentFile, type SharedFiles } from "./lent-file.ts";
import { Trial } from "./trial.ts";

/** What a device asks the host for. */
export interface IoRequest {
  /** Which service: the I/O thread's table has it by this name. */
  readonly service: string;
  /** What is to be served, as plain data that can be sent to a thread. */
  readonly config: unknown;
  /** How much may wait on the line, each way; a power of two. */
  readonly ringBytes?: number;
}

/** A line as the I/O thread is given it. */
export interface IoLineStart extends IoRequest {
  readonly toService: SharedArrayBuffer;
  readonly toMachine: SharedArrayBuffer;
}

/** A device's end. All calls are on the machine's thread. */
export interface IoLine {
  /** What the service said when it was opened. */
  readonly greeting: Uint8Array;
  /** Sends the parts as one message; false, and nothing is sent, where there is no room: `onRoom` tells. */
  send(...parts: readonly Uint8Array[]): boolean;
  /** Set by the device. Each message is its own to keep. */
  onMessage: (message: Uint8Array<ArrayBuffer>) => void;
  /**
   * Set in place of `onMessage` by a device that is done with a message at once: it lies on the line, for the call only, and the call
   * leaves the line alone. False: it could not be taken, the line pauses, and `resume` hands it out again.
   */
  onMessageInPlace?: (message: Uint8Array) => boolean;
  onRoom: () => void;
  /** No more messages for now: they wait on the line, and then at the service. */
  pause(): void;
  /** Hands out what waits, at once. */
  resume(): void;
  /**
   * Looks out for the answer to what was just sent, for so long as a quick service takes; does nothing for a service that has not been
   * quick lately. An answer in time spares the guest a sleep and the host a change of threads.
   */
  linger(): void;
  /** A file that the service has told of, by its number; undefined where the host's threads have none in common. */
  borrow(file: number): LentFile | undefined;
}

/** A service could not be opened, or failed. The message is for a person. */
export class IoError extends Error {
  override name = "IoError";
}

export const frameKind = { data: 0, opened: 1, failed: 2 } as const;
const defaultRingBytes = 64 << 10;
/** In one turn; what is left is looked at in the next. */
const messagesInTurn = 256;

/** So long the machine's thread stands still for an answer; a service that is asleep takes about as long to get up. */
const lingerNs = 30_000;
/** Looks between two at the clock. */
const looksInRow = 32;

/** How the machine's thread and a service's wake each other. */
export interface LineWaking {
  /** The service's thread is to look at the line. */
  wakeService(): void;
  /** While true, the machine's thread looks at the line by itself: the service need not wake it. */
  watch(watching: boolean): void;
  /** Nanoseconds. */
  now(): number;
}

/** The machine's end, with what the machine needs of it. */
export class MachineLine implements IoLine {
  readonly start: IoLineStart;
  onMessage: (message: Uint8Array<ArrayBuffer>) => void = () => {};
  onMessageInPlace?: (message: Uint8Array) => boolean;
  onRoom: () => void = () => {};
  readonly #sender: MessageSender;
  readonly #receiver: MessageReceiver;
  #greeting: Uint8Array | undefined;
  #refused = false;
  #paused = false;
  #failure: IoError | undefined;
  readonly #waking: LineWaking;
  readonly #files: SharedFiles | undefined;
  readonly #lingering = new Trial();

  constructor(request: IoRequest, waking: LineWaking, files?: SharedFiles) {
    this.#waking = waking;
    this.#files = files;
    const wake = (): void => waking.wakeService();
    const { ringBytes = defaultRingBytes } = request;
    this.start = {
      service: request.service,
      config: request.config,
      toService: allocateMessageRing(ringBytes),
      toMachine: allocateMessageRing(ringBytes),
    };
    this.#sender = new MessageSender(this.start.toService, wake);
    this.#receiver = new MessageReceiver(this.start.toMachine, wake);
  }

  get greeting(): Uint8Array {
    return this.#greeting ?? new Uint8Array(0);
  }

  get isOpen(): boolean {
    return this.#greeting !== undefined;
  }

  send(...parts: readonly Uint8Array[]): boolean {
    const sent = this.#sender.send(...parts);
    if (!sent) this.#refused = true;
    return sent;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#handOut();
  }

  linger(): void {
    if (this.#paused || !this.#lingering.isDue) return;
    const waking = this.#waking;
    const until = waking.now() + lingerNs;
    waking.watch(true);
    while (this.#receiver.isEmpty && waking.now() < until) {
      for (let look = 0; look < looksInRow && this.#receiver.isEmpty; look++);
    }
    waking.watch(false);
    this.#lingering.went(!this.#receiver.isEmpty);
    this.#handOut();
  }

  borrow(file: number): LentFile | undefined {
    return this.#files && new LentFile(this.#files, file);
  }

  /** Whether something has come that was not handed out yet. */
  get hasWork(): boolean {
    return !this.#paused && !this.#receiver.isEmpty;
  }

  /** Hands out what has come, or a good part of it. Throws `IoError` when the service failed. */
  poll(): void {
    this.#handOut();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#refused) {
      this.#refused = false;
      this.onRoom();
    }
  }

  #handOut(): void {
    for (let n = 0; n < messagesInTurn && !this.#paused && this.#failure === undefined; n++) {
      if (!this.#handOutNext()) break;
    }
  }

  /** False where there is none, or none that the device can take. */
  #handOutNext(): boolean {
    const inPlace = this.onMessageInPlace;
    if (inPlace === undefined) {
      const frame = this.#receiver.receive();
      if (frame !== undefined && !this.#isNews(frame)) this.onMessage(frame.subarray(1));
      return frame !== undefined;
    }
    return this.#receiver.receiveInPlace((frame) => {
      if (this.#isNews(frame) || inPlace(frame.subarray(1))) return true;
      this.#paused = true;
      return false;
    });
  }

  /** Whether it is of the service itself, and noted. */
  #isNews(frame: Uint8Array): boolean {
    if (frame[0] === frameKind.failed) this.#failure = new IoError(new TextDecoder().decode(frame.slice(1)));
    else if (frame[0] === frameKind.opened) this.#greeting = frame.slice(1);
    return frame[0] !== frameKind.data;
  }
}
