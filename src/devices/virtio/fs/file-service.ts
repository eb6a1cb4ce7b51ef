/**
 * What takes long with files that a near share has open (service.ts): done on a thread of its own, by the host's numbers of the files.
 *
 * The request is parsed here once more, since it lies in memory that other vCPUs may have changed meanwhile. Law: whatever it says by
 * now, it comes to what the guest may do with that very file: the host opened it for reading, writing or both.
 */
import type { IoService, ServicePort } from "../../io/index.ts";
import { readBody, respond, writeBody } from "./respond.ts";
import { ShareError } from "./share-host.ts";
import { ByteVector } from "./vector.ts";
import { answerMessage, parseRequestMessage } from "./wire.ts";

/** Files of the host by their numbers. Each may throw an error with a `code`. */
export interface FileOperations {
  /** Fills `targets` from `offset` on; fewer bytes only at the file's end. */
  read(file: number, offset: number, targets: readonly Uint8Array[]): number;
  write(file: number, offset: number, sources: readonly Uint8Array[]): number;
  /** What was written is on the host's disk when this returns; with `dataOnly` without times and the like. */
  sync(file: number, dataOnly: boolean): void;
}

export function fileService(files: FileOperations, port: ServicePort): IoService {
  const receive = (message: Uint8Array<ArrayBuffer>): void => {
    const { request, file, toRead, toWrite } = parseRequestMessage(message, port.arena);
    port.send(answerMessage(request, handle(files, file, new ByteVector(toRead), new ByteVector(toWrite))));
  };
  return { isStill: true, receive, close: () => {} };
}

const nothing = new Uint8Array(0);

function handle(files: FileOperations, file: number, input: ByteVector, output: ByteVector): number {
  return respond(input, output, (header, request) => {
    switch (request.kind) {
      case "read":
        return readBody(request, output, (targets) => files.read(file, request.offset, targets));
      case "write":
        return writeBody(header, request, input, (sources) => files.write(file, request.offset, sources));
      case "fsync":
      case "fsyncdir":
        files.sync(file, request.dataOnly);
        return nothing;
      default:
        throw new ShareError("EIO");
    }
  });
}
