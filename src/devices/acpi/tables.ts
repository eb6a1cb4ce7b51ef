/**
 * The ACPI tables (ACPI 6.5, "ACPI Software Programming Model"), laid out at a given guest-physical address.
 *
 * Law: every table's bytes sum to 0; the FACS lies on 64 bytes, the RSDP on 16 and first, so that a guest that was
 * given no address finds it by its signature in the BIOS area.
 */
import { assert } from "#base";
import { acpiArea, ecam, ioapicPage, lapicPage, pmPorts, resetPort, resetValue, sciIrq } from "../memory-map.ts";
import { centuryRegister } from "../rtc/index.ts";
import { ascii, concat, little } from "./aml.ts";
import { dsdtBody } from "./dsdt.ts";

export interface AcpiOptions {
  readonly cpus: number;
  /** Where `blob` will lie; the BIOS area unless told otherwise. */
  readonly base?: number;
  readonly ecamBase?: number;
}

export interface AcpiTables {
  readonly base: number;
  readonly blob: Uint8Array;
  /** GPA of the RSDP. */
  readonly rsdp: number;
  /** Each table by its signature: where it is in `blob`. */
  readonly tables: ReadonlyMap<string, { readonly offset: number; readonly length: number }>;
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const oemId = "MEMVSR";
const oemTableId = "MEMVISOR";

export function buildAcpiTables(options: AcpiOptions): AcpiTables {
  const base = options.base ?? acpiArea.base;
  const ecamBase = options.ecamBase ?? ecam.base;
  assert(options.cpus >= 1 && options.cpus < 0x1000 && base % 64 === 0, "a machine that ACPI can describe");
  const placed: Uint8Array[] = [];
  const tables = new Map<string, { offset: number; length: number }>();
  // The RSDP comes first and is known last.
  let end = 64;
  const place = (signature: string, table: Uint8Array): number => {
    const offset = end;
    tables.set(signature, { offset, length: table.length });
    placed.push(table, new Uint8Array(-table.length & 63));
    end += (table.length + 63) & ~63;
    return base + offset;
  };
  const facs = place("FACS", facsTable());
  const dsdt = place("DSDT", table("DSDT", 2, dsdtBody({ cpus: options.cpus, ecamBase })));
  const listed = [place("FACP", fadt(facs, dsdt)), place("APIC", madt(options.cpus)), place("MCFG", mcfg(ecamBase))];
  const xsdt = place("XSDT", table("XSDT", 1, concat(...listed.map((address) => little(address, 8)))));
  tables.set("RSDP", { offset: 0, length: 36 });
  const head = new Uint8Array(64);
  head.set(rsdp(xsdt));
  return { base, blob: concat(head, ...placed), rsdp: base, tables };
}

function setChecksum(table: Uint8Array, at: number, length = table.length): Uint8Array {
  table[at] = 0;
  table[at] = -table.subarray(0, length).reduce((sum, byte) => sum + byte, 0) & 0xff;
  return table;
}

/** A table with the standard header. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const header = concat(
    ascii(signature),
    little(36 + body.length, 4),
    bytes(revision, 0),
    ascii(oemId),
    ascii(oemTableId),
    little(1, 4),
    ascii("MVSR"),
    little(1, 4),
  );
  return setChecksum(concat(header, body), 9);
}

function rsdp(xsdt: number): Uint8Array {
  const table = concat(
    ascii("RSD PTR "),
    bytes(0),
    ascii(oemId),
    bytes(2),
    little(0, 4),
    little(36, 4),
    little(xsdt, 8),
    bytes(0, 0, 0, 0),
  );
  return setChecksum(setChecksum(table, 8, 20), 32);
}

const facsTable = (): Uint8Array =>
  concat(ascii("FACS"), little(64, 4), new Uint8Array(24), bytes(2), new Uint8Array(31));

/** A generic address: I/O space, `bytes` wide. */
const ioAddress = (port: number, sizeBytes: 1 | 2 | 4): Uint8Array =>
  concat(bytes(1, 8 * sizeBytes, 0, sizeBytes === 4 ? 3 : sizeBytes), little(port, 8));

// FADT, "IA-PC Boot Architecture Flags": LEGACY_DEVICES and no VGA; no bit says that an 8042 is there.
const bootLegacyDevices = 1 << 0;
const bootNoVga = 1 << 2;

/** FADT, "Fixed Feature Flags". */
const fadtFlag = {
  wbinvd: 1 << 0,
  c1: 1 << 2,
  noFixedSleepButton: 1 << 5,
  noFixedRtc: 1 << 6,
  resetRegister: 1 << 10,
} as const;

/** Field by field, at the offsets of revision 6. */
function fadt(facs: number, dsdt: number): Uint8Array {
  const body = new Uint8Array(276 - 36);
  const put = (offset: number, value: Uint8Array): void => body.set(value, offset - 36);
  const flags =
    fadtFlag.wbinvd | fadtFlag.c1 | fadtFlag.noFixedSleepButton | fadtFlag.noFixedRtc | fadtFlag.resetRegister;
  // The FACS has one address only: with both, ACPICA installs it twice.
  put(36, little(facs, 4));
  put(40, little(dsdt, 4));
  put(46, little(sciIrq, 2));
  // SMI_CMD 0: always in ACPI mode.
  put(56, little(pmPorts.event, 4));
  put(64, little(pmPorts.control, 4));
  put(76, little(pmPorts.timer, 4));
  put(88, bytes(4, 2, 0, 4));
  // Latencies that mean: no C2, no C3.
  put(96, concat(little(0x65, 2), little(0x3e9, 2)));
  put(108, bytes(centuryRegister));
  put(109, little(bootLegacyDevices | bootNoVga, 2));
  put(112, little(flags, 4));
  put(116, ioAddress(resetPort, 1));
  put(128, bytes(resetValue));
  put(131, bytes(5));
  put(140, little(dsdt, 8));
  put(148, ioAddress(pmPorts.event, 4));
  put(172, ioAddress(pmPorts.control, 2));
  put(208, ioAddress(pmPorts.timer, 4));
  return table("FACP", 6, body);
}

function madt(cpus: number): Uint8Array {
  const pcatCompatible = 1;
  const levelActiveHigh = 0x000d;
  const entries: Uint8Array[] = [];
  for (let n = 0; n < cpus; n++) {
    entries.push(
      n < 0xff
        ? concat(bytes(0, 8, n, n), little(1, 4))
        : concat(bytes(9, 16, 0, 0), little(n, 4), little(1, 4), little(n, 4)),
    );
  }
  return table(
    "APIC",
    5,
    concat(
      little(lapicPage.base, 4),
      little(pcatCompatible, 4),
      ...entries,
      concat(bytes(1, 12, 0, 0), little(ioapicPage.base, 4), little(0, 4)),
      interruptOverride(0, 2, 0),
      interruptOverride(sciIrq, sciIrq, levelActiveHigh),
      // NMI on LINT1 of every processor.
      bytes(4, 6, 0xff, 0, 0, 1),
    ),
  );
}

const interruptOverride = (irq: number, gsi: number, flags: number): Uint8Array =>
  concat(bytes(2, 10, 0, irq), little(gsi, 4), little(flags, 2));

function mcfg(ecamBase: number): Uint8Array {
  const lastBus = ecam.size / 0x10_0000 - 1;
  return table("MCFG", 1, concat(new Uint8Array(8), little(ecamBase, 8), bytes(0, 0, 0, lastBus, 0, 0, 0, 0)));
}
