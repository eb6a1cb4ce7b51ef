/**
 * A file system device (virtio 1.2, "File System Device"): a directory of the host, mounted by its tag.
 *
 * The driver's FUSE requests go to a service as places in guest memory, and its answers are in place when the message of them comes
 * back. So any number of requests may be in flight, and the machine's thread copies nothing. Of files that the service lends it reads
 * and writes on the spot.
 *
 * To be saved, it waits until nothing is in flight: what was done in the host must not be done again by a machine that goes on.
 *
 * Laws: a chain is given back exactly once; its memory stays pinned until then. After a reset the device is draining until the
 * service touches nothing of before.
 */
import { littleEndian } from "#base";
import type { DeviceMemory, Pinned } from "#memory";
import type { IoLine } from "../../io/index.ts";
import { StateError } from "../../state.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { LentHandles } from "./lent-handles.ts";
import { type FsState, newFsState } from "./persist.ts";
import { maxWriteBytes } from "./protocol.ts";
import {
  answerMessage,
  fileRecalled,
  fileReturned,
  maxPieces,
  parseAnswer,
  parseLent,
  requestMessage,
  requestsEnd,
  SessionParts,
  sessionEnds,
  sessionMessages,
  sessionRestore,
  sessionSave,
} from "./wire.ts";

const tagBytes = 36;
/** One for what must not wait behind others (FORGET, INTERRUPT), then one for all else: a whole megabyte takes 256 descriptors. */
const queueSizes = [32, 512];

/** Requests in flight for which an answer is waited for on the spot, and the largest of them. */
const mostAwaited = 2;
const quickBytes = 16 << 10;
/** Requests of one turn: where the service is near, each may take as long as the host takes for it. */
const turnChains = 32;
/** Of one turn's requests, what is read and written on the spot: the rest is done while the guest goes on. */
const spotBytes = 1280 << 10;
/** How long a save waits for the host, in small naps. */
const napMs = 1;
const mostNaps = 5000;
const nap = new Int32Array(new SharedArrayBuffer(4));

interface Flight {
  /** Of before a reset: nobody wants the answer. */
  readonly queue: Virtqueue | undefined;
  readonly chain: Chain;
  readonly pins: readonly Pinned[];
}

export class VirtioFs implements VirtioDevice<FsState> {
  readonly type = 26;
  /** Mass storage controller, other. */
  readonly classCode = 0x01_80_00;
  readonly features = 0n;
  readonly queueSizes = queueSizes;
  readonly turnChains = turnChains;
  /** To be brought back by `start`. */
  #session: Uint8Array | undefined;
  #saved = newFsState();
  readonly #parts = new SessionParts();
  readonly #config = new Uint8Array(tagBytes + 4);
  readonly #memory: DeviceMemory;
  readonly #line: IoLine;
  readonly #inFlight = new Map<number, Flight>();
  /** For what the line had no room. */
  #unsent: Uint8Array[] = [];
  /** Answers that are awaited from before the last reset. */
  #draining = 0;
  readonly #lent: LentHandles;
  #nextRequest = 0;
  #driver: VirtioDriver | undefined;

  /** `tag`: at most 36 bytes of UTF-8. */
  constructor(tag: string, memory: DeviceMemory, line: IoLine) {
    this.#config.set(new TextEncoder().encode(tag).subarray(0, tagBytes));
    this.#config[tagBytes] = queueSizes.length - 1;
    this.#memory = memory;
    this.#line = line;
    this.#lent = new LentHandles(memory);
    line.onMessage = (message) => this.#answered(message);
    line.onRoom = () => this.#sendUnsent();
  }

  get draining(): boolean {
    return this.#draining > 0;
  }

  readConfig(offset: number, size: number): number {
    return littleEndian(this.#config, offset, size);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    if (this.#session) for (const part of sessionMessages(sessionRestore, this.#session)) this.#send(part);
    this.#session = undefined;
  }

  kick(n: number): void {
    const queue = this.#driver?.queues[n];
    if (queue === undefined) return;
    let spotLeft = spotBytes;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const done = this.#lent.answer(chain, Math.min(spotLeft, maxWriteBytes));
      spotLeft -= done?.moved ?? 0;
      if (done !== undefined) queue.push(chain, done.length);
      else if (!this.#request(queue, chain)) queue.push(chain, 0);
    }
    queue.flush();
    if (this.#isQuick) this.#line.linger();
  }

  stop(): void {
    this.#driver = undefined;
    this.#lent.clear();
    for (const [request, flight] of this.#inFlight) this.#inFlight.set(request, { ...flight, queue: undefined });
    this.#draining = this.#inFlight.size + 1;
    this.#send(requestMessage(sessionEnds, [], []));
  }

  /** Waits for what is in flight. */
  settle(): void {
    if (this.#driver !== undefined) this.#handOutUntil(() => this.#inFlight.size === 0);
  }

  /** Waits for the service's word. */
  save(): FsState {
    if (this.#driver === undefined) return newFsState();
    let answered = false;
    this.#onSession = (session) => {
      this.#saved = { session };
      answered = true;
    };
    this.#saved = newFsState();
    this.#send(requestMessage(sessionSave, [], []));
    this.#handOutUntil(() => answered);
    return this.#saved;
  }

  restore({ session }: FsState): void {
    if (!(session instanceof Uint8Array)) throw new StateError("a share's record has no session");
    this.#session = session;
  }

  /** Takes what the service says until `done`. */
  #handOutUntil(done: () => boolean): void {
    for (let naps = 0; !done() && naps < mostNaps; naps++) {
      this.#line.pause();
      this.#line.resume();
      if (!done()) Atomics.wait(nap, 0, 0, napMs);
    }
  }

  #onSession: (session: Uint8Array) => void = () => {};

  /** One small request is in flight, or two: most are answered at once by a host that has the file's name and data in memory. */
  get #isQuick(): boolean {
    if (this.#inFlight.size === 0 || this.#inFlight.size > mostAwaited) return false;
    for (const { chain } of this.#inFlight.values())
      if (chain.readableBytes + chain.writableBytes > quickBytes) return false;
    return true;
  }

  /** False for what is no request: nothing to read, or scattered beyond measure. */
  #request(queue: Virtqueue, chain: Chain): boolean {
    if (chain.readableBytes === 0) return false;
    const toRead = this.#memory.pin(chain.readable, false);
    const toWrite = this.#memory.pin(chain.writable, true);
    const pins = [toRead, toWrite].filter((pin) => pin !== undefined);
    if (!toRead || !toWrite || toRead.pieces.length + toWrite.pieces.length > maxPieces) {
      for (const pin of pins) pin.release();
      return false;
    }
    const request = this.#nextRequest;
    this.#nextRequest = (request + 1) % requestsEnd;
    this.#inFlight.set(request, { queue, chain, pins });
    this.#send(requestMessage(request, toRead.pieces, toWrite.pieces));
    return true;
  }

  #answered(message: Uint8Array<ArrayBuffer>): void {
    const { request, bytes } = parseAnswer(message);
    if (request === sessionSave) {
      const session = this.#parts.add(message);
      if (session !== undefined) this.#onSession(session);
      return;
    }
    if (request === fileRecalled) {
      this.#lent.drop(bytes);
      return this.#send(answerMessage(fileReturned, bytes));
    }
    this.#borrow(message);
    const flight = this.#inFlight.get(request);
    this.#inFlight.delete(request);
    if (this.#draining > 0 && flight?.queue === undefined) this.#draining--;
    if (flight === undefined) return;
    for (const pin of flight.pins) pin.release();
    flight.queue?.push(flight.chain, bytes);
    flight.queue?.flush();
  }

  #borrow(message: Uint8Array<ArrayBuffer>): void {
    const lent = parseLent(message);
    if (lent === undefined) return;
    const file = this.#line.borrow(lent.file);
    if (file !== undefined) this.#lent.add(lent, file);
  }

  #send(message: Uint8Array): void {
    if (this.#unsent.length > 0 || !this.#line.send(message)) this.#unsent.push(message);
  }

  #sendUnsent(): void {
    let sent = 0;
    while (sent < this.#unsent.length && this.#line.send(this.#unsent[sent])) sent++;
    this.#unsent = this.#unsent.slice(sent);
  }
}
