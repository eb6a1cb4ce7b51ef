/**
 * What all answers to FUSE requests have in common, whoever gives them: a request that is parsed, a header, and an error's number.
 *
 * Laws: whatever a request holds, `respond` returns the length of an answer that fits, or 0 where none is due; it throws nothing.
 * Another vCPU may change the request meanwhile: what was parsed is a copy.
 */
import { errno, inHeaderBytes, maxWriteBytes, opcode, outHeaderBytes, writeArgumentBytes } from "./protocol.ts";
import { answerHeader, writeReply } from "./reply.ts";
import { type Header, longestRequest, parseHeader, parseRequest, type Request } from "./request.ts";
import { ShareError } from "./share-host.ts";
import type { ByteVector } from "./vector.ts";

/** `length` bytes are in their place already. */
export interface InPlace {
  readonly length: number;
}

/** Undefined where no answer is due. */
export type Body = Uint8Array | InPlace | undefined;

/** Answers the request in `input` into `output` with what `answer` gives, or throws; the bytes that the answer has. */
export function respond(
  input: ByteVector,
  output: ByteVector,
  answer: (header: Header, request: Request) => Body,
): number {
  if (input.length < inHeaderBytes) return 0;
  const header = parseHeader(input.copy(0, inHeaderBytes));
  let error = 0;
  let body: Body;
  let length = outHeaderBytes;
  try {
    body = answer(header, requestIn(header, input));
    if (body === undefined) return 0;
    length += body.length;
  } catch (thrown) {
    error = errnoOf(thrown);
  }
  if (output.length < outHeaderBytes) return 0;
  if (body instanceof Uint8Array && output.put(outHeaderBytes, body) < body.length) error = errno.EINVAL;
  if (error !== 0) length = outHeaderBytes;
  output.put(0, answerHeader(length, error, header.unique));
  return length;
}

function requestIn(header: Header, input: ByteVector): Request {
  if (header.length < inHeaderBytes || header.length > input.length) throw new ShareError("EINVAL");
  const argumentBytes = header.opcode === opcode.write ? inHeaderBytes + writeArgumentBytes : longestRequest;
  return parseRequest(header, input.copy(0, Math.min(header.length, argumentBytes)));
}

/** The body of an answer to a READ, by a `read` that fills the targets as far as there is something. */
export function readBody(
  { size }: { readonly size: number },
  output: ByteVector,
  read: (targets: readonly Uint8Array[]) => number,
): InPlace {
  const room = Math.min(size, maxWriteBytes, output.length - outHeaderBytes);
  return { length: read(output.slice(outHeaderBytes, room)) };
}

/** The body of an answer to a WRITE. */
export function writeBody(
  header: Header,
  { size: asked }: { readonly size: number },
  input: ByteVector,
  write: (sources: readonly Uint8Array[]) => number,
): Uint8Array {
  const size = Math.min(asked, maxWriteBytes);
  const dataAt = inHeaderBytes + writeArgumentBytes;
  if (header.length < dataAt + size) throw new ShareError("EINVAL");
  return writeReply(write(input.slice(dataAt, size)));
}

/** An error that has no name is the host's trouble. */
function errnoOf(thrown: unknown): number {
  const code = (thrown as { code?: unknown } | undefined)?.code;
  return (typeof code === "string" && errno[code]) || errno.EIO;
}
