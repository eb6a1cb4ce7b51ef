import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../manual-clock.ts";
import { Pit } from "./device.ts";

let clock: ManualClock;
let pit: Pit;
let edges: number;
let level: boolean;
const out = (port: number, ...values: number[]): void => {
  for (const value of values) pit.writePort(port, 1, value);
};
const tick = 1e9 / 1_193_182;

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  edges = 0;
  level = false;
  pit = new Pit(clock, {
    set: (to) => {
      if (to && !level) edges++;
      level = to;
    },
  });
});

describe("the 8254", () => {
  test("mode 2 interrupts at every period", () => {
    out(0x43, 0x34);
    out(0x40, 0x9c, 0x2e); // 11932: 100 Hz
    edges = 0;
    for (let i = 0; i < 1000; i++) clock.advance(1_000_000);
    expect(edges).toBe(99);
  });

  test("mode 0 interrupts once at its terminal count", () => {
    out(0x43, 0x30);
    expect(level).toBe(false);
    out(0x40, 100, 0);
    clock.advance(Math.floor(99 * tick));
    expect(level).toBe(false);
    clock.advance(2 * tick);
    expect(level).toBe(true);
    clock.advance(1e9);
    expect(edges).toBe(1);
  });

  test("a latched count stands still while it is read, low byte first", () => {
    out(0x43, 0x34);
    out(0x40, 0x00, 0x10);
    clock.advance(Math.ceil(0x123 * tick));
    out(0x43, 0x00);
    clock.advance(1000_000);
    expect([pit.readPort(0x40, 1), pit.readPort(0x40, 1)]).toEqual([0xdd, 0x0e]);
  });

  test("read-back tells mode, access and output", () => {
    out(0x43, 0xb0);
    out(0x61, 1);
    out(0x42, 100, 0);
    out(0x43, 0xe8);
    expect(pit.readPort(0x42, 1)).toBe(0x30);
    clock.advance(Math.ceil(101 * tick));
    out(0x43, 0xe8);
    expect(pit.readPort(0x42, 1)).toBe(0xb0);
  });

  test("port 0x61 gates channel 2 and shows its output, as TSC calibration polls it", () => {
    out(0x61, 1);
    out(0x43, 0xb0);
    out(0x42, 0x00, 0x10);
    expect(pit.readPort(0x61, 1) & 0x23).toBe(0x01);
    clock.advance(Math.ceil(0x1001 * tick));
    expect(pit.readPort(0x61, 1) & 0x23).toBe(0x21);
  });

  test("a period of one tick does not storm the host with alarms", () => {
    out(0x43, 0x34);
    out(0x40, 1, 0);
    edges = 0;
    clock.advance(1_000_000);
    expect(edges).toBeLessThan(60);
  });
});
