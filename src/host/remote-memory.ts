/** The service of remote memory on Node: TCP to page servers (memory/backends/remote). */
import { randomBytes, randomFillSync } from "node:crypto";
import { connect } from "node:net";
import type { OpenService } from "#devices";
import type { RemoteBacking } from "#memory";
import { idBytes, type LinkHost, RemoteMemoryService } from "#memory/remote";
import { sign } from "./page-server/sign.ts";
import { readSecret } from "./secret.ts";

export const openRemoteMemory: OpenService = async (config, port) => {
  const { servers, secretFile } = config as RemoteBacking;
  const service = new RemoteMemoryService(
    { servers, secret: readSecret(secretFile), object: randomBytes(idBytes), host: nodeLinks },
    port,
  );
  await service.open();
  return { receive: (message) => service.receive(message), close: () => service.close() };
};

const nodeLinks: LinkHost = {
  sign,
  random: (target) => void randomFillSync(target),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
  connect: ({ host, port }, events) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    let over = false;
    const closed = (why: string): void => {
      if (over) return;
      over = true;
      events.closed(why);
    };
    socket.on("connect", () => events.opened());
    socket.on("data", (bytes: Buffer) => over || events.data(bytes));
    socket.on("error", ({ message }) => closed(message));
    socket.on("close", () => closed("the connection was closed"));
    return {
      send: (bytes) => void socket.write(bytes),
      close: () => {
        over = true;
        socket.destroy();
      },
    };
  },
};
