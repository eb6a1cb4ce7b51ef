import { expect, test } from "vitest";
import { parseMac } from "#net";
import { parsePublish } from "#net/rules";
import type { IoLine } from "../../io/index.ts";
import { ManualClock } from "../../manual-clock.ts";
import { VIRTIO_F_VERSION_1 } from "../features.ts";
import { TestDriver } from "../test-driver.ts";
import { Net } from "./device.ts";
import { readHeader, writeHeader } from "./header.ts";
import { recentConnections } from "./recent.ts";
import { frameHead, portAnswer, readPortOrder, readStart, toService } from "./wire.ts";

/** The network's end of the line, in the test's hands. */
class FakeLine implements IoLine {
  readonly greeting = new Uint8Array(0);
  readonly sent: Uint8Array[] = [];
  readonly waiting: Uint8Array<ArrayBuffer>[] = [];
  paused = false;
  room = Number.POSITIVE_INFINITY;
  onMessage: (message: Uint8Array<ArrayBuffer>) => void = () => {};
  onMessageInPlace: (message: Uint8Array) => boolean = () => true;
  onRoom: () => void = () => {};

  send(...parts: readonly Uint8Array[]): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.sent.push(Uint8Array.from(parts.flatMap((part) => [...part])));
    return true;
  }
  pause(): void {
    this.paused = true;
  }
  linger(): void {}
  borrow(): undefined {}
  resume(): void {
    this.paused = false;
    while (!this.paused && this.waiting.length > 0) {
      this.paused = !this.onMessageInPlace(this.waiting[0] as Uint8Array);
      if (!this.paused) this.waiting.shift();
    }
  }
  /** A frame for the guest. */
  frame(bytes: Uint8Array, { era = 0, segmentBytes = 0, partialChecksum = false } = {}): void {
    this.waiting.push(Uint8Array.from([...frameHead(era, { partialChecksum, segmentBytes }), ...bytes]));
    if (!this.paused) this.resume();
  }
}

const mac = parseMac("52:54:00:12:34:56") as Uint8Array;

function driverOf(features?: bigint, start = true) {
  const line = new FakeLine();
  const clock = new ManualClock();
  const device = new Net(line, mac, clock);
  const driver = new TestDriver(device, { start, ...(features !== undefined && { features }) });
  return { line, device, driver, clock };
}

const bytes = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);
const header = (...first: number[]): Uint8Array => Uint8Array.from({ length: 12 }, (_, i) => first[i] ?? 0);

test("the configuration has the address and a link that is up", () => {
  const { driver } = driverOf();
  expect([driver.config(0), driver.config(4, 2), driver.config(6, 2)]).toEqual([0x12005452, 0x5634, 1]);
});

test("the service hears what the driver takes", () => {
  const { line } = driverOf();
  expect(line.sent.map((message) => readStart(message))).toEqual([
    { abilities: { partialChecksum: true, largeSegments: true }, era: 0 },
  ]);
});

test("ports are asked for and answered beside the frames, with and without a driver", () => {
  const { line, device } = driverOf(undefined, false);
  const heard: (string | undefined)[] = [];
  const rule = parsePublish("8080:80");
  device.port(rule, true, (error) => void heard.push(error));
  device.port(rule, true, (error) => void heard.push(error));
  const orders = line.sent.map((message) => readPortOrder(message));
  expect(orders.map(({ rule, open }) => [rule, open])).toEqual([
    [rule, true],
    [rule, true],
  ]);
  line.waiting.push(Uint8Array.from(portAnswer({ id: orders[1].id, error: "it is taken" })));
  line.waiting.push(Uint8Array.from(portAnswer({ id: orders[0].id })));
  line.resume();
  expect(heard).toEqual(["it is taken", undefined]);
});

test("frames of the driver go to the service with their headers, and their buffers come back", () => {
  const { line, driver } = driverOf();
  driver.add(1, [header(), bytes(60)]);
  driver.add(1, [header(1), bytes(30), bytes(34, 30)]);
  driver.kick(1);
  expect(line.sent.slice(1)).toEqual([
    Uint8Array.from([toService.frame, ...header(), ...bytes(60)]),
    Uint8Array.from([toService.frame, ...header(1), ...bytes(64)]),
  ]);
  expect(driver.used(1).map(({ written }) => written)).toEqual([0, 0]);
});

test("while the line is full the driver's frames wait in its queue, and go on in order", () => {
  const { line, driver } = driverOf();
  line.room = 1;
  for (let i = 0; i < 3; i++) driver.add(1, [header(), bytes(60, i)]);
  driver.kick(1);
  expect(driver.used(1).length).toBe(1);
  line.room = Number.POSITIVE_INFINITY;
  line.onRoom();
  expect(driver.used(1).length).toBe(2);
  expect(line.sent.slice(1).map((message) => message[13])).toEqual([0, 1, 2]);
});

test("that a small frame was sent is told soon, and not to who has seen it; a large one's at once", () => {
  const { driver, clock } = driverOf();
  const interrupts = (): readonly number[] => driver.interrupts.splice(0);
  const send = (length: number): void => {
    driver.add(1, [header(), bytes(length)]);
    driver.kick(1);
  };
  send(60);
  clock.advanceTo(400_000);
  expect(interrupts()).toEqual([]);
  clock.advanceTo(500_000);
  expect(interrupts()).toEqual([2]);
  driver.used(1);
  send(60);
  driver.used(1);
  clock.advanceTo(2_000_000);
  expect(interrupts()).toEqual([]);
  send(2000);
  expect(interrupts()).toEqual([2]);
  driver.used(1);
  for (let n = 0; n < 40; n++) {
    send(60);
    if (n < 20) expect(interrupts()).toEqual([]);
  }
  expect(interrupts()).toEqual([2]);
});

test("a frame of a header's length, or longer than any frame, is dropped", () => {
  const { line, driver } = driverOf();
  driver.add(1, [header()]);
  driver.add(1, [bytes(12 + 14 + 0xffff + 1)]);
  driver.kick(1);
  expect([line.sent.length, driver.used(1).length]).toEqual([1, 2]);
});

test("a frame to the guest fills as many buffers as it needs, and says how many", () => {
  const { line, driver } = driverOf();
  for (let i = 0; i < 3; i++) driver.add(0, [], [40]);
  driver.kick(0);
  line.frame(bytes(60));
  const used = driver.used(0);
  expect(used.map(({ written }) => written)).toEqual([40, 32]);
  expect(Uint8Array.from(used.flatMap((each) => [...each.bytes]))).toEqual(
    Uint8Array.from([...header(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2), ...bytes(60)]),
  );
});

test("without merging a frame has one buffer, or is lost when that is too short", () => {
  const { line, driver } = driverOf(0n);
  driver.add(0, [], [40]);
  driver.add(0, [], [100]);
  driver.kick(0);
  line.frame(bytes(60));
  line.frame(bytes(50));
  expect(driver.used(0).map(({ written }) => written)).toEqual([0, 62]);
});

test("frames without room wait on the line until the driver gives some", () => {
  const { line, driver } = driverOf();
  driver.add(0, [], [40]);
  driver.kick(0);
  line.frame(bytes(60));
  line.frame(bytes(61));
  expect([line.paused, driver.used(0).length]).toEqual([true, 0]);
  for (let i = 0; i < 3; i++) driver.add(0, [], [40]);
  driver.kick(0);
  expect(driver.used(0).map(({ written }) => written)).toEqual([40, 32, 40, 33]);
  expect(line.paused).toBe(false);
});

test("a reset forgets what waited, and frames for the driver before it are dropped", () => {
  const { line, driver } = driverOf();
  line.frame(bytes(60));
  expect(line.paused).toBe(true);
  driver.reset();
  expect(line.paused).toBe(false);
  expect(line.sent.at(-1)).toEqual(Uint8Array.of(toService.stop));
  driver.start(VIRTIO_F_VERSION_1);
  driver.add(0, [], [100]);
  driver.kick(0);
  line.frame(bytes(60), { era: 0 });
  expect(line.sent.map((message) => message[0])).toEqual([toService.start, toService.stop, toService.start]);
  expect(driver.used(0).length).toBe(0);
  line.frame(bytes(60), { era: 1 });
  expect(driver.used(0).length).toBe(1);
});

test("a restored device asks about the connections that the guest has sent segments of", () => {
  const first = driverOf();
  const tcp = frameOf(6);
  tcp.set([0x9c, 0x40, 0, 80, 0, 0, 0, 5, 0, 0, 0, 9], 34);
  tcp.set([198, 51, 100, 7], 30);
  first.driver.add(1, [header(), tcp]);
  first.driver.add(1, [header(), frameOf(17)]);
  first.driver.kick(1);
  const { line, device } = driverOf(undefined, false);
  device.restore(first.device.save());
  device.start({ features: 0n, queues: [], configChanged: () => {}, needsReset: () => {} });
  const ask = line.sent.find((message) => message[0] === toService.ask);
  expect(recentConnections(ask?.subarray(1) ?? new Uint8Array(0))).toEqual([
    { guestPort: 40_000, remotePort: 80, remote: 0xc633_6407, sequence: 5, acknowledgement: 9 },
  ]);
});

// An IPv4 frame with a TCP or UDP header behind it.
const frameOf = (protocol: number, length = 80): Uint8Array => {
  const frame = new Uint8Array(length);
  frame.set([8, 0, 0x45], 12);
  frame[23] = protocol;
  frame[46] = 0x50;
  return frame;
};

test("a header says what is left of checksum and size, both ways", () => {
  const tcp = frameOf(6);
  const into = new Uint8Array(12);
  writeHeader(into, tcp, { partialChecksum: true, segmentBytes: 1460 }, 3);
  expect([...into]).toEqual([1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 3, 0]);
  expect(readHeader(into, tcp)).toEqual({ partialChecksum: true, segmentBytes: 1460 });
  writeHeader(into, tcp, { partialChecksum: false, segmentBytes: 0 }, 1);
  expect([...into]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
});

test("a checksum that is not the packet's own is finished in the frame", () => {
  const frame = frameOf(17);
  frame.set([0x12, 0x34, 0, 0, 0xff], 60);
  expect(readHeader(header(1, 0, 0, 0, 0, 0, 60, 0, 2), frame)).toEqual({ partialChecksum: false, segmentBytes: 0 });
  // 0x1234 + 0xff00 = 0x11134, folded 0x1135.
  expect([frame[62], frame[63]]).toEqual([0xee, 0xca]);
});

test("a header that makes no sense has no frame", () => {
  expect(readHeader(header(1, 0, 0, 0, 0, 0, 79, 0, 2), frameOf(6))).toBeUndefined();
  expect(readHeader(header(0, 4), frameOf(6))).toBeUndefined();
  for (let i = 0; i < 20_000; i++) {
    const random = Uint8Array.from({ length: 12 }, (_, n) => Math.imul(i * 12 + n + 1, 0x9e3779b1) >>> 24);
    expect(() => readHeader(random, frameOf(i & 255).slice(0, 14 + (i % 60)))).not.toThrow();
  }
});
