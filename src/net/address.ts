/** Addresses of the virtual network: IPv4 as unsigned 32-bit numbers, MAC addresses as six bytes. */

declare const ipv4Tag: unique symbol;
/** An IPv4 address, its first byte the highest: 0x0a000202 is 10.0.2.2. */
export type Ipv4 = number & { readonly [ipv4Tag]: true };

export const ipv4 = (value: number): Ipv4 => (value >>> 0) as Ipv4;

/** An address as people write it; undefined for anything else, octal and short forms too. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    value = value * 256 + byte;
  }
  return ipv4(value);
}

export const formatIpv4 = (address: Ipv4): string => [24, 16, 8, 0].map((bit) => (address >>> bit) & 0xff).join(".");

/** Addresses that share their first `bits` bits. */
export interface Ipv4Prefix {
  readonly base: Ipv4;
  readonly bits: number;
}

/** `10.0.0.0/8`, or a single address. */
export function parsePrefix(text: string): Ipv4Prefix | undefined {
  const [address, bitsText, ...rest] = text.split("/");
  const base = parseIpv4(address as string);
  if (base === undefined || rest.length > 0) return undefined;
  if (bitsText === undefined) return { base, bits: 32 };
  const bits = /^\d{1,2}$/.test(bitsText) ? Number(bitsText) : 33;
  return bits <= 32 ? { base: ipv4(base & maskOf(bits)), bits } : undefined;
}

export const maskOf = (bits: number): Ipv4 => ipv4(bits === 0 ? 0 : -1 << (32 - bits));

export const inPrefix = (address: Ipv4, { base, bits }: Ipv4Prefix): boolean => ((address ^ base) & maskOf(bits)) === 0;

export type Mac = Uint8Array;

export const broadcastMac: Mac = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

/** `52:54:00:12:34:56`; undefined for anything else, and for group addresses, which no card can have. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const mac = Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
  return (mac[0] & 1) === 0 ? mac : undefined;
}

export const formatMac = (mac: Mac): string => [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
