import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pageKernels } from "../../../test/page-kernels.ts";
import { memoryServices } from "../../host/guest-memory.ts";
import { CompressedPages } from "./compressed.ts";
import { EncryptedPages } from "./encrypted.ts";
import { FilePages } from "./file.ts";
import { type MemoryObject, MemoryObjectError } from "./memory-object.ts";
import { PlainPages } from "./plain.ts";
import { SharedPages, SharedStore } from "./shared.ts";

const codec = memoryServices.codec as NonNullable<typeof memoryServices.codec>;
const newFile = memoryServices.newFile as NonNullable<typeof memoryServices.newFile>;
const newCipher = memoryServices.newCipher as NonNullable<typeof memoryServices.newCipher>;
const pageCount = 64;

let state = 7;
function below(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
}

const page = (seed: number): Uint8Array => Uint8Array.from({ length: 4096 }, (_, n) => (n * seed + (n >> 4)) & 255);

function readPage(object: { read(page: number, target: Uint8Array): void }, number: number): Uint8Array {
  const target = new Uint8Array(4096);
  object.read(number, target);
  return target;
}

/** What whoever has the inner object can do to a page of it. */
const attacks: readonly ((inner: PlainPages, old: readonly Uint8Array[], at: number) => void)[] = [
  // A bit, a byte or all of it.
  (inner, _, at) => {
    const bytes = readPage(inner, at);
    bytes[below(4096)] ^= 1 << below(8);
    inner.write(at, bytes);
  },
  (inner, _, at) => inner.write(at, crypto.getRandomValues(new Uint8Array(4096))),
  // What it was before.
  (inner, old, at) => inner.write(at, old[at]),
  // Another page.
  (inner, _, at) => inner.write(at, readPage(inner, (at + 1 + below(pageCount - 1)) % pageCount)),
  // A hole.
  (inner, _, at) => inner.punch(at, 1),
];

test("10,000 pages that were changed, put back or taken away are all noticed, and by name", () => {
  const inner = new PlainPages(pageCount);
  const object = new EncryptedPages(inner, newCipher());
  for (let n = 0; n < pageCount; n++) object.write(n, page(n + 1));
  const old = Array.from({ length: pageCount }, (_, n) => readPage(inner, n));
  // The same bytes, written again.
  for (let n = 0; n < pageCount; n++) object.write(n, page(n + 1));
  let noticed = 0;
  for (let n = 0; n < 10_000; n++) {
    const at = below(pageCount);
    const right = readPage(inner, at);
    attacks[n % attacks.length](inner, old, at);
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
  expect(noticed).toBe(10_000);
  for (let n = 0; n < pageCount; n++) expect(readPage(object, n)).toEqual(page(n + 1));
});

test("10,000 canaries are nowhere in the file, whatever is stacked on what is encrypted", () => {
  const folder = mkdtempSync(join(tmpdir(), "memvisor-canaries-"));
  const kernels = pageKernels();
  const canary = (n: number): Buffer => Buffer.from(`canary-${n}.`);
  let files = 0;
  /** The file's bytes after ten canaries were written to each of 1,000 pages. */
  const written = (stack: (file: MemoryObject) => MemoryObject): Buffer => {
    const path = join(folder, String(files++));
    using object = stack(new FilePages(1000, newFile(path), kernels));
    for (let n = 0; n < 1000; n++) {
      const bytes = page(n);
      for (let k = 0; k < 10; k++) bytes.set(canary(10 * n + k), 400 * k + below(300));
      object.write(n, bytes);
    }
    object.flush();
    return readFileSync(path);
  };
  try {
    const encrypted = (file: MemoryObject): MemoryObject => new EncryptedPages(file, newCipher());
    const compressed = (inner: MemoryObject): MemoryObject =>
      new CompressedPages(1000, { kernels, codec, inner, coldAfter: 16 });
    const shared = (inner: MemoryObject): MemoryObject => new SharedPages(1000, new SharedStore(inner, kernels));
    for (const stack of [
      encrypted,
      (file: MemoryObject) => compressed(encrypted(file)),
      (file: MemoryObject) => shared(encrypted(file)),
    ]) {
      const bytes = written(stack);
      expect(bytes.length).toBeGreaterThan(100_000);
      expect(bytes.includes("canary-")).toBe(false);
    }
    // The scan finds them where they are.
    const plain = written((file) => file).toString("latin1");
    expect(plain.split("canary-").length - 1).toBe(10_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
