/** The service behind a file system device: requests lie in guest memory, and are answered there. */
import type { IoService, ServicePort } from "../../io/index.ts";
import { FuseServer } from "./server.ts";
import type { ShareHost } from "./share-host.ts";
import { ByteVector } from "./vector.ts";
import { answerMessage, parseRequestMessage, sessionEnds } from "./wire.ts";

/** A share whose descriptors can be given up. */
export interface ClosableShare extends ShareHost {
  close(): void;
}

export function shareService(share: ClosableShare, port: ServicePort): IoService {
  const server = new FuseServer(share);
  return {
    receive: (message) => {
      const { request, toRead, toWrite } = parseRequestMessage(message, port.arena);
      let bytes = 0;
      if (request === sessionEnds) server.reset();
      else bytes = server.handle(new ByteVector(toRead), new ByteVector(toWrite));
      port.send(answerMessage(request, bytes));
    },
    close: () => share.close(),
  };
}
