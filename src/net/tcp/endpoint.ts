/**
 * One end of a TCP connection (RFC 9293), the other being the guest's.
 *
 * Positions, not sequence numbers: a position counts from the SYN (0; data begins at 1), as a number that does not wrap.
 * Sequence numbers are made and read at the edge, near a position that is known.
 *
 *     una ── sent, not acknowledged ── next ── not yet sent ── end      (`max`: the furthest that was ever sent)
 *     received ── may be sent by the peer ── edge
 *
 * Laws: una <= next <= max, received <= edge, and `edge` never goes back. Everything promised to the peer by `edge` can be
 * delivered at once. Exactly one `closed` is told, and nothing after it.
 *
 * Loss: the cable between us and the guest is memory and loses nothing, so there is no congestion window until a
 * timeout says otherwise; then it begins at one segment and slow start takes it back (RFC 5681, 3.1). Holes are filled after three
 * duplicates or by what SACK tells (RFC 6582, RFC 6675 in outline), the rest after the timeout of RFC 6298.
 * Absent: urgent data (delivered in line), timestamps, Nagle's algorithm (what comes in has been held up once already).
 */
import { Deadline, type NetClock } from "../clock.ts";
import { Reassembly } from "./reassembly.ts";
import { RoundTrip } from "./round-trip.ts";
import { Scoreboard } from "./scoreboard.ts";
import { type TcpHeader, type TcpOptions, type TcpSegment, tcpFlag } from "./segment.ts";
import { SendQueue } from "./send-queue.ts";

const { syn: SYN, ack: ACK, fin: FIN, rst: RST, psh: PSH } = tcpFlag;

export type TcpState =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait"
  | "closed";

/** All of a header but the ports. */
export type TcpFields = Omit<TcpHeader, "sourcePort" | "destinationPort">;

export interface TcpWire {
  /** The most payload of one segment; above `mss` where the link cuts it into segments of the peer's size itself. */
  readonly maxPayload: (mss: number) => number;
  /**
   * Sends `[offset, offset + length)` of the queue behind this header. False, and nothing sent, while the link is full: `resume`
   * is called when it no longer is.
   */
  send(fields: TcpFields, queue: SendQueue, offset: number, length: number, mss: number): boolean;
}

/** `done`: both directions ended in order. `timeout`: the peer does not answer. */
export type TcpEnd = "done" | "reset" | "timeout";

/** Who uses the connection. */
export interface TcpUser {
  established(): void;
  /** The next bytes; the view is good during the call only. */
  received(bytes: Uint8Array): void;
  /** How much more it takes now. */
  receiveSpace(): number;
  /** Nothing more is received. */
  peerEnded(): void;
  /** The queue has become shorter. */
  sent(): void;
  closed(end: TcpEnd): void;
}

export interface TcpEndpointOptions {
  readonly clock: NetClock;
  readonly wire: TcpWire;
  readonly user: TcpUser;
  /** The initial sequence number: nobody can guess it (RFC 9293, 3.4.1). */
  readonly iss: number;
  /** What the link's MTU leaves for a segment's payload. */
  readonly linkMss: number;
  /** Bytes kept for sending, a power of two, and bytes kept out of order. */
  readonly sendLimit: number;
  readonly receiveLimit: number;
}

/** A peer without the option (RFC 9293, 3.7.1); and a floor, so that nobody makes us send a byte a frame. */
const defaultMss = 536;
const leastMss = 64;
/** Windows up to 2 MiB. */
const ownScale = 5;
const duplicatesForLoss = 3;
/** Timeouts without a word from the peer until it is given up: some minutes (RFC 9293, 3.8.3). */
const mostUnanswered = 9;
/** Both ends share a host: no segment of an old connection is on its way for longer. */
const timeWaitMs = 2000;
/** A congestion window as large as any window is none. */
const openedWindow = 2 ** 21;
const mostSackBlocks = 3;
const reminderMs = 500;

export class TcpEndpoint {
  readonly #clock: NetClock;
  readonly #wire: TcpWire;
  readonly #user: TcpUser;
  readonly #iss: number;
  readonly #linkMss: number;
  readonly #queue: SendQueue;
  readonly #reassembly: Reassembly;
  readonly #receiveLimit: number;
  readonly #held = new Scoreboard();
  readonly #roundTrip = new RoundTrip();
  readonly #deadline: Deadline;
  #state: TcpState = "closed";
  /** What the deadline is for. */
  #waitFor: "acknowledgement" | "window" | "time-wait" = "acknowledgement";

  // Sending.
  #una = 0;
  #next = 0;
  #max = 0;
  /** Position of the queue's first byte. */
  #queueAt = 1;
  #finQueued = false;
  #window = 0;
  #largestWindow = 0;
  /** Position received and position acknowledged of the segment that gave the window. */
  #windowFrom: readonly [number, number] = [0, 0];
  #congestion = Number.POSITIVE_INFINITY;
  #mss = defaultMss;
  #peerScale = 0;
  #scale = 0;
  #sack = false;
  #duplicates = 0;
  /** Recovery ends when this is acknowledged; -1 without one. */
  #recovery = -1;
  /** Holes before it have been filled in this recovery. */
  #refilled = 0;
  /** A segment whose acknowledgement is being timed. */
  #timed: { readonly end: number; readonly since: number } | undefined;
  #unanswered = 0;

  // Receiving.
  #irs = 0;
  #received = 0;
  #edge = 0;
  /** Position of the peer's FIN; -1 before it is seen. */
  #peerFin = -1;
  #ackDue = false;
  #remindedAt = Number.NEGATIVE_INFINITY;
  #blocked = false;

  constructor(options: TcpEndpointOptions) {
    this.#clock = options.clock;
    this.#wire = options.wire;
    this.#user = options.user;
    this.#iss = options.iss >>> 0;
    this.#linkMss = options.linkMss;
    this.#queue = new SendQueue(options.sendLimit);
    this.#receiveLimit = options.receiveLimit;
    this.#reassembly = new Reassembly(options.receiveLimit);
    this.#deadline = new Deadline(options.clock, () => this.#timeout());
  }

  get state(): TcpState {
    return this.#state;
  }

  /** Bytes that `write` takes now. */
  get sendSpace(): number {
    return this.#finQueued ? 0 : this.#queue.limit - this.#queue.length;
  }

  get unacknowledged(): number {
    return this.#queue.length;
  }

  /** Waits for the link: `resume` is to be called. */
  get blocked(): boolean {
    return this.#blocked;
  }

  connect(): void {
    this.#state = "syn-sent";
    this.#sendSyn();
  }

  /** Answers a peer's SYN. */
  accept(segment: TcpHeader): void {
    this.#state = "syn-received";
    this.#takeSyn(segment);
    this.#sendSyn();
  }

  /** Queues as much as there is space for, and gives how much that was. */
  write(bytes: Uint8Array): number {
    if (this.#finQueued || this.#state === "closed") return 0;
    const taken = this.#queue.append(bytes);
    this.#transmit();
    return taken;
  }

  /** Nothing more is written. */
  end(): void {
    if (this.#finQueued || this.#state === "closed") return;
    this.#finQueued = true;
    if (this.#state === "established") this.#state = "fin-wait-1";
    else if (this.#state === "close-wait") this.#state = "last-ack";
    this.#transmit();
  }

  /** Ends the connection with a reset. */
  abort(): void {
    if (this.#state === "closed") return;
    if (this.#state !== "syn-sent" && this.#state !== "time-wait") this.#emit(RST | ACK, this.#next, 0);
    this.#close("reset");
  }

  /** Asks the peer whether it still knows the connection: one that does not answers with a reset (RFC 9293, 3.8.4). */
  probe(): void {
    if (this.#state !== "closed" && this.#una > 0) this.#emit(ACK, this.#una - 1, 0);
  }

  /** The user takes more than before. */
  spaceGrew(): void {
    if (this.#received === 0 || this.#state === "closed" || this.#peerFin >= 0) return;
    const promised = this.#edge - this.#received;
    const space = this.#user.receiveSpace();
    const worthwhile = Math.min(this.#receiveLimit >> 2, promised < this.#linkMss ? this.#linkMss : Infinity);
    if (space - promised >= worthwhile) this.#acknowledge();
  }

  /** The link has room again. */
  resume(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#transmit();
    this.flush();
  }

  /** Sends the acknowledgement that is due. To be called when no more segments are at hand. */
  flush(): void {
    if (this.#ackDue) this.#acknowledge();
  }

  receive(segment: TcpSegment): void {
    if (this.#state === "closed") return;
    if (this.#state === "syn-sent") return this.#receiveInSynSent(segment);
    const position = this.#received + ((segment.seq - this.#peerSeq(this.#received)) | 0);
    if (!this.#acceptable(position, segment)) {
      // Old duplicates and probes: the peer is told where we are (3.10.7.4).
      if ((segment.flags & RST) !== 0) return;
      if (this.#state === "syn-received" && position === 0 && (segment.flags & (SYN | ACK)) === SYN) this.#sendSyn();
      else this.#remind(segment);
      return;
    }
    this.#unanswered = 0;
    if ((segment.flags & RST) !== 0) {
      // RFC 5961, 3.2: only the exact position is believed.
      if (position === this.#received) this.#close("reset");
      else this.#remind(segment);
      return;
    }
    if ((segment.flags & SYN) !== 0) return this.#remind(segment);
    if ((segment.flags & ACK) === 0) return;
    if (!this.#receiveAcknowledgement(segment, position)) return;
    this.#receiveData(segment, position);
    this.#transmit();
  }

  // Opening.

  #sendSyn(): void {
    const options: TcpOptions = {
      mss: this.#linkMss,
      ...(this.#state === "syn-sent" || this.#scale > 0 ? { windowScale: ownScale } : {}),
      ...(this.#state === "syn-sent" || this.#sack ? { sackPermitted: true } : {}),
    };
    this.#timed ??= this.#max === 0 ? { end: 1, since: this.#clock.now() } : undefined;
    this.#next = this.#max = 1;
    this.#setRetransmission();
    this.#emit(this.#state === "syn-sent" ? SYN : SYN | ACK, 0, 0, options);
  }

  #takeSyn({ seq, window, options }: TcpHeader): void {
    this.#irs = seq;
    this.#received = 1;
    this.#edge = 1;
    this.#mss = Math.max(leastMss, Math.min(options.mss ?? defaultMss, this.#linkMss));
    if (options.windowScale !== undefined) {
      this.#peerScale = options.windowScale;
      this.#scale = ownScale;
    }
    this.#sack = options.sackPermitted ?? false;
    this.#setWindow(window, 0, 0);
  }

  #receiveInSynSent(segment: TcpSegment): void {
    const { flags } = segment;
    const acknowledges = (flags & ACK) !== 0;
    // Of another connection: RST is the guest's own answer to it, and ours (3.10.7.3).
    if (acknowledges && segment.ack !== this.#seq(1)) {
      if ((flags & RST) === 0) this.#emitReset(segment.ack);
      return;
    }
    if ((flags & RST) !== 0) {
      if (acknowledges) this.#close("reset");
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#unanswered = 0;
    this.#takeSyn(segment);
    if (!acknowledges) {
      // Both opened at once.
      this.#state = "syn-received";
      return this.#sendSyn();
    }
    this.#advance(1);
    this.#establish();
    this.#acknowledge();
    this.#transmit();
  }

  #establish(): void {
    this.#state = this.#finQueued ? "fin-wait-1" : "established";
    this.#user.established();
  }

  // Receiving.

  /** 3.10.7.4, first; a segment at exactly the expected position is looked at even when there is no window. */
  #acceptable(position: number, { payload, flags }: TcpSegment): boolean {
    if (position === this.#received) return true;
    const length = payload.length + ((flags & SYN) === 0 ? 0 : 1) + ((flags & FIN) === 0 ? 0 : 1);
    return position < this.#edge && (position > this.#received || position + length > this.#received);
  }

  /** False when the segment is not to be looked at any further. */
  #receiveAcknowledgement(segment: TcpSegment, position: number): boolean {
    const before = this.#una;
    const acknowledged = before + ((segment.ack - this.#seq(before)) | 0);
    if (this.#state === "syn-received") {
      if (acknowledged !== 1 || this.#max < 1) {
        this.#emitReset(segment.ack);
        return false;
      }
      this.#setWindow(segment.window << this.#peerScale, position, acknowledged);
      this.#advance(1);
      this.#establish();
    } else if (acknowledged > this.#max) {
      this.#remind(segment);
      return false;
    }
    for (const [from, to] of segment.options.sack ?? []) this.#noteHeld(from, to);
    const windowBefore = this.#window;
    const [seen, seenAck] = this.#windowFrom;
    if (acknowledged >= this.#una && (position > seen || (position === seen && acknowledged >= seenAck))) {
      this.#setWindow(segment.window << this.#peerScale, position, acknowledged);
    }
    if (acknowledged > this.#una) this.#advance(acknowledged);
    else if (
      acknowledged === before &&
      this.#max > before &&
      segment.payload.length === 0 &&
      (segment.flags & FIN) === 0 &&
      this.#window === windowBefore
    ) {
      this.#duplicate();
    }
    return !this.#isClosed;
  }

  #receiveData({ payload, flags }: TcpSegment, position: number): void {
    const open = this.#state === "established" || this.#state === "fin-wait-1" || this.#state === "fin-wait-2";
    if (!open) {
      // Behind the peer's FIN there is nothing; a repeated FIN is acknowledged again.
      if (payload.length > 0 || (flags & FIN) !== 0) {
        this.#ackDue = true;
        if (this.#state === "time-wait") this.#deadline.set(timeWaitMs);
      }
      return;
    }
    const end = position + payload.length;
    if ((flags & FIN) !== 0 && end <= this.#edge && this.#peerFin < 0) this.#peerFin = end;
    const from = Math.max(position, this.#received);
    const to = Math.min(end, this.#edge, this.#peerFin < 0 ? end : this.#peerFin);
    const bytes = payload.subarray(from - position, Math.max(from, to) - position);
    if (bytes.length > 0) {
      if (from === this.#received) {
        this.#received = to;
        this.#deliver(bytes);
        if (!this.#reassembly.isEmpty) {
          this.#received = this.#reassembly.take(to, (piece) => this.#deliver(piece));
          this.#acknowledge();
        } else this.#ackDue = true;
      } else {
        // Each segment behind a gap is acknowledged at once (RFC 5681, 3.2).
        this.#reassembly.insert(from, bytes);
        this.#acknowledge();
      }
    } else if (payload.length > 0) this.#acknowledge();
    if (this.#isClosed) return;
    if (this.#peerFin >= 0 && this.#received === this.#peerFin) this.#receiveFin();
    else if ((flags & FIN) !== 0) this.#ackDue = true;
  }

  /**
   * Answers what does not fit by where we are. Empty segments only now and then: two ends that disagree would answer each
   * other's answers for good (RFC 5961, 7).
   */
  #remind({ payload }: TcpSegment): void {
    const now = this.#clock.now();
    if (payload.length === 0) {
      if (now - this.#remindedAt < reminderMs) return;
      this.#remindedAt = now;
    }
    this.#acknowledge();
  }

  /** Its user may end the connection in the middle of what has come. */
  #deliver(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#user.received(bytes);
  }

  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  #receiveFin(): void {
    this.#received++;
    this.#edge = Math.max(this.#edge, this.#received);
    this.#ackDue = true;
    if (this.#state === "established") this.#state = "close-wait";
    else if (this.#state === "fin-wait-1") this.#state = "closing";
    else this.#waitTime();
    this.#user.peerEnded();
  }

  #setWindow(window: number, position: number, acknowledged: number): void {
    this.#window = window;
    this.#largestWindow = Math.max(this.#largestWindow, window);
    this.#windowFrom = [position, acknowledged];
  }

  // Acknowledgements of what we have sent.

  #advance(acknowledged: number): void {
    const growth = acknowledged - this.#una;
    this.#una = acknowledged;
    this.#next = Math.max(this.#next, acknowledged);
    const bytes = Math.min(acknowledged - this.#queueAt, this.#queue.length);
    if (bytes > 0) {
      this.#queue.discard(bytes);
      this.#queueAt += bytes;
    }
    if (this.#timed !== undefined && acknowledged >= this.#timed.end) {
      this.#roundTrip.measure(this.#clock.now() - this.#timed.since);
      this.#timed = undefined;
    }
    this.#held.acknowledge(acknowledged);
    this.#duplicates = 0;
    this.#congestion += growth;
    if (this.#congestion >= openedWindow) this.#congestion = Number.POSITIVE_INFINITY;
    if (this.#recovery >= 0) {
      if (acknowledged >= this.#recovery) this.#recovery = -1;
      // A part of what was sent before the loss: the next hole begins right here (RFC 6582, 3.2).
      else if (acknowledged >= this.#refilled) this.#refill(acknowledged);
    }
    if (this.#una === this.#max) this.#deadline.clear();
    else this.#setRetransmission();
    if (this.#finQueued && this.#una > this.#endOfData) this.#finAcknowledged();
    if (bytes > 0) this.#user.sent();
  }

  #finAcknowledged(): void {
    if (this.#state === "fin-wait-1") this.#state = "fin-wait-2";
    else if (this.#state === "closing") this.#waitTime();
    else if (this.#state === "last-ack") this.#close("done");
  }

  #noteHeld(from: number, to: number): void {
    const start = this.#una + ((from - this.#seq(this.#una)) | 0);
    const end = start + ((to - from) >>> 0);
    if (this.#sack && start > this.#una && end <= this.#max) this.#held.report(start, end);
  }

  #duplicate(): void {
    this.#duplicates++;
    if (this.#recovery >= 0) {
      const [hole] = this.#held.gapAt(this.#refilled);
      if (hole < this.#held.highest) this.#refill(hole);
    } else if (
      this.#duplicates === duplicatesForLoss ||
      this.#held.highest - this.#una > duplicatesForLoss * this.#mss
    ) {
      this.#recovery = this.#max;
      this.#refilled = this.#una;
      this.#refill(this.#una);
    }
  }

  /** Sends one segment's worth again of what is missing from `position` on. */
  #refill(position: number): void {
    const [from, to] = this.#held.gapAt(position);
    if (from >= this.#max) return;
    const length = Math.max(0, Math.min(this.#mss, to - from, this.#endOfData - from));
    this.#refilled = from + Math.max(1, length);
    this.#timed = undefined;
    this.#sendRange(from, length);
    this.#setRetransmission();
  }

  // Sending.

  /** Behind the last byte that was written; a FIN has this position. */
  get #endOfData(): number {
    return this.#queueAt + this.#queue.length;
  }

  /** Sends what windows and link allow. */
  #transmit(override = false): void {
    if (this.#state === "closed" || this.#state === "syn-sent" || this.#state === "syn-received") return;
    while (!this.#blocked) {
      const [from, to] = this.#next < this.#max ? this.#held.gapAt(this.#next) : [this.#next, Number.POSITIVE_INFINITY];
      const queued = this.#endOfData - from;
      const repeated = from < this.#max;
      const allowed = Math.min(this.#window, this.#congestion);
      // After a timeout one segment goes, whatever has become of the window (3.8.6).
      const usable = this.#una + (repeated && from === this.#una ? Math.max(allowed, this.#mss) : allowed) - from;
      const length = Math.max(0, Math.min(queued, usable, to - from, this.#wire.maxPayload(this.#mss)));
      const fin = this.#finQueued && length === Math.max(0, queued) && from <= this.#endOfData;
      if (length === 0 && !fin) break;
      // 3.8.6.2.1: no small segment because the window is small.
      const cutShort = length < queued && length === usable;
      if (cutShort && !override && length < Math.min(this.#mss, this.#largestWindow / 2)) break;
      if (!this.#sendRange(from, length)) return;
      const end = from + length + (fin ? 1 : 0);
      if (!repeated && end > this.#max) this.#timed ??= { end, since: this.#clock.now() };
      this.#next = end;
      this.#max = Math.max(this.#max, end);
      if (!this.#deadline.isSet || this.#waitFor === "window") this.#setRetransmission();
    }
    const stuck = this.#una === this.#max && this.#endOfData > this.#next;
    if (stuck && !this.#blocked && !this.#deadline.isSet) this.#wait("window", this.#roundTrip.timeoutMs);
  }

  /** A segment from `from` on, with the FIN if it comes next. */
  #sendRange(from: number, length: number): boolean {
    const last = from + length === this.#endOfData;
    const flags = ACK | (last && length > 0 ? PSH : 0) | (last && this.#finQueued ? FIN : 0);
    return this.#emit(flags, from, length);
  }

  #acknowledge(): void {
    this.#ackDue = true;
    this.#emit(ACK, this.#max, 0);
  }

  #emitReset(seq: number): void {
    this.#wire.send({ seq, ack: 0, flags: RST, window: 0, options: {} }, this.#queue, 0, 0, this.#mss);
  }

  #emit(flags: number, from: number, length: number, options: TcpOptions = this.#sackOptions()): boolean {
    if (this.#isClosed) return true;
    const ack = (flags & ACK) === 0 ? 0 : this.#peerSeq(this.#received);
    const window = this.#offerWindow((flags & SYN) !== 0);
    const fields: TcpFields = { seq: this.#seq(from), ack, flags, window, options };
    const sent = this.#wire.send(fields, this.#queue, from - this.#queueAt, length, this.#mss);
    if (!sent) this.#blocked = true;
    else if ((flags & ACK) !== 0) this.#ackDue = false;
    return sent;
  }

  #sackOptions(): TcpOptions {
    if (!this.#sack || this.#reassembly.isEmpty) return {};
    return {
      sack: this.#reassembly.runs(mostSackBlocks).map(([from, to]) => [this.#peerSeq(from), this.#peerSeq(to)]),
    };
  }

  /** The header's window field; moves the edge when that is worth a word (3.8.6.2.2). */
  #offerWindow(inSyn: boolean): number {
    const space = Math.max(0, Math.min(this.#user.receiveSpace(), this.#receiveLimit));
    const edge = this.#received + space;
    if (edge - this.#edge >= Math.min(this.#linkMss, this.#receiveLimit >> 1)) this.#edge = edge;
    // A SYN's window is never scaled, and what it cannot say is not promised (RFC 7323, 2.2).
    if (inSyn) this.#edge = Math.min(this.#edge, this.#received + 0xffff);
    const shift = inSyn ? 0 : this.#scale;
    const most = 0xffff << shift;
    const offered = Math.min(most, this.#edge - this.#received);
    // Rounded up: what was promised stays promised.
    return Math.min(0xffff, Math.ceil(offered / 2 ** shift));
  }

  // Time.

  #wait(why: "acknowledgement" | "window" | "time-wait", ms: number): void {
    this.#waitFor = why;
    this.#deadline.set(ms);
  }

  #setRetransmission(): void {
    this.#wait("acknowledgement", this.#roundTrip.timeoutMs);
  }

  #waitTime(): void {
    this.#state = "time-wait";
    this.#wait("time-wait", timeWaitMs);
  }

  #timeout(): void {
    if (this.#waitFor === "time-wait") return this.#close("done");
    // A guest that takes nothing from the link does not run.
    if (this.#blocked) return this.#deadline.set(this.#roundTrip.timeoutMs);
    if (++this.#unanswered > mostUnanswered) return this.#giveUp();
    this.#roundTrip.backOff();
    this.#timed = undefined;
    if (this.#waitFor === "window") return this.#probeWindow();
    if (this.#una === 0) return this.#sendSyn();
    this.#recovery = -1;
    this.#duplicates = 0;
    // The peer may have thrown away what it reported (RFC 2018, 8).
    this.#held.clear();
    this.#congestion = this.#mss;
    this.#next = this.#una;
    this.#setRetransmission();
    this.#transmit();
  }

  /**
   * A segment that the peer has had already: its answer says how large the window is now (3.8.6.1, as Linux does it: no byte is
   * beyond the window, so the sequence numbers of what is sent meanwhile stay inside). What window there is is used.
   */
  #probeWindow(): void {
    this.#wait("window", this.#roundTrip.timeoutMs);
    if (this.#window > 0) this.#transmit(true);
    else this.probe();
  }

  #giveUp(): void {
    if (this.#una > 0) this.#emit(RST | ACK, this.#next, 0);
    this.#close("timeout");
  }

  #close(end: TcpEnd): void {
    this.#state = "closed";
    this.#deadline.cancel();
    this.#queue.clear();
    this.#blocked = false;
    this.#ackDue = false;
    this.#user.closed(end);
  }

  #seq(position: number): number {
    return (this.#iss + position) >>> 0;
  }

  #peerSeq(position: number): number {
    return (this.#irs + position) >>> 0;
  }
}
