/** Ethernet II frames, and ARP for IPv4 in them (RFC 894, RFC 826). */
import { broadcastMac, type Ipv4, ipv4, type Mac } from "./address.ts";

export const ethernetHeaderBytes = 14;
export const etherType = { ipv4: 0x0800, arp: 0x0806 } as const;

export interface EthernetHeader {
  readonly source: Mac;
  readonly type: number;
}

/** Views on the frame; undefined for one too short to have a header. */
export function parseEthernet(frame: Uint8Array): EthernetHeader | undefined {
  if (frame.length < ethernetHeaderBytes) return undefined;
  return { source: frame.subarray(6, 12), type: (frame[12] << 8) | frame[13] };
}

export function writeEthernet(frame: Uint8Array, destination: Mac, source: Mac, type: number): void {
  frame.set(destination, 0);
  frame.set(source, 6);
  frame[12] = type >> 8;
  frame[13] = type & 0xff;
}

export const arpOperation = { request: 1, reply: 2 } as const;
const arpBytes = 28;

export interface Arp {
  readonly operation: number;
  readonly senderMac: Mac;
  readonly sender: Ipv4;
  readonly target: Ipv4;
}

/** `packet`: what follows Ethernet's header. Undefined for what is not ARP for IPv4 on Ethernet. */
export function parseArp(packet: Uint8Array): Arp | undefined {
  if (packet.length < arpBytes) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, arpBytes);
  // Hardware type Ethernet, protocol IPv4, addresses of 6 and 4 bytes.
  if (view.getUint32(0) !== 0x0001_0800 || view.getUint16(4) !== 0x0604) return undefined;
  return {
    operation: view.getUint16(6),
    senderMac: packet.subarray(8, 14),
    sender: ipv4(view.getUint32(14)),
    target: ipv4(view.getUint32(24)),
  };
}

/** A whole frame that asks who has `to`, or tells that it is `from`'s. */
export function arpFrame(
  operation: number,
  from: { readonly mac: Mac; readonly address: Ipv4 },
  to: { readonly mac: Mac; readonly address: Ipv4 },
): Uint8Array {
  const frame = new Uint8Array(ethernetHeaderBytes + arpBytes);
  const request = operation === arpOperation.request;
  writeEthernet(frame, request ? broadcastMac : to.mac, from.mac, etherType.arp);
  const view = new DataView(frame.buffer, ethernetHeaderBytes);
  view.setUint32(0, 0x0001_0800);
  view.setUint16(4, 0x0604);
  view.setUint16(6, operation);
  frame.set(from.mac, ethernetHeaderBytes + 8);
  view.setUint32(14, from.address);
  if (!request) frame.set(to.mac, ethernetHeaderBytes + 18);
  view.setUint32(24, to.address);
  return frame;
}
