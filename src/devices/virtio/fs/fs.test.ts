import { expect, test } from "vitest";
import { type IoLine, NearLine, type ServicePort } from "../../io/index.ts";
import { LentFile, type SharedFiles } from "../../io/lent-file.ts";
import { TestDriver } from "../test-driver.ts";
import { VirtioFs } from "./device.ts";
import { type FileOperations, fileService } from "./file-service.ts";
import { inHeaderBytes, opcode } from "./protocol.ts";
import { FuseServer } from "./server.ts";
import { shareService } from "./service.ts";
import { ShareError, type ShareHost } from "./share-host.ts";
import { oneFile } from "./test-share.ts";
import { ByteVector } from "./vector.ts";

function header(op: number, length: number, node = 1): Uint8Array {
  const view = new DataView(new ArrayBuffer(inHeaderBytes));
  view.setUint32(0, length, true);
  view.setUint32(4, op, true);
  view.setBigUint64(8, 77n, true);
  view.setBigUint64(16, BigInt(node), true);
  return new Uint8Array(view.buffer);
}

const request = (op: number, body: Uint8Array = new Uint8Array(0)): Uint8Array =>
  Uint8Array.from([...header(op, inHeaderBytes + body.length), ...body]);

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

const init = request(opcode.init, words(7, 36, 1 << 20, 0xffff_ffff));

/** Length, error and unique of an answer. */
function answerOf(bytes: Uint8Array): [length: number, error: number, unique: bigint] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [view.getUint32(0, true), view.getInt32(4, true), view.getBigUint64(8, true)];
}

function served(share: ShareHost) {
  const server = new FuseServer(share);
  const ask = (bytes: Uint8Array, room = 200): Uint8Array => {
    const output = new Uint8Array(room);
    return output.subarray(0, server.handle(new ByteVector([bytes]), new ByteVector([output])));
  };
  ask(init);
  return { server, ask };
}

test("nothing is answered before the first greeting but with an error", () => {
  const server = new FuseServer(oneFile().share);
  const output = new Uint8Array(200);
  server.handle(new ByteVector([request(opcode.statfs)]), new ByteVector([output]));
  expect(answerOf(output)).toEqual([16, -5, 77n]);
});

test("what was negotiated is what the driver has and we have", () => {
  const { server } = served(oneFile().share);
  const output = new Uint8Array(100);
  const asked = request(opcode.init, words(7, 31, 4096, (1 << 22) | (1 << 1)));
  expect(server.handle(new ByteVector([asked]), new ByteVector([output]))).toBe(80);
  const view = new DataView(output.buffer);
  expect([16, 20, 28, 36].map((at) => view.getUint32(at, true))).toEqual([7, 31, 1 << 22, 1 << 20]);
  expect(view.getUint16(44, true)).toBe(256);
});

test("a driver that is too old is refused", () => {
  const { ask } = served(oneFile().share);
  expect(answerOf(ask(request(opcode.init, words(7, 20, 0, 0))))[1]).toBe(-5);
});

test("an error has a name on Linux, whatever the host", () => {
  const { ask } = served(oneFile().share);
  expect(answerOf(ask(request(opcode.rmdir, new TextEncoder().encode("x\0"))))).toEqual([16, -39, 77n]);
  expect(answerOf(ask(request(999)))[1]).toBe(-38);
  expect(answerOf(ask(request(opcode.fallocate, new Uint8Array(32))))[1]).toBe(-95);
});

test("times before 1970 have nanoseconds that are not negative", () => {
  const { ask } = served(oneFile().share);
  const answer = ask(request(opcode.getattr, new Uint8Array(16)));
  const view = new DataView(answer.buffer);
  expect([view.getBigInt64(16 + 16 + 32, true), view.getUint32(16 + 16 + 52, true)]).toEqual([-1n, 999_999_999]);
});

test("a lookup whose answer has no room is not made, and so not counted", () => {
  const { share, calls } = oneFile();
  const { ask } = served(share);
  expect(answerOf(ask(request(opcode.lookup, new TextEncoder().encode("x\0")), 100))[1]).toBe(-22);
  expect(calls.lookup).toBeUndefined();
});

test("a request without room for any answer is not done", () => {
  const { share, calls } = oneFile();
  const { ask } = served(share);
  expect(ask(request(opcode.unlink, new TextEncoder().encode("x\0")), 8).length).toBe(0);
  expect(calls.unlink).toBeUndefined();
});

test("a listing fills the room it has and no more", () => {
  const { ask } = served(oneFile().share);
  const body = words(1, 0, 0, 0, 1 << 20, 0, 0, 0, 0, 0);
  for (const room of [16, 30, 48, 100, 1000]) {
    for (const op of [opcode.readdir, opcode.readdirplus]) {
      const answer = ask(request(op, body), room);
      expect(answer.length).toBeLessThanOrEqual(room);
      expect(answerOf(answer).slice(0, 2)).toEqual([answer.length, 0]);
    }
  }
});

test("any bytes give an answer that fits, or none", () => {
  const { share } = oneFile();
  const { server } = served(share);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  let answered = 0;
  for (let n = 0; n < 8_000; n++) {
    const bytes = new Uint8Array(random(5) === 0 ? random(60) : 40 + random(200));
    for (let k = 0; k < bytes.length; k++) bytes[k] = random(3) === 0 ? random(256) : random(3) === 0 ? 0x61 : 0;
    if (bytes.length >= 8) {
      const view = new DataView(bytes.buffer);
      if (random(8) !== 0) view.setUint32(0, bytes.length, true);
      if (random(8) !== 0) view.setUint32(4, random(52), true);
      if (view.getUint32(4, true) === opcode.destroy || view.getUint32(4, true) === opcode.init) continue;
    }
    const room = random(3) === 0 ? random(40) : random(600);
    const output = new Uint8Array(room + 8).fill(0xee);
    const length = server.handle(new ByteVector([bytes]), new ByteVector([output.subarray(0, room)]));
    expect(length).toBeLessThanOrEqual(room);
    expect(output.subarray(room).every((each) => each === 0xee)).toBe(true);
    if (length === 0) continue;
    answered++;
    expect(answerOf(output)[0]).toBe(length);
  }
  expect(answered).toBeGreaterThan(4_000);
});

// The device.

/** The host's files: all of them are "abc…", as far as they were asked for. */
const lentFiles = (expected: number): SharedFiles => ({
  read: (file, offset, pieces) => {
    expect(file).toBe(expected);
    let at = offset;
    for (const piece of pieces) for (let n = 0; n < piece.length && at < 26; n++) piece[n] = 0x61 + at++;
    return at - offset;
  },
  write: (_, _offset, pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0),
  now: () => 0,
});

/** A device whose service is on this thread; `serve` lets it take so many messages. With `near`, the one beside a near share. */
function setUp({ near = false, turnChains = 32 } = {}) {
  const toService: Uint8Array<ArrayBuffer>[] = [];
  const line: IoLine = {
    greeting: new Uint8Array(0),
    send: (...parts) => toService.push(Uint8Array.from(parts.flatMap((part) => [...part]))) > 0,
    onMessage: () => {},
    onRoom: () => {},
    pause: () => {},
    resume: () => {},
    linger: () => {},
    borrow: (file) => new LentFile(lentFiles(file), file),
  };
  let memory: TestDriver["memory"] | undefined;
  const lazily = new Proxy({} as TestDriver["memory"], {
    get: (_, name) => {
      const value = Reflect.get(memory as object, name, memory);
      return typeof value === "function" ? value.bind(memory) : value;
    },
  });
  const { share, calls } = oneFile();
  const files: FileOperations = {
    read: (file, _offset, targets) => {
      for (const target of targets) target.fill(file);
      return targets.reduce((sum, each) => sum + each.length, 0);
    },
    write: (_file, _offset, sources) => sources.reduce((sum, each) => sum + each.length, 0),
    sync: (file, dataOnly) => void (calls[`sync ${file} ${dataOnly}`] = 1),
  };
  const beside = { service: "files", config: undefined };
  const nearLine = new NearLine({ beside, open: (port, next) => shareService(share, port, next) }, line);
  const device = new VirtioFs("mine", lazily, near ? nearLine : line);
  const t = new TestDriver(Object.assign(device, { turnChains }));
  memory = t.memory;
  const port: ServicePort = {
    arena: t.memory.bytes,
    send: (...parts) => line.onMessage(Uint8Array.from(parts.flatMap((part) => [...part]))),
    congested: false,
    room: () => Promise.resolve(),
  };
  if (near) nearLine.open(t.memory.bytes);
  const service = near ? fileService(files, port) : shareService(share, port);
  const serve = (count = 100): void => {
    for (const message of toService.splice(0, count)) void service.receive(message);
  };
  return { device, t, serve, line, calls, share, waiting: () => toService.length };
}

test("the tag and the number of queues are in the configuration", () => {
  const { t } = setUp();
  expect([t.config(0), t.config(4), t.config(36)]).toEqual([0x656e_696d, 0, 1]);
});

test("requests are in flight together, pinned until they are answered", () => {
  const { t, serve, waiting } = setUp();
  t.add(1, [init], [16, 64]);
  t.add(1, [request(opcode.statfs)], [96]);
  t.kick(1);
  expect([waiting(), t.used(1).length, t.memory.pinned]).toEqual([2, 0, 4]);
  serve();
  expect([t.used(1).map(({ written }) => written), t.memory.pinned]).toEqual([[80, 96], 0]);
  expect(t.interrupts).toContain(2);
});

test("data of a read is written where the driver wants it", () => {
  const { t, serve } = setUp();
  t.add(1, [init], [80]);
  t.add(1, [request(opcode.read, words(1, 0, 0, 0, 10, 0, 0, 0, 0, 0))], [16, 3, 7]);
  t.kick(1);
  serve();
  const [, read] = t.used(1);
  expect([read?.written, new TextDecoder().decode(read?.bytes.subarray(16))]).toEqual([26, "aaaaaaaaaa"]);
});

const extent = (op: number, handle: number, offset: number, size: number, node = 1): Uint8Array =>
  Uint8Array.from([...header(op, inHeaderBytes + 40, node), ...words(handle, 0, offset, 0, size, 0, 0, 0, 0, 0)]);
const open = request(opcode.open, words(0, 0));
const release = request(opcode.release, words(1, 0, 0, 0, 0, 0));

test("a file that is lent is read and written on the spot, until the guest has closed it", () => {
  const { t, serve, share, waiting, calls } = setUp();
  share.open = () => ({ handle: 1, keepCache: false, file: 77 });
  share.release = () => share.onRecall?.(77);
  t.add(1, [init], [80]);
  t.add(1, [open], [32]);
  t.kick(1);
  serve();
  t.used(1);

  const write = Uint8Array.from([
    ...header(opcode.write, inHeaderBytes + 45),
    ...extent(opcode.write, 1, 0, 5).subarray(40),
  ]);
  t.add(1, [extent(opcode.read, 1, 2, 10)], [16, 3, 7]);
  t.add(1, [extent(opcode.read, 1, 20, 10)], [26]);
  t.add(1, [write, new Uint8Array(5)], [24]);
  t.kick(1);
  expect([waiting(), t.memory.pinned]).toEqual([0, 0]);
  const [whole, atEnd, written] = t.used(1);
  expect([whole?.written, new TextDecoder().decode(whole?.bytes.subarray(16))]).toEqual([26, "cdefghijkl"]);
  expect(answerOf(atEnd?.bytes as Uint8Array)).toEqual([22, 0, 77n]);
  expect([written?.written, written?.bytes[16]]).toEqual([24, 5]);

  // Another node, another handle, a place that is none: the service says what is wrong.
  t.add(1, [extent(opcode.read, 1, 0, 10, 2)], [26]);
  t.add(1, [extent(opcode.read, 2, 0, 10)], [26]);
  t.add(1, [Uint8Array.from([...header(opcode.read, 80), ...words(1, 0, 0, 0xffff_ffff, 9, 0, 0, 0, 0, 0)])], [26]);
  t.kick(1);
  expect(waiting()).toBe(3);
  serve();

  t.add(1, [release], [16]);
  t.kick(1);
  expect(calls["returned 77"]).toBeUndefined();
  serve();
  t.add(1, [extent(opcode.read, 1, 0, 10)], [26]);
  t.kick(1);
  // That the file is given back, and the read.
  expect(waiting()).toBe(2);
  serve();
  expect(calls["returned 77"]).toBe(1);
});

test("whatever a request for a lent file says, its answer fits", () => {
  const { t, serve, share } = setUp();
  share.open = () => ({ handle: 1, keepCache: false, file: 77 });
  t.add(1, [init], [80]);
  t.add(1, [open], [32]);
  t.kick(1);
  serve();
  t.used(1);
  const sizes = [0, 1, 15, 16, 17, 24, 100, 5000, 1 << 20, 0x7fff_ffff, 0xffff_ffff];
  const lengths = [0, 40, 79, 80, 81, 200, 0xffff_ffff];
  for (const op of [opcode.read, opcode.write]) {
    for (const size of sizes) {
      for (const [n, length] of lengths.entries()) {
        const room = sizes[(n + size) % 7] ?? 0;
        const bytes = extent(op, 1, n, size);
        new DataView(bytes.buffer).setUint32(0, length, true);
        t.memory.bytes.fill(0, 0x10_0000);
        t.add(1, [bytes, new Uint8Array(n * 20)], room === 0 ? [] : [room]);
        t.kick(1);
        serve();
        for (const { written } of t.used(1)) expect(written).toBeLessThanOrEqual(room);
      }
    }
  }
  expect(t.notices).toEqual([]);
});

test("a chain that holds no request is given back empty", () => {
  const { t, waiting } = setUp();
  t.add(1, [], [64]);
  t.kick(1);
  expect([t.used(1).map(({ written }) => written), waiting(), t.memory.pinned]).toEqual([[0], 0, 0]);
});

test("before it is saved nothing is in flight, and a restored device's service has the session again", () => {
  const { t, serve, line, calls } = setUp();
  t.add(1, [init], [80]);
  t.kick(1);
  // The service works while the device waits.
  line.resume = () => serve();
  for (const [, part] of t.transport.parts()) part.settle?.();
  expect([t.used(1).length, t.memory.pinned]).toEqual([1, 0]);
  const saved = t.transport.parts().map(([, part]) => part.save());
  for (const [n, [, part]] of t.transport.parts().entries()) part.restore(saved[n] ?? {});
  serve();
  expect(calls["restore 1"]).toBe(1);
});

// A near share.

const fsync = request(opcode.fsync, words(1, 0, 1, 0));

test("a near share has answered when the kick returns", () => {
  const { t, waiting, calls } = setUp({ near: true });
  t.add(1, [init], [80]);
  t.add(1, [request(opcode.lookup, new TextEncoder().encode("x\0"))], [200]);
  t.kick(1);
  const [begun, found] = t.used(1);
  expect([begun?.written, found?.written, calls.lookup, waiting(), t.memory.pinned]).toEqual([80, 144, 1, 0, 0]);
});

test("a near share answers some requests, and others after the machine has looked around", () => {
  const { t, calls } = setUp({ near: true, turnChains: 3 });
  t.add(1, [init], [80]);
  for (let n = 0; n < 4; n++) t.add(1, [request(opcode.lookup, new TextEncoder().encode("x\0"))], [200]);
  t.kick(1);
  expect([t.used(1).length, calls.lookup]).toEqual([3, 2]);
  t.clock.advanceTo(t.clock.now());
  expect([t.used(1).length, calls.lookup]).toEqual([2, 4]);
});

test("what takes long is done beside a near share, with the file, which is open until then", () => {
  const { t, serve, waiting, calls, share } = setUp({ near: true });
  t.add(1, [init], [80]);
  t.add(1, [fsync], [16]);
  t.add(1, [extent(opcode.read, 1, 0, 10)], [26]);
  t.add(1, [request(opcode.fsyncdir, words(1, 0, 0, 0))], [16]);
  t.kick(1);
  expect([t.used(1).length, waiting(), calls["returned 55"]]).toEqual([1, 3, undefined]);
  serve(1);
  expect([calls["sync 55 true"], calls["returned 55"], t.used(1).length]).toEqual([1, 1, 1]);
  serve();
  const [read, synced] = t.used(1);
  expect([read?.written, read?.bytes[16], synced?.written]).toEqual([26, 55, 16]);
  expect([calls["sync 56 false"], calls["returned 56"], calls["returned 55"], t.memory.pinned]).toEqual([1, 1, 2, 0]);
  // A handle that is none: nobody needs to be asked.
  share.sync = () => {
    throw new ShareError("EBADF");
  };
  t.add(1, [request(opcode.fsync, words(2, 0, 0, 0))], [16]);
  t.kick(1);
  expect([answerOf(t.used(1)[0]?.bytes as Uint8Array), waiting()]).toEqual([[16, -9, 77n], 0]);
});

test("a request that another vCPU changes on its way comes to no more than the file allows", () => {
  const { t, serve, calls } = setUp({ near: true });
  t.add(1, [init], [80]);
  t.kick(1);
  t.used(1);
  const before = t.memory.bytes.slice();
  t.add(1, [fsync], [300]);
  t.kick(1);
  const at = t.memory.bytes.findIndex((byte, n) => byte === opcode.fsync && before[n] !== byte);
  t.memory.bytes[at] = opcode.unlink;
  serve();
  expect([answerOf(t.used(1)[0]?.bytes as Uint8Array)[1], calls.unlink, calls["sync 55 true"]]).toEqual([
    -5,
    undefined,
    undefined,
  ]);
});

test("after a reset the driver waits for what is beside a near share", () => {
  const { t, serve, calls } = setUp({ near: true });
  t.add(1, [init], [80]);
  t.add(1, [fsync], [16]);
  t.kick(1);
  t.reset();
  expect([t.status, calls.reset, t.memory.pinned]).toEqual([0x40, 2, 2]);
  serve();
  expect([t.status, calls["returned 55"], t.memory.pinned]).toEqual([0, 1, 0]);
});

test("a near share is saved and goes on", () => {
  const { t, calls } = setUp({ near: true });
  t.add(1, [init], [80]);
  t.kick(1);
  const saved = t.transport.parts().map(([, part]) => part.save());
  for (const [n, [, part]] of t.transport.parts().entries()) part.restore(saved[n] ?? {});
  expect(calls["restore 1"]).toBe(1);
});

test("a session with names that lead out is refused", () => {
  const { server } = served(oneFile().share);
  const inode = { id: 2, parent: 1, name: "x", key: "1:2", birthNs: "0", type: 0o040000, lookups: 1 };
  const restore = (record: unknown) => () => server.restore(new TextEncoder().encode(JSON.stringify(record)));
  expect(restore({ inodes: [inode], handles: [] })).not.toThrow();
  for (const bad of [{ name: ".." }, { name: "a/b" }, { name: "" }, { id: -1 }, { birthNs: "x" }, { key: 5 }])
    expect(restore({ inodes: [{ ...inode, ...bad }], handles: [] })).toThrow("damaged");
});

test("after a reset the driver waits for what is on its way", () => {
  const { t, serve } = setUp();
  t.add(1, [init], [80]);
  t.kick(1);
  t.reset();
  expect([t.status, t.memory.pinned]).toEqual([0x40, 2]);
  serve();
  expect([t.status, t.memory.pinned]).toEqual([0, 0]);
});
