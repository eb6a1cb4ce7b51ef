/**
 * What a driver asks of the memory device, and what it is answered (virtio 1.2, "Memory Device: Device Operation"), as bytes.
 *
 * A request is a u16 type, 6 bytes of padding, u64 address, u16 number of blocks, padding; an answer a u16 type, 6 bytes of padding, u16 state.
 */

/** The device's block: all it plugs and unplugs is whole ones. */
export const plugBlockBytes = 4 << 20;

const requestType = {
  VIRTIO_MEM_REQ_PLUG: 0,
  VIRTIO_MEM_REQ_UNPLUG: 1,
  VIRTIO_MEM_REQ_UNPLUG_ALL: 2,
  VIRTIO_MEM_REQ_STATE: 3,
} as const;

/** Blocks are counted from the region's first one. All of them are in it. */
export type MemRequest =
  | { readonly kind: "plug" | "unplug" | "state"; readonly first: number; readonly count: number }
  | { readonly kind: "unplug all" };

export const answerType = {
  VIRTIO_MEM_RESP_ACK: 0,
  VIRTIO_MEM_RESP_NACK: 1,
  VIRTIO_MEM_RESP_BUSY: 2,
  VIRTIO_MEM_RESP_ERROR: 3,
} as const;

export const blockState = {
  VIRTIO_MEM_STATE_PLUGGED: 0,
  VIRTIO_MEM_STATE_UNPLUGGED: 1,
  VIRTIO_MEM_STATE_MIXED: 2,
} as const;

export const requestBytes = 24;
const answerBytes = 10;

/** Of a region of `blocks` blocks from the address `base` on. Undefined for what is none: an error to the driver. */
export function parseRequest(bytes: Uint8Array, base: number, blocks: number): MemRequest | undefined {
  if (bytes.length < requestBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = view.getUint16(0, true);
  if (type === requestType.VIRTIO_MEM_REQ_UNPLUG_ALL) return { kind: "unplug all" };
  const kind = kinds[type];
  // An address too large for a number to hold lies in no region, rounded or not.
  const first = (Number(view.getBigUint64(8, true)) - base) / plugBlockBytes;
  const count = view.getUint16(16, true);
  if (kind === undefined || !Number.isInteger(first) || first < 0 || count === 0 || first + count > blocks)
    return undefined;
  return { kind, first, count };
}

const kinds: Readonly<Record<number, "plug" | "unplug" | "state">> = {
  [requestType.VIRTIO_MEM_REQ_PLUG]: "plug",
  [requestType.VIRTIO_MEM_REQ_UNPLUG]: "unplug",
  [requestType.VIRTIO_MEM_REQ_STATE]: "state",
};

export function encodeAnswer(type: number, state = 0): Uint8Array {
  const answer = new DataView(new ArrayBuffer(answerBytes));
  answer.setUint16(0, type, true);
  answer.setUint16(8, state, true);
  return new Uint8Array(answer.buffer);
}
