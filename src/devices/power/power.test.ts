import { beforeEach, describe, expect, test } from "vitest";
import { newTestPlatform, type TestPlatform } from "../test-platform.ts";

let t: TestPlatform;
const inp = (port: number, size: 1 | 2 | 4): number => t.platform.portBus.read(port, size);
const out = (port: number, size: 1 | 2 | 4, value: number): void => t.platform.portBus.write(port, size, value);
const sci = (): boolean => (t.platform.ioapic.save().lines & (1 << 9)) !== 0;

beforeEach(() => {
  t = newTestPlatform();
});

describe("ACPI fixed hardware", () => {
  test("is always in ACPI mode", () => {
    expect(inp(0x604, 2) & 1).toBe(1);
  });

  test("sleep type 5 with the enable bit powers off, other types do nothing", () => {
    out(0x604, 2, 0x2000);
    expect(t.log).toEqual([]);
    out(0x604, 2, 0x3400);
    expect(t.log).toEqual(["off"]);
  });

  test("the power button raises the SCI when its event is enabled, until its status is cleared", () => {
    out(0x602, 2, 0x0120);
    t.platform.power.pressPowerButton();
    expect([sci(), inp(0x600, 2) & 0x100]).toEqual([true, 0x100]);
    out(0x600, 2, 0x100);
    expect([sci(), inp(0x600, 4)]).toEqual([false, 0x0120_0000]);
  });

  test("the timer counts at 3.579545 MHz in 24 bits and tells when its top bit changes", () => {
    t.clock.advance(1e9);
    expect(inp(0x608, 4)).toBe(3_579_545);
    out(0x602, 2, 1);
    t.clock.advance(2e9);
    expect([sci(), inp(0x600, 2)]).toEqual([true, 1]);
    out(0x600, 2, 1);
    expect(sci()).toBe(false);
    t.clock.advance(2e9);
    expect(inp(0x608, 4)).toBe((5 * 3_579_545) % 0x100_0000);
  });
});

test("three ports reset the machine", () => {
  out(0xcf9, 1, 0x02);
  out(0xcf9, 1, 0x06);
  out(0x64, 1, 0xfe);
  out(0x92, 1, 0x03);
  expect(t.log).toEqual(["reset", "reset", "reset"]);
});
