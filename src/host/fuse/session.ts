/**
 * The conversation with the kernel over /dev/fuse: requests are read one after the other, and answered as they are done.
 *
 * Law: every request that waits is answered once, or the connection ends.
 */
import { close, read, writevSync } from "node:fs";
import {
  answerHeader,
  errno,
  inHeaderBytes,
  maxWriteBytes,
  opcode,
  outHeaderBytes,
  parseHeader,
  parseRequest,
} from "#devices/fuse";
import type { MemoryFuseServer } from "./server.ts";

/** A write's data, and more than all else that a request has. */
const longestRequest = maxWriteBytes + (64 << 10);
/** A request was taken back before it was read, or a signal came. */
const passing = new Set(["ENOENT", "EINTR", "EAGAIN"]);

/** Resolved when the file system is unmounted; `descriptor` is closed then. */
export async function converse(descriptor: number, server: MemoryFuseServer): Promise<void> {
  const buffer = Buffer.alloc(longestRequest);
  /** Requests that wait for an answer. */
  const open = new Set<bigint>();
  const send = (unique: bigint, parts: readonly Uint8Array[] | undefined): void => {
    if (!open.delete(unique) || parts === undefined) return;
    try {
      writevSync(descriptor, parts);
    } catch {
      // Nobody waits any more, or the file system is gone.
    }
  };
  for (;;) {
    const length = await readSome(descriptor, buffer);
    if (length < 0) break;
    if (length < inHeaderBytes) continue;
    const bytes = new Uint8Array(buffer.subarray(0, length));
    const header = parseHeader(bytes);
    if (header.opcode === opcode.interrupt) {
      const request = parseRequest(header, bytes);
      if (request.kind === "interrupt")
        send(request.unique, [answerHeader(outHeaderBytes, errno.EINTR, request.unique)]);
      continue;
    }
    open.add(header.unique);
    void server.answer(header, bytes).then((parts) => send(header.unique, parts));
  }
  await new Promise((resolve) => close(descriptor, resolve));
}

/** -1: there is nothing more to come. */
function readSome(descriptor: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve) => {
    read(descriptor, buffer, 0, buffer.length, null, (error, length) => {
      if (error === null) resolve(length);
      else resolve(passing.has(error.code ?? "") ? 0 : -1);
    });
  });
}
