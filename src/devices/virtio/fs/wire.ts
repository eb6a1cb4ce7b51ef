/**
 * Messages between the file system device and its service on the I/O thread.
 *
 * To the service: u32 request, u32 pieces to be read, u32 pieces to be written, then u32 address in the arena and u32 length of each.
 * Back: u32 request, u32 bytes that the answer has. `sessionEnds` as a request, without pieces, closes all that the guest has open.
 */
import type { ArenaRange } from "#memory";

export const sessionEnds = 0xffff_ffff;
/** A driver's longest request has a page a piece, and some for headers. */
export const maxPieces = 2048;
export const lineBytes = 256 << 10;

export function requestMessage(
  request: number,
  toRead: readonly ArenaRange[],
  toWrite: readonly ArenaRange[],
): Uint8Array {
  const words = [request, toRead.length, toWrite.length];
  for (const { hpa, length } of [...toRead, ...toWrite]) words.push(hpa, length);
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** Which request a message to the service is. */
export const parseRequestHeader = (message: Uint8Array): number => new Uint32Array(message.slice(0, 4).buffer)[0];

export interface ServiceRequest {
  readonly request: number;
  readonly toRead: readonly Uint8Array[];
  readonly toWrite: readonly Uint8Array[];
}

/** The pieces as views of the arena. */
export function parseRequestMessage(message: Uint8Array<ArrayBuffer>, arena: Uint8Array): ServiceRequest {
  const words = new Uint32Array(message.slice().buffer);
  const piece = (n: number): Uint8Array => arena.subarray(words[3 + 2 * n], words[3 + 2 * n] + words[4 + 2 * n]);
  const [request, toRead, toWrite] = words;
  return {
    request,
    toRead: Array.from({ length: toRead }, (_, n) => piece(n)),
    toWrite: Array.from({ length: toWrite }, (_, n) => piece(toRead + n)),
  };
}

export const answerMessage = (request: number, bytes: number): Uint8Array =>
  new Uint8Array(Uint32Array.of(request, bytes).buffer);

export function parseAnswer(message: Uint8Array<ArrayBuffer>): { readonly request: number; readonly bytes: number } {
  const [request, bytes] = new Uint32Array(message.slice().buffer);
  return { request, bytes };
}
