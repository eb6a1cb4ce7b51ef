/** The service behind a file system device: requests lie in guest memory, and are answered there. */
import type { IoService, ServicePort } from "../../io/index.ts";
import { FuseServer } from "./server.ts";
import type { ShareHost } from "./share-host.ts";
import { ByteVector } from "./vector.ts";
import {
  answerMessage,
  fileRecalled,
  fileReturned,
  parseAnswer,
  parseRequestHeader,
  parseRequestMessage,
  SessionParts,
  sessionEnds,
  sessionMessages,
  sessionRestore,
  sessionSave,
} from "./wire.ts";

/** A share whose descriptors can be given up. */
export interface ClosableShare extends ShareHost {
  close(): void;
}

export function shareService(share: ClosableShare, port: ServicePort): IoService {
  const server = new FuseServer(share);
  const restored = new SessionParts();
  share.onRecall = (file) => port.send(answerMessage(fileRecalled, file));
  const receive = (message: Uint8Array<ArrayBuffer>): void => {
    switch (parseRequestHeader(message)) {
      case fileReturned:
        return share.returned(parseAnswer(message).bytes);
      case sessionEnds:
        server.reset();
        return port.send(answerMessage(sessionEnds, 0));
      case sessionSave:
        for (const part of sessionMessages(sessionSave, server.save())) port.send(part);
        return;
      case sessionRestore: {
        const session = restored.add(message);
        if (session !== undefined) server.restore(session);
        return;
      }
      default: {
        const { request, toRead, toWrite } = parseRequestMessage(message, port.arena);
        const bytes = server.handle(new ByteVector(toRead), new ByteVector(toWrite));
        port.send(answerMessage(request, bytes, server.lent));
      }
    }
  };
  // Every request has been answered when the next one is looked at.
  return { isStill: true, receive, close: () => share.close() };
}
