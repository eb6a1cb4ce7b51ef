import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pageKernels } from "../../../test/page-kernels.ts";
import { tamper } from "../../../test/tampering.ts";
import { memoryServices } from "../../host/guest-memory.ts";
import { CompressedPages } from "./compressed.ts";
import { EncryptedPages } from "./encrypted.ts";
import { FilePages } from "./file.ts";
import type { MemoryObject } from "./memory-object.ts";
import { SharedPages, SharedStore } from "./shared.ts";

const codec = memoryServices.codec as NonNullable<typeof memoryServices.codec>;
const newFile = memoryServices.newFile as NonNullable<typeof memoryServices.newFile>;
const newCipher = memoryServices.newCipher as NonNullable<typeof memoryServices.newCipher>;

let state = 7;
function below(bound: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * bound);
}

const page = (seed: number): Uint8Array => Uint8Array.from({ length: 4096 }, (_, n) => (n * seed + (n >> 4)) & 255);

test("10,000 pages that were changed, put back or taken away are all noticed, and by name", () => {
  expect(tamper(10_000, below)).toEqual({ noticed: 10_000, whole: 64, pages: 64 });
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
