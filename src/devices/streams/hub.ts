/**
 * The machine's end of all streams: devices open and serve them here, the owner's records arrive by `poll`.
 *
 * It outlives a reset of the machine: then every stream is closed, and numbers are not used again, so that a record which was
 * under way reaches nobody.
 *
 * Not here: the owner's end (control/guest-streams.ts); the wire between them, and its laws (wire.ts).
 */

import { Incoming } from "./incoming.ts";
import type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "./stream.ts";
import { recordHeaderBytes, recordKind, type StreamMessage, streamWindow } from "./wire.ts";

/** Streams of a machine, with those that the guest has closed and the owner is still reading. */
const maxStreams = 1024;
const decoder = new TextDecoder();

class Stream implements DeviceStream {
  readonly id: number;
  readonly #post: (message: StreamMessage) => void;
  readonly #forget: () => void;
  readonly #linger: () => void;
  readonly incoming = new Incoming((bytes) => this.#post({ kind: "credit", stream: this.id, bytes }));
  end: StreamEnd;
  #room = streamWindow;
  #sending = true;
  inputEnded = false;
  closed = false;

  constructor(
    id: number,
    end: StreamEnd,
    post: (message: StreamMessage) => void,
    forget: () => void,
    linger: () => void,
  ) {
    this.id = id;
    this.end = end;
    this.#post = post;
    this.#forget = forget;
    this.#linger = linger;
  }

  get room(): number {
    return this.#sending ? this.#room : 0;
  }

  get available(): number {
    return this.incoming.available;
  }

  accept(): void {
    this.#post({ kind: "accept", stream: this.id });
  }

  send(bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length > this.room) return;
    this.#room -= bytes.length;
    this.#post({ kind: "data", stream: this.id, bytes });
  }

  take(target: Uint8Array): number {
    return this.incoming.take(target);
  }

  sendEnd(): void {
    if (!this.#sending) return;
    this.#sending = false;
    this.#post({ kind: "end", stream: this.id });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#sending = false;
    this.#forget();
    this.#linger();
    this.#post({ kind: "close", stream: this.id });
  }

  /** The owner has consumed so much. */
  credit(bytes: number): void {
    this.#room += bytes;
    if (this.#sending) this.end.room();
  }

  /** The owner closed it. */
  closedByOwner(): void {
    this.closed = true;
    this.#sending = false;
    this.#forget();
    this.end.closed();
  }
}

export class StreamHub implements StreamSource {
  readonly #input: RecordInput;
  readonly #post: (message: StreamMessage) => void;
  readonly #streams = new Map<number, Stream>();
  /** Closed here, and the owner has not said that it is done with what came before. */
  readonly #lingering = new Set<number>();
  #refused = false;
  readonly #listening = new Set<string>();
  readonly #providers = new Map<string, StreamProvider>();
  #nextId = 2;

  constructor(input: RecordInput, post: (message: StreamMessage) => void) {
    this.#input = input;
    this.#post = post;
  }

  serve(kind: string, provider: StreamProvider): void {
    this.#providers.set(kind, provider);
    for (const service of this.#listening) this.#tellListening(service, true);
  }

  isListening(service: string): boolean {
    return this.#listening.has(service);
  }

  open(service: string, end: StreamEnd): DeviceStream | undefined {
    if (!this.#listening.has(service)) return undefined;
    if (this.#lingering.size + this.#streams.size >= maxStreams) {
      this.#refused = true;
      return undefined;
    }
    const id = this.#nextId;
    this.#nextId += 2;
    this.#post({ kind: "connect", stream: id, service });
    return this.#add(id, end);
  }

  /** Takes what the owner sent. Called between slices; costs next to nothing when there is nothing. */
  poll(): void {
    if (this.#input.available < recordHeaderBytes) return;
    const header = new Uint8Array(recordHeaderBytes);
    const view = new DataView(header.buffer);
    while (this.#input.available >= recordHeaderBytes) {
      this.#input.read(header);
      const word = view.getUint32(4, true);
      const payload = new Uint8Array(word & 0xff_ffff);
      // The writer puts records in whole: the payload is there.
      this.#input.read(payload);
      this.#take(view.getUint32(0, true), word >>> 24, payload);
    }
  }

  /** The machine starts anew: nothing of the old guest is left. */
  reset(): void {
    this.#providers.clear();
    for (const stream of [...this.#streams.values()]) stream.close();
  }

  #add(id: number, end: StreamEnd): Stream {
    const stream = new Stream(
      id,
      end,
      this.#post,
      () => this.#streams.delete(id),
      () => this.#lingering.add(id),
    );
    this.#streams.set(id, stream);
    return stream;
  }

  #take(id: number, kind: number, payload: Uint8Array): void {
    switch (kind) {
      case recordKind.connect:
        return this.#connect(id, decoder.decode(payload));
      case recordKind.listen:
        this.#listening.add(decoder.decode(payload));
        return this.#tellListening(decoder.decode(payload), true);
      case recordKind.unlisten:
        this.#listening.delete(decoder.decode(payload));
        return this.#tellListening(decoder.decode(payload), false);
    }
    const stream = this.#streams.get(id);
    // Closed by the guest meanwhile.
    if (stream === undefined) return kind === recordKind.close ? this.#done(id) : undefined;
    switch (kind) {
      case recordKind.data:
        stream.incoming.put(payload);
        return stream.end.input();
      case recordKind.end:
        stream.inputEnded = true;
        return stream.end.input();
      case recordKind.close:
        return stream.closedByOwner();
      case recordKind.credit:
        return stream.credit(new DataView(payload.buffer).getUint32(0, true));
    }
  }

  #connect(id: number, service: string): void {
    const [kind, target] = split(service);
    const provider = this.#providers.get(kind);
    const stream = this.#add(id, nobody);
    const end = provider?.connect(target, stream);
    if (end === undefined) stream.close();
    else stream.end = end;
  }

  #done(id: number): void {
    this.#lingering.delete(id);
    if (!this.#refused) return;
    this.#refused = false;
    for (const service of this.#listening) this.#tellListening(service, true);
  }

  #tellListening(service: string, wanted: boolean): void {
    const [kind, target] = split(service);
    this.#providers.get(kind)?.listening(target, wanted);
  }
}

/** Where the owner's records come from. */
export interface RecordInput {
  readonly available: number;
  read(target: Uint8Array): number;
}

const nobody: StreamEnd = { input: () => {}, room: () => {}, closed: () => {} };

function split(service: string): [kind: string, target: string] {
  const slash = service.indexOf("/");
  return slash < 0 ? [service, ""] : [service.slice(0, slash), service.slice(slash + 1)];
}
