/**
 * The owner's end of streams to programs in the guest: ports of the virtio console and sockets (devices/streams/wire.ts has the
 * wire and its laws).
 *
 * Law: what is written to a stream arrives in order, then its end; what the guest sent is delivered in order, piece by piece, the
 * next when the receiver is done with the one before. Held at any time: what the caller wrote and the guest has not taken, and at
 * most a window of what the guest wrote.
 */
import { ByteRingWriter } from "#base";
import {
  Incoming,
  longestRecord,
  type RecordKind,
  recordHeaderBytes,
  recordKind,
  type StreamMessage,
  streamWindow,
  writeRecord,
} from "#devices";
import { VmError } from "./vm-api.ts";

type Receive = (bytes: Uint8Array) => void | Promise<void>;

/** One connection with a program in the guest. */
export interface GuestStream {
  /** The guest has it at its other end; fails when there is nobody. */
  readonly opened: Promise<void>;
  /** Who takes what the guest sends; one receiver a stream. While a promise of it is open the guest waits. */
  onData(receive: Receive): void;
  /** The guest sends no more and all of it has been delivered. */
  readonly ended: Promise<void>;
  /** The stream is no more. */
  readonly closed: Promise<void>;
  /** Resolves when the guest has been handed all of it, fails when the stream was closed before. */
  write(bytes: Uint8Array): Promise<void>;
  /** The guest reads an end of file after what was written. */
  end(): Promise<void>;
  /** Gives the stream up in both directions. */
  close(): void;
  /** What the guest sends, instead of `onData`. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined>;
}

/** A lost wake-up costs no more than this. */
const roomTimeoutMs = 250;
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

export class GuestStreams {
  readonly #ring: ByteRingWriter;
  readonly #ringBell: () => void;
  readonly #streams = new Map<number, Stream>();
  readonly #listeners = new Map<string, (stream: GuestStream) => void>();
  /** Records that the ring had no room for. */
  readonly #waiting: (readonly [stream: number, kind: RecordKind, payload: Uint8Array])[] = [];
  #pumping = false;
  #nextId = 1;
  #end: VmError | undefined;

  constructor(ring: SharedArrayBuffer, ringBell: () => void) {
    this.#ring = new ByteRingWriter(ring);
    this.#ringBell = ringBell;
  }

  /** A stream to a service of the guest: see `opened`. */
  connect(service: string): GuestStream {
    const stream = this.#add(this.#nextId);
    this.#nextId += 2;
    if (this.#end) stream.gone(this.#end);
    else this.#send(stream.id, recordKind.connect, encoder.encode(service));
    return stream;
  }

  /** `take` is given the streams that the guest opens to a service. Returns what ends that; undefined when somebody else listens. */
  listen(service: string, take: (stream: GuestStream) => void): (() => void) | undefined {
    if (this.#listeners.has(service)) return undefined;
    this.#listeners.set(service, take);
    this.#send(0, recordKind.listen, encoder.encode(service));
    return () => {
      if (this.#listeners.get(service) !== take) return;
      this.#listeners.delete(service);
      this.#send(0, recordKind.unlisten, encoder.encode(service));
    };
  }

  receive(message: StreamMessage): void {
    if (this.#end) return;
    if (message.kind === "connect") return this.#accept(message.stream, message.service);
    const stream = this.#streams.get(message.stream);
    // Closed by the owner meanwhile.
    if (stream === undefined) return;
    switch (message.kind) {
      case "accept":
        return stream.accepted();
      case "data":
        return stream.arrived(message.bytes);
      case "end":
        return stream.guestEnded();
      case "close":
        this.#streams.delete(stream.id);
        void stream.ended.then(() => this.#send(stream.id, recordKind.close, nothing));
        return stream.gone(new VmError("ended", "the guest closed the connection"));
      case "credit":
        return stream.mayWrite(message.bytes);
    }
  }

  /** The machine ended. */
  close(reason: VmError): void {
    this.#end = reason;
    this.#waiting.length = 0;
    for (const stream of this.#streams.values()) stream.gone(reason);
    this.#streams.clear();
  }

  #accept(id: number, service: string): void {
    const take = this.#listeners.get(service);
    const stream = this.#add(id);
    stream.accepted();
    if (take) take(stream);
    else stream.close();
  }

  #add(id: number): Stream {
    const stream = new Stream(id, {
      send: (kind, payload) => {
        if (kind === recordKind.close) this.#streams.delete(id);
        this.#send(id, kind, payload);
      },
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #send(stream: number, kind: RecordKind, payload: Uint8Array): void {
    if (this.#end) return;
    if (this.#waiting.length === 0 && writeRecord(this.#ring, stream, kind, payload)) return this.#ringBell();
    this.#waiting.push([stream, kind, payload]);
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (writeRecord(this.#ring, ...next)) {
        this.#waiting.shift();
        this.#ringBell();
      } else await this.#ring.room(roomTimeoutMs, next[2].length + recordHeaderBytes);
    }
    this.#pumping = false;
  }
}

interface Wire {
  send(kind: RecordKind, payload: Uint8Array): void;
}

interface Unwritten {
  rest: Uint8Array;
  readonly done: () => void;
  readonly failed: (reason: Error) => void;
}

class Stream implements GuestStream {
  readonly id: number;
  readonly #wire: Wire;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #incoming = new Incoming((bytes) => this.#credit(bytes));
  readonly #unwritten: Unwritten[] = [];
  #room = streamWindow;
  #receiver: Receive | undefined;
  #delivering = false;
  #guestEnded = false;
  #endWritten = false;
  #gone: Error | undefined;

  constructor(id: number, wire: Wire) {
    this.id = id;
    this.#wire = wire;
    this.#opened.promise.catch(() => {});
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  onData(receive: Receive): void {
    this.#receiver = receive;
    void this.#deliver();
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#gone) return Promise.reject(this.#gone);
    if (this.#endWritten)
      return Promise.reject(new VmError("option", "the stream was ended: nothing more can be written"));
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((done, failed) => {
      this.#unwritten.push({ rest: bytes, done, failed });
      this.#flush();
    });
  }

  async end(): Promise<void> {
    if (this.#endWritten || this.#gone) return;
    const last = this.#unwritten.at(-1) ? this.#written() : undefined;
    this.#endWritten = true;
    await last;
    if (!this.#gone) this.#wire.send(recordKind.end, nothing);
  }

  close(): void {
    if (this.#gone) return;
    this.#wire.send(recordKind.close, nothing);
    this.gone(new VmError("cancelled", "the connection was closed"));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, undefined> {
    // One chunk is handed over at a time, and the next asked for when the loop comes round.
    let ready = Promise.withResolvers<Uint8Array | undefined>();
    let taken = Promise.withResolvers<void>();
    this.onData((bytes) => {
      ready.resolve(bytes);
      return taken.promise;
    });
    void this.#ended.promise.then(() => ready.resolve(undefined));
    try {
      for (let bytes = await ready.promise; bytes !== undefined; bytes = await ready.promise) {
        ready = Promise.withResolvers();
        void this.#ended.promise.then(() => ready.resolve(undefined));
        yield bytes;
        const done = taken;
        taken = Promise.withResolvers();
        done.resolve();
      }
    } finally {
      taken.resolve();
      this.#receiver = () => {};
    }
  }

  accepted(): void {
    this.#opened.resolve();
  }

  arrived(bytes: Uint8Array): void {
    this.#incoming.put(bytes);
    void this.#deliver();
  }

  guestEnded(): void {
    this.#guestEnded = true;
    void this.#deliver();
  }

  mayWrite(bytes: number): void {
    this.#room += bytes;
    this.#flush();
  }

  /** What the guest sent before is still delivered. */
  gone(reason: Error): void {
    if (this.#gone) return;
    this.#gone = reason;
    this.#opened.reject(reason);
    for (const { failed } of this.#unwritten.splice(0)) failed(reason);
    this.#guestEnded = true;
    void this.#deliver();
    this.#closed.resolve();
  }

  #written(): Promise<void> {
    return new Promise((done) => {
      this.#unwritten.push({ rest: nothing, done, failed: () => done() });
    });
  }

  #flush(): void {
    for (let first = this.#unwritten[0]; first !== undefined; first = this.#unwritten[0]) {
      while (first.rest.length > 0) {
        const count = Math.min(first.rest.length, this.#room, longestRecord);
        if (count === 0) return;
        this.#room -= count;
        this.#wire.send(recordKind.data, first.rest.slice(0, count));
        first.rest = first.rest.subarray(count);
      }
      this.#unwritten.shift();
      first.done();
    }
  }

  #credit(bytes: number): void {
    if (this.#gone) return;
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, bytes, true);
    this.#wire.send(recordKind.credit, payload);
  }

  /** Bytes wait for a receiver; a receiver that answers at once is not waited for. */
  async #deliver(): Promise<void> {
    if (this.#delivering || !this.#receiver) {
      if (this.#guestEnded && this.#incoming.available === 0) this.#ended.resolve();
      return;
    }
    this.#delivering = true;
    for (let bytes = this.#incoming.next(); bytes !== undefined; bytes = this.#incoming.next()) {
      try {
        const busy = this.#receiver(bytes);
        if (busy instanceof Promise) await busy;
      } catch {
        // The receiver's trouble is its own: the stream goes on.
      }
      this.#incoming.consumed(bytes.length);
    }
    this.#delivering = false;
    if (this.#guestEnded) this.#ended.resolve();
  }
}
