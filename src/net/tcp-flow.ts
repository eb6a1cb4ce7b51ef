/**
 * One TCP connection of the guest's, and the host's stream that it continues as.
 *
 * Law: at most about `bufferBytes` lie here for each direction, and when all flows together hold much, only a small share: who
 * sends faster than the other side takes is slowed down, by the guest's window or by not reading from the host.
 */
import type { ConnectFailure, HostStream, HostStreamUser } from "./host-sockets.ts";
import type { TcpEnd, TcpEndpoint, TcpUser } from "./tcp/endpoint.ts";
import type { TcpHeader } from "./tcp/segment.ts";

export const bufferBytes = 1024 * 1024;
/** What a flow has when memory is short. */
const shareBytes = 16 * 1024;

/** Bytes in all flows. */
export class BufferPool {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** What a flow may hold in one direction. */
  get allowance(): number {
    return this.used < this.limit ? bufferBytes : shareBytes;
  }
}

export interface TcpFlowOwner {
  readonly pool: BufferPool;
  /** The host did not connect; the guest is to hear why. */
  refuse(syn: TcpHeader, why: ConnectFailure): void;
  /** The host has connected, or will not any more. */
  answered(): void;
  /** The guest's side is over: its ports may be used again. */
  guestGone(): void;
  /** Both sides are over. */
  gone(): void;
}

export class TcpFlow {
  readonly endpoint: TcpEndpoint;
  /** What the host's stream tells. */
  readonly hostUser: HostStreamUser;
  readonly #owner: TcpFlowOwner;
  #stream: HostStream | undefined;
  /** The guest's SYN, until the host has connected. */
  #syn: TcpHeader | undefined;
  /** From the host, not yet in the endpoint's queue. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  #hostEnded = false;
  #paused = false;
  /** Of the pool. */
  #counted = 0;
  /** The guest sends nothing more. */
  #guestEnded = false;
  #guestOver = false;
  #leaving = false;
  #hostOver = false;

  constructor(owner: TcpFlowOwner, newEndpoint: (user: TcpUser) => TcpEndpoint) {
    this.#owner = owner;
    this.endpoint = newEndpoint({
      established: () => this.#toGuest(),
      received: (bytes) => this.#fromGuest(bytes),
      receiveSpace: () => Math.max(0, owner.pool.allowance - (this.#stream?.buffered ?? 0)),
      peerEnded: () => {
        this.#guestEnded = true;
        this.#stream?.end();
      },
      sent: () => this.#toGuest(),
      closed: (end) => this.#guestClosed(end),
    });
    this.hostUser = {
      connected: () => this.#connected(),
      failed: (why) => this.#failed(why),
      received: (bytes) => this.#fromHost(bytes),
      ended: () => this.#hostHasEnded(),
      drained: () => this.#drained(),
      closed: (broken) => this.#hostClosed(broken),
    };
  }

  /** Still without an answer from the host. */
  get isConnecting(): boolean {
    return this.#syn !== undefined;
  }

  /** The guest connects out: its SYN is answered when the host has connected. */
  open(syn: TcpHeader, connect: (user: HostStreamUser) => HostStream): void {
    this.#syn = syn;
    this.#stream = connect(this.hostUser);
  }

  /** The host has accepted a connection: the guest is asked to. */
  accept(stream: HostStream): void {
    this.#stream = stream;
    this.endpoint.connect();
  }

  /** Ends both sides at once. */
  abort(): void {
    if (!this.#leaving) this.#resetHost();
    if (this.#takeSyn() !== undefined) this.#guestClosed("reset");
    else this.endpoint.abort();
  }

  /** The guest is gone: what it has sent to its end is still handed to the host, anything else is reset. */
  leave(): void {
    if (this.#guestOver) return;
    this.#leaving = this.#guestEnded;
    this.abort();
  }

  #takeSyn(): TcpHeader | undefined {
    const syn = this.#syn;
    if (syn === undefined) return undefined;
    this.#syn = undefined;
    this.#owner.answered();
    return syn;
  }

  // From the host.

  #connected(): void {
    const syn = this.#takeSyn();
    if (syn !== undefined) this.endpoint.accept(syn);
  }

  #failed(why: ConnectFailure): void {
    const syn = this.#takeSyn();
    if (syn !== undefined) this.#owner.refuse(syn, why);
    this.#hostIsOver();
    this.#guestClosed("reset");
  }

  #fromHost(bytes: Uint8Array): void {
    if (this.#guestOver) return;
    const taken = this.#restBytes === 0 ? this.endpoint.write(bytes) : 0;
    if (taken < bytes.length) {
      this.#rest.push(bytes.slice(taken));
      this.#restBytes += bytes.length - taken;
    }
    this.#toGuest();
  }

  #hostHasEnded(): void {
    this.#hostEnded = true;
    this.#toGuest();
  }

  #drained(): void {
    this.#count();
    this.endpoint.spaceGrew();
  }

  #hostClosed(broken: boolean): void {
    this.#hostIsOver();
    if (broken) this.endpoint.abort();
    else this.#hostHasEnded();
  }

  // From the guest.

  #fromGuest(bytes: Uint8Array): void {
    // The host's side is closed: a reset tells the guest that nobody takes this (RFC 9293, 3.6, case 1 of its list).
    if (this.#stream === undefined) return this.endpoint.abort();
    this.#stream.write(bytes.slice());
    this.#count();
  }

  #guestClosed(end: TcpEnd): void {
    if (this.#guestOver) return;
    this.#guestOver = true;
    this.#rest = [];
    this.#restBytes = 0;
    this.#owner.guestGone();
    // In order: what the host has not taken yet is still sent.
    if (end !== "done" && !this.#leaving) this.#resetHost();
    this.#settle();
  }

  // Between the two.

  /** Hands on what the host has sent, and reads on where there is room for more. */
  #toGuest(): void {
    if (this.#guestOver) return;
    while (this.#restBytes > 0) {
      const first = this.#rest[0];
      const taken = this.endpoint.write(first);
      this.#restBytes -= taken;
      if (taken < first.length) {
        this.#rest[0] = first.subarray(taken);
        break;
      }
      this.#rest.shift();
    }
    if (this.#restBytes === 0 && this.#hostEnded) this.endpoint.end();
    this.#count();
    this.#pace();
  }

  #pace(): void {
    const held = this.endpoint.unacknowledged + this.#restBytes;
    const { allowance } = this.#owner.pool;
    if (!this.#paused && held >= allowance / 2) {
      this.#paused = true;
      this.#stream?.pause();
    } else if (this.#paused && held <= allowance / 4) {
      this.#paused = false;
      this.#stream?.resume();
    }
  }

  #count(): void {
    const held = this.endpoint.unacknowledged + this.#restBytes + (this.#stream?.buffered ?? 0);
    this.#owner.pool.used += held - this.#counted;
    this.#counted = held;
  }

  #resetHost(): void {
    const stream = this.#stream;
    this.#hostIsOver();
    stream?.reset();
  }

  #hostIsOver(): void {
    this.#stream = undefined;
    this.#hostOver = true;
    this.#settle();
  }

  #settle(): void {
    this.#count();
    if (this.#guestOver && this.#hostOver) this.#owner.gone();
  }
}
