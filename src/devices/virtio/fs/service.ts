/**
 * The service behind a file system device: requests lie in guest memory, and are answered there.
 *
 * On a thread of its own it does everything itself. Near, on the machine's thread, it is told of one beside it (file-service.ts), and has
 * that one do what takes long by its nature, with the number of the file that it is about: to sync, and what the device left of reading
 * and writing.
 */
import type { Beside, IoService, ServicePort } from "../../io/index.ts";
import { inHeaderBytes, opcode, writeArgumentBytes } from "./protocol.ts";
import { parseHeader, parseRequest } from "./request.ts";
import { FuseServer } from "./server.ts";
import type { ShareHost } from "./share-host.ts";
import { ByteVector } from "./vector.ts";
import {
  aboutFile,
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

const slowOpcodes: ReadonlySet<number> = new Set([opcode.read, opcode.write, opcode.fsync, opcode.fsyncdir]);

/** A share whose descriptors can be given up. */
export interface ClosableShare extends ShareHost {
  close(): void;
}

/** `beside`: a service for files by their numbers. */
export function shareService(share: ClosableShare, port: ServicePort, beside?: Beside): IoService {
  const server = new FuseServer(share);
  const restored = new SessionParts();
  const lent = beside && new LentToBeside(share, beside, (message) => port.send(message));
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
        const input = new ByteVector(toRead);
        if (lent?.take(request, message, input)) return;
        const bytes = server.handle(input, new ByteVector(toWrite));
        port.send(answerMessage(request, bytes, server.lent));
      }
    }
  };
  // Every request has been answered when the next one is looked at.
  return { isStill: true, receive, close: () => share.close() };
}

/** Requests that the service beside is busy with, each with the file that is lent for it. */
class LentToBeside {
  readonly #share: ShareHost;
  readonly #beside: Beside;
  readonly #files = new Map<number, number>();

  constructor(share: ShareHost, beside: Beside, answer: (message: Uint8Array<ArrayBuffer>) => void) {
    this.#share = share;
    this.#beside = beside;
    beside.onMessage = (message) => {
      const { request } = parseAnswer(message);
      const file = this.#files.get(request);
      this.#files.delete(request);
      if (file !== undefined) share.returned(file);
      answer(message);
    };
  }

  /** False for what is to be answered at once: what is quick, and what is wrong. */
  take(request: number, message: Uint8Array<ArrayBuffer>, input: ByteVector): boolean {
    const file = this.#fileFor(input);
    if (file === undefined) return false;
    this.#files.set(request, file);
    this.#beside.send(aboutFile(message, file));
    return true;
  }

  #fileFor(input: ByteVector): number | undefined {
    const bytes = input.copy(0, inHeaderBytes + writeArgumentBytes);
    if (bytes.length < inHeaderBytes) return undefined;
    const header = parseHeader(bytes);
    if (!slowOpcodes.has(header.opcode)) return undefined;
    try {
      const request = parseRequest(header, bytes);
      switch (request.kind) {
        case "read":
        case "write":
        case "fsync":
          return this.#share.lend(header.node, request.handle);
        case "fsyncdir":
          return this.#share.lendDirectory(header.node);
        default:
          return undefined;
      }
    } catch {
      return undefined;
    }
  }
}
