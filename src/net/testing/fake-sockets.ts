/** A host whose peers are programs in the test: by address, what they do with a connection or a datagram. */

import { formatIpv4, type Ipv4, parseIpv4 } from "../address.ts";
import {
  type ConnectFailure,
  type HostAddress,
  type HostDatagrams,
  type HostListener,
  type HostSockets,
  type HostStream,
  type HostStreamUser,
  NetworkError,
  type OnDatagram,
} from "../host-sockets.ts";
import { joined } from "./bytes.ts";

export const at = (text: string): HostAddress => {
  const [address, port] = text.split(":");
  return { address: parseIpv4(address) as Ipv4, port: Number(port) };
};
export const textOf = ({ address, port }: HostAddress): string => `${formatIpv4(address)}:${port}`;

/** The far end of a stream. It takes what is written when the test says so, or at once. */
export class FakeStream implements HostStream {
  user!: HostStreamUser;
  readonly written: Uint8Array[] = [];
  readonly events: string[] = [];
  /** While false, what is written stays in `buffered`. */
  taking = true;
  buffered = 0;
  paused = false;
  over = false;
  /** Sends back what it gets. */
  echo = false;

  write(bytes: Uint8Array): void {
    if (this.over) throw new Error("written after the end");
    this.written.push(bytes);
    if (!this.taking) this.buffered += bytes.length;
    else if (this.echo) this.user.received(bytes.slice());
  }
  end(): void {
    this.events.push("end");
    if (this.echo) this.finish();
  }
  reset(): void {
    this.events.push("reset");
    this.over = true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  /** Takes what has waited. */
  take(): void {
    this.taking = true;
    this.buffered = 0;
    this.user.drained();
  }
  /** The far end has nothing more to say, and both directions are over. */
  finish(): void {
    this.user.ended();
    this.over = true;
    this.user.closed(false);
  }
  get bytes(): Uint8Array {
    return joined(this.written);
  }
}

export class FakeSockets implements HostSockets {
  resolvers: readonly HostAddress[] = [at("192.0.2.53:53")];
  own: readonly Ipv4[] = [];
  readonly names = new Map<string, readonly Ipv4[]>();
  /** By "address:port": what a connection finds there. Others are refused. */
  readonly servers = new Map<string, (stream: FakeStream) => void>();
  readonly failures = new Map<string, ConnectFailure>();
  readonly datagrams: { readonly to: string; readonly bytes: Uint8Array; readonly answer: OnDatagram }[] = [];
  readonly listeners = new Map<string, (stream: HostStream) => HostStreamUser | undefined>();
  readonly bound = new Map<string, OnDatagram>();
  readonly connected: string[] = [];
  openSockets = 0;

  connect(to: HostAddress, user: HostStreamUser): HostStream {
    const stream = new FakeStream();
    stream.user = user;
    const name = textOf(to);
    this.connected.push(name);
    void Promise.resolve().then(() => {
      const server = this.servers.get(name);
      if (stream.over) return;
      if (server === undefined) return user.failed(this.failures.get(name) ?? "refused");
      server(stream);
      user.connected();
    });
    return stream;
  }

  async listen(place: HostAddress, accept: (stream: HostStream) => HostStreamUser | undefined): Promise<HostListener> {
    const name = textOf(place);
    if (this.listeners.has(name)) throw new NetworkError(`port ${place.port} is in use`);
    this.listeners.set(name, accept);
    return { close: () => void this.listeners.delete(name) };
  }

  openDatagrams(answer: OnDatagram): HostDatagrams {
    return this.#socket(answer, () => {});
  }

  async bindDatagrams(place: HostAddress, onDatagram: OnDatagram): Promise<HostDatagrams> {
    this.bound.set(textOf(place), onDatagram);
    return this.#socket(onDatagram, () => this.bound.delete(textOf(place)));
  }

  async resolve(name: string): Promise<readonly Ipv4[]> {
    return this.names.get(name) ?? [];
  }

  ownAddresses(): readonly Ipv4[] {
    return this.own;
  }

  /** Somebody connects to a published port. */
  dial(place: string): FakeStream | undefined {
    const stream = new FakeStream();
    const user = this.listeners.get(place)?.(stream);
    if (user === undefined) return undefined;
    stream.user = user;
    return stream;
  }

  #socket(answer: OnDatagram, closed: () => void): HostDatagrams {
    this.openSockets++;
    let open = true;
    return {
      send: (bytes, to) => void this.datagrams.push({ to: textOf(to), bytes, answer }),
      close: () => {
        if (!open) throw new Error("closed twice");
        open = false;
        this.openSockets--;
        closed();
      },
    };
  }
}
