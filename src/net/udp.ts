/** UDP headers (RFC 768). */
import type { Ipv4 } from "./address.ts";
import { checksumOf, fold, sumPseudoHeader, sumWords } from "./checksum.ts";
import { protocol } from "./ipv4.ts";

export const udpHeaderBytes = 8;
export const udpChecksumOffset = 6;

export interface Datagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Undefined for what is no sound datagram. `checked`: the checksum needs no look. */
export function parseUdp(bytes: Uint8Array, source: Ipv4, destination: Ipv4, checked: boolean): Datagram | undefined {
  if (bytes.length < udpHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, udpHeaderBytes);
  const length = view.getUint16(4);
  if (length < udpHeaderBytes || length > bytes.length) return undefined;
  // Zero means that the sender made none.
  if (!checked && view.getUint16(6) !== 0) {
    const sum = sumWords(bytes, 0, length, sumPseudoHeader(source, destination, protocol.udp, length));
    if (fold(sum) !== 0xffff) return undefined;
  }
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: bytes.subarray(udpHeaderBytes, length),
  };
}

/** Header, payload and checksum. */
export function buildUdp(
  source: { readonly address: Ipv4; readonly port: number },
  destination: { readonly address: Ipv4; readonly port: number },
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(udpHeaderBytes + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, source.port);
  view.setUint16(2, destination.port);
  view.setUint16(4, bytes.length);
  bytes.set(payload, udpHeaderBytes);
  const pseudo = sumPseudoHeader(source.address, destination.address, protocol.udp, bytes.length);
  const checksum = checksumOf(sumWords(bytes, 0, bytes.length, pseudo));
  view.setUint16(udpChecksumOffset, checksum === 0 ? 0xffff : checksum);
  return bytes;
}
