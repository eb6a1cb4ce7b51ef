/** Numbers and layouts of virtio 1.2, "Console Device". */

export const VIRTIO_CONSOLE_F_SIZE = 1n << 0n;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1n << 1n;

/** struct virtio_console_control: le32 port, le16 event, le16 value; a name follows where there is one. */
export const controlBytes = 8;

export const controlEvent = {
  deviceReady: 0,
  portAdd: 1,
  portRemove: 2,
  portReady: 3,
  consolePort: 4,
  resize: 5,
  portOpen: 6,
  portName: 7,
} as const;

export interface Control {
  readonly port: number;
  readonly event: number;
  readonly value: number;
}

export function parseControl(bytes: Uint8Array): Control {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { port: view.getUint32(0, true), event: view.getUint16(4, true), value: view.getUint16(6, true) };
}

export function buildControl({ port, event, value }: Control, more: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(controlBytes + more.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, port, true);
  view.setUint16(4, event, true);
  view.setUint16(6, value, true);
  bytes.set(more, controlBytes);
  return bytes;
}

/** Queues 0 and 1 are port 0's, 2 and 3 the control queues, and from 4 on come the other ports'. */
export const receiveQueue = (port: number): number => (port === 0 ? 0 : 2 * port + 2);
export const transmitQueue = (port: number): number => receiveQueue(port) + 1;
export const controlReceive = 2;
export const controlTransmit = 3;

/** The port that a data queue belongs to. Requires: no control queue. */
export const portOf = (queue: number): number => (queue < 2 ? 0 : (queue >> 1) - 1);
