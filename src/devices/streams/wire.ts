/**
 * Streams between programs of the host and programs of the guest, as they cross from the owner's thread to the machine's.
 *
 * A stream is a two-way flow of bytes with a number. It belongs to a *service*, the name of what the guest has at its end:
 * `console/NAME` for a port of the virtio console, `vsock/PORT` for a connection of sockets.
 * To the machine go records in one byte ring: u32 stream, u32 kind << 24 | length of the payload, then the payload.
 * From it come messages.
 *
 * Law (flow control): each side may have `streamWindow` bytes of a stream under way that the other has not yet consumed, and is
 * told by `credit` of what was. So a stream costs each side bounded memory, and one that nobody reads holds up no other.
 * Law: what one side sends on a stream arrives in order, `close` last. The owner sends exactly one `close` for each stream, of its own
 * or in answer, so that the machine can count those that are not yet read to their end.
 */
import type { ByteRingWriter } from "#base";

export const streamWindow = 128 * 1024;
export const streamRingBytes = 512 * 1024;

export const recordKind = {
  /** To a service of the guest; the payload is its name. The stream's number is the owner's choice, odd. */
  connect: 1,
  data: 2,
  /** No more bytes follow; the other direction goes on. */
  end: 3,
  /** The stream is no more, in both directions; to one that the guest closed, that all it sent has been consumed. */
  close: 4,
  /** The payload is a u32: so many bytes more have been consumed. */
  credit: 5,
  /** Streams that the guest opens to the service in the payload are welcome from now on. */
  listen: 6,
  unlisten: 7,
} as const;
export type RecordKind = (typeof recordKind)[keyof typeof recordKind];

export const recordHeaderBytes = 8;
/** A record fits into the ring with room to spare. */
export const longestRecord = 64 * 1024;

/** From the machine. Streams that the guest opens have even numbers. */
export type StreamMessage =
  | { readonly kind: "connect"; readonly stream: number; readonly service: string }
  /** The guest has taken a stream that the owner opened. */
  | { readonly kind: "accept"; readonly stream: number }
  | { readonly kind: "data"; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly stream: number }
  | { readonly kind: "close"; readonly stream: number }
  | { readonly kind: "credit"; readonly stream: number; readonly bytes: number };

/** Puts a whole record into the ring, or nothing when it does not fit now. */
export function writeRecord(ring: ByteRingWriter, stream: number, kind: RecordKind, payload: Uint8Array): boolean {
  if (ring.free < recordHeaderBytes + payload.length) return false;
  const record = new Uint8Array(recordHeaderBytes + payload.length);
  const header = new DataView(record.buffer);
  header.setUint32(0, stream, true);
  header.setUint32(4, ((kind << 24) | payload.length) >>> 0, true);
  record.set(payload, recordHeaderBytes);
  ring.write(record);
  return true;
}
