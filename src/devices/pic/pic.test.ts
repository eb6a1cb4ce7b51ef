import { beforeEach, describe, expect, test } from "vitest";
import { Pic } from "./device.ts";

let pic: Pic;
let intr: boolean;
const out = (port: number, ...values: number[]): void => {
  for (const value of values) pic.writePort(port, 1, value);
};

beforeEach(() => {
  intr = false;
  pic = new Pic((level) => {
    intr = level;
  });
  out(0x20, 0x11);
  out(0x21, 0x20, 4, 1);
  out(0xa0, 0x11);
  out(0xa1, 0x28, 2, 1);
});

describe("the 8259 pair", () => {
  test("its masks read back, which is how Linux finds it", () => {
    out(0x21, 0xfb);
    expect(pic.readPort(0x21, 1)).toBe(0xfb);
  });

  test("the lowest input wins, and blocks those after it until its end", () => {
    pic.setIrq(4, true);
    pic.setIrq(3, true);
    expect([intr, pic.acknowledge(), intr]).toEqual([true, 0x23, false]);
    out(0x20, 0x20);
    expect([intr, pic.acknowledge()]).toEqual([true, 0x24]);
  });

  test("the slave's interrupts come through input 2 and need two ends", () => {
    pic.setIrq(8, true);
    expect([pic.acknowledge(), intr]).toEqual([0x28, false]);
    pic.setIrq(8, false);
    pic.setIrq(8, true);
    expect(intr).toBe(false);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect([intr, pic.acknowledge()]).toEqual([true, 0x28]);
  });

  test("a request that went away is answered by the spurious vector", () => {
    pic.setIrq(4, true);
    pic.setIrq(4, false);
    expect([intr, pic.acknowledge()]).toEqual([false, 0x27]);
  });

  test("an input that ELCR makes level-triggered asks again after its end", () => {
    out(0x4d1, 0x02);
    pic.setIrq(9, true);
    pic.acknowledge();
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x29);
    expect(pic.readPort(0x4d1, 1)).toBe(2);
  });

  test("reads show requests or services in progress as OCW3 chose", () => {
    pic.setIrq(4, true);
    expect(pic.readPort(0x20, 1)).toBe(0x10);
    pic.acknowledge();
    out(0x20, 0x0b);
    expect(pic.readPort(0x20, 1)).toBe(0x10);
  });
});
