/** The host's end of the network benchmark: a port for TCP, where a connection's first byte says what it wants, and for UDP. */
import { createSocket } from "node:dgram";
import { type AddressInfo, createServer, type Socket } from "node:net";

const piece = Buffer.alloc(64 * 1024, 0x5a);

export interface NetServer {
  readonly port: number;
  close(): void;
}

export async function netServer(): Promise<NetServer> {
  const tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {});
    socket.once("data", (first: Buffer) => serve(socket, String.fromCharCode(first[0] as number), first.subarray(1)));
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (bytes, from) => udp.send(bytes, from.port, from.address));
  await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
  return {
    port,
    close: () => {
      tcp.close();
      udp.close();
    },
  };
}

function serve(socket: Socket, kind: string, rest: Buffer): void {
  switch (kind) {
    case "o":
      socket.resume();
      socket.once("end", () => socket.end());
      break;
    case "i":
      source(socket);
      break;
    default:
      if (rest.length > 0) socket.write(rest);
      socket.on("data", (bytes: Buffer) => socket.write(bytes));
      socket.once("end", () => socket.end());
  }
}

/** Sends until the other end goes. */
function source(socket: Socket): void {
  const go = (): void => {
    while (!socket.destroyed) if (!socket.write(piece)) return void socket.once("drain", go);
  };
  go();
}
