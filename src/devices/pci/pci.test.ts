import { beforeEach, describe, expect, test } from "vitest";
import { newTestPlatform, type TestPlatform } from "../test-platform.ts";
import { PciFunction } from "./function.ts";

let t: TestPlatform;
const ecam = 0xe000_0000;
const config = (slot: number, offset: number): number => ecam + (slot << 15) + offset;
const read = (slot: number, offset: number, size: 1 | 2 | 4 = 4): number =>
  t.platform.mmioBus.read(config(slot, offset), size);
const write = (slot: number, offset: number, value: number, size: 1 | 2 | 4 = 4): void =>
  t.platform.mmioBus.write(config(slot, offset), size, value);

const identity = { vendor: 0x1af4, device: 0x1042, classCode: 0x01_0000, interruptPin: 1 };
const answer = (value: number) => ({
  readMmio: (offset: number) => value + offset,
  writeMmio: () => {},
  readPort: () => value,
  writePort: () => {},
});
let disk: PciFunction;

beforeEach(() => {
  t = newTestPlatform();
  disk = new PciFunction(identity);
  disk.addBar(0, { kind: "memory64", size: 0x4000, device: answer(100) });
  disk.addBar(2, { kind: "io", size: 32, device: answer(200) });
  t.platform.pci.attach(3, 0, disk);
});

describe("configuration space", () => {
  test("the host bridge is found through the ports and through ECAM", () => {
    t.platform.portBus.write(0xcf8, 4, 0x8000_0000);
    expect(t.platform.portBus.read(0xcf8, 4)).toBe(0x8000_0000);
    expect(t.platform.portBus.read(0xcfc, 4)).toBe(0x0008_1b36);
    expect(t.platform.portBus.read(0xcfe, 2)).toBe(0x0008);
    expect([read(0, 0), read(0, 8)]).toEqual([0x0008_1b36, 0x0600_0000]);
  });

  test("where nothing is, reads give all ones", () => {
    t.platform.portBus.write(0xcf8, 4, 0x8000_f800);
    expect([t.platform.portBus.read(0xcfc, 4), read(5, 0), read(0, 0x100)]).toEqual([
      0xffff_ffff, 0xffff_ffff, 0xffff_ffff,
    ]);
    expect(t.platform.mmioBus.read(ecam + 0x10_0000, 4)).toBe(0xffff_ffff);
  });

  test("the reset register between the two ports stays its own", () => {
    t.platform.portBus.write(0xcf9, 1, 6);
    expect(t.log).toEqual(["reset"]);
  });

  test("a read-only field keeps its value", () => {
    write(3, 0, 0);
    write(3, 8, 0);
    expect([read(3, 0), read(3, 8)]).toEqual([0x1042_1af4, 0x0100_0000]);
  });

  test("capabilities are a list from 0x34 on", () => {
    const first = disk.addCapability(9, Uint8Array.of(1, 2));
    const second = disk.addCapability(0x11, new Uint8Array(10), new Uint8Array(10).fill(0xff));
    write(3, second + 2, 0x1234, 2);
    expect([read(3, 0x34, 1), read(3, first, 2), read(3, second, 2), read(3, 6, 2) & 0x10]).toEqual([
      first,
      (second << 8) | 9,
      0x11,
      0x10,
    ]);
    expect(read(3, second + 2, 2)).toBe(0x1234);
  });
});

describe("BARs", () => {
  test("all ones written give the size", () => {
    write(3, 0x10, 0xffff_ffff);
    write(3, 0x14, 0xffff_ffff);
    write(3, 0x18, 0xffff_ffff);
    expect([read(3, 0x10), read(3, 0x14), read(3, 0x18)]).toEqual([0xffff_c004, 0xffff_ffff, 0xffff_ffe1]);
  });

  test("decode only while their command bit is on, wherever they are moved", () => {
    write(3, 0x10, 0xc000_0000);
    write(3, 0x18, 0x1000);
    expect(t.platform.mmioBus.read(0xc000_0008, 4)).toBe(0xffff_ffff);
    write(3, 4, 3, 2);
    expect([t.platform.mmioBus.read(0xc000_0008, 4), t.platform.portBus.read(0x1001, 1)]).toEqual([108, 200]);
    write(3, 0x14, 0x40);
    expect(t.platform.mmioBus.read(0x40_c000_0004, 4)).toBe(104);
    expect(t.platform.mmioBus.read(0xc000_0004, 4)).toBe(0xffff_ffff);
  });

  test("cannot be laid over another device", () => {
    write(3, 0x10, 0xfec0_0000);
    write(3, 0x18, 0x3e0);
    write(3, 4, 3, 2);
    expect(t.platform.mmioBus.read(0xfec0_0000, 4)).toBe(0);
    expect(t.platform.portBus.read(0x3fb, 1)).toBe(0);
  });

  test("firmware places and enables them", () => {
    t.platform.pci.assignBars();
    expect([read(3, 0x14), read(3, 0x10), read(3, 0x18), read(3, 4, 2)]).toEqual([0x40, 4, 0x1001, 7]);
    expect(t.platform.mmioBus.read(0x40_0000_0000, 4)).toBe(100);
  });

  test("come back with a restored state", () => {
    t.platform.pci.assignBars();
    const saved = t.platform.pci.save();
    write(3, 4, 0, 2);
    expect(t.platform.mmioBus.claims(0x40_0000_0000)).toBe(false);
    t.platform.pci.restore(saved);
    expect(t.platform.mmioBus.read(0x40_0000_0000, 4)).toBe(100);
  });
});

test("INTA of slot 3 is GSI 19, shared with others by wired or, and silenced by its disable bit", () => {
  const other = new PciFunction(identity);
  t.platform.pci.attach(7, 0, other);
  const line = (): boolean => (t.platform.ioapic.save().lines & (1 << 19)) !== 0;
  disk.setInterrupt(true);
  other.setInterrupt(true);
  disk.setInterrupt(false);
  expect([line(), read(7, 6, 2) & 8]).toEqual([true, 8]);
  write(7, 4, 0x400, 2);
  expect(line()).toBe(false);
});
