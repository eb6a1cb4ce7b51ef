import { describe, expect, test } from "vitest";
import { MmioBus, PortBus } from "./bus.ts";

const recorder = () => {
  const log: string[] = [];
  return {
    log,
    readPort: (port: number, size: number) => {
      log.push(`in ${port.toString(16)} ${size}`);
      return -1;
    },
    writePort: (port: number, size: number, value: number) =>
      void log.push(`out ${port.toString(16)} ${size} ${value}`),
    readMmio: (offset: number, size: number) => {
      log.push(`read ${offset.toString(16)} ${size}`);
      return -1;
    },
    writeMmio: (offset: number, size: number, value: number) => void log.push(`write ${offset} ${size} ${value}`),
  };
};

describe("the port bus", () => {
  test("an unclaimed port reads as all ones of the access's size", () => {
    const bus = new PortBus();
    bus.write(0x80, 1, 5);
    expect([bus.read(0x80, 1), bus.read(0x80, 2), bus.read(0xffff, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
  });

  test("an access goes to the device that claims its first byte, values cut to its size", () => {
    const bus = new PortBus();
    const device = recorder();
    bus.claim(0x3f8, 8, device);
    expect(bus.read(0x3ff, 2)).toBe(0xffff);
    bus.write(0x3f8, 1, 0x1ff);
    expect(device.log).toEqual(["in 3ff 2", "out 3f8 1 255"]);
  });

  test("a claim over another is refused whole, and succeeds after the release", () => {
    const bus = new PortBus();
    const claim = bus.claim(0x100, 4, recorder());
    expect(bus.claim(0xfe, 4, recorder())).toBeUndefined();
    expect(bus.read(0xfe, 1)).toBe(0xff);
    claim?.release();
    expect(bus.claim(0xfe, 4, recorder())).toBeDefined();
  });
});

describe("the MMIO bus", () => {
  test("ranges above 4 GiB are found, their neighbours are not", () => {
    const bus = new MmioBus();
    const device = recorder();
    const other = recorder();
    bus.claim(0x40_0000_0000, 0x1000, device);
    bus.claim(0xfee0_0000, 0x1000, other);
    bus.read(0x40_0000_0ffc, 4);
    bus.read(0xfee0_0020, 4);
    bus.write(0xfee0_1000, 4, 1);
    expect([device.log, other.log]).toEqual([["read ffc 4"], ["read 20 4"]]);
    expect([bus.claims(0x40_0000_1000), bus.claims(0x40_0000_0fff)]).toEqual([false, true]);
  });

  test("a range over another one or over RAM is refused, and what is claimed is listed in order of address", () => {
    const bus = new MmioBus(() => [{ base: 0, size: 0x1_0000 }]);
    const claim = (base: number, name: string): boolean => bus.claim(base, 0x1000, recorder(), name) !== undefined;
    expect([claim(0x2_0000, "second"), claim(0x1_0000, "first")]).toEqual([true, true]);
    expect([claim(0xf001, "over RAM"), claim(0x2_0fff, "over another")]).toEqual([false, false]);
    expect(bus.slots).toEqual([
      { base: 0x1_0000, size: 0x1000, name: "first" },
      { base: 0x2_0000, size: 0x1000, name: "second" },
    ]);
  });

  test("a released range is forgotten even when it was the last one hit", () => {
    const bus = new MmioBus();
    const claim = bus.claim(0x1000, 0x1000, { readMmio: () => 7, writeMmio: () => {} });
    expect(bus.read(0x1000, 4)).toBe(7);
    claim?.release();
    expect(bus.read(0x1000, 4)).toBe(0xffff_ffff);
  });
});
