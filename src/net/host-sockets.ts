/**
 * What the network asks of a host: TCP, UDP, names. Node answers with its sockets, a page by way of a relay.
 *
 * Law: a user hears nothing more after `failed` or `closed`, and nothing after its own `reset` or `close`.
 */
import type { Ipv4 } from "./address.ts";

export interface HostAddress {
  readonly address: Ipv4;
  readonly port: number;
}

/** `unreachable`: no way there, or no answer. `prohibited`: somebody on the way, such as a relay, does not want it. */
export type ConnectFailure = "refused" | "unreachable" | "prohibited";

export interface HostStreamUser {
  connected(): void;
  /** Instead of `connected`. */
  failed(why: ConnectFailure): void;
  /** The view is good during the call only. */
  received(bytes: Uint8Array): void;
  /** Nothing more is received. */
  ended(): void;
  /** `buffered` is less than it was. */
  drained(): void;
  /** Both directions are over: `broken` when not in order. */
  closed(broken: boolean): void;
}

export interface HostStream {
  /** Bytes written that the host has not taken yet. */
  readonly buffered: number;
  /** Takes the bytes as its own. */
  write(bytes: Uint8Array): void;
  /** Nothing more is written. */
  end(): void;
  /** Ends both directions at once, by a reset where there is such a thing. */
  reset(): void;
  /** Receives nothing until `resume`. */
  pause(): void;
  resume(): void;
}

export interface HostDatagrams {
  send(bytes: Uint8Array, to: HostAddress): void;
  close(): void;
}

export type OnDatagram = (bytes: Uint8Array, from: HostAddress) => void;

export interface HostListener {
  close(): void;
}

export interface HostSockets {
  connect(to: HostAddress, user: HostStreamUser): HostStream;
  /** Rejected with a `NetworkError` when the address cannot be had. `accept` gives a connection its user; one without is reset. */
  listen(at: HostAddress, accept: (stream: HostStream) => HostStreamUser | undefined): Promise<HostListener>;
  /** A socket at some free port. */
  openDatagrams(onDatagram: OnDatagram): HostDatagrams;
  /** As `listen`. */
  bindDatagrams(at: HostAddress, onDatagram: OnDatagram): Promise<HostDatagrams>;
  /** Addresses of a name; none where it has none. */
  resolve(name: string): Promise<readonly Ipv4[]>;
  /** The host's own resolvers, the first to be asked first. */
  readonly resolvers: readonly HostAddress[];
  /** Addresses that lead to the host itself, loopback apart. */
  ownAddresses(): readonly Ipv4[];
}

/** What a person asked of the network and cannot have. One line, which says what to do. */
export class NetworkError extends Error {
  override name = "NetworkError";
}
