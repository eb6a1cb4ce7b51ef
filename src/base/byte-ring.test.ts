import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { allocateByteRing, ByteRingReader, ByteRingWriter } from "./byte-ring.ts";

const ring = (capacity: number) => {
  const shared = allocateByteRing(capacity);
  return { shared, writer: new ByteRingWriter(shared), reader: new ByteRingReader(shared) };
};
const bytes = (...values: number[]) => Uint8Array.from(values);
const drain = (reader: ByteRingReader) => {
  const target = new Uint8Array(reader.available);
  reader.read(target);
  return [...target];
};

test("an empty ring gives no bytes", () => {
  const { reader } = ring(8);
  expect([reader.available, reader.readByte(), reader.read(new Uint8Array(4))]).toEqual([0, -1, 0]);
});

test("a write takes as much as fits and no more", () => {
  const { writer, reader } = ring(4);
  expect(writer.write(bytes(1, 2, 3, 4, 5))).toBe(4);
  expect(writer.write(bytes(6))).toBe(0);
  expect(drain(reader)).toEqual([1, 2, 3, 4]);
});

test("bytes keep their order across the end of the buffer", () => {
  const { writer, reader } = ring(4);
  writer.write(bytes(1, 2, 3));
  reader.read(new Uint8Array(2));
  writer.write(bytes(4, 5, 6));
  expect(drain(reader)).toEqual([3, 4, 5, 6]);
});

test("what is read is what was written, whatever the sizes of the pieces", () => {
  const { writer, reader } = ring(64);
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  let sent = 0;
  let seen = 0;
  while (seen < 20_000) {
    sent += writer.write(Uint8Array.from({ length: random(90) }, (_, i) => sent + i));
    const target = new Uint8Array(random(90));
    const count = reader.read(target);
    for (let i = 0; i < count; i++) if (target[i] !== (seen++ & 255)) throw new Error(`byte ${seen - 1} differs`);
  }
  expect(sent - seen).toBe(reader.available);
});

test("the counts wrap at 2^32 and the fill stays right", () => {
  const { shared, writer, reader } = ring(8);
  new Int32Array(shared, 0, 2).fill(-3);
  expect(writer.write(bytes(1, 2, 3, 4, 5, 6, 7, 8, 9))).toBe(8);
  expect([writer.free, reader.available]).toEqual([0, 8]);
  expect(drain(reader)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a full writer learns of room made by another thread", async () => {
  const { shared, writer } = ring(16);
  writer.write(new Uint8Array(16));
  const other = new Worker(
    `const counts = new Int32Array(require("node:worker_threads").workerData, 0, 2);
     setTimeout(() => { Atomics.store(counts, 0, 16); Atomics.notify(counts, 0); }, 50);`,
    { eval: true, workerData: shared },
  );
  try {
    await writer.room(5_000);
    expect(writer.free).toBe(16);
  } finally {
    await other.terminate();
  }
});
