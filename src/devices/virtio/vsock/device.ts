/**
 * A socket device (virtio 1.2, "Socket Device"): connections of streams between programs of the guest and of the host.
 *
 * A connection is a stream to the host (`vsock/PORT`), in either direction; connection.ts says how its bytes and its credit go.
 * The guest is CID 3, the host is 2.
 *
 * Laws: the guest's packets are taken while few answers wait for its receive buffers: so what waits is bounded, whatever it
 * sends. What belongs to no connection is answered with a reset. Connections, with those that wait to be closed, are at most
 * `maxConnections`.
 */
import { copyState, restoreState } from "../../state.ts";
import type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "../../streams/index.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { Connection, type Ports } from "./connection.ts";
import { newVsockState, type VsockState } from "./persist.ts";
import {
  buildPacket,
  guestCid,
  headerBytes,
  hostCid,
  type Packet,
  packetOp,
  parsePacket,
  streamType,
  transportReset,
} from "./protocol.ts";

const receive = 0;
const transmit = 1;
const events = 2;

const maxConnections = 1024;
/** Resets for packets of no connection. */
const maxResets = 256;
/** Taken of a packet; Linux sends at most as much. */
const longestData = 64 * 1024;
/** Ports of the host for connections that it opens. */
const firstHostPort = 0x4000_0000;

export class VirtioVsock implements VirtioDevice<VsockState>, StreamProvider {
  readonly type = 19;
  /** Communication controller, other. */
  readonly classCode = 0x07_80_00;
  readonly features = 0n;
  readonly queueSizes = [128, 128, 8];
  readonly #state = newVsockState();
  readonly #streams: StreamSource;
  readonly #connections = new Map<string, Connection>();
  /** Those that may have something to say. */
  readonly #talking = new Set<Connection>();
  #resets: Packet[] = [];
  #nextPort = firstHostPort;
  #driver: VirtioDriver | undefined;

  constructor(streams: StreamSource) {
    this.#streams = streams;
    streams.serve("vsock", this);
  }

  readConfig(offset: number, size: number): number {
    // guest_cid, 64 bits.
    return offset === 0 && size <= 4 ? guestCid : 0;
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    this.#tellLost();
  }

  stop(): void {
    this.#driver = undefined;
    this.#hangUp();
    restoreState(this.#state, newVsockState());
  }

  kick(queue: number): void {
    if (queue === receive) this.#send();
    // There may be room for answers now, and so for more packets.
    if (queue !== events) this.#takePackets();
    else this.#tellLost();
  }

  save(): VsockState {
    return copyState(this.#state);
  }

  restore(saved: VsockState): void {
    this.#hangUp();
    restoreState(this.#state, saved);
    this.#state.connectionsLost = 1;
  }

  // The host's side.

  connect(target: string, stream: DeviceStream): StreamEnd | undefined {
    const port = parsePort(target);
    if (this.#driver === undefined || port === undefined || this.#connections.size >= maxConnections) return undefined;
    const ports = { host: this.#freePort(port), guest: port };
    const connection = new Connection(ports, stream, undefined);
    this.#connections.set(keyOf(ports), connection);
    this.#talk(connection);
    return this.#end(() => connection);
  }

  /** Guests are answered when they ask. */
  listening(): void {}

  #end(connection: () => Connection | undefined): StreamEnd {
    const then = (act?: (connection: Connection) => void) => () => {
      const which = connection();
      if (which === undefined) return;
      act?.(which);
      this.#talk(which);
    };
    return { input: then(), room: then((each) => each.onRoom()), closed: then((each) => each.onClosed()) };
  }

  #freePort(guest: number): number {
    do this.#nextPort = this.#nextPort === 0xffff_fffe ? firstHostPort : this.#nextPort + 1;
    while (this.#connections.has(keyOf({ host: this.#nextPort, guest })));
    return this.#nextPort;
  }

  #hangUp(): void {
    for (const { stream } of this.#connections.values()) stream.close();
    this.#connections.clear();
    this.#talking.clear();
    this.#resets = [];
  }

  // The guest's packets.

  #takePackets(): void {
    const queue = this.#driver?.queues[transmit];
    if (queue === undefined) return;
    while (this.#resets.length < maxResets) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.#take(chain);
      queue.push(chain, 0);
    }
    queue.flush();
    this.#send();
  }

  #take(chain: Chain): void {
    const header = new Uint8Array(headerBytes);
    if (chain.read(0, header) < headerBytes) return;
    const packet = parsePacket(header);
    if (packet.sourceCid !== BigInt(guestCid)) return;
    const ports = { host: packet.targetPort, guest: packet.sourcePort };
    const connection = this.#connections.get(keyOf(ports));
    const ours = packet.targetCid === BigInt(hostCid) && packet.type === streamType;
    if (ours && connection !== undefined && packet.op !== packetOp.request) {
      connection.receive(packet, this.#dataOf(chain, packet));
      return this.#talk(connection);
    }
    if (ours && connection === undefined && packet.op === packetOp.request && this.#accept(ports, packet)) return;
    if (packet.op !== packetOp.reset) this.#resets.push(packet);
  }

  #dataOf(chain: Chain, { op, length }: Packet): Uint8Array {
    if (op !== packetOp.data) return new Uint8Array(0);
    const data = new Uint8Array(Math.min(length, longestData, chain.readableBytes - headerBytes));
    chain.read(headerBytes, data);
    return data;
  }

  /** A guest's request; false when it is to be refused. */
  #accept(ports: Ports, packet: Packet): boolean {
    if (this.#connections.size >= maxConnections) return false;
    let connection: Connection | undefined;
    const stream = this.#streams.open(
      `vsock/${ports.host}`,
      this.#end(() => connection),
    );
    if (stream === undefined) return false;
    connection = new Connection(ports, stream, packet);
    this.#connections.set(keyOf(ports), connection);
    this.#talk(connection);
    return true;
  }

  // Packets to the guest.

  #talk(connection: Connection): void {
    if (connection.gone) this.#forget(connection);
    else this.#talking.add(connection);
    this.#send();
  }

  #forget(connection: Connection): void {
    this.#talking.delete(connection);
    if (this.#connections.get(keyOf(connection.ports)) === connection)
      this.#connections.delete(keyOf(connection.ports));
  }

  /** Says what there is to say, as far as the driver's buffers go; connections take turns. */
  #send(): void {
    const queue = this.#driver?.queues[receive];
    if (queue === undefined) return;
    while (this.#resets.length > 0 || this.#someoneTalks()) {
      const chain = queue.pop();
      if (chain === undefined) break;
      queue.push(chain, this.#fill(chain));
    }
    queue.flush();
  }

  /** Whether a connection has something to say; those that have nothing are asked no more. */
  #someoneTalks(): boolean {
    for (const connection of this.#talking) {
      if (connection.wantsToSend) return true;
      this.#talking.delete(connection);
    }
    return false;
  }

  /** Writes the next packet into a buffer of the driver's; how many bytes that were. */
  #fill(chain: Chain): number {
    if (chain.writableBytes < headerBytes) return 0;
    const refused = this.#resets.shift();
    if (refused !== undefined) return chain.write(0, resetFor(refused));
    const [connection] = this.#talking;
    const outgoing = connection?.next(chain.writableBytes - headerBytes);
    if (connection === undefined || outgoing === undefined) return 0;
    // To the end of the line.
    this.#talking.delete(connection);
    if (connection.gone) this.#forget(connection);
    else this.#talking.add(connection);
    const { op, flags = 0, data } = outgoing;
    const header = buildPacket({
      sourceCid: BigInt(hostCid),
      targetCid: BigInt(guestCid),
      sourcePort: connection.ports.host,
      targetPort: connection.ports.guest,
      length: data?.length ?? 0,
      type: streamType,
      op,
      flags,
      ...connection.credit(),
    });
    chain.write(0, header);
    return headerBytes + (data === undefined ? 0 : chain.write(headerBytes, data));
  }

  /** Tells the driver that its connections are lost, when it has a buffer for that. */
  #tellLost(): void {
    const queue: Virtqueue | undefined = this.#driver?.queues[events];
    if (queue === undefined || this.#state.connectionsLost === 0) return;
    const chain = queue.pop();
    if (chain === undefined) return;
    this.#state.connectionsLost = 0;
    queue.push(chain, chain.write(0, Uint8Array.of(transportReset, 0, 0, 0)));
    queue.flush();
  }
}

const keyOf = ({ host, guest }: Ports): string => `${host}:${guest}`;

function parsePort(text: string): number | undefined {
  const port = Number(text);
  // The last one stands for any.
  return /^\d{1,10}$/.test(text) && port < 0xffff_ffff ? port : undefined;
}

function resetFor(packet: Packet): Uint8Array {
  return buildPacket({
    sourceCid: packet.targetCid,
    targetCid: packet.sourceCid,
    sourcePort: packet.targetPort,
    targetPort: packet.sourcePort,
    length: 0,
    type: packet.type,
    op: packetOp.reset,
    flags: 0,
    bufferBytes: 0,
    forwarded: 0,
  });
}
