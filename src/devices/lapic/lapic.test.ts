import { beforeEach, describe, expect, test } from "vitest";
import { newTestPlatform, type TestPlatform } from "../test-platform.ts";
import { reg } from "./registers.ts";

const page = 0xfee0_0000;
let t: TestPlatform;

const write = (register: number, value: number): void => t.platform.mmioBus.write(page + 16 * register, 4, value);
const read = (register: number): number => t.platform.mmioBus.read(page + 16 * register, 4);
const pending = (cpu = 0): number => t.platform.lapics[cpu].pendingVector();
const take = (cpu = 0): number => t.platform.lapics[cpu].acknowledge();
const toX2apic = (cpu = 0): boolean => t.platform.lapics[cpu].writeMsr(0x1b, BigInt(page) | 0xc00n);
const x2 = (register: number, value: bigint, cpu = 0): boolean =>
  t.platform.lapics[cpu].writeMsr(0x800 + register, value);

beforeEach(() => {
  t = newTestPlatform(3);
  for (let cpu = 2; cpu >= 0; cpu--) {
    t.platform.selectCpu(cpu);
    write(reg.svr, 0x1ff);
  }
});

describe("priorities", () => {
  test("a self-IPI is pending, taken into service, and blocks its class until its end", () => {
    write(reg.icrLow, 0x4_0051);
    expect([pending(), take(), pending()]).toEqual([0x51, 0x51, -1]);
    write(reg.icrLow, 0x4_005f);
    expect(pending()).toBe(-1);
    write(reg.icrLow, 0x4_0061);
    expect(pending()).toBe(0x61);
    expect(read(reg.ppr)).toBe(0x50);
    take();
    write(reg.eoi, 0);
    write(reg.eoi, 0);
    expect(pending()).toBe(0x5f);
  });

  test("CR8 is the class of the task priority and holds back what is not above it", () => {
    const lapic = t.platform.lapics[0];
    lapic.cr8 = 5;
    write(reg.icrLow, 0x4_0051);
    expect([read(reg.tpr), pending()]).toEqual([0x50, -1]);
    lapic.cr8 = 4;
    expect(pending()).toBe(0x51);
  });

  test("with nothing pending an acknowledge gives the spurious vector", () => {
    expect(take()).toBe(0xff);
  });
});

describe("IPIs", () => {
  test("INIT and startup reach the addressed CPU only", () => {
    write(reg.icrHigh, 1 << 24);
    write(reg.icrLow, 0xc500);
    write(reg.icrLow, 0x8500);
    write(reg.icrLow, 0x0699);
    expect(t.log).toEqual(["cpu1 init", `cpu1 startup ${0x99}`]);
  });

  test("shorthands reach all, or all but the sender", () => {
    write(reg.icrLow, 0x8_0041);
    expect([0, 1, 2].map(pending)).toEqual([0x41, 0x41, 0x41]);
    write(reg.icrLow, 0xc_0400);
    expect(t.log).toEqual(["cpu1 nmi", "cpu2 nmi"]);
  });

  test("a flat logical destination reaches those whose bits it has", () => {
    for (const cpu of [0, 1, 2]) {
      t.platform.selectCpu(cpu);
      write(reg.ldr, 1 << (24 + cpu));
    }
    write(reg.icrHigh, 0x0600_0000);
    write(reg.icrLow, 0x0833);
    expect([0, 1, 2].map(pending)).toEqual([-1, 0x33, 0x33]);
  });

  test("an x2APIC takes its destination from the upper half of one write, physical or logical", () => {
    for (const cpu of [0, 1, 2]) expect(toX2apic(cpu)).toBe(true);
    x2(reg.icrLow, (2n << 32n) | 0x44n);
    x2(reg.icrLow, (0x2n << 32n) | 0x845n);
    expect([0, 1, 2].map(pending)).toEqual([-1, 0x45, 0x44]);
    expect(t.platform.lapics[2].readMsr(0x800 + reg.ldr)).toBe(4n);
  });

  test("sending a vector below 16 is an error, shown after a write of ESR", () => {
    write(reg.icrLow, 0x4_0003);
    expect([pending(), read(reg.esr)]).toEqual([-1, 0]);
    write(reg.esr, 0);
    expect(read(reg.esr)).toBe(0x20);
  });
});

describe("modes", () => {
  test("xAPIC to x2APIC and off are legal, back from x2APIC or straight into it are not", () => {
    const lapic = t.platform.lapics[0];
    expect(lapic.readMsr(0x1b)).toBe(BigInt(page) | 0x900n);
    expect(lapic.readMsr(0x802)).toBeUndefined();
    expect(toX2apic()).toBe(true);
    expect(lapic.writeMsr(0x1b, BigInt(page) | 0x800n)).toBe(false);
    expect(lapic.writeMsr(0x1b, BigInt(page) | 0x400n)).toBe(false);
    expect(lapic.writeMsr(0x1b, BigInt(page))).toBe(true);
    expect(toX2apic()).toBe(false);
    expect(lapic.writeMsr(0x1b, 0x1000_0800n)).toBe(false);
  });

  test("in x2APIC mode the page is gone, and reserved registers and bits are refused", () => {
    toX2apic();
    t.platform.selectCpu(0);
    expect(read(reg.id)).toBe(0xffff_ffff);
    expect(x2(reg.eoi, 1n)).toBe(false);
    expect(x2(reg.icrHigh, 0n)).toBe(false);
    expect(x2(reg.dfr, 0n)).toBe(false);
    expect(x2(reg.svr, 0x1_0000_01ffn)).toBe(false);
    expect(x2(reg.selfIpi, 0x77n)).toBe(true);
    expect(pending()).toBe(0x77);
  });

  test("software-disabled, it masks every local vector and takes no interrupt", () => {
    write(reg.lvtTimer, 0x20);
    write(reg.svr, 0xff);
    write(reg.icrLow, 0x4_0051);
    expect([read(reg.lvtTimer), pending()]).toEqual([0x1_0020, -1]);
  });
});

describe("the timer", () => {
  test("one-shot counts down at 1 GHz over the divider and interrupts once", () => {
    write(reg.divide, 0x3); // by 16
    write(reg.lvtTimer, 0x40);
    write(reg.initialCount, 1000);
    t.clock.advance(8000);
    expect([read(reg.currentCount), pending()]).toEqual([500, -1]);
    t.clock.advance(8000);
    expect([read(reg.currentCount), take()]).toEqual([0, 0x40]);
    write(reg.eoi, 0);
    t.clock.advance(1_000_000);
    expect(pending()).toBe(-1);
  });

  test("periodic interrupts at every period", () => {
    write(reg.divide, 0xb);
    write(reg.lvtTimer, 0x2_0040);
    write(reg.initialCount, 100_000);
    let count = 0;
    for (let i = 0; i < 10; i++) {
      t.clock.advance(100_000);
      if (pending() === 0x40) count++;
      take();
      write(reg.eoi, 0);
    }
    expect(count).toBe(10);
  });

  test("the TSC deadline fires when the counter is there, at once when it has passed, and then reads 0", () => {
    const lapic = t.platform.lapics[0];
    write(reg.lvtTimer, 0x4_0040);
    lapic.writeMsr(0x6e0, 4000n); // 2 GHz: 2 us
    t.clock.advance(1999);
    expect([pending(), lapic.readMsr(0x6e0)]).toEqual([-1, 4000n]);
    t.clock.advance(1);
    expect([take(), lapic.readMsr(0x6e0)]).toEqual([0x40, 0n]);
    write(reg.eoi, 0);
    lapic.writeMsr(0x6e0, 1n);
    expect(pending()).toBe(0x40);
  });

  test("leaving deadline mode disarms it", () => {
    const lapic = t.platform.lapics[0];
    write(reg.lvtTimer, 0x4_0040);
    lapic.writeMsr(0x6e0, 4000n);
    write(reg.lvtTimer, 0x40);
    t.clock.advance(1_000_000);
    expect(pending()).toBe(-1);
  });

  test("a restored timer rings when the saved one would have", () => {
    write(reg.divide, 0xb);
    write(reg.lvtTimer, 0x40);
    write(reg.initialCount, 5000);
    const saved = t.platform.save();
    const copy = newTestPlatform(3);
    copy.platform.restore(saved);
    copy.clock.advance(5000);
    expect(copy.platform.lapics[0].pendingVector()).toBe(0x40);
  });
});

describe("LINT0", () => {
  test("the 8259 pair's interrupt comes through the boot processor's virtual wire, with the 8259's vector", () => {
    const out = (port: number, value: number): void => t.platform.portBus.write(port, 1, value);
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x30],
      [0x21, 4],
      [0x21, 1],
      [0x21, 0xfe],
    ])
      out(port, value);
    t.platform.isaIrq(0).set(true);
    expect([0, 1, 2].map(pending)).toEqual([0x30, -1, -1]);
    expect([take(), pending()]).toEqual([0x30, -1]);
    t.platform.selectCpu(0);
    write(reg.lvtTimer + 3, 0x1_0700);
    out(0x20, 0x20);
    t.platform.isaIrq(0).set(false);
    t.platform.isaIrq(0).set(true);
    expect(pending()).toBe(-1);
  });
});
