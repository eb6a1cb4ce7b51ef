/** Numbers and layouts of virtio 1.2, "Socket Device". */

export const hostCid = 2;
export const guestCid = 3;

export const streamType = 1;

export const packetOp = {
  request: 1,
  response: 2,
  reset: 3,
  shutdown: 4,
  data: 5,
  creditUpdate: 6,
  creditRequest: 7,
} as const;

/** Of a shutdown. */
export const shutdownFlag = { receive: 1, send: 2, both: 3 } as const;

/** VIRTIO_VSOCK_EVENT_TRANSPORT_RESET: all connections are lost. */
export const transportReset = 0;

/** struct virtio_vsock_hdr: le64 CIDs and le32 ports of source and destination, le32 length, le16 type, op, le32 flags, credit. */
export const headerBytes = 44;

export interface Packet {
  readonly sourceCid: bigint;
  readonly targetCid: bigint;
  readonly sourcePort: number;
  readonly targetPort: number;
  /** Of the data that follow. */
  readonly length: number;
  readonly type: number;
  readonly op: number;
  readonly flags: number;
  /** How much the sender takes at all, and how much of that its reader has taken: counts since the start, modulo 2^32. */
  readonly bufferBytes: number;
  readonly forwarded: number;
}

/** Requires: `headerBytes` of them. */
export function parsePacket(bytes: Uint8Array): Packet {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sourceCid: view.getBigUint64(0, true),
    targetCid: view.getBigUint64(8, true),
    sourcePort: view.getUint32(16, true),
    targetPort: view.getUint32(20, true),
    length: view.getUint32(24, true),
    type: view.getUint16(28, true),
    op: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufferBytes: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
  };
}

export function buildPacket(packet: Packet): Uint8Array {
  const view = new DataView(new ArrayBuffer(headerBytes));
  view.setBigUint64(0, packet.sourceCid, true);
  view.setBigUint64(8, packet.targetCid, true);
  view.setUint32(16, packet.sourcePort, true);
  view.setUint32(20, packet.targetPort, true);
  view.setUint32(24, packet.length, true);
  view.setUint16(28, packet.type, true);
  view.setUint16(30, packet.op, true);
  view.setUint32(32, packet.flags, true);
  view.setUint32(36, packet.bufferBytes, true);
  view.setUint32(40, packet.forwarded, true);
  return new Uint8Array(view.buffer);
}
