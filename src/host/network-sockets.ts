/** What the network asks of a host, by Node's sockets: see `HostSockets` for the promises. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { getServers, lookup } from "node:dns";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import {
  type ConnectFailure,
  formatIpv4,
  type HostAddress,
  type HostDatagrams,
  type HostListener,
  type HostSockets,
  type HostStream,
  type HostStreamUser,
  type Ipv4,
  NetworkError,
  type OnDatagram,
  parseIpv4,
} from "#net";

/** Cards come and go; asking costs a walk through all of them. */
const interfacesMs = 5000;
/** Of one piece at most: whole frames of the longest that the guest takes (44 segments), so that no short one is between them. */
const readBytes = 4 * 44 * 1460;
/** At the end what was written has this long to leave, and then the far end this long to close in order. */
const flushMs = 2000;
const closeMs = 100;

export class NodeSockets implements HostSockets {
  readonly resolvers: readonly HostAddress[] = getServers().flatMap(resolverAddress);
  readonly #open = new Set<Socket>();
  readonly #readBuffer = new Uint8Array(readBytes);
  #own: { readonly at: number; readonly addresses: readonly Ipv4[] } | undefined;

  connect(to: HostAddress, user: HostStreamUser): HostStream {
    // Read into one buffer: nothing is allotted for each piece, and nobody keeps it.
    let receive = (_: Uint8Array): void => {};
    const onread = {
      buffer: this.#readBuffer,
      callback: (count: number, buffer: Uint8Array) => {
        receive(buffer.subarray(0, count));
        return true;
      },
    };
    const options = { host: formatIpv4(to.address), port: to.port, allowHalfOpen: true, noDelay: true, onread };
    const socket = netConnect(options);
    receive = (bytes) => user.received(bytes);
    return this.#stream(socket, user, true);
  }

  listen(at: HostAddress, accept: (stream: HostStream) => HostStreamUser | undefined): Promise<HostListener> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const late = new LateUser();
      const stream = this.#stream(socket, late, false);
      const user = accept(stream);
      if (user === undefined) stream.reset();
      else late.is = user;
    });
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(cannotListen(at, "TCP", error)));
      server.listen(at.port, formatIpv4(at.address), () => {
        server.removeAllListeners("error");
        // Such as too many open files: the port goes on when there is room again.
        server.on("error", () => {});
        resolve({ close: () => void server.close() });
      });
    });
  }

  openDatagrams(onDatagram: OnDatagram): HostDatagrams {
    return datagrams(createSocket("udp4"), onDatagram);
  }

  bindDatagrams(at: HostAddress, onDatagram: OnDatagram): Promise<HostDatagrams> {
    const socket = createSocket("udp4");
    return new Promise((resolve, reject) => {
      socket.once("error", (error) => reject(cannotListen(at, "UDP", error)));
      socket.bind(at.port, formatIpv4(at.address), () => {
        socket.removeAllListeners("error");
        resolve(datagrams(socket, onDatagram));
      });
    });
  }

  resolve(name: string): Promise<readonly Ipv4[]> {
    return new Promise((resolve) => {
      lookup(name, { family: 4, all: true }, (error, found) =>
        resolve(error ? [] : found.flatMap(({ address }) => parseIpv4(address) ?? [])),
      );
    });
  }

  ownAddresses(): readonly Ipv4[] {
    const now = performance.now();
    if (this.#own === undefined || now - this.#own.at > interfacesMs) {
      const cards = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
      this.#own = { at: now, addresses: cards.flatMap(({ address }) => parseIpv4(address) ?? []) };
    }
    return this.#own.addresses;
  }

  /** Resolves when what was written to ended streams has left, or has had its time; closes all. */
  async flushed(): Promise<void> {
    const ended = [...this.#open].filter((socket) => socket.writableEnded);
    await within(
      flushMs,
      ended.map((socket) => finished(socket)),
    );
    await within(
      closeMs,
      ended.map((socket) => closed(socket)),
    );
    for (const socket of this.#open) socket.destroy();
  }

  #stream(socket: Socket, user: HostStreamUser, connecting: boolean): HostStream {
    this.#open.add(socket);
    let waiting = connecting;
    let over = false;
    let broken = false;
    const tell = (say: () => void): void => {
      if (!over) say();
    };
    socket.once("connect", () => {
      waiting = false;
      tell(() => user.connected());
    });
    socket.on("data", (bytes: Buffer) => tell(() => user.received(bytes)));
    socket.once("end", () => tell(() => user.ended()));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      broken = true;
      if (waiting) tell(() => user.failed(failureOf(error)));
      if (waiting) over = true;
    });
    socket.once("close", () => {
      this.#open.delete(socket);
      tell(() => user.closed(broken));
      over = true;
    });
    return {
      get buffered() {
        return socket.writableLength;
      },
      write: (bytes) => void socket.write(bytes, () => tell(() => user.drained())),
      end: () => void socket.end(),
      reset: () => {
        over = true;
        socket.resetAndDestroy();
      },
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
    };
  }
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });

const finished = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.writableFinished || socket.destroyed) return resolve();
    socket.once("finish", () => resolve());
    socket.once("close", () => resolve());
  });

/** Until all are kept, or so long. */
async function within(ms: number, promises: readonly Promise<void>[]): Promise<void> {
  if (promises.length === 0) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([Promise.all(promises), late]);
  clearTimeout(timer);
}

/** Stands in for the user of an accepted connection until that is known. */
class LateUser implements HostStreamUser {
  is: HostStreamUser | undefined;
  connected(): void {}
  failed(): void {}
  received(bytes: Uint8Array): void {
    this.is?.received(bytes);
  }
  ended(): void {
    this.is?.ended();
  }
  drained(): void {
    this.is?.drained();
  }
  closed(broken: boolean): void {
    this.is?.closed(broken);
  }
}

function datagrams(socket: UdpSocket, onDatagram: OnDatagram): HostDatagrams {
  // What cannot be sent is lost, as datagrams may be.
  socket.on("error", () => {});
  socket.on("message", (bytes, from) => {
    const address = parseIpv4(from.address);
    if (address !== undefined) onDatagram(bytes, { address, port: from.port });
  });
  return {
    send: (bytes, to) => socket.send(bytes, to.port, formatIpv4(to.address), () => {}),
    close: () => void socket.close(),
  };
}

function failureOf({ code }: NodeJS.ErrnoException): ConnectFailure {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "refused";
  return code === "EACCES" || code === "EPERM" ? "prohibited" : "unreachable";
}

function cannotListen({ address, port }: HostAddress, kind: string, error: NodeJS.ErrnoException): NetworkError {
  const place = `${kind} port ${formatIpv4(address)}:${port} cannot be published`;
  const reasons: Record<string, string> = {
    EADDRINUSE: "another program has it: choose another one",
    EACCES: "ports below 1024 need a right that this program has not: choose a higher one",
    EADDRNOTAVAIL: "this host has no such address",
  };
  return new NetworkError(`${place}: ${reasons[error.code ?? ""] ?? error.message}`);
}

/** As in resolv.conf; those with IPv6 addresses are left out. */
function resolverAddress(text: string): readonly HostAddress[] {
  const [host, port] = text.split(":", 2);
  const address = parseIpv4(host as string);
  return address === undefined || text.split(":").length > 2 ? [] : [{ address, port: Number(port ?? 53) }];
}
