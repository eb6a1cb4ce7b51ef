/**
 * The block device (virtio 1.2, "Block Device"). It checks requests and passes them to its service on the disk thread; the
 * data goes between file and guest frames there, while the guest runs on. Where the service lends its file, the first
 * transfers of a kick are made on the spot (places.ts).
 *
 * Laws: a request is answered exactly once, after all its steps; what the guest was told is flushed has been flushed. The
 * frames of a request are pinned until the service is done with them, and while one is after a reset the driver waits.
 */
import { littleEndian } from "#base";
import type { DeviceMemory, Pinned } from "#memory";
import { IoError, type IoLine, type LentFile } from "../../io/index.ts";
import { copyState, restoreState } from "../../state.ts";
import { sliceRanges } from "../chain.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { type BlkState, newBlkState } from "./persist.ts";
import { Places } from "./places.ts";
import {
  type BlockOperation,
  blockOperation,
  blockStatus,
  type DiskFacts,
  decodeAnswer,
  decodeFrozen,
  encodeFreeze,
  encodeRequest,
  type HostFile,
  maxPieces,
  type SavedDisk,
} from "./protocol.ts";
import {
  type BlockStep,
  maxRangeSectors,
  maxRanges,
  parseRequest,
  sectorBytes,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
} from "./request.ts";

const VIRTIO_BLK_F_SEG_MAX = 1n << 2n;
const VIRTIO_BLK_F_RO = 1n << 5n;
const VIRTIO_BLK_F_BLK_SIZE = 1n << 6n;
const VIRTIO_BLK_F_FLUSH = 1n << 9n;
const VIRTIO_BLK_F_TOPOLOGY = 1n << 10n;
const VIRTIO_BLK_F_CONFIG_WCE = 1n << 11n;
const VIRTIO_BLK_F_DISCARD = 1n << 13n;
const VIRTIO_BLK_F_WRITE_ZEROES = 1n << 14n;

/** A request of a megabyte has a piece for each page. */
const queueSize = 512;
/** Pieces of data in a request: two descriptors are for its head and its status. */
const maxSegments = queueSize - 2;
/** For the line: enough for the largest request, and for many usual ones. */
export const blkRingBytes = 256 << 10;
const idBytes = 20;
/** Steps in flight for which an answer is waited for on the spot, and the largest of them. */
const mostAwaited = 2;
const quickBytes = 16 << 10;
/** Of one turn's requests, what is transferred on the spot: the rest is done while the guest goes on. */
const spotBytes = 1280 << 10;
const configBytes = 60;
const writebackOffset = 32;

/** Looks for answers while a snapshot waits for them, and how long between two. */
const mostNaps = 60_000;
const napMs = 1;
const nap = new Int32Array(new SharedArrayBuffer(4));

/** A request of which steps are left. */
interface OpenRequest {
  readonly chain: Chain;
  readonly queue: Virtqueue;
  readonly steps: readonly BlockStep[];
  next: number;
  status: number;
  /** Bytes that the driver is to see as written, besides the status. */
  readonly dataBytes: number;
}

/** A step that the service works on. */
interface StepInFlight {
  readonly request: OpenRequest;
  readonly pinned: Pinned | undefined;
  readonly isLong: boolean;
  /** Of places, when it was sent. */
  readonly moves: number;
}

/** What of the guest's memory the device hands out. */
export type BlkMemory = Pick<DeviceMemory, "pin" | "access">;

export class Blk implements VirtioDevice<BlkState> {
  readonly type = 2;
  readonly classCode = 0x01_0000;
  readonly queueSizes = [queueSize];
  readonly #memory: BlkMemory;
  readonly #line: IoLine;
  readonly #state = newBlkState();
  readonly #inFlight = new Map<number, StepInFlight>();
  /** Steps that found no room on the line, in order. */
  readonly #unsent: OpenRequest[] = [];
  #facts: DiskFacts | undefined;
  #places: Places | undefined;
  readonly #files = new Map<number, LentFile>();
  #spotLeft = 0;
  #queue: Virtqueue | undefined;
  #flushes = false;
  #nextTag = 0;
  /** A snapshot is being taken. */
  #still = false;
  #onFrozen: ((message: Uint8Array) => void) | undefined;
  /** Steps in flight that take long, whoever does them. */
  #long = 0;

  /** `line`: to a block service. */
  constructor(memory: BlkMemory, line: IoLine) {
    this.#memory = memory;
    this.#line = line;
    line.onMessage = (message) => this.#answered(message);
    line.onRoom = () => this.#sendUnsent();
  }

  get features(): bigint {
    const always = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY;
    const writing = VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
    return always | (this.#disk.readOnly ? VIRTIO_BLK_F_RO : writing);
  }

  get draining(): boolean {
    return this.#queue === undefined && this.#inFlight.size > 0;
  }

  readConfig(offset: number, size: number): number {
    return littleEndian(this.#config(), offset, size);
  }

  writeConfig(offset: number, size: number, value: number): void {
    if (offset === writebackOffset && size === 1) this.#state.writeback = value & 1;
  }

  start(driver: VirtioDriver): void {
    [this.#queue] = driver.queues;
    // A driver that does not know of flushes takes what is written for good.
    this.#flushes = (driver.features & VIRTIO_BLK_F_FLUSH) !== 0n;
  }

  kick(): void {
    const queue = this.#queue;
    if (queue === undefined || this.#still) return;
    this.#spotLeft = spotBytes;
    while (this.#unsent.length === 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.#take(queue, chain);
    }
    if (this.#quick) this.#line.linger();
    queue.flush();
  }

  stop(): void {
    this.#queue = undefined;
    this.#unsent.length = 0;
    this.#state.writeback = 1;
  }

  save(): BlkState {
    return copyState(this.#state);
  }

  restore(saved: BlkState): void {
    restoreState(this.#state, saved);
  }

  /** Waits for what is in flight; what the driver asks for meanwhile waits until `goOn`. */
  settle(): void {
    if (this.#queue === undefined) return;
    this.#still = true;
    this.#handOutUntil(() => this.#inFlight.size === 0 && this.#unsent.length === 0);
  }

  /** After `settle`. */
  goOn(): void {
    this.#still = false;
    this.kick();
  }

  /**
   * Has the disk as it is now written into a snapshot, from `offset` on in that file; where that ends. Throws `IoError` where it cannot be.
   * Requires: nothing is in flight.
   */
  freeze(offset: number, file: HostFile | undefined): { readonly saved: SavedDisk; readonly end: number } {
    const { sizeBytes, readOnly, below: files } = this.#disk;
    if (readOnly) return { saved: { sizeBytes, files }, end: offset };
    if (file === undefined) throw new IoError("this host cannot save a machine with a disk to write to");
    let answer: Uint8Array | undefined;
    this.#onFrozen = (message) => {
      answer = message;
    };
    this.#line.send(encodeFreeze(this.#nextTag, offset, file));
    this.#handOutUntil(() => answer !== undefined);
    this.#onFrozen = undefined;
    if (answer === undefined) throw new IoError("a disk does not answer, and was not saved");
    if (decodeAnswer(answer).status !== blockStatus.done)
      throw new IoError("a disk could not be read, or the snapshot not be written");
    const { index, end } = decodeFrozen(answer);
    return { saved: { sizeBytes, files, index }, end };
  }

  /** Takes what the service says until `done`. */
  #handOutUntil(done: () => boolean): void {
    for (let naps = 0; !done() && naps < mostNaps; naps++) {
      this.#line.pause();
      this.#line.resume();
      if (!done()) Atomics.wait(nap, 0, 0, napMs);
      if (this.#unsent.length > 0) this.#sendUnsent();
    }
  }

  /** Few small transfers are in flight: the answer may be here at once, where the host has the data in memory. */
  get #quick(): boolean {
    return this.#inFlight.size > 0 && this.#inFlight.size <= mostAwaited && this.#long === 0;
  }

  /** What the service said; read when the guest first asks, since the disk is opened after the device is made. */
  get #disk(): DiskFacts {
    if (this.#facts === undefined) {
      this.#facts = JSON.parse(new TextDecoder().decode(this.#line.greeting)) as DiskFacts;
      const { file, sizeBytes, readOnly, physicalBlockBytes } = this.#facts;
      const whole = file === undefined ? undefined : { from: 0, length: sizeBytes, file, at: 0, writable: !readOnly };
      this.#places = new Places(physicalBlockBytes, whole);
    }
    return this.#facts;
  }

  /** struct virtio_blk_config. */
  #config(): Uint8Array {
    const { sizeBytes, physicalBlockBytes } = this.#disk;
    const view = new DataView(new ArrayBuffer(configBytes));
    const sectors = sizeBytes / sectorBytes;
    view.setUint32(0, sectors % 2 ** 32, true);
    view.setUint32(4, Math.floor(sectors / 2 ** 32), true);
    view.setUint32(12, maxSegments, true);
    view.setUint32(20, sectorBytes, true);
    view.setUint8(24, Math.log2(physicalBlockBytes / sectorBytes));
    view.setUint16(26, physicalBlockBytes / sectorBytes, true);
    view.setUint8(writebackOffset, this.#state.writeback);
    view.setUint16(34, 1, true);
    view.setUint32(36, maxRangeSectors, true);
    view.setUint32(40, maxRanges, true);
    view.setUint32(44, physicalBlockBytes / sectorBytes, true);
    view.setUint32(48, maxRangeSectors, true);
    view.setUint32(52, maxRanges, true);
    view.setUint8(56, 1);
    return new Uint8Array(view.buffer);
  }

  #take(queue: Virtqueue, chain: Chain): void {
    // There is nowhere to say what is wrong.
    if (chain.writableBytes === 0) return queue.push(chain, 0);
    const parsed = parseRequest(chain, this.#disk);
    if (parsed.kind === "status") return finish(queue, chain, 0, parsed.status);
    if (parsed.kind === "id") return this.#giveId(queue, chain);
    const steps = [...parsed.steps];
    const [first] = steps;
    const writes =
      first !== undefined && first.operation !== blockOperation.read && first.operation !== blockOperation.flush;
    if (writes && (this.#state.writeback === 0 || !this.#flushes))
      steps.push({ operation: blockOperation.flush, offset: 0, length: 0, data: [] });
    const dataBytes = first?.operation === blockOperation.read ? first.length : 0;
    this.#goOn({ chain, queue, steps, next: 0, status: VIRTIO_BLK_S_OK, dataBytes });
  }

  #giveId(queue: Virtqueue, chain: Chain): void {
    const id = new Uint8Array(Math.min(idBytes, chain.writableBytes - 1));
    new TextEncoder().encodeInto(this.#disk.id, id);
    chain.write(0, id);
    finish(queue, chain, id.length, VIRTIO_BLK_S_OK);
  }

  /** The request's next step, or its end. */
  #goOn(request: OpenRequest): void {
    const step = request.steps[request.next];
    if (step === undefined || request.status !== VIRTIO_BLK_S_OK) {
      const dataBytes = request.status === VIRTIO_BLK_S_OK ? request.dataBytes : 0;
      return finish(request.queue, request.chain, dataBytes, request.status);
    }
    if (this.#transfer(step)) {
      request.next++;
      return this.#goOn(request);
    }
    const pinned = this.#memory.pin(step.data, step.operation === blockOperation.read);
    if (pinned === undefined || pinned.pieces.length > maxPieces) {
      pinned?.release();
      return finish(request.queue, request.chain, 0, VIRTIO_BLK_S_IOERR);
    }
    if (moves(step)) this.#places?.mayMove(step.offset, step.length);
    const tag = this.#nextTag;
    if (!this.#line.send(encodeRequest({ tag, ...step, pieces: pinned.pieces }))) {
      pinned.release();
      this.#unsent.push(request);
      return;
    }
    this.#nextTag = (tag + 1) >>> 0;
    request.next++;
    const isLong = step.length > quickBytes || !isTransfer(step.operation);
    if (isLong) this.#long++;
    this.#inFlight.set(tag, { request, pinned, isLong, moves: this.#places?.moves ?? 0 });
  }

  /** Does the step on the spot; false where that is the service's. */
  #transfer({ operation, offset, length, data }: BlockStep): boolean {
    if (!isTransfer(operation) || length > this.#spotLeft) return false;
    const reads = operation === blockOperation.read;
    const runs = this.#places?.find(offset, length, !reads);
    const files = runs?.map(({ file }) => this.#borrow(file)) ?? [];
    if (runs === undefined || !files.every((file) => file?.isQuick)) return false;
    this.#spotLeft -= length;
    let done = 0;
    for (const [n, run] of runs.entries()) {
      const file = files[n];
      const use = (pieces: Uint8Array[]) => (reads ? file?.read(run.at, pieces) : file?.write(run.at, pieces));
      if (this.#memory.access(sliceRanges(data, done, run.length), reads, use) !== run.length) return false;
      done += run.length;
    }
    return true;
  }

  #borrow(number: number): LentFile | undefined {
    const known = this.#files.get(number) ?? this.#line.borrow(number);
    if (known !== undefined) this.#files.set(number, known);
    return known;
  }

  #answered(message: Uint8Array): void {
    if (this.#onFrozen) return this.#onFrozen(message);
    const { tag, status, place } = decodeAnswer(message);
    const done = this.#inFlight.get(tag);
    if (done === undefined) return;
    this.#inFlight.delete(tag);
    done.pinned?.release();
    if (done.isLong) this.#long--;
    if (place !== undefined) this.#places?.learn(place, done.moves);
    const { request } = done;
    // Of a driver that has reset the device since.
    if (request.queue !== this.#queue) return;
    if (status !== blockStatus.done) request.status = VIRTIO_BLK_S_IOERR;
    this.#goOn(request);
    request.queue.flush();
  }

  #sendUnsent(): void {
    const waiting = this.#unsent.splice(0);
    for (const request of waiting) this.#goOn(request);
    this.kick();
  }
}

/** Gives a request back: its data, and the status in the last byte of what is writable. */
function finish(queue: Virtqueue, chain: Chain, dataBytes: number, status: number): void {
  chain.write(chain.writableBytes - 1, Uint8Array.of(status));
  queue.push(chain, status === VIRTIO_BLK_S_OK ? dataBytes + 1 : chain.writableBytes);
}

/** Whether bytes of the disk may lie elsewhere after it. */
const moves = ({ operation }: BlockStep): boolean =>
  operation !== blockOperation.read && operation !== blockOperation.flush;

const isTransfer = (operation: BlockOperation): boolean =>
  operation === blockOperation.read || operation === blockOperation.write;
