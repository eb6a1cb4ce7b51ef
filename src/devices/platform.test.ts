import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { AccessSize } from "./bus.ts";
import { ManualClock } from "./manual-clock.ts";
import { memoryMap, ramRanges } from "./memory-map.ts";
import { StateError } from "./state.ts";
import { newTestPlatform, type TestPlatform } from "./test-platform.ts";

/** A small generator with a seed: xorshift32. */
function generator(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const sizes: readonly AccessSize[] = [1, 2, 4];
const ports = [0x20, 0xa0, 0x40, 0x60, 0x70, 0x90, 0x2e8, 0x2f8, 0x3e8, 0x3f8, 0x4d0, 0x600, 0x608, 0xcf8, 0xcfc];
const pages = [0xfec0_0000, 0xfee0_0000, 0xe000_0000, 0xe000_8000];

/** One random thing a guest or the world could do. */
function step(t: TestPlatform, random: (below: number) => number): void {
  const { platform } = t;
  const size = sizes[random(3)];
  const value = random(4) === 0 ? random(0x100) : random(0xffff_ffff);
  const port = random(8) === 0 ? random(0x1_0000) : ports[random(ports.length)] + random(8);
  const address = pages[random(pages.length)] + (random(2) === 0 ? random(64) * 16 : random(0x1000));
  const msr = random(4) === 0 ? [0x1b, 0x6e0][random(2)] : 0x800 + random(64);
  const lapic = platform.lapics[random(platform.lapics.length)];
  switch (random(12)) {
    case 0:
    case 1:
      platform.portBus.read(port, size);
      break;
    case 2:
    case 3:
      platform.portBus.write(port, size, value);
      break;
    case 4:
      platform.mmioBus.read(address, size);
      break;
    case 5:
    case 6:
      platform.mmioBus.write(address, random(4) === 0 ? size : 4, value);
      break;
    case 7:
      lapic.writeMsr(msr, (BigInt(random(16)) << 32n) | BigInt(value));
      break;
    case 8:
      lapic.readMsr(msr);
      break;
    case 9:
      if (lapic.pendingVector() >= 0) lapic.acknowledge();
      platform.selectCpu(random(platform.lapics.length));
      break;
    case 10:
      platform.setGsi(random(24), random(2) === 0);
      platform.serial[random(4)].receive(Uint8Array.of(value & 0xff, 1, 2));
      platform.msi(0xfee0_0000 + random(0x10_0000), value);
      break;
    default:
      t.clock.advance(random(2) === 0 ? random(1000) : random(50_000_000));
  }
}

const digest = (t: TestPlatform): string => createHash("sha256").update(t.platform.digestInput()).digest("hex");

describe("whatever a guest does", () => {
  test("no access throws or fails to return, and values stay within their size", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const t = newTestPlatform(2);
      const random = generator(seed * 7919);
      for (let i = 0; i < 5000; i++) step(t, random);
      for (let port = 0; port < 0x1_0000; port += 1) {
        const value = t.platform.portBus.read(port, 1);
        if (!(value >= 0 && value <= 0xff)) throw new Error(`port ${port} gave ${value}`);
      }
    }
  });

  test("two machines with the same history have the same state", () => {
    const [a, b] = [newTestPlatform(2), newTestPlatform(2)];
    const [randomA, randomB] = [generator(5), generator(5)];
    for (let i = 0; i < 3000; i++) {
      step(a, randomA);
      step(b, randomB);
    }
    expect(digest(a)).toBe(digest(b));
  });

  test("a restored machine goes on exactly as the saved one", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const a = newTestPlatform(2);
      const random = generator(seed * 104_729);
      for (let i = 0; i < 2000; i++) step(a, random);
      const b = newTestPlatform(2, new ManualClock(a.clock.now()));
      b.platform.restore(a.platform.save());
      b.platform.selectCpu(a.platform.apicBus.current);
      expect(digest(b)).toBe(digest(a));
      const [randomA, randomB] = [generator(seed), generator(seed)];
      for (let i = 0; i < 2000; i++) {
        step(a, randomA);
        step(b, randomB);
      }
      expect(digest(b)).toBe(digest(a));
      expect(b.platform.lapics.map((lapic) => lapic.pendingVector())).toEqual(
        a.platform.lapics.map((lapic) => lapic.pendingVector()),
      );
    }
  });
});

describe("the platform", () => {
  test("a reset brings every device back to its power-on state", () => {
    const t = newTestPlatform();
    const fresh = digest(t);
    const random = generator(99);
    for (let i = 0; i < 1000; i++)
      if (random(2) === 0) t.platform.portBus.write(ports[random(ports.length)], 1, random(256));
    t.platform.reset();
    expect(digest(t)).toBe(fresh);
  });

  test("a record that is not its own is refused by a named error", () => {
    const t = newTestPlatform();
    const state = t.platform.save();
    expect(() => t.platform.restore({ ...state, pit: { channels: 1 } })).toThrow(StateError);
    expect(() => t.platform.restore({})).toThrow(StateError);
  });

  test("COM1 interrupts through the IOAPIC by its ISA number", () => {
    const t = newTestPlatform();
    t.platform.mmioBus.write(0xfee0_00f0, 4, 0x1ff);
    t.platform.mmioBus.write(0xfec0_0000, 4, 0x18);
    t.platform.mmioBus.write(0xfec0_0010, 4, 0x34);
    t.platform.portBus.write(0x3fc, 1, 0x0b);
    t.platform.portBus.write(0x3f9, 1, 0x02);
    expect(t.platform.lapics[0].pendingVector()).toBe(0x34);
  });
});

describe("the memory map", () => {
  test("RAM beyond 3 GiB continues at 4 GiB", () => {
    expect(ramRanges(0x2000_0000)).toEqual([{ base: 0, size: 0x2000_0000 }]);
    expect(ramRanges(0x1_0000_0000)).toEqual([
      { base: 0, size: 0xc000_0000 },
      { base: 0x1_0000_0000, size: 0x4000_0000 },
    ]);
  });

  test("what the guest is told ascends and does not overlap", () => {
    const map = memoryMap(0x1_4000_0000);
    for (let i = 1; i < map.length; i++) expect(map[i].base).toBeGreaterThanOrEqual(map[i - 1].base + map[i - 1].size);
  });
});
