import { beforeEach, describe, expect, test } from "vitest";
import { gpa } from "#address";
import type { Chain, VirtioDevice, VirtioDriver } from "./device.ts";
import { VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from "./features.ts";
import { commonConfig, deviceStatus, region } from "./registers.ts";
import { TestDriver } from "./test-driver.ts";

/** Keeps what it is given until the test gives it back. */
class Keeper implements VirtioDevice {
  readonly type = 42;
  readonly classCode = 0;
  readonly features = 0b100n;
  readonly queueSizes = [16, 4];
  driver: VirtioDriver | undefined;
  readonly kept: Chain[] = [];
  stops = 0;
  readConfig = (offset: number): number => offset;
  writeConfig(): void {}
  start(driver: VirtioDriver): void {
    this.driver = driver;
  }
  kick(queue: number): void {
    for (let chain = this.queue(queue).pop(); chain !== undefined; chain = this.queue(queue).pop())
      this.kept.push(chain);
  }
  stop(): void {
    this.stops++;
  }
  queue(n: number) {
    const queue = this.driver?.queues[n];
    if (queue === undefined) throw new Error("not started");
    return queue;
  }
  save = () => ({});
  restore(): void {}
}

let device: Keeper;
let t: TestDriver;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const needsReset = (): boolean => (t.status & deviceStatus.needsReset) !== 0;

beforeEach(() => {
  device = new Keeper();
  t = new TestDriver(device);
});

describe("chains", () => {
  test("a chain is its readable buffers, then its writable ones", () => {
    t.add(0, [bytes(1, 2), bytes(3)], [4, 5]);
    t.kick(0);
    const [chain] = device.kept as [Chain];
    const read = new Uint8Array(5);
    expect([chain.readableBytes, chain.writableBytes, chain.read(1, read), [...read]]).toEqual([
      3,
      9,
      2,
      [2, 3, 0, 0, 0],
    ]);
  });

  test("what is written ends with the room for it", () => {
    const head = t.add(0, [], [2, 3]);
    t.kick(0);
    const [chain] = device.kept as [Chain];
    expect([chain.write(1, bytes(7, 8)), chain.write(3, bytes(9, 9, 9)), chain.write(5, bytes(1))]).toEqual([2, 2, 0]);
    device.queue(0).push(chain, 5);
    expect(t.used(0)).toEqual([{ head, written: 5, bytes: bytes(0, 7, 8, 9, 9) }]);
  });

  test("chains come back in any order", () => {
    const heads = [t.add(0, [bytes(1)]), t.add(0, [bytes(2)]), t.add(0, [bytes(3)])];
    t.kick(0);
    for (const chain of device.kept.toReversed()) device.queue(0).push(chain, 0);
    expect(t.used(0).map(({ head }) => head)).toEqual(heads.toReversed());
  });

  test("an indirect table is a chain of its own, after direct buffers", () => {
    const table = t.allot(32);
    const at = t.allot(16);
    [at, 0, 4, 1 | (1 << 16), at + 8, 0, 4, 2].forEach((word, n) => t.memory.store32(gpa(table + 4 * n), word));
    t.descriptor(0, 0, at, 2, 1, 1);
    t.descriptor(0, 1, table, 32, 4);
    t.makeAvailable(0, 0);
    t.kick(0);
    expect(device.kept.map((chain) => [chain.readableBytes, chain.writableBytes])).toEqual([[6, 4]]);
  });
});

describe("a driver that breaks the rules gets a device that waits for its reset:", () => {
  const wrong: Record<string, () => void> = {
    "a head outside the table": () => t.makeAvailable(0, 16),
    "a loop": () => {
      t.descriptor(0, 0, 0x1000, 8, 1, 1);
      t.descriptor(0, 1, 0x1000, 8, 1, 0);
      t.makeAvailable(0, 0);
    },
    "a next outside the table": () => {
      t.descriptor(0, 0, 0x1000, 8, 1, 999);
      t.makeAvailable(0, 0);
    },
    "a buffer outside RAM": () => {
      t.descriptor(0, 0, t.memory.sizeBytes - 4, 8, 0);
      t.makeAvailable(0, 0);
    },
    "a buffer at the end of all addresses": () => {
      t.descriptor(0, 0, 2 ** 64 - 4096, 0xffff_ffff, 2);
      t.makeAvailable(0, 0);
    },
    "a readable buffer after a writable one": () => {
      t.descriptor(0, 0, 0x1000, 8, 3, 1);
      t.descriptor(0, 1, 0x1000, 8, 0);
      t.makeAvailable(0, 0);
    },
    "an indirect table in an indirect table": () => {
      const table = t.allot(16);
      [table, 0, 16, 4].forEach((word, n) => t.memory.store32(gpa(table + 4 * n), word));
      t.descriptor(0, 0, table, 16, 4);
      t.makeAvailable(0, 0);
    },
    "an indirect table of half a descriptor": () => {
      t.descriptor(0, 0, 0x8000, 24, 4);
      t.makeAvailable(0, 0);
    },
    "an available ring that is far ahead": () => t.memory.store16(gpa(t.rings[0].available + 2), 17),
    "one head twice": () => {
      const head = t.add(0, [bytes(1)]);
      t.makeAvailable(0, head);
    },
  };
  for (const [name, act] of Object.entries(wrong)) {
    test(name, () => {
      act();
      t.kick(0);
      expect([needsReset(), t.interrupts, t.notices.length, device.queue(0).pop()]).toEqual([true, [0], 1, undefined]);
      t.reset();
      expect([t.status, device.stops]).toEqual([0, 1]);
      expect(device.queue(0).hasWork).toBe(false);
    });
  }

  test("an indirect descriptor that was not negotiated", () => {
    t = new TestDriver(device, { features: VIRTIO_F_VERSION_1 });
    t.descriptor(0, 0, 0x8000, 16, 4);
    t.makeAvailable(0, 0);
    t.kick(0);
    expect(needsReset()).toBe(true);
  });
});

describe("notifications", () => {
  test("one interrupt for all that was pushed", () => {
    for (let n = 0; n < 3; n++) t.add(0, [bytes(n)]);
    t.kick(0);
    for (const chain of device.kept) device.queue(0).push(chain, 0);
    device.queue(0).flush();
    device.queue(0).flush();
    expect(t.interrupts).toEqual([1]);
  });

  test("none before the entry that the driver waits for", () => {
    t.memory.store16(gpa(t.rings[0].available + 4 + 2 * 16), 1);
    for (let n = 0; n < 2; n++) t.add(0, [bytes(n)]);
    t.kick(0);
    const [first, second] = device.kept as [Chain, Chain];
    device.queue(0).push(first, 0);
    device.queue(0).flush();
    expect(t.interrupts).toEqual([]);
    device.queue(0).push(second, 0);
    device.queue(0).flush();
    expect(t.interrupts).toEqual([1]);
  });

  test("none where the flag of the available ring forbids it", () => {
    t = new TestDriver(device, { features: 0n });
    t.memory.store16(t.rings[0].available, 1);
    t.add(0, [bytes(1)]);
    t.kick(0);
    device.queue(0).push(device.kept[0] as Chain, 0);
    device.queue(0).flush();
    expect(t.interrupts).toEqual([]);
  });

  test("an empty queue says from which chain on it is to be kicked", () => {
    t.add(0, [bytes(1)]);
    t.kick(0);
    expect(t.memory.load16(gpa(t.rings[0].used + 4 + 8 * 16))).toBe(1);
  });

  test("a driver that adds while the device works gets its share of a turn, and the next one soon", () => {
    let given = 0;
    device.kick = (n) => {
      const queue = device.queue(n);
      for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
        queue.push(chain, 0);
        if (++given < 1000) t.add(0, [bytes(1)]);
      }
    };
    t.add(0, [bytes(1)]);
    t.kick(0);
    expect(given).toBe(16);
    t.clock.advance(1);
    expect(given).toBeGreaterThan(16);
  });

  test("by INTx while the driver has not turned MSI-X on", () => {
    const pciFunction = t.transport.function;
    let at = pciFunction.config[0x34] as number;
    while (pciFunction.config[at] !== 0x11) at = pciFunction.config[at + 1] as number;
    pciFunction.write(at + 2, 2, 0);
    t.add(0, [bytes(1)]);
    t.kick(0);
    device.queue(0).push(device.kept[0] as Chain, 0);
    device.queue(0).flush();
    expect(pciFunction.assertedPin).toBe(0);
    expect([t.transport.readMmio(region.isr, 1), t.transport.readMmio(region.isr, 1)]).toEqual([1, 0]);
    expect([pciFunction.assertedPin, t.interrupts]).toEqual([-1, []]);
  });
});

describe("life", () => {
  test("features that are not offered are refused", () => {
    t = new TestDriver(device, { start: false });
    t.start(VIRTIO_F_VERSION_1 | 0b1000n);
    expect(t.status & (deviceStatus.featuresOk | deviceStatus.driverOk)).toBe(0);
  });

  test("a driver of before version 1 is refused", () => {
    t = new TestDriver(device, { start: false });
    t.start(VIRTIO_F_INDIRECT_DESC);
    expect(t.status & deviceStatus.featuresOk).toBe(0);
  });

  test("rings outside RAM are noticed when the driver is ready", () => {
    t = new TestDriver(device, { start: false });
    t.rings[1] = { ...t.rings[1], used: gpa(0x4000_0000) };
    device.driver = undefined;
    t.start(VIRTIO_F_VERSION_1);
    expect([needsReset(), device.driver]).toEqual([true, undefined]);
  });

  test("a chain of before a reset is nothing to the queue of after it", () => {
    t.add(0, [bytes(1)]);
    t.kick(0);
    t.reset();
    t.start(VIRTIO_F_VERSION_1);
    t.rings[0].taken = t.memory.load16(gpa(t.rings[0].used + 2));
    device.queue(0).push(device.kept[0] as Chain, 0);
    expect(t.used(0)).toEqual([]);
  });

  test("a device whose host is not done keeps the driver waiting for its reset", () => {
    Object.assign(device, { draining: true });
    t.reset();
    expect(t.status).not.toBe(0);
    Object.assign(device, { draining: false });
    expect(t.status).toBe(0);
  });

  test("a restored device gets again what was in flight, then what waits", () => {
    const heads = [t.add(0, [bytes(1)]), t.add(0, [bytes(2)])];
    t.kick(0);
    device.queue(0).push(device.kept[0] as Chain, 0);
    heads.push(t.add(0, [bytes(3)]));
    const saved = t.transport.parts().map(([name, part]) => [name, part.save()] as const);

    const other = new Keeper();
    const u = new TestDriver(other, { start: false });
    u.memory.bytes.set(t.memory.bytes);
    u.transport.function.config.set(t.transport.function.config);
    for (const [n, [name, part]] of u.transport.parts().entries()) {
      expect(saved[n]?.[0]).toBe(name);
      part.restore(saved[n]?.[1] ?? {});
    }
    u.clock.advance(1);
    expect(other.kept.map((chain) => chain.read(0, new Uint8Array(1)))).toEqual([1, 1]);
    for (const chain of other.kept) other.queue(0).push(chain, 0);
    expect(u.used(0).map(({ head }) => head)).toEqual(heads);
    expect(u.transport.parts().map(([, part]) => part.save())).not.toEqual([]);
  });
});

test("the driver's registers are read as they were written, the rest is read-only", () => {
  t = new TestDriver(device, { start: false });
  const c = commonConfig;
  t.write(c.deviceFeatureSelect, 4, 1);
  expect([t.read(c.deviceFeature, 4), t.read(c.configVector + 2, 2)]).toEqual([1, 2]);
  t.write(c.queueSelect, 2, 1);
  expect(t.read(c.queueSize, 2)).toBe(4);
  for (const bad of [0, 3, 8]) t.write(c.queueSize, 2, bad);
  expect(t.read(c.queueSize, 2)).toBe(4);
  t.write(c.queueVector, 2, 3);
  expect(t.read(c.queueVector, 2)).toBe(0xffff);
  t.write(c.queueSelect, 2, 2);
  expect(t.read(c.queueSize, 2)).toBe(0);
  expect([t.config(12), t.transport.readMmio(region.notify, 4)]).toEqual([12, 0]);
});

test("the window in configuration space reaches the registers", () => {
  const { config } = t.transport.function;
  let at = config[0x34] as number;
  while (config[at + 3] !== 5 || config[at] !== 9) at = config[at + 1] as number;
  const pciFunction = t.transport.function;
  pciFunction.write(at + 8, 4, region.device + 8);
  pciFunction.write(at + 12, 4, 4);
  expect(pciFunction.read(at + 16, 4)).toBe(8);
  pciFunction.write(at + 8, 4, commonConfig.status);
  pciFunction.write(at + 12, 4, 1);
  pciFunction.write(at + 16, 1, 0);
  expect(t.status).toBe(0);
});
