/** Two of our endpoints on a bad cable: it loses, repeats, delays and so reorders segments as a seed says. */
import { type TcpEnd, TcpEndpoint, type TcpFields, type TcpUser, type TcpWire } from "../tcp/endpoint.ts";
import { parseTcp, printSegment, type TcpSegment, tcpFlag, writeTcpHeader } from "../tcp/segment.ts";
import type { SendQueue } from "../tcp/send-queue.ts";
import { joined } from "./bytes.ts";
import { Dial, seeded } from "./dial.ts";

export interface Weather {
  readonly seed: number;
  /** Chances, each segment's. */
  readonly loss?: number;
  readonly repeat?: number;
  readonly reorder?: number;
  readonly delayMs?: number;
  /** Segments longer than the MSS may be sent. */
  readonly large?: boolean;
  readonly sendLimit?: number;
  readonly receiveLimit?: number;
}

/** Writes what it was given to write, keeps what it gets. */
export class TestUser implements TcpUser {
  readonly got: Uint8Array[] = [];
  readonly events: string[] = [];
  end: TcpEnd | undefined;
  endpoint!: TcpEndpoint;
  toWrite: Uint8Array = new Uint8Array(0);
  endAfter = false;
  space = Number.POSITIVE_INFINITY;

  established(): void {
    this.events.push("established");
    this.pump();
  }
  received(bytes: Uint8Array): void {
    if (this.end !== undefined) throw new Error("bytes after the end");
    this.got.push(bytes.slice());
    this.space -= bytes.length;
    if (this.space < 0) throw new Error("more bytes than there was space for");
  }
  receiveSpace(): number {
    return this.space;
  }
  peerEnded(): void {
    this.events.push("peer ended");
  }
  sent(): void {
    this.pump();
  }
  closed(end: TcpEnd): void {
    if (this.end !== undefined) throw new Error("closed twice");
    this.end = end;
    this.events.push(end);
  }
  pump(): void {
    this.toWrite = this.toWrite.subarray(this.endpoint.write(this.toWrite));
    if (this.toWrite.length === 0 && this.endAfter) this.endpoint.end();
  }
  get bytes(): Uint8Array {
    return joined(this.got);
  }
}

export class TcpPair {
  readonly clock = new Dial();
  readonly client: TestUser;
  readonly server: TestUser;
  readonly log: string[] = [];
  segments = 0;
  /** Looks at a segment on its way; false: it is lost. */
  filter: (from: "client" | "server", segment: TcpSegment) => boolean = () => true;
  readonly #random: () => number;
  readonly #weather: Weather;

  constructor(weather: Weather = { seed: 1 }) {
    this.#weather = weather;
    this.#random = seeded(weather.seed);
    const client = new TestUser();
    const server = new TestUser();
    const make = (user: TestUser, name: "client" | "server", iss: number): TcpEndpoint =>
      new TcpEndpoint({
        clock: this.clock,
        user,
        wire: this.#wire(name, () => (name === "client" ? this.server : this.client)),
        iss,
        linkMss: 1460,
        sendLimit: weather.sendLimit ?? 2 ** 18,
        receiveLimit: weather.receiveLimit ?? 2 ** 18,
      });
    // Both wrap within the first megabytes.
    client.endpoint = make(client, "client", 0xffff_0000);
    server.endpoint = make(server, "server", 0xffff_f000);
    this.client = client;
    this.server = server;
  }

  /** Until nothing is on its way and no alarm is set, or `limitMs` have passed. */
  settle(limitMs = 3_600_000): void {
    while (this.clock.now() < limitMs && this.clock.toNext());
  }

  #wire(name: "client" | "server", to: () => TestUser): TcpWire {
    const { large, delayMs = 1 } = this.#weather;
    return {
      maxPayload: (mss) => (large ? 44 * mss : mss),
      send: (fields, queue, offset, length) => {
        const bytes = encode(fields, queue, offset, length);
        this.segments++;
        const segment = parseTcp(bytes) as TcpSegment;
        if (this.log.length < 10_000) this.log.push(`${this.clock.now()} ${name} ${printSegment(segment)}`);
        const lost = !this.filter(name, segment) || this.#chance("loss");
        if (!lost) this.#deliver(bytes, to, delayMs);
        if (this.#chance("repeat")) this.#deliver(bytes, to, delayMs * 3);
        return true;
      },
    };
  }

  #deliver(bytes: Uint8Array, to: () => TestUser, delayMs: number): void {
    const late = this.#chance("reorder") ? delayMs * 20 * this.#random() : 0;
    this.clock.after(delayMs + late, () => {
      const user = to();
      const name = user === this.client ? "server" : "client";
      const segment = parseTcp(bytes) as TcpSegment;
      const before = user.endpoint.state;
      if (before === "closed" && user.end === undefined) user.endpoint.accept(segment);
      else if (before === "closed") this.#refuse(segment, name);
      else user.endpoint.receive(segment);
      user.endpoint.flush();
    });
  }

  /** What who knows no such connection says (RFC 9293, 3.10.7.1). */
  #refuse({ flags, ack }: TcpSegment, to: "client" | "server"): void {
    if ((flags & tcpFlag.rst) !== 0 || (flags & tcpFlag.ack) === 0) return;
    const user = to === "client" ? this.client : this.server;
    const reset = { sourcePort: 1, destinationPort: 2, seq: ack, ack: 0, flags: tcpFlag.rst, window: 0, options: {} };
    this.clock.after(1, () => user.endpoint.receive({ ...reset, payload: new Uint8Array(0) }));
  }

  #chance(kind: "loss" | "repeat" | "reorder"): boolean {
    return this.#random() < (this.#weather[kind] ?? 0);
  }
}

function encode(fields: TcpFields, queue: SendQueue, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(60 + length);
  const header = writeTcpHeader(bytes, 0, { ...fields, sourcePort: 1, destinationPort: 2 });
  queue.copy(offset, length, bytes, header);
  return bytes.subarray(0, header + length);
}
