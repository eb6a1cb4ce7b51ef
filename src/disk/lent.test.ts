/** A block device with its service and files of this host: what is done on the spot, and what the service does, are one disk. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Blk, type IoLine } from "#devices";
import { LentFile } from "../devices/io/lent-file.ts";
import { TestDriver } from "../devices/virtio/test-driver.ts";
import { nodeDiskHost } from "../host/disk-files.ts";
import { sharedFiles } from "../host/shared-files.ts";
import { openBlockService } from "./service.ts";

const folder = mkdtempSync(join(tmpdir(), "memvisor-lent-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const type = { read: 0, write: 1, flush: 4, discard: 11, writeZeroes: 13 } as const;
const sectorBytes = 512;
const diskBytes = 4 << 20;
const files = sharedFiles(() => 0);

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
}

/** A driver of an overlay, whose service takes messages when the test says so. */
function overlayOf(base: string, overlay: string) {
  const toService: Uint8Array<ArrayBuffer>[] = [];
  let spots = 0;
  const counted = { ...files, read: count(files.read), write: count(files.write) };
  function count<T extends unknown[], R>(transfer: (...values: T) => R): (...values: T) => R {
    return (...values) => {
      spots++;
      return transfer(...values);
    };
  }
  let t: TestDriver | undefined;
  const memory = () => (t as TestDriver).memory;
  const port = {
    get arena() {
      return memory().bytes;
    },
    send: (...parts: readonly Uint8Array[]) => line.onMessage(Uint8Array.from(parts.flatMap((part) => [...part]))),
    congested: false,
    room: () => Promise.resolve(),
  };
  const service = openBlockService({ file: base, overlay }, port, nodeDiskHost);
  const line: IoLine = {
    greeting: service.greeting as Uint8Array,
    send: (...parts) => toService.push(Uint8Array.from(parts.flatMap((part) => [...part]))) > 0,
    onMessage: () => {},
    onRoom: () => {},
    pause: () => {},
    resume: () => {},
    linger: () => {},
    borrow: (file) => new LentFile(counted, file),
  };
  const device = new Blk(
    {
      pin: (ranges, write) => memory().pin(ranges, write),
      access: (ranges, write, use) => memory().access(ranges, write, use),
    },
    line,
  );
  t = new TestDriver(device, { memoryBytes: 32 << 20 });
  const head = (kind: number, sector: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, kind, true);
    view.setBigUint64(8, BigInt(sector), true);
    return new Uint8Array(view.buffer);
  };
  return {
    spots: () => spots,
    close: () => service.close(),
    /** Puts a request into the queue; `data` is what is written, or how much is read. */
    add: (kind: number, sector: number, data: Uint8Array | number): number =>
      typeof data === "number"
        ? memoryOf(t).add(0, [head(kind, sector)], [data, 1])
        : memoryOf(t).add(0, [head(kind, sector), data], [1]),
    /** Lets the device and its service do all there is; what came back, by chain. */
    run: async (): Promise<Map<number, Uint8Array>> => {
      memoryOf(t).kick(0);
      while (toService.length > 0) await service.receive(toService.shift() as Uint8Array<ArrayBuffer>);
      await new Promise((resolve) => setImmediate(resolve));
      return new Map(
        memoryOf(t)
          .used(0)
          .map(({ head: chain, bytes }) => [chain, bytes]),
      );
    },
  };
}

const memoryOf = (t: TestDriver | undefined): TestDriver => t as TestDriver;

const range = (sector: number, count: number): Uint8Array => {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, count, true);
  return new Uint8Array(view.buffer);
};

for (const seed of [1, 2]) {
  test(`an overlay holds what was written, whoever has written it, seed ${seed}`, { timeout: 60_000 }, async () => {
    const random = randomFrom(seed);
    const expected = new Uint8Array(diskBytes).map((_, n) => (n >> 9) * 7);
    const base = join(folder, `base${seed}.img`);
    writeFileSync(base, expected);
    const disk = overlayOf(base, join(folder, `top${seed}.qcow2`));
    for (let step = 0; step < 300; step++) {
      const checks: (() => Promise<void> | void)[] = [];
      const answers = new Map<number, Uint8Array>();
      // Several at once, of which no two touch the same sectors.
      const lanes = 1 + random(4);
      for (let lane = 0; lane < lanes; lane++) {
        const laneSectors = Math.floor(diskBytes / sectorBytes / lanes);
        const count = 1 + random(random(4) === 0 ? 300 : 16);
        const sector = lane * laneSectors + random(laneSectors - count);
        const here = expected.subarray(sector * sectorBytes, (sector + count) * sectorBytes);
        const kind = [type.read, type.read, type.read, type.write, type.write, type.writeZeroes, type.discard][
          random(7)
        ];
        if (kind === type.read) {
          const chain = disk.add(kind, sector, here.length);
          checks.push(() => {
            const found = answers.get(chain)?.subarray(0, here.length) as Uint8Array;
            if (Buffer.compare(found, here) !== 0) throw new Error(`step ${step}: bytes at sector ${sector} differ`);
          });
        } else if (kind === type.write) {
          for (let n = 0; n < here.length; n++) here[n] = random(256);
          disk.add(kind, sector, here.slice());
        } else if (kind === type.writeZeroes) {
          here.fill(0);
          disk.add(kind, sector, range(sector, count));
        } else if (kind === type.discard) {
          disk.add(kind, sector, range(sector, count));
          // What it reads as is the disk's to say.
          checks.push(async () => {
            const chain = disk.add(type.read, sector, here.length);
            here.set((await disk.run()).get(chain)?.subarray(0, here.length) as Uint8Array);
          });
        }
      }
      for (const [chain, bytes] of await disk.run()) {
        expect(bytes.at(-1)).toBe(0);
        answers.set(chain, bytes);
      }
      for (const check of checks) await check();
      if (random(20) === 0) {
        disk.add(type.flush, 0, new Uint8Array(0));
        await disk.run();
      }
    }
    expect(disk.spots()).toBeGreaterThan(100);
    await disk.close();
    const again = overlayOf(base, join(folder, `top${seed}.qcow2`));
    for (let sector = 0; sector < diskBytes / sectorBytes; sector += 256) {
      const chain = again.add(type.read, sector, 256 * sectorBytes);
      const found = (await again.run()).get(chain)?.subarray(0, -1) as Uint8Array;
      const here = expected.subarray(sector * sectorBytes, (sector + 256) * sectorBytes);
      expect(Buffer.compare(found, here)).toBe(0);
    }
    await again.close();
    expect(readFileSync(base).every((byte, n) => byte === (((n >> 9) * 7) & 0xff))).toBe(true);
  });
}
