/** Sockets of the guest (AF_VSOCK), as the owner of a machine has them: the guest is CID 3, the host 2. */
import type { GuestStream, GuestStreams } from "./guest-streams.ts";
import { VmError } from "./vm-api.ts";

export interface Vsock {
  /** A connection to a port that a program in the guest listens on. Fails when none does. */
  connect(port: number): Promise<GuestStream>;
  /** `take` is given each connection of the guest to a port of the host. Returns what ends that; one listener a port. */
  listen(port: number, take: (stream: GuestStream) => void): () => void;
}

/** The last number stands for any port. */
const lastPort = 0xffff_fffe;

export function vsockOf(streams: GuestStreams, pluggedIn: boolean): Vsock {
  const service = (port: number): string => {
    if (!pluggedIn) throw new VmError("option", 'the machine has no sockets: start it with the option "vsock"');
    if (Number.isInteger(port) && port >= 0 && port <= lastPort) return `vsock/${port}`;
    throw new VmError("option", `${port} is no port: a whole number from 0 to ${lastPort} is needed`);
  };
  return {
    connect: async (port) => {
      const stream = streams.connect(service(port));
      await stream.opened;
      return stream;
    },
    listen: (port, take) => {
      const off = streams.listen(service(port), take);
      if (off === undefined) throw new VmError("option", `port ${port} has a listener already`);
      return off;
    },
  };
}
