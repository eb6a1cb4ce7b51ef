/**
 * UDP between the guest and the world.
 *
 * Out: a port of the guest's has one socket of the host's, whatever it sends to (endpoint-independent mapping, RFC 4787, 4.1);
 * answers pass only from where the guest has sent to (5). In: a published port is one socket of the host's; each peer
 * there appears to the guest as a port of the gateway's.
 *
 * Law: tables are bounded; who was quiet the longest goes first, and after `idleMs` in any case.
 */
import type { Ipv4 } from "./address.ts";
import { Deadline, type NetClock } from "./clock.ts";
import type { HostAddress, HostDatagrams, HostSockets } from "./host-sockets.ts";
import type { Datagram } from "./udp.ts";

/** RFC 4787, 4.3: not less than two minutes. */
const idleMs = 2 * 60_000;
const sweepMs = 30_000;
const maxMappings = 512;
const maxRemotes = 128;
const maxPeers = 1024;
/** Peers of published ports have these ports of the gateway's. */
const firstPort = 32768;
const portCount = 28232;

export interface UdpNatOptions {
  readonly clock: NetClock;
  readonly sockets: HostSockets;
  readonly gateway: Ipv4;
  /** Hands a datagram to the guest. */
  readonly deliver: (from: HostAddress, guestPort: number, payload: Uint8Array) => void;
}

/** A port of the guest's. */
interface Mapping {
  readonly host: HostDatagrams;
  /** By the address on the host: what the guest calls it. The one used last is the last. */
  readonly remotes: Map<string, HostAddress>;
  lastUsed: number;
}

/** Somebody who sends to a published port. */
interface Peer {
  readonly socket: HostDatagrams;
  readonly address: HostAddress;
  readonly key: string;
  readonly guestPort: number;
  lastUsed: number;
}

export class UdpNat {
  readonly #options: UdpNatOptions;
  readonly #mappings = new Map<number, Mapping>();
  /** By the gateway's port. */
  readonly #peers = new Map<number, Peer>();
  readonly #peerPorts = new Map<string, number>();
  readonly #sweep: Deadline;
  #nextPort = 0;

  constructor(options: UdpNatOptions) {
    this.#options = options;
    this.#sweep = new Deadline(options.clock, () => this.#forgetIdle());
  }

  get mappingCount(): number {
    return this.#mappings.size + this.#peers.size;
  }

  /** `remote`: as the guest calls it; `to`: where that lies. */
  send({ sourcePort, payload }: Datagram, remote: HostAddress, to: HostAddress): void {
    const mapping = this.#mappingOf(sourcePort);
    mapping.lastUsed = this.#options.clock.now();
    moveLast(mapping.remotes, textOf(to), remote);
    dropFirst(mapping.remotes, maxRemotes, () => {});
    mapping.host.send(payload.slice(), to);
  }

  /** Whether the gateway's port is a peer's, who then gets the datagram. */
  answer({ sourcePort, destinationPort, payload }: Datagram): boolean {
    const peer = this.#peers.get(destinationPort);
    if (peer === undefined || peer.guestPort !== sourcePort) return false;
    peer.lastUsed = this.#options.clock.now();
    peer.socket.send(payload.slice(), peer.address);
    return true;
  }

  /** A datagram that came to a published port. */
  accept(socket: HostDatagrams, guestPort: number, from: HostAddress, bytes: Uint8Array): void {
    const key = `${guestPort} ${textOf(from)}`;
    const port = this.#peerPorts.get(key) ?? this.#freePort();
    const peer = { socket, address: from, key, guestPort, lastUsed: this.#options.clock.now() };
    this.#peerPorts.set(key, port);
    moveLast(this.#peers, port, peer);
    dropFirst(this.#peers, maxPeers, (old) => this.#peerPorts.delete(old.key));
    this.#keepSweeping();
    this.#options.deliver({ address: this.#options.gateway, port }, guestPort, bytes);
  }

  clear(): void {
    for (const { host } of this.#mappings.values()) host.close();
    this.#mappings.clear();
    this.#peers.clear();
    this.#peerPorts.clear();
    this.#sweep.cancel();
  }

  #mappingOf(guestPort: number): Mapping {
    const known = this.#mappings.get(guestPort);
    if (known !== undefined) {
      moveLast(this.#mappings, guestPort, known);
      return known;
    }
    const remotes = new Map<string, HostAddress>();
    const host = this.#options.sockets.openDatagrams((bytes, from) => {
      const remote = remotes.get(textOf(from));
      if (remote === undefined) return;
      mapping.lastUsed = this.#options.clock.now();
      this.#options.deliver(remote, guestPort, bytes);
    });
    const mapping: Mapping = { host, remotes, lastUsed: 0 };
    this.#mappings.set(guestPort, mapping);
    dropFirst(this.#mappings, maxMappings, (old) => old.host.close());
    this.#keepSweeping();
    return mapping;
  }

  #freePort(): number {
    do this.#nextPort = (this.#nextPort + 1) % portCount;
    while (this.#peers.has(firstPort + this.#nextPort));
    return firstPort + this.#nextPort;
  }

  #keepSweeping(): void {
    if (!this.#sweep.isSet) this.#sweep.set(sweepMs);
  }

  #forgetIdle(): void {
    const since = this.#options.clock.now() - idleMs;
    for (const [port, { host, lastUsed }] of this.#mappings) {
      if (lastUsed > since) continue;
      host.close();
      this.#mappings.delete(port);
    }
    for (const [port, { key, lastUsed }] of this.#peers) {
      if (lastUsed > since) continue;
      this.#peers.delete(port);
      this.#peerPorts.delete(key);
    }
    if (this.mappingCount > 0) this.#keepSweeping();
  }
}

const textOf = ({ address, port }: HostAddress): string => `${address}:${port}`;

function moveLast<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
}

/** A Map keeps the order of insertion: its first is the one that was quiet the longest. */
function dropFirst<K, V>(map: Map<K, V>, most: number, forget: (value: V) => void): void {
  for (const [key, value] of map) {
    if (map.size <= most) return;
    map.delete(key);
    forget(value);
  }
}
