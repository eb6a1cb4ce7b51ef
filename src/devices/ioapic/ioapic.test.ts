import { beforeEach, describe, expect, test } from "vitest";
import { newTestPlatform, type TestPlatform } from "../test-platform.ts";

let t: TestPlatform;
const ioapic = 0xfec0_0000;
const lapic = 0xfee0_0000;

const write = (index: number, value: number): void => {
  t.platform.mmioBus.write(ioapic, 4, index);
  t.platform.mmioBus.write(ioapic + 0x10, 4, value);
};
const read = (index: number): number => {
  t.platform.mmioBus.write(ioapic, 4, index);
  return t.platform.mmioBus.read(ioapic + 0x10, 4);
};
const pending = (): number => t.platform.lapics[0].pendingVector();
const end = (): void => t.platform.mmioBus.write(lapic + 0xb0, 4, 0);

beforeEach(() => {
  t = newTestPlatform();
  t.platform.mmioBus.write(lapic + 0xf0, 4, 0x1ff);
});

describe("the IOAPIC", () => {
  test("says that it has 24 pins, all masked", () => {
    expect([read(1), read(0x10), read(0x3e), read(0x40)]).toEqual([0x17_0020, 0x1_0000, 0x1_0000, 0]);
  });

  test("an edge is sent once, and lost while the pin is masked", () => {
    t.platform.setGsi(5, true);
    write(0x1a, 0x35);
    expect(pending()).toBe(-1);
    t.platform.setGsi(5, false);
    t.platform.setGsi(5, true);
    expect(t.platform.lapics[0].acknowledge()).toBe(0x35);
    end();
    expect(pending()).toBe(-1);
  });

  test("a level is sent again after its end for as long as it is asserted", () => {
    write(0x30, 0x8045);
    t.platform.setGsi(16, true);
    expect(t.platform.lapics[0].acknowledge()).toBe(0x45);
    expect(read(0x30)).toBe(0xc045);
    end();
    expect(t.platform.lapics[0].acknowledge()).toBe(0x45);
    t.platform.setGsi(16, false);
    end();
    expect([pending(), read(0x30)]).toEqual([-1, 0x8045]);
  });

  test("unmasking an asserted level sends it", () => {
    t.platform.setGsi(9, true);
    write(0x22, 0x1_8046);
    expect(pending()).toBe(-1);
    write(0x22, 0x8046);
    expect(pending()).toBe(0x46);
  });

  test("the EOI register ends a vector too", () => {
    write(0x30, 0x8045);
    t.platform.setGsi(16, true);
    t.platform.setGsi(16, false);
    t.platform.mmioBus.write(ioapic + 0x40, 4, 0x45);
    expect(read(0x30)).toBe(0x8045);
  });

  test("IRQ 0 of the timer comes in at pin 2", () => {
    write(0x14, 0x30);
    t.platform.isaIrq(0).set(true);
    expect(pending()).toBe(0x30);
  });
});
