/** IPv4 headers (RFC 791). Options of received packets are skipped, none are sent. */
import { type Ipv4, ipv4 } from "./address.ts";
import { checksumOf, fold, sumWords } from "./checksum.ts";

export const ipv4HeaderBytes = 20;
export const protocol = { icmp: 1, tcp: 6, udp: 17 } as const;

export interface Ipv4Packet {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly id: number;
  /** Of a fragment: where its payload lies in the whole, in bytes. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** A view on the frame. */
  readonly payload: Uint8Array;
  /** Header and payload, for ICMP errors to quote. */
  readonly whole: Uint8Array;
}

/** `bytes`: what follows Ethernet's header, its padding included. Undefined for what is no sound packet. */
export function parseIpv4Packet(bytes: Uint8Array): Ipv4Packet | undefined {
  if (bytes.length < ipv4HeaderBytes || bytes[0] >> 4 !== 4) return undefined;
  const headerBytes = (bytes[0] & 15) * 4;
  const totalBytes = (bytes[2] << 8) | bytes[3];
  if (headerBytes < ipv4HeaderBytes || totalBytes < headerBytes || totalBytes > bytes.length) return undefined;
  if (fold(sumWords(bytes, 0, headerBytes)) !== 0xffff) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const fragment = view.getUint16(6);
  const fragmentOffset = (fragment & 0x1fff) * 8;
  const payload = bytes.subarray(headerBytes, totalBytes);
  if (fragmentOffset + payload.length > 0xffff) return undefined;
  return {
    source: ipv4(view.getUint32(12)),
    destination: ipv4(view.getUint32(16)),
    protocol: bytes[9],
    id: view.getUint16(4),
    fragmentOffset,
    moreFragments: (fragment & 0x2000) !== 0,
    payload,
    whole: bytes.subarray(0, totalBytes),
  };
}

export interface Ipv4Fields {
  readonly source: Ipv4;
  readonly destination: Ipv4;
  readonly protocol: number;
  readonly id?: number;
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
}

const timeToLive = 64;

/** Writes the header of a packet with `payloadBytes` behind it, its checksum too. */
export function writeIpv4Header(bytes: Uint8Array, at: number, fields: Ipv4Fields, payloadBytes: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, ipv4HeaderBytes);
  const { fragmentOffset = 0, moreFragments = false } = fields;
  const fragmented = fragmentOffset > 0 || moreFragments;
  view.setUint16(0, 0x4500);
  view.setUint16(2, ipv4HeaderBytes + payloadBytes);
  view.setUint16(4, fields.id ?? 0);
  // Don't Fragment, but on fragments.
  view.setUint16(6, (fragmented ? 0 : 0x4000) | (moreFragments ? 0x2000 : 0) | (fragmentOffset >> 3));
  view.setUint16(8, (timeToLive << 8) | fields.protocol);
  view.setUint16(10, 0);
  view.setUint32(12, fields.source);
  view.setUint32(16, fields.destination);
  view.setUint16(10, checksumOf(sumWords(bytes, at, at + ipv4HeaderBytes)));
}
