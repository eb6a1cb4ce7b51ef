/** What whoever has the pages that an encrypted object keeps can do to them, and whether each of it is noticed. */

import { memoryServices } from "../src/host/guest-memory.ts";
import { EncryptedPages } from "../src/memory/backends/encrypted.ts";
import { MemoryObjectError } from "../src/memory/backends/memory-object.ts";
import { PlainPages } from "../src/memory/backends/plain.ts";

const pageCount = 64;
const newCipher = memoryServices.newCipher as NonNullable<typeof memoryServices.newCipher>;
const page = (seed: number): Uint8Array => Uint8Array.from({ length: 4096 }, (_, n) => (n * seed + (n >> 4)) & 255);

function readPage(object: { read(page: number, target: Uint8Array): void }, number: number): Uint8Array {
  const target = new Uint8Array(4096);
  object.read(number, target);
  return target;
}

type Below = (bound: number) => number;
const attacks: readonly ((inner: PlainPages, old: readonly Uint8Array[], at: number, below: Below) => void)[] = [
  // A bit, a byte or all of it.
  (inner, _, at, below) => {
    const bytes = readPage(inner, at);
    bytes[below(4096)] ^= 1 << below(8);
    inner.write(at, bytes);
  },
  (inner, _, at) => inner.write(at, crypto.getRandomValues(new Uint8Array(4096))),
  // What it was before.
  (inner, old, at) => inner.write(at, old[at] as Uint8Array),
  // Another page.
  (inner, _, at, below) => inner.write(at, readPage(inner, (at + 1 + below(pageCount - 1)) % pageCount)),
  // A hole.
  (inner, _, at) => inner.punch(at, 1),
];

export interface Tampered {
  /** Reads that ended with an error that names the page, and gave nothing of its bytes. */
  readonly noticed: number;
  /** Pages that are afterwards, put back, what was written. */
  readonly whole: number;
  readonly pages: number;
}

/** `count` pages that were changed, put back as they were, exchanged or taken away; `below`: a random number below a bound. */
export function tamper(count: number, below: Below): Tampered {
  const inner = new PlainPages(pageCount);
  const object = new EncryptedPages(inner, newCipher());
  for (let n = 0; n < pageCount; n++) object.write(n, page(n + 1));
  const old = Array.from({ length: pageCount }, (_, n) => readPage(inner, n));
  // The same bytes, written again.
  for (let n = 0; n < pageCount; n++) object.write(n, page(n + 1));
  let noticed = 0;
  for (let n = 0; n < count; n++) {
    const at = below(pageCount);
    const right = readPage(inner, at);
    attacks[n % attacks.length]?.(inner, old, at, below);
    const target = new Uint8Array(4096).fill(0xee);
    try {
      object.read(at, target);
    } catch (error) {
      if (!(error instanceof MemoryObjectError) || !error.message.includes(`page ${at} is not what was written`))
        throw error;
      if (target.every((byte) => byte === 0)) noticed++;
    }
    inner.write(at, right);
  }
  const isWhole = (n: number): boolean => Buffer.compare(readPage(object, n), page(n + 1)) === 0;
  return { noticed, whole: old.filter((_, n) => isWhole(n)).length, pages: pageCount };
}
