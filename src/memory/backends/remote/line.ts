/**
 * Between a machine's thread, which knows pages and waits, and the I/O thread, which has the sockets (devices/io): a few words, and a
 * page where one goes over.
 *
 *     to the service    write: kind, page, bytes    read: kind, page    punch: kind, first, count    flush: kind
 *     to the machine    page: kind, page, bytes     lost: kind, page, text     flushed: kind     event: kind, state, text
 */

/** The machine's end, as its memory object uses it. */
export interface FarLine {
  /** False, and nothing is sent, where there is no room. */
  send(...parts: readonly Uint8Array[]): boolean;
  /** Hands a message to `onMessage`, or several: waits for one where there is none. Throws where the machine is to end. */
  wait(): void;
  onMessage: (message: Uint8Array) => void;
}

export const toService = { write: 1, read: 2, punch: 3, flush: 4 } as const;
export const toMachine = { page: 1, lost: 2, flushed: 3, event: 4 } as const;

/** Numbers of `ReplicaEvent["state"]`. */
export const states = ["whole", "degraded", "gone"] as const;

const headWords = 3;
export const headBytes = 4 * headWords;

export function head(kind: number, first = 0, second = 0): Uint8Array {
  return new Uint8Array(Uint32Array.of(kind, first, second).buffer);
}

export interface FarMessage {
  readonly kind: number;
  readonly first: number;
  readonly second: number;
  readonly bytes: Uint8Array;
}

export function parse(message: Uint8Array): FarMessage {
  const view = new DataView(message.buffer, message.byteOffset, headBytes);
  const [kind, first, second] = [0, 4, 8].map((at) => view.getUint32(at, true)) as [number, number, number];
  return { kind, first, second, bytes: message.subarray(headBytes) };
}
