/** The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words. */
import type { Ipv4 } from "./address.ts";

/** Adds the words of `bytes[from, to)` to `sum`; an odd last byte counts as the upper half of a word. */
export function sumWords(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  let total = sum;
  const even = to - ((to - from) & 1);
  for (let at = from; at < even; at += 2) total += (bytes[at] << 8) | bytes[at + 1];
  if (even < to) total += bytes[even] << 8;
  return total;
}

/** The words of the pseudo header that TCP and UDP sum besides their own bytes (RFC 9293, 3.1). */
export const sumPseudoHeader = (source: Ipv4, destination: Ipv4, protocol: number, length: number): number =>
  (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;

/** A sum folded to 16 bits. Requires: below 2^48. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

export const checksumOf = (sum: number): number => ~fold(sum) & 0xffff;
