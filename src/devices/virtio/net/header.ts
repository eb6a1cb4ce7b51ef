/**
 * The header before each frame of the network device (virtio 1.2, "Device Operation" of the network device), and what it
 * says in the words of the link.
 */
import type { Offload } from "#net";

export const headerBytes = 12;

const flagNeedsChecksum = 1;
const gsoNone = 0;
const gsoTcp4 = 1;
/** Explicit congestion notification is no business of a link without congestion. */
const gsoEcn = 0x80;

const ethernetBytes = 14;
const etherTypeIpv4 = 0x0800;
/** Where each protocol's checksum lies in its header. */
const checksumOffsets: Readonly<Record<number, number>> = { 6: 16, 17: 6 };
const tcpOffset = 12;

/**
 * What the driver's header says of its frame; undefined where it makes no sense. A checksum that the network would not finish by
 * itself (of a tunnel's inside, say) is finished in the frame.
 */
export function readHeader(header: Uint8Array, frame: Uint8Array): Offload | undefined {
  const view = new DataView(header.buffer, header.byteOffset, headerBytes);
  const gso = view.getUint8(1) & ~gsoEcn;
  if (gso !== gsoNone && gso !== gsoTcp4) return undefined;
  const segmentBytes = gso === gsoTcp4 ? view.getUint16(4, true) : 0;
  if ((view.getUint8(0) & flagNeedsChecksum) === 0) return { partialChecksum: false, segmentBytes };
  const start = view.getUint16(6, true);
  const offset = view.getUint16(8, true);
  if (start + offset + 2 > frame.length) return undefined;
  if (isTransport(frame, start, offset)) return { partialChecksum: true, segmentBytes };
  finishChecksum(frame, start, start + offset);
  return { partialChecksum: false, segmentBytes };
}

/** Writes the header of a frame to the driver: `buffers` pieces of its memory hold it. */
export function writeHeader(
  header: Uint8Array,
  frame: Uint8Array,
  { partialChecksum, segmentBytes }: Offload,
  buffers: number,
): void {
  const view = new DataView(header.buffer, header.byteOffset, headerBytes);
  header.fill(0);
  view.setUint16(10, buffers, true);
  if (!partialChecksum) return;
  const start = ethernetBytes + (frame[ethernetBytes] & 15) * 4;
  header[0] = flagNeedsChecksum;
  view.setUint16(6, start, true);
  view.setUint16(8, checksumOffsets[frame[ethernetBytes + 9]] ?? 0, true);
  if (segmentBytes === 0) return;
  header[1] = gsoTcp4;
  view.setUint16(2, start + (frame[start + tcpOffset] >> 4) * 4, true);
  view.setUint16(4, segmentBytes, true);
}

/** Whether the checksum is that of TCP or UDP in a plain IPv4 packet. */
function isTransport(frame: Uint8Array, start: number, offset: number): boolean {
  if (frame.length < ethernetBytes + 20 || ((frame[12] << 8) | frame[13]) !== etherTypeIpv4) return false;
  return (
    start === ethernetBytes + (frame[ethernetBytes] & 15) * 4 && checksumOffsets[frame[ethernetBytes + 9]] === offset
  );
}

function finishChecksum(frame: Uint8Array, start: number, at: number): void {
  let sum = 0;
  for (let i = start; i < frame.length; i += 2) sum += (frame[i] << 8) | (frame[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame[at] = (~sum >> 8) & 0xff;
  frame[at + 1] = ~sum & 0xff;
}
