/**
 * What a machine's host and a page server say to each other, over TCP. All numbers are little-endian.
 *
 *     frame   u32 check   u32 length of the body   u8 kind   3 zeros   u32 tag   body
 *
 * `check` is the low word of XXH64 of what follows it, but for the 4096 bytes of a page at the end of a body: these have a check of
 * their own, which travels and is kept with them, so that a page is what was written from end to end. An answer has its request's tag.
 *
 *     server: greeting   u32 magic, u32 version, 16 bytes instance, 16 bytes nonce
 *     client: hello      u32 version, 16 bytes object, 16 bytes nonce, 32 bytes proof
 *     server: welcome    32 bytes proof             refused: a text
 *     client: write      u32 page, u32 version, u32 check, page       server: done | full
 *             read       u32 page                                     server: page (as write) | absent
 *             punch      u32 first, u32 count                         server: done
 *             drop       of all the object's pages                    server: done
 *             ping                                                    server: done
 *
 * The instance is another one when the server has lost what it kept. A proof is the HMAC-SHA-256, with the secret that both know, of who
 * shows it, both nonces, instance and object: each side knows that the other has the secret, and the secret is never sent.
 */
import { pageSize } from "#address";
import { xxh64Low } from "#base";

/** "MVPS" */
const magic = 0x5350_564d;
export const pageServerVersion = 1;

export const pageKind = {
  greeting: 1,
  hello: 2,
  welcome: 3,
  refused: 4,
  write: 5,
  read: 6,
  punch: 7,
  drop: 8,
  ping: 9,
  done: 10,
  full: 11,
  page: 12,
  absent: 13,
} as const;
export type PageKind = (typeof pageKind)[keyof typeof pageKind];

export const headerBytes = 16;
export const idBytes = 16;
export const proofBytes = 32;
/** Of a page with its number, version and check. */
const pageHeadBytes = 12;
const longestBody = pageHeadBytes + pageSize;
/** Pages of an object: 64 GiB. */
export const mostObjectPages = 1 << 24;

/** HMAC-SHA-256. */
export type Sign = (secret: string, ...parts: readonly Uint8Array[]) => Uint8Array;

export interface PageFrame {
  readonly kind: PageKind;
  readonly tag: number;
  readonly body: Uint8Array;
}

/** A page as it travels and is kept. */
export interface KeptPage {
  readonly version: number;
  readonly check: number;
  readonly bytes: Uint8Array;
}

/** The other side does not keep to the protocol; the message is for a person. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

const kinds = new Set<number>(Object.values(pageKind));
const carriesPage = (kind: number): boolean => kind === pageKind.write || kind === pageKind.page;

export const checkOf = (bytes: Uint8Array): number => xxh64Low(bytes);

/** `body` of the words, and then the bytes. */
export function frame(kind: PageKind, tag: number, words: readonly number[] = [], bytes: Uint8Array = noBytes) {
  const bodyBytes = 4 * words.length + bytes.length;
  const whole = new Uint8Array(headerBytes + bodyBytes);
  const view = new DataView(whole.buffer);
  view.setUint32(4, bodyBytes, true);
  view.setUint8(8, kind);
  view.setUint32(12, tag, true);
  for (const [n, word] of words.entries()) view.setUint32(headerBytes + 4 * n, word, true);
  whole.set(bytes, headerBytes + 4 * words.length);
  view.setUint32(0, frameCheck(whole, kind), true);
  return whole;
}

const noBytes = new Uint8Array(0);

const frameCheck = (whole: Uint8Array, kind: number): number =>
  xxh64Low(whole, 4, carriesPage(kind) ? headerBytes + pageHeadBytes : whole.length);

/** Makes frames of bytes as they come. What it holds is bounded by one frame. */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #length = 0;

  /** The frames that are whole now; they share nothing with `bytes`. Throws `ProtocolError`. */
  *read(bytes: Uint8Array): Generator<PageFrame> {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    for (;;) {
      const needed = this.#needed();
      if (this.#length < needed) return;
      yield parseFrame(this.#take(needed));
    }
  }

  /** Bytes of the frame that begins here, or of its header. */
  #needed(): number {
    if (this.#length < headerBytes) return headerBytes;
    if (this.#parts.length > 1 && (this.#parts[0] as Uint8Array).length < headerBytes) this.#join();
    const first = this.#parts[0] as Uint8Array;
    const view = new DataView(first.buffer, first.byteOffset, headerBytes);
    const length = view.getUint32(4, true);
    if (length > longestBody)
      throw new ProtocolError(`a message of ${length} bytes: this is no memvisor page server's`);
    return headerBytes + length;
  }

  #join(): void {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [whole];
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(count);
    let done = 0;
    while (done < count) {
      const first = this.#parts[0] as Uint8Array;
      const part = first.subarray(0, count - done);
      taken.set(part, done);
      done += part.length;
      if (part.length === first.length) this.#parts.shift();
      else this.#parts[0] = first.subarray(part.length);
    }
    this.#length -= count;
    return taken;
  }
}

function parseFrame(whole: Uint8Array<ArrayBuffer>): PageFrame {
  const view = new DataView(whole.buffer);
  const kind = view.getUint8(8);
  const tag = view.getUint32(12, true);
  if (!kinds.has(kind)) throw new ProtocolError(`a message of the unknown kind ${kind}`);
  if (carriesPage(kind) !== (whole.length === headerBytes + longestBody))
    throw new ProtocolError("a message of a wrong length");
  if (frameCheck(whole, kind) !== view.getUint32(0, true))
    throw new ProtocolError("a message that was damaged on its way");
  return { kind: kind as PageKind, tag, body: whole.subarray(headerBytes) };
}

/** The first words of a body; zeros where it is too short. */
export function words(body: Uint8Array, count: number): number[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return Array.from({ length: count }, (_, n) => (4 * n + 4 <= body.length ? view.getUint32(4 * n, true) : 0));
}

export const pageFrame = (kind: PageKind, tag: number, page: number, { version, check, bytes }: KeptPage) =>
  frame(kind, tag, [page, version, check], bytes);

export function parsePage(body: Uint8Array): KeptPage & { readonly page: number } {
  const [page, version, check] = words(body, 3) as [number, number, number];
  return { page, version, check, bytes: body.subarray(pageHeadBytes) };
}

// Meeting.

export interface Greeting {
  readonly instance: Uint8Array;
  readonly nonce: Uint8Array;
}

export function greetingFrame({ instance, nonce }: Greeting): Uint8Array<ArrayBuffer> {
  return frame(pageKind.greeting, 0, [magic, pageServerVersion], concat(instance, nonce));
}

export function parseGreeting({ kind, body }: PageFrame): Greeting {
  const [first, version] = words(body, 2);
  if (kind !== pageKind.greeting || first !== magic || body.length !== 8 + 2 * idBytes)
    throw new ProtocolError("this is no memvisor page server");
  if (version !== pageServerVersion)
    throw new ProtocolError(`the page server speaks version ${version}, and this memvisor ${pageServerVersion}`);
  return { instance: body.subarray(8, 8 + idBytes), nonce: body.subarray(8 + idBytes) };
}

export interface Hello {
  readonly object: Uint8Array;
  readonly nonce: Uint8Array;
  readonly proof: Uint8Array;
}

export function helloFrame({ object, nonce, proof }: Hello): Uint8Array<ArrayBuffer> {
  return frame(pageKind.hello, 0, [pageServerVersion], concat(object, nonce, proof));
}

export function parseHello({ kind, body }: PageFrame): Hello {
  if (kind !== pageKind.hello || body.length !== 4 + 2 * idBytes + proofBytes)
    throw new ProtocolError("the first message is no hello");
  const [version] = words(body, 1);
  if (version !== pageServerVersion)
    throw new ProtocolError(`the client speaks version ${version}, and this page server ${pageServerVersion}`);
  const at = 4 + idBytes;
  return {
    object: body.slice(4, at),
    nonce: body.subarray(at, at + idBytes),
    proof: body.subarray(at + idBytes),
  };
}

/** What is signed: who shows it, and all that makes this meeting another one than any before. */
export function proof(
  sign: Sign,
  secret: string,
  who: "client" | "server",
  greeting: Greeting,
  hello: Omit<Hello, "proof">,
) {
  const name = new TextEncoder().encode(who);
  return sign(secret, name, greeting.instance, greeting.nonce, hello.object, hello.nonce);
}

/** In the same time whatever differs. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (const [n, byte] of a.entries()) difference |= byte ^ (b[n] ?? 0);
  return difference === 0;
}

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
