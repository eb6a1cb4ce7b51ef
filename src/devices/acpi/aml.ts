/**
 * A small AML encoder (ACPI 6.5, "ACPI Machine Language Specification"): each function gives the bytes of one term.
 *
 * Names are written as in ASL: `\_SB.PCI0`, segments of up to four characters, padded here.
 */
import { assert } from "#base";

export type Aml = Uint8Array;

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

export function little(value: number, size: 1 | 2 | 4 | 8): Uint8Array {
  const out = new Uint8Array(size);
  let rest = value;
  for (let i = 0; i < size; i++) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return out;
}

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** PkgLength: counts itself; the low four bits come first when it takes more than a byte. */
function packageLength(bodyLength: number): Uint8Array {
  if (bodyLength + 1 <= 0x3f) return bytes(bodyLength + 1);
  for (let extra = 1; extra <= 3; extra++) {
    const length = bodyLength + 1 + extra;
    if (length >= 2 ** (4 + 8 * extra)) continue;
    const rest = Array.from({ length: extra }, (_, i) => (length >>> (4 + 8 * i)) & 0xff);
    return bytes((extra << 6) | (length & 0xf), ...rest);
  }
  throw new RangeError("a term longer than AML can say");
}

const packed = (op: readonly number[], ...body: readonly Uint8Array[]): Aml => {
  const content = concat(...body);
  return concat(bytes(...op), packageLength(content.length), content);
};

export function path(name: string): Aml {
  const root = name.startsWith("\\");
  const segments = (root ? name.slice(1) : name).split(".").filter((segment) => segment !== "");
  const encoded = segments.map((segment) => {
    assert(/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment), `an ACPI name segment: ${segment}`);
    return ascii(segment.padEnd(4, "_"));
  });
  const prefix =
    segments.length === 0 ? [0] : segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return concat(root ? ascii("\\") : bytes(), bytes(...prefix), ...encoded);
}

export function integer(value: number): Aml {
  if (value === 0) return bytes(0x00);
  if (value === 1) return bytes(0x01);
  if (value < 0x100) return concat(bytes(0x0a), little(value, 1));
  if (value < 0x1_0000) return concat(bytes(0x0b), little(value, 2));
  if (value < 2 ** 32) return concat(bytes(0x0c), little(value, 4));
  return concat(bytes(0x0e), little(value, 8));
}

export const string = (text: string): Aml => concat(bytes(0x0d), ascii(text), bytes(0));
export const buffer = (content: Uint8Array): Aml => packed([0x11], integer(content.length), content);
export const pack = (...elements: readonly Aml[]): Aml => packed([0x12], bytes(elements.length), ...elements);

export const name = (of: string, value: Aml): Aml => concat(bytes(0x08), path(of), value);
export const scope = (of: string, ...terms: readonly Aml[]): Aml => packed([0x10], path(of), ...terms);
export const device = (of: string, ...terms: readonly Aml[]): Aml => packed([0x5b, 0x82], path(of), ...terms);
export const method = (of: string, argumentCount: number, ...terms: readonly Aml[]): Aml =>
  packed([0x14], path(of), bytes(argumentCount), ...terms);

export const arg = (n: number): Aml => bytes(0x68 + n);
export const local = (n: number): Aml => bytes(0x60 + n);
export const createDwordField = (source: Aml, offset: number, field: string): Aml =>
  concat(bytes(0x8a), source, integer(offset), path(field));
export const ifTrue = (condition: Aml, ...terms: readonly Aml[]): Aml => packed([0xa0], condition, ...terms);
export const otherwise = (...terms: readonly Aml[]): Aml => packed([0xa1], ...terms);
export const give = (value: Aml): Aml => concat(bytes(0xa4), value);
export const store = (value: Aml, target: Aml): Aml => concat(bytes(0x70), value, target);
export const and = (a: Aml, b: Aml, target: Aml): Aml => concat(bytes(0x7b), a, b, target);
export const or = (a: Aml, b: Aml, target: Aml): Aml => concat(bytes(0x7d), a, b, target);
/** Tells the guest's driver of the device at `of` that something has happened. */
export const notify = (of: string, value: number): Aml => concat(bytes(0x86), path(of), integer(value));
export const equal = (a: Aml, b: Aml): Aml => concat(bytes(0x93), a, b);
export const not = (a: Aml): Aml => concat(bytes(0x92), a);

/** "PNP0A08" as the 32-bit number that _HID and _CID hold. */
export function eisaId(id: string): Aml {
  const letter = (i: number): number => id.charCodeAt(i) - 0x40;
  const digit = (i: number): number => Number.parseInt(id[i], 16);
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  return concat(bytes(0x0c, vendor >> 8, vendor & 0xff, (digit(3) << 4) | digit(4), (digit(5) << 4) | digit(6)));
}

/** A UUID in the mixed order that ToUUID gives. */
export function uuid(text: string): Aml {
  const hex = text.replaceAll("-", "");
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return buffer(Uint8Array.from(order, (i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)));
}
