import { beforeEach, describe, expect, test } from "vitest";
import type { IoLine } from "../../io/index.ts";
import { LentFile, type SharedFiles } from "../../io/lent-file.ts";
import { commonConfig } from "../registers.ts";
import { TestDriver } from "../test-driver.ts";
import { Blk, type BlkMemory } from "./device.ts";
import { type BlockRequest, blockOperation, type DiskFacts, decodeRequest, encodeAnswer } from "./protocol.ts";

const read = 0;
const write = 1;
const flush = 4;
const getId = 8;
const discard = 11;
const writeZeroes = 13;
const sizeBytes = 1 << 20;

/** A service that answers when the test says so. */
class SlowService implements IoLine {
  readonly greeting: Uint8Array;
  readonly requests: BlockRequest[] = [];
  room = true;
  onMessage: (message: Uint8Array<ArrayBuffer>) => void = () => {};
  onRoom: () => void = () => {};
  pause = (): void => {};
  resume = (): void => {};
  linger = (): void => {};
  /** The disk, where the service lends it. */
  readonly #lent: Uint8Array | undefined;
  borrow = (): LentFile | undefined => this.#lent && lentFile(this.#lent);

  constructor(facts: Partial<DiskFacts>, lent?: Uint8Array) {
    this.#lent = lent;
    const all = { sizeBytes, readOnly: false, id: "disk.img", physicalBlockBytes: 4096, ...facts };
    this.greeting = new TextEncoder().encode(JSON.stringify(all));
  }

  send(message: Uint8Array): boolean {
    if (this.room) this.requests.push(decodeRequest(message));
    return this.room;
  }

  answer(status = 0): BlockRequest {
    const request = this.requests.shift() as BlockRequest;
    this.onMessage(Uint8Array.from(encodeAnswer(request.tag, status)));
    return request;
  }
}

/** A file of the host that is these bytes, and fails past their end. */
function lentFile(bytes: Uint8Array): LentFile {
  const each = (offset: number, pieces: Uint8Array[], copy: (piece: Uint8Array, there: Uint8Array) => void): number => {
    let at = offset;
    for (const piece of pieces) {
      if (at + piece.length > bytes.length) break;
      copy(piece, bytes.subarray(at, at + piece.length));
      at += piece.length;
    }
    return at - offset;
  };
  const files: SharedFiles = {
    read: (_, offset, pieces) => each(offset, pieces, (piece, there) => piece.set(there)),
    write: (_, offset, pieces) => each(offset, pieces, (piece, there) => there.set(piece)),
    now: () => 0,
  };
  return new LentFile(files, 3);
}

let service: SlowService;
let t: TestDriver;

const memory: BlkMemory = {
  pin: (ranges, forWrite) => t.memory.pin(ranges, forWrite),
  access: (ranges, forWrite, use) => t.memory.access(ranges, forWrite, use),
};

function driverOf(facts: Partial<DiskFacts> = {}, lent?: Uint8Array): void {
  service = new SlowService(facts, lent);
  // The device pins what its driver's memory is, which is made after it.
  const device = new Blk(memory, service);
  t = new TestDriver(device);
}
beforeEach(() => driverOf());

const head = (type: number, sector = 0): Uint8Array => {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
};
const range = (sector: number, count: number, flags = 0): Uint8Array => {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
};
/** Makes one request; gives the steps that the service was asked for, all answered, and the status. */
function request(readable: Uint8Array[], writable: number[], status = 0) {
  t.add(0, readable, writable);
  t.kick(0);
  const steps: [operation: number, offset: number, length: number, bytes: number][] = [];
  while (service.requests.length > 0) {
    const { operation, offset, length, pieces } = service.answer(status);
    steps.push([operation, offset, length, pieces.reduce((sum, piece) => sum + piece.length, 0)]);
  }
  const [used] = t.used(0);
  return { steps, status: used?.bytes.at(-1), written: used?.written };
}

describe("requests", () => {
  test("a read fills its buffers in the service, and its status", () => {
    expect(request([head(read, 8)], [512, 1024, 1])).toEqual({
      steps: [[blockOperation.read, 4096, 1536, 1536]],
      status: 0,
      written: 1537,
    });
    expect([t.memory.pinned, t.interrupts]).toEqual([0, [1]]);
  });

  test("data and head may stand in one buffer, and the status behind the data", () => {
    const bytes = new Uint8Array(16 + 512);
    bytes.set(head(write, 2));
    expect(request([bytes], [1]).steps).toEqual([[blockOperation.write, 1024, 512, 512]]);
    expect(request([head(read, 2)], [513]).steps).toEqual([[blockOperation.read, 1024, 512, 512]]);
  });

  test("a flush is a flush", () => {
    expect(request([head(flush)], [1])).toEqual({ steps: [[blockOperation.flush, 0, 0, 0]], status: 0, written: 1 });
  });

  test("the disk's name", () => {
    t.add(0, [head(getId)], [20, 1]);
    t.kick(0);
    const [used] = t.used(0);
    expect(new TextDecoder().decode(used?.bytes.subarray(0, 20))).toBe("disk.img".padEnd(20, "\0"));
  });

  test("ranges are given up and zeroed one after the other", () => {
    expect(request([head(discard), range(8, 16), range(64, 8)], [1]).steps).toEqual([
      [blockOperation.discard, 4096, 8192, 0],
      [blockOperation.discard, 32768, 4096, 0],
    ]);
    expect(request([head(writeZeroes), range(8, 1), range(9, 1, 1)], [1]).steps.map(([each]) => each)).toEqual([
      blockOperation.writeZeroes,
      blockOperation.writeZeroesUnmap,
    ]);
  });

  test("what the service cannot do is an I/O error, and ends the request", () => {
    expect(request([head(discard), range(8, 16), range(64, 8)], [1], 1)).toMatchObject({
      steps: [[blockOperation.discard, 4096, 8192, 0]],
      status: 1,
    });
  });

  const end = sizeBytes / 512;
  const bad: Record<string, [readable: Uint8Array[], writable: number[], status: number]> = {
    "a read past the end": [[head(read, end)], [512, 1], 1],
    "a read across the end": [[head(read, end - 1)], [1024, 1], 1],
    "a read at 2^63": [[head(read, 2 ** 63)], [512, 1], 1],
    "half a sector": [[head(read)], [256, 1], 1],
    "no data": [[head(read)], [1], 1],
    "a request without a head": [[Uint8Array.of(1, 2, 3)], [1], 1],
    "a write without data": [[head(write)], [1], 1],
    "more than any driver is allowed": [[head(read)], [4200 << 10, 1], 1],
    "an unknown type": [[head(99)], [1], 2],
    "a range past the end": [[head(discard), range(end, 1)], [1], 1],
    "half a range": [[head(discard), new Uint8Array(8)], [1], 1],
    "too many ranges": [[head(discard), new Uint8Array(16 * 17)], [1], 1],
    "a discard that unmaps": [[head(discard), range(0, 1, 1)], [1], 2],
    "an unknown flag": [[head(writeZeroes), range(0, 1, 2)], [1], 2],
  };
  for (const [name, [readable, writable, status]] of Object.entries(bad)) {
    test(`${name} is answered with status ${status}`, () => {
      t.memory.bytes.fill(0, 0x10_0000);
      expect(request(readable, writable)).toMatchObject({ steps: [], status });
    });
  }

  test("without room for a status there is no answer but the chain itself", () => {
    t.add(0, [head(read)]);
    t.kick(0);
    expect(t.used(0).map(({ written }) => written)).toEqual([0]);
  });
});

describe("a disk that may not be written", () => {
  beforeEach(() => driverOf({ readOnly: true }));

  test("says so, and refuses", () => {
    t.write(commonConfig.deviceFeatureSelect, 4, 0);
    expect(t.read(commonConfig.deviceFeature, 4) & 0x20).toBe(0x20);
    expect(request([head(write), new Uint8Array(512)], [1])).toMatchObject({ steps: [], status: 1 });
    expect(request([head(discard), range(0, 1)], [1])).toMatchObject({ steps: [], status: 1 });
  });
});

describe("the driver's cache mode", () => {
  test("with write-through each write is flushed before it is done", () => {
    t.setConfig(32, 1, 0);
    expect(request([head(write), new Uint8Array(512)], [1]).steps.map(([each]) => each)).toEqual([
      blockOperation.write,
      blockOperation.flush,
    ]);
    expect(t.config(32, 1)).toBe(0);
  });

  test("and for a driver that knows of no flush", () => {
    const device = new Blk(memory, service);
    t = new TestDriver(device, { features: 0n });
    expect(request([head(write), new Uint8Array(512)], [1]).steps.map(([each]) => each)).toContain(
      blockOperation.flush,
    );
  });
});

describe("a file that is lent", () => {
  beforeEach(() => driverOf({ file: 3 }, new Uint8Array(1 << 18)));

  test("takes and gives data before the kick is over, and the driver hears of all at once", () => {
    const bytes = new Uint8Array(1024).map((_, n) => n * 7);
    t.add(0, [head(write, 5), bytes], [1]);
    t.add(0, [head(read, 6)], [256, 256, 1]);
    t.kick(0);
    const [written, found] = t.used(0);
    expect([written?.bytes, found?.written, found?.bytes]).toEqual([
      Uint8Array.of(0),
      513,
      Uint8Array.of(...bytes.subarray(512), 0),
    ]);
    expect([service.requests.length, t.memory.pinned, t.interrupts]).toEqual([0, 0, [1]]);
  });

  test("takes so much of a kick, and the service the rest", () => {
    for (let n = 0; n < 6; n++) t.add(0, [head(read)], [(256 << 10) + 1]);
    t.kick(0);
    expect([t.used(0).length, service.requests.length]).toEqual([5, 1]);
  });

  test("is not asked to flush", () => {
    expect(request([head(flush)], [1]).steps).toEqual([[blockOperation.flush, 0, 0, 0]]);
  });

  test("is flushed by the service where each write is to be safe", () => {
    t.setConfig(32, 1, 0);
    expect(request([head(write), new Uint8Array(512)], [1]).steps).toEqual([[blockOperation.flush, 0, 0, 0]]);
  });

  test("that fails leaves the request to the service, which says what is wrong", () => {
    const past = (1 << 18) / 512;
    expect(request([head(read, past)], [512, 1], 1)).toMatchObject({
      steps: [[blockOperation.read, 1 << 18, 512, 512]],
      status: 1,
    });
  });
});

describe("many at once", () => {
  test("requests are in flight together, and each is answered when it is done", () => {
    for (let n = 0; n < 3; n++) t.add(0, [head(read, n)], [512, 1]);
    t.kick(0);
    expect([service.requests.length, t.used(0).length, t.memory.pinned]).toEqual([3, 0, 3]);
    service.requests.reverse();
    const last = service.answer();
    expect([last.offset, t.used(0).length, t.memory.pinned]).toEqual([1024, 1, 2]);
  });

  test("what finds no room on the line is sent when there is room", () => {
    service.room = false;
    t.add(0, [head(read)], [512, 1]);
    t.add(0, [head(read, 1)], [512, 1]);
    t.kick(0);
    expect([service.requests.length, t.memory.pinned]).toEqual([0, 0]);
    service.room = true;
    service.onRoom();
    expect(service.requests.map(({ offset }) => offset)).toEqual([0, 512]);
  });

  test("a reset is over when the service touches nothing of the guest any more", () => {
    t.add(0, [head(read)], [512, 1]);
    t.kick(0);
    t.reset();
    expect(t.status).not.toBe(0);
    service.answer();
    expect([t.status, t.memory.pinned, t.used(0)]).toEqual([0, 0, []]);
  });
});

test("the configuration tells size, limits and shape", () => {
  expect([t.config(0), t.config(4), t.config(12), t.config(20), t.config(24, 1), t.config(36), t.config(100)]).toEqual([
    2048,
    0,
    510,
    512,
    3,
    1 << 22,
    0,
  ]);
});
