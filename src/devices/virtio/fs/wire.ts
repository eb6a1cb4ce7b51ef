/**
 * Messages between the file system device and its service on the I/O thread.
 *
 * To the service: u32 request, u32 file, u32 pieces to be read, u32 pieces to be written, then u32 address in the arena and u32 length of
 * each. The file is the host's number of what the request is about, where the service is one for files (file-service.ts).
 * Back: u32 request, u32 bytes that the answer has; with f64 handle, f64 node, f64 file where it opens a file that is lent.
 *
 * Requests without pieces are the device's own. `sessionEnds` closes all that the guest has open. `sessionSave` is answered with the
 * session, and `sessionRestore` brings one back: in parts, each behind the request and a word that says whether more follow.
 *
 * A file that is lent stays open until it was given back: the service asks for it by `fileRecalled`, with its number in the second
 * word, when the guest has closed it, and the device says `fileReturned`, with the number, when it will not use it any more. For
 * closed, a number may soon be another file's.
 */
import type { ArenaRange } from "#memory";

export const sessionEnds = 0xffff_ffff;
export const sessionSave = 0xffff_fffe;
export const sessionRestore = 0xffff_fffd;
export const fileRecalled = 0xffff_fffc;
export const fileReturned = 0xffff_fffb;
/** Requests of the guest are numbered below. */
export const requestsEnd = 0xffff_ff00;
const partBytes = 64 << 10;
const lentAt = 8;
const headWords = 4;
/** A driver's longest request has a page a piece, and some for headers. */
export const maxPieces = 2048;
export const lineBytes = 256 << 10;

export function requestMessage(
  request: number,
  toRead: readonly ArenaRange[],
  toWrite: readonly ArenaRange[],
): Uint8Array {
  const words = new Uint32Array(headWords + 2 * (toRead.length + toWrite.length));
  words[0] = request;
  words[2] = toRead.length;
  words[3] = toWrite.length;
  let at = headWords;
  for (const pieces of [toRead, toWrite]) {
    for (const { hpa, length } of pieces) {
      words[at++] = hpa;
      words[at++] = length;
    }
  }
  return new Uint8Array(words.buffer);
}

/** The same request, about a file of the host's. */
export function aboutFile(message: Uint8Array, file: number): Uint8Array {
  const words = wordsOf(message).slice();
  words[1] = file;
  return new Uint8Array(words.buffer);
}

/** A message's words: copied where they are not on their boundaries. */
function wordsOf(message: Uint8Array): Uint32Array {
  const { buffer, byteOffset, length } = message.byteOffset % 4 === 0 ? message : message.slice();
  return new Uint32Array(buffer, byteOffset, length >> 2);
}

/** Which request a message to the service is. */
export const parseRequestHeader = (message: Uint8Array): number => wordsOf(message)[0];

export interface ServiceRequest {
  readonly request: number;
  readonly file: number;
  readonly toRead: readonly Uint8Array[];
  readonly toWrite: readonly Uint8Array[];
}

/** The pieces as views of the arena. */
export function parseRequestMessage(message: Uint8Array<ArrayBuffer>, arena: Uint8Array): ServiceRequest {
  const words = wordsOf(message);
  const piece = (n: number): Uint8Array => {
    const at = headWords + 2 * n;
    return arena.subarray(words[at], words[at] + words[at + 1]);
  };
  const [toRead, toWrite] = [words[2], words[3]];
  return {
    request: words[0],
    file: words[1],
    toRead: Array.from({ length: toRead }, (_, n) => piece(n)),
    toWrite: Array.from({ length: toWrite }, (_, n) => piece(toRead + n)),
  };
}

/** A session in parts, as messages. */
export function sessionMessages(request: number, session: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < session.length; at += partBytes) {
    const more = at + partBytes < session.length ? 1 : 0;
    const part = session.subarray(at, at + partBytes);
    parts.push(Uint8Array.from([...new Uint8Array(Uint32Array.of(request, more).buffer), ...part]));
  }
  return parts;
}

/** The parts of a session on their way; `add` gives it when it is whole. */
export class SessionParts {
  #parts: Uint8Array[] = [];

  add(message: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
    const { bytes: more } = parseAnswer(message);
    this.#parts.push(message.subarray(8));
    if (more !== 0) return undefined;
    const session = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      session.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    return session;
  }
}

/** An open file of the guest, and the host's file that is lent for it. */
export interface LentHandle {
  readonly handle: number;
  readonly node: number;
  readonly file: number;
}

export function answerMessage(request: number, bytes: number, lent?: LentHandle): Uint8Array {
  if (lent === undefined) return new Uint8Array(Uint32Array.of(request, bytes).buffer);
  const message = new DataView(new ArrayBuffer(lentAt + 24));
  message.setUint32(0, request, true);
  message.setUint32(4, bytes, true);
  [lent.handle, lent.node, lent.file].forEach((value, n) => message.setFloat64(lentAt + 8 * n, value, true));
  return new Uint8Array(message.buffer);
}

/** What the answer to a request lends. */
export function parseLent(message: Uint8Array<ArrayBuffer>): LentHandle | undefined {
  if (message.length <= lentAt) return undefined;
  const [handle, node, file] = new Float64Array(message.slice(lentAt).buffer);
  return { handle, node, file };
}

export function parseAnswer(message: Uint8Array<ArrayBuffer>): { readonly request: number; readonly bytes: number } {
  const words = wordsOf(message);
  return { request: words[0], bytes: words[1] };
}
