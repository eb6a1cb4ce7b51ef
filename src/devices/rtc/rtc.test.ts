import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../manual-clock.ts";
import { civilOf, msOf } from "./calendar.ts";
import { Rtc } from "./device.ts";

let clock: ManualClock;
let rtc: Rtc;
let irq: boolean;
const read = (register: number): number => {
  rtc.writePort(0x70, 1, register);
  return rtc.readPort(0x71, 1);
};
const write = (register: number, value: number): void => {
  rtc.writePort(0x70, 1, register);
  rtc.writePort(0x71, 1, value);
};
const epoch = Date.UTC(2026, 10, 21, 12, 34, 56);
const time = (): number[] => [0x32, 9, 8, 7, 4, 2, 0].map(read);

beforeEach(() => {
  clock = new ManualClock();
  irq = false;
  rtc = new Rtc(clock, () => epoch + clock.now() / 1e6, {
    set: (level) => {
      irq = level;
    },
  });
});

describe("the calendar", () => {
  test("agrees with the host's over three centuries", () => {
    for (let day = 0; day < 110_000; day += 13) {
      const ms = day * 86_400_000 + 45_296_000;
      const date = new Date(ms);
      const ours = civilOf(ms);
      expect([ours.year, ours.month, ours.day, ours.weekday, ours.hour, ours.minute, ours.second]).toEqual([
        date.getUTCFullYear(),
        date.getUTCMonth() + 1,
        date.getUTCDate(),
        date.getUTCDay() + 1,
        12,
        34,
        56,
      ]);
      expect(msOf(ours)).toBe(ms);
    }
  });
});

describe("the CMOS clock", () => {
  test("shows the wall clock in BCD, with its century", () => {
    expect(time()).toEqual([0x20, 0x26, 0x11, 0x21, 0x12, 0x34, 0x56]);
    expect([read(6), read(0x0d)]).toEqual([7, 0x80]);
  });

  test("in binary and 12-hour form when register B says so", () => {
    write(0x0b, 0x04);
    clock.advance(3600e9);
    expect(time()).toEqual([20, 26, 11, 21, 0x81, 34, 56]);
  });

  test("announces an update shortly before the second changes", () => {
    clock.advance(999_700_000);
    expect(read(0x0a) & 0x80).toBe(0);
    clock.advance(100_000);
    expect(read(0x0a) & 0x80).toBe(0x80);
    clock.advance(200_000);
    expect([read(0x0a) & 0x80, read(0)]).toEqual([0, 0x57]);
  });

  test("stands still while it is set, and goes on from there", () => {
    write(0x0b, 0x82);
    write(0, 0x00);
    write(2, 0x59);
    write(4, 0x23);
    clock.advance(5e9);
    write(0x0b, 0x02);
    clock.advance(61e9);
    expect(time()).toEqual([0x20, 0x26, 0x11, 0x22, 0x00, 0x00, 0x01]);
  });

  test("the alarm interrupts in its second, and reading register C ends it", () => {
    write(1, 0x58);
    write(3, 0xff);
    write(5, 0xff);
    write(0x0b, 0x22);
    clock.advance(1.5e9);
    expect(irq).toBe(false);
    clock.advance(1e9);
    expect(irq).toBe(true);
    expect(read(0x0c) & 0xa0).toBe(0xa0);
    expect([irq, read(0x0c)]).toEqual([false, 0]);
  });

  test("the periodic interrupt has the rate of register A", () => {
    write(0x0a, 0x26);
    write(0x0b, 0x42);
    let count = 0;
    for (let us = 0; us < 1_000_000; us += 100) {
      clock.advance(100_000);
      if (irq) count++;
      if (irq) read(0x0c);
    }
    expect(Math.abs(count - 1024)).toBeLessThan(2);
  });

  test("flags appear in register C without any interrupt enabled", () => {
    read(0x0c);
    clock.advance(1e9);
    expect(read(0x0c) & 0x90).toBe(0x10);
  });
});
