/**
 * TCP between the guest and the world: each connection of the guest's ends here and goes on as a stream of the host's, and
 * each that comes to a published port is opened to the guest from the gateway's address.
 *
 * Laws: at most `maxFlows` flows; about `poolBytes` in all of them together. A segment of no known connection is answered by a
 * reset (RFC 9293, 3.10.7.1), never by silence.
 */
import type { Ipv4 } from "./address.ts";
import { Deadline, type NetClock } from "./clock.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { ConnectFailure, HostAddress, HostSockets, HostStream, HostStreamUser } from "./host-sockets.ts";
import { type Ipv4Packet, ipv4HeaderBytes } from "./ipv4.ts";
import { mtuBytes } from "./link.ts";
import { TcpEndpoint, type TcpFields } from "./tcp/endpoint.ts";
import { type TcpHeader, type TcpSegment, tcpFlag, tcpHeaderBytes } from "./tcp/segment.ts";
import type { SendQueue } from "./tcp/send-queue.ts";
import { BufferPool, bufferBytes, TcpFlow, type TcpFlowOwner } from "./tcp-flow.ts";

const maxFlows = 4096;
/** SYNs whose destination has not answered. */
const maxConnecting = 1024;
const poolBytes = 64 * 1024 * 1024;
const linkMss = mtuBytes - ipv4HeaderBytes - tcpHeaderBytes;
const sweepMs = 60_000;
/** A connection that was quiet so long: the guest is asked whether it still knows it. */
const quietMs = 10 * 60_000;
/** Where connections to the guest come from. */
const firstPort = 32768;
const portCount = 28232;

export interface TcpNatOptions {
  readonly clock: NetClock;
  readonly sockets: HostSockets;
  readonly writer: FrameWriter;
  /** Connections to published ports come from here. */
  readonly gateway: Ipv4;
  /** Where an address of the guest's world lies on the host; undefined for one that it may not reach. */
  readonly destination: (address: Ipv4, port: number) => HostAddress | undefined;
  /** Tells the guest by ICMP; `packet` is what it sent. */
  readonly unreachable: (why: ConnectFailure, packet: Uint8Array) => void;
  /** A number below 2^32 that nobody can guess. */
  readonly random32: () => number;
}

interface Place {
  readonly flow: TcpFlow;
  lastSeen: number;
}

export class TcpNat {
  readonly #options: TcpNatOptions;
  readonly #pool = new BufferPool(poolBytes);
  /** By the ports and the address that the guest sees. */
  readonly #places = new Map<string, Place>();
  /** All that are not over; some of them have no place any more. */
  readonly #flows = new Set<TcpFlow>();
  /** Acknowledgements may be due when no more frames are at hand. */
  readonly #touched = new Set<TcpFlow>();
  /** Wait for room on the link, the first to wait first. */
  readonly #blocked = new Set<TcpFlow>();
  readonly #sweep: Deadline;
  #connecting = 0;
  #nextPort: number;

  constructor(options: TcpNatOptions) {
    this.#options = options;
    this.#nextPort = options.random32() % portCount;
    this.#sweep = new Deadline(options.clock, () => this.#askQuiet());
  }

  get flowCount(): number {
    return this.#flows.size;
  }

  get bufferedBytes(): number {
    return this.#pool.used;
  }

  receive(segment: TcpSegment, packet: Ipv4Packet): void {
    const remote = { address: packet.destination, port: segment.destinationPort };
    const key = keyOf(segment.sourcePort, remote);
    const isSyn = (segment.flags & (tcpFlag.syn | tcpFlag.ack | tcpFlag.rst)) === tcpFlag.syn;
    const place = this.#places.get(key);
    if (place === undefined) {
      if (isSyn) this.#open(key, segment, remote, packet);
      else this.#reset(segment, remote);
      return;
    }
    const { flow } = place;
    if (isSyn && flow.endpoint.state === "time-wait") {
      flow.abort();
      return this.#open(key, segment, remote, packet);
    }
    place.lastSeen = this.#options.clock.now();
    this.#touched.add(flow);
    if (!flow.isConnecting) flow.endpoint.receive(segment);
    else if ((segment.flags & tcpFlag.rst) !== 0) flow.abort();
  }

  /** A connection to a published port. Gives its user, or nothing where there is no room. */
  accept(stream: HostStream, guestPort: number): HostStreamUser | undefined {
    const remote = this.#freeRemote(guestPort);
    if (remote === undefined || !this.#makeRoom()) return undefined;
    const flow = this.#newFlow(keyOf(guestPort, remote), remote, guestPort, () => {});
    flow.accept(stream);
    return flow.hostUser;
  }

  /** Sends the acknowledgements that are due. To be called when no more frames are at hand. */
  flush(): void {
    for (const flow of this.#touched) flow.endpoint.flush();
    this.#touched.clear();
  }

  /** The link has room again. */
  resume(): void {
    for (const flow of [...this.#blocked]) {
      this.#blocked.delete(flow);
      flow.endpoint.resume();
      if (this.#blocked.has(flow)) return;
    }
  }

  /** Forgets every connection; the host's ends are reset where the guest had not ended. */
  clear(): void {
    for (const flow of [...this.#flows]) flow.leave();
    this.#touched.clear();
    this.#blocked.clear();
    this.#sweep.cancel();
  }

  #open(key: string, segment: TcpSegment, remote: HostAddress, packet: Ipv4Packet): void {
    const { sockets, destination, unreachable } = this.#options;
    const to = destination(remote.address, remote.port);
    if (to === undefined) return unreachable("prohibited", packet.whole);
    // The guest tries again by itself.
    if (this.#connecting >= maxConnecting) return;
    if (!this.#makeRoom()) return this.#reset(segment, remote);
    // What is needed later must not point into the frame.
    const { payload: _, ...syn } = segment;
    const quoted = packet.whole.slice(0, ipv4HeaderBytes + 8);
    const flow = this.#newFlow(key, remote, segment.sourcePort, (why) => {
      if (why === "refused") this.#reset(syn, remote);
      else unreachable(why, quoted);
    });
    this.#connecting++;
    flow.open(syn, (user) => sockets.connect(to, user));
  }

  #newFlow(key: string, remote: HostAddress, guestPort: number, refuse: (why: ConnectFailure) => void): TcpFlow {
    const { clock, random32, writer } = this.#options;
    const owner: TcpFlowOwner = {
      pool: this.#pool,
      answered: () => void this.#connecting--,
      refuse: (_, why) => refuse(why),
      guestGone: () => {
        if (this.#places.get(key)?.flow === flow) this.#places.delete(key);
        this.#touched.delete(flow);
        this.#blocked.delete(flow);
      },
      gone: () => {
        this.#flows.delete(flow);
        if (this.#flows.size === 0) this.#sweep.cancel();
      },
    };
    const send = (fields: TcpFields, queue: SendQueue, offset: number, length: number, mss: number): boolean => {
      const header = { ...fields, sourcePort: remote.port, destinationPort: guestPort };
      const sent = writer.tcp(remote.address, header, queue, offset, length, mss);
      if (!sent) this.#blocked.add(flow);
      return sent;
    };
    const wire = { maxPayload: (mss: number) => writer.maxTcpPayload(mss), send };
    const limits = { sendLimit: bufferBytes, receiveLimit: bufferBytes };
    const flow: TcpFlow = new TcpFlow(
      owner,
      (user) => new TcpEndpoint({ clock, user, wire, iss: random32(), linkMss, ...limits }),
    );
    this.#flows.add(flow);
    this.#places.set(key, { flow, lastSeen: clock.now() });
    if (!this.#sweep.isSet) this.#sweep.set(sweepMs);
    return flow;
  }

  /** An address of the gateway's that no connection to this port of the guest's comes from. */
  #freeRemote(guestPort: number): HostAddress | undefined {
    for (let tries = 0; tries < portCount; tries++) {
      const remote = { address: this.#options.gateway, port: firstPort + this.#nextPort };
      this.#nextPort = (this.#nextPort + 1) % portCount;
      if (!this.#places.has(keyOf(guestPort, remote))) return remote;
    }
    return undefined;
  }

  /** Whether one more flow may be: one that only waits for stray segments gives way. */
  #makeRoom(): boolean {
    if (this.#flows.size < maxFlows) return true;
    for (const flow of this.#flows) {
      if (flow.endpoint.state !== "time-wait") continue;
      flow.abort();
      return this.#flows.size < maxFlows;
    }
    return false;
  }

  #reset({ seq, ack, flags, sourcePort, destinationPort, ...rest }: TcpHeader, remote: HostAddress): void {
    if ((flags & tcpFlag.rst) !== 0) return;
    const acknowledges = (flags & tcpFlag.ack) !== 0;
    const payloadBytes = "payload" in rest ? (rest as TcpSegment).payload.length : 0;
    const length = payloadBytes + ((flags & tcpFlag.syn) === 0 ? 0 : 1) + ((flags & tcpFlag.fin) === 0 ? 0 : 1);
    this.#options.writer.tcp(remote.address, {
      sourcePort: destinationPort,
      destinationPort: sourcePort,
      seq: acknowledges ? ack : 0,
      ack: acknowledges ? 0 : (seq + length) >>> 0,
      flags: acknowledges ? tcpFlag.rst : tcpFlag.rst | tcpFlag.ack,
      window: 0,
      options: {},
    });
  }

  #askQuiet(): void {
    const since = this.#options.clock.now() - quietMs;
    for (const { flow, lastSeen } of this.#places.values()) if (lastSeen < since) flow.endpoint.probe();
    this.#sweep.set(sweepMs);
  }
}

const keyOf = (guestPort: number, { address, port }: HostAddress): string => `${guestPort} ${address} ${port}`;
