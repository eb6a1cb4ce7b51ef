/** Resource descriptors, as `_CRS` gives them (ACPI 6.5, "Resource Data Types for ACPI"). */
import { type Aml, buffer, concat, little } from "./aml.ts";

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

/** The buffer of a resource template: descriptors and the end tag, whose checksum 0 means "not checked". */
export const resourceTemplate = (...descriptors: readonly Uint8Array[]): Aml =>
  buffer(concat(...descriptors, bytes(0x79, 0)));

/** Fixed I/O ports, all 16 bits decoded. */
export const ioPorts = (base: number, length: number): Uint8Array =>
  concat(bytes(0x47, 1), little(base, 2), little(base, 2), bytes(1, length));

/** An edge-triggered, active-high, exclusive ISA interrupt. */
export const isaIrq = (irq: number): Uint8Array => concat(bytes(0x22), little(1 << irq, 2));

/** An edge-triggered, active-high, exclusive interrupt of the IOAPIC. */
export const edgeInterrupt = (gsi: number): Uint8Array => concat(bytes(0x89, 6, 0, 0x03, 1), little(gsi, 4));

/** At most 32 bits. */
export const memory32 = (base: number, length: number): Uint8Array =>
  concat(bytes(0x86, 9, 0, 1), little(base, 4), little(length, 4));

/** What a bridge hands on: minimum and maximum fixed, positive decode, producer. */
const producer = 0x0c;

export const busNumbers = (first: number, last: number): Uint8Array => addressSpace(0x88, 2, 2, 0, first, last);
export const ioWindow = (first: number, last: number): Uint8Array => addressSpace(0x88, 2, 1, 3, first, last);
/** Read-write, uncached. */
export const memoryWindow32 = (first: number, last: number): Uint8Array => addressSpace(0x87, 4, 0, 1, first, last);
export const memoryWindow64 = (first: number, last: number): Uint8Array => addressSpace(0x8a, 8, 0, 1, first, last);

function addressSpace(
  tag: number,
  size: 2 | 4 | 8,
  type: number,
  typeFlags: number,
  first: number,
  last: number,
): Uint8Array {
  const body = concat(
    bytes(type, producer, typeFlags),
    little(0, size),
    little(first, size),
    little(last, size),
    little(0, size),
    little(last - first + 1, size),
  );
  return concat(bytes(tag), little(body.length, 2), body);
}
