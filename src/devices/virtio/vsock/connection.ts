/**
 * One connection of sockets, between a stream to the host and packets to the guest.
 *
 * Credit (virtio 1.2, "Buffer Space Management"): of the guest's bytes, no more are under way than a stream's window, which
 * is what the guest is told; of the host's, no more than the guest says it takes. Counts wrap at 2^32.
 *
 *   unanswered ──response──▶ open ──▶ closing (all is sent, then both directions are shut) ──reset──▶ gone
 */
import { type DeviceStream, streamWindow } from "../../streams/index.ts";
import { type Packet, packetOp, shutdownFlag } from "./protocol.ts";

/** What is still to be said to the guest; one bit each, so it needs no queue. Said in this order. */
const unsaid = { request: 1, response: 2, credit: 4, end: 8, close: 16, reset: 32 } as const;

/** A guest that may send this much less than a whole window is told of new room. */
const creditStep = streamWindow / 4;
/** The longest packet. */
const longestData = 64 * 1024;

export interface Ports {
  readonly host: number;
  readonly guest: number;
}

/** The next packet for the guest, as far as it concerns the connection. */
export interface Outgoing {
  readonly op: number;
  readonly flags?: number;
  readonly data?: Uint8Array;
}

export class Connection {
  readonly ports: Ports;
  readonly stream: DeviceStream;
  #unsaid = 0;
  /** The guest has answered, or asked. */
  #open: boolean;
  #closing = false;
  /** Nothing more is to be said or heard. */
  gone = false;
  /** Of `unsaid`, what is said once. */
  #said = 0;
  #guestShut = 0;
  #guestBuffer = 0;
  #guestForwarded = 0;
  /** Sent to the guest. */
  #sent = 0;
  #received = 0;
  #forwardedTold = 0;

  /** `asked`: the guest's request, when it opened the connection. */
  constructor(ports: Ports, stream: DeviceStream, asked: Packet | undefined) {
    this.ports = ports;
    this.stream = stream;
    this.#open = asked !== undefined;
    if (asked) this.#heard(asked);
    this.#unsaid = asked ? unsaid.response : unsaid.request;
  }

  /** What the host has consumed of the guest's bytes. */
  get forwarded(): number {
    return (this.#received - (streamWindow - this.stream.room)) >>> 0;
  }

  /** A packet of the guest, with its data. */
  receive(packet: Packet, data: Uint8Array): void {
    this.#heard(packet);
    switch (packet.op) {
      case packetOp.response:
        if (this.#open || (this.#unsaid & unsaid.request) !== 0) return this.#reset();
        this.#open = true;
        return this.stream.accept();
      case packetOp.data:
        return this.#data(data);
      case packetOp.creditRequest:
        this.#unsaid |= unsaid.credit;
        return;
      case packetOp.creditUpdate:
        return;
      case packetOp.shutdown:
        return this.#shutdown(packet.flags);
      case packetOp.reset:
        this.gone = true;
        return this.stream.close();
      default:
        return this.#reset();
    }
  }

  /** The host has consumed something. */
  onRoom(): void {
    if (this.#open && (this.forwarded - this.#forwardedTold) >>> 0 >= creditStep) this.#unsaid |= unsaid.credit;
  }

  /** The host closed the stream: what it wrote is still sent. */
  onClosed(): void {
    if (this.#open) this.#closing = true;
    else this.#reset();
  }

  /** Whether `next` has something, given room for data. */
  get wantsToSend(): boolean {
    if (this.#unsaid !== 0) return true;
    if (!this.#open || this.gone) return false;
    if (this.#hasData) return this.#guestRoom > 0;
    if (this.#closing) return (this.#said & unsaid.close) === 0;
    return this.stream.inputEnded && (this.#said & unsaid.end) === 0;
  }

  /** What is next, of data no more than `room`; undefined when there is nothing to send now. */
  next(room: number): Outgoing | undefined {
    for (const [bit, op] of answers) if (this.#takeUnsaid(bit)) return { op };
    if (this.#takeUnsaid(unsaid.reset)) {
      this.gone = true;
      return { op: packetOp.reset };
    }
    if (!this.#open || this.gone) return undefined;
    if (this.#hasData) return this.#nextData(room);
    if (this.#closing) return this.#once(unsaid.close, { op: packetOp.shutdown, flags: shutdownFlag.both });
    if (this.stream.inputEnded) return this.#once(unsaid.end, { op: packetOp.shutdown, flags: shutdownFlag.send });
    return undefined;
  }

  /** Every packet says how much there is room for. */
  credit(): { readonly bufferBytes: number; readonly forwarded: number } {
    this.#forwardedTold = this.forwarded;
    return { bufferBytes: streamWindow, forwarded: this.forwarded };
  }

  /** Bytes that the guest wants. */
  get #hasData(): boolean {
    return this.stream.available > 0 && (this.#guestShut & shutdownFlag.receive) === 0;
  }

  /** Bytes that the guest takes now. */
  get #guestRoom(): number {
    return Math.max(0, this.#guestBuffer - ((this.#sent - this.#guestForwarded) >>> 0));
  }

  #once(bit: number, outgoing: Outgoing): Outgoing | undefined {
    if ((this.#said & bit) !== 0) return undefined;
    this.#said |= bit;
    return outgoing;
  }

  #takeUnsaid(bit: number): boolean {
    if ((this.#unsaid & bit) === 0) return false;
    this.#unsaid &= ~bit;
    return true;
  }

  #nextData(room: number): Outgoing | undefined {
    const count = Math.min(this.stream.available, room, longestData, this.#guestRoom);
    if (count === 0) return undefined;
    const data = new Uint8Array(count);
    this.stream.take(data);
    this.#sent = (this.#sent + count) >>> 0;
    return { op: packetOp.data, data };
  }

  #heard(packet: Packet): void {
    this.#guestBuffer = packet.bufferBytes;
    this.#guestForwarded = packet.forwarded;
  }

  #data(data: Uint8Array): void {
    if (!this.#open || (this.#guestShut & shutdownFlag.send) !== 0) return this.#reset();
    // Nobody listens any more: the guest will hear of it.
    if (this.#closing) return;
    if (data.length > this.stream.room) return this.#reset();
    this.#received = (this.#received + data.length) >>> 0;
    this.stream.send(data);
  }

  #shutdown(flags: number): void {
    this.#guestShut |= flags & shutdownFlag.both;
    if ((this.#guestShut & shutdownFlag.send) !== 0) this.stream.sendEnd();
    // A socket that is closed waits for this before it forgets the connection.
    if (this.#guestShut === shutdownFlag.both) this.#reset();
  }

  /** The connection is over; the guest is told so. */
  #reset(): void {
    this.#unsaid = unsaid.reset;
    this.stream.close();
  }
}

const answers = [
  [unsaid.request, packetOp.request],
  [unsaid.response, packetOp.response],
  [unsaid.credit, packetOp.creditUpdate],
] as const;
