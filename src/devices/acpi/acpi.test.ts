import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generationIdAddress } from "../memory-map.ts";
import { buffer, eisaId, integer, pack, path, string } from "./aml.ts";
import { type AcpiTables, buildAcpiTables } from "./tables.ts";

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0) & 0xff;
const tableOf = (acpi: AcpiTables, signature: string): Uint8Array => {
  const at = acpi.tables.get(signature);
  if (at === undefined) throw new Error(`no ${signature}`);
  return acpi.blob.subarray(at.offset, at.offset + at.length);
};
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe("AML", () => {
  test("integers take the shortest form", () => {
    expect([0, 1, 2, 0x1234, 0x1_0000, 2 ** 32].map((n) => hex(integer(n)))).toEqual([
      "00",
      "01",
      "0a 02",
      "0b 34 12",
      "0c 00 00 01 00",
      "0e 00 00 00 00 01 00 00 00",
    ]);
  });

  test("names are padded segments with their prefixes", () => {
    expect(["\\", "_SB", "\\_SB.PCI0", "A.B.C"].map((name) => hex(path(name)))).toEqual([
      "5c 00",
      "5f 53 42 5f",
      "5c 2e 5f 53 42 5f 50 43 49 30",
      "2f 03 41 5f 5f 5f 42 5f 5f 5f 43 5f 5f 5f",
    ]);
  });

  test("EISA identifiers and strings", () => {
    expect([hex(eisaId("PNP0A08")), hex(string("AB"))]).toEqual(["0c 41 d0 0a 08", "0d 41 42 00"]);
  });

  test("a package's length counts itself and grows by bytes", () => {
    expect(hex(pack(integer(0)))).toBe("12 03 01 00");
    expect(hex(buffer(new Uint8Array(80)).subarray(0, 5))).toBe("11 44 05 0a 50");
    expect(hex(buffer(new Uint8Array(5000)).subarray(0, 4))).toBe("11 8e 38 01");
  });
});

describe("the tables", () => {
  const acpi = buildAcpiTables({ cpus: 3 });

  test("all sum to zero, the RSDP in both its lengths", () => {
    for (const signature of ["RSDP", "XSDT", "FACP", "DSDT", "APIC", "MCFG"])
      expect(sum(tableOf(acpi, signature))).toBe(0);
    expect(sum(tableOf(acpi, "RSDP").subarray(0, 20))).toBe(0);
  });

  test("the RSDP leads to the XSDT, that to the FADT, that to DSDT and FACS", () => {
    const at = (signature: string): number => acpi.base + (acpi.tables.get(signature)?.offset ?? -1);
    expect(Number(view(tableOf(acpi, "RSDP")).getBigUint64(24, true))).toBe(at("XSDT"));
    expect(Number(view(tableOf(acpi, "XSDT")).getBigUint64(36, true))).toBe(at("FACP"));
    const fadt = view(tableOf(acpi, "FACP"));
    expect([fadt.getUint32(40, true), Number(fadt.getBigUint64(140, true))]).toEqual([at("DSDT"), at("DSDT")]);
    expect([fadt.getUint32(36, true), at("FACS") % 64]).toEqual([at("FACS"), 0]);
  });

  test("fit the BIOS area with 255 CPUs, below the generation ID", () => {
    const { base, blob } = buildAcpiTables({ cpus: 255 });
    expect(base + blob.length).toBeLessThanOrEqual(generationIdAddress);
  });
});

const iasl = spawnSync("iasl", ["-v"]).status === 0;

describe.skipIf(!iasl)("iasl (skipped without it)", () => {
  const acpi = buildAcpiTables({ cpus: 2 });
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "memvisor-acpi-"));
    for (const signature of ["FACP", "DSDT", "APIC", "MCFG", "FACS", "XSDT"]) {
      writeFileSync(join(folder, `${signature}.aml`), tableOf(acpi, signature));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("disassembles every table without a complaint", () => {
    for (const signature of ["FACP", "DSDT", "APIC", "MCFG", "FACS", "XSDT"]) {
      const run = spawnSync("iasl", ["-d", join(folder, `${signature}.aml`)], { encoding: "utf8" });
      expect(run.status).toBe(0);
      expect(`${run.stdout}${run.stderr}`).not.toMatch(/error|warning|invalid|incorrect/i);
    }
  });

  test("compiles what it disassembled without error or warning", () => {
    execFileSync("iasl", ["-d", join(folder, "DSDT.aml")], { stdio: "ignore" });
    const run = spawnSync("iasl", ["-p", join(folder, "again"), join(folder, "DSDT.dsl")], { encoding: "utf8" });
    expect(`${run.stdout}`).toMatch(/0 Errors, 0 Warnings/);
  });
});
