/** A page server on a port of this host (memory/backends/remote has the protocol). */
import { randomFillSync } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { PageServer, type PageStore } from "#memory/remote";
import { sign } from "./sign.ts";

export interface PageServerOptions {
  readonly address: string;
  /** 0: any. */
  readonly port: number;
  readonly secret: string;
  readonly store: PageStore;
  /** So long pages wait for a machine whose connection is gone. */
  readonly keepMs: number;
  readonly log: (line: string) => void;
}

export interface RunningPageServer {
  readonly port: number;
  readonly pagesHeld: number;
  readonly clients: number;
  close(): Promise<void>;
}

const mostConnections = 256;
/** Who has not shown that it knows the secret by then is hung up on. */
const greetingMs = 10_000;

/** Rejected with an Error that says why, when the port cannot be had. */
export async function startPageServer(options: PageServerOptions): Promise<RunningPageServer> {
  const server = new PageServer({
    ...options,
    sign,
    random: (target) => void randomFillSync(target),
    after: (ms, act) => {
      const timer = setTimeout(act, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
  });
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    if (sockets.size >= mostConnections) return void socket.destroy();
    sockets.add(socket);
    socket.on("close", () => void sockets.delete(socket));
    serve(server, socket);
  });
  await new Promise<void>((done, reject) => {
    listener.once("error", (error: NodeJS.ErrnoException) =>
      reject(new Error(`the page server cannot listen at ${options.address}:${options.port}: ${error.message}`)),
    );
    listener.listen(options.port, options.address, done);
  });
  return {
    port: (listener.address() as AddressInfo).port,
    get pagesHeld() {
      return options.store.pagesHeld;
    },
    get clients() {
      return server.clientCount;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => listener.close(done));
      options.store.close();
    },
  };
}

function serve(server: PageServer, socket: Socket): void {
  const session = server.connected({
    name: `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`,
    send: (bytes) => {
      // A client that does not read its answers is not read either: so what waits here is bounded.
      if (!socket.write(bytes)) socket.pause();
    },
    close: () => socket.end(),
  });
  const timer = setTimeout(() => {
    if (!session.isAdmitted) socket.destroy();
  }, greetingMs);
  socket.on("drain", () => void socket.resume());
  socket.on("data", (bytes: Buffer) => session.receive(bytes));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    clearTimeout(timer);
    session.end();
  });
}
