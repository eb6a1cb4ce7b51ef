/**
 * The memory device (virtio 1.2, "Memory Device"): a region of guest memory whose blocks the driver plugs and unplugs, as far as the
 * host asks it to, so that a machine grows and shrinks while it runs.
 *
 * Laws: what is plugged is memory, what is not is none, for the guest and for devices; no more is ever plugged than was requested when it
 * was; a block that is unplugged has no frame. A driver that is reset finds the region as it left it.
 */
import { littleEndian } from "#base";
import { copyState, restoreState, StateError } from "../../state.ts";
import type { Chain, VirtioDevice, VirtioDriver } from "../device.ts";
import { newPluggedMemoryState, type PluggedMemoryState } from "./persist.ts";
import {
  answerType,
  blockState,
  encodeAnswer,
  type MemRequest,
  parseRequest,
  plugBlockBytes,
  requestBytes,
} from "./request.ts";

/** The driver does not touch what is not plugged, not even to read it. */
const VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE = 1n << 1n;

const { VIRTIO_MEM_RESP_ACK, VIRTIO_MEM_RESP_NACK, VIRTIO_MEM_RESP_BUSY, VIRTIO_MEM_RESP_ERROR } = answerType;
const configBytes = 56;

/** Guest memory that comes and goes. Offsets are from its beginning; all are multiples of a block's size. */
export interface PluggableRegion {
  readonly base: number;
  readonly sizeBytes: number;
  plug(offset: number, sizeBytes: number): void;
  /** False, and nothing done, while somebody works on it. */
  unplug(offset: number, sizeBytes: number): boolean;
}

export class PluggedMemory implements VirtioDevice<PluggedMemoryState> {
  readonly type = 24;
  readonly classCode = 0x05_8000;
  readonly features = VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE;
  readonly queueSizes = [8];
  readonly #region: PluggableRegion;
  readonly #state: PluggedMemoryState;
  #driver: VirtioDriver | undefined;

  /** Requires: the region is of whole blocks, and none is plugged. */
  constructor(region: PluggableRegion) {
    this.#region = region;
    this.#state = newPluggedMemoryState(region.sizeBytes / plugBlockBytes);
  }

  /** Asks the guest to have so many bytes of the region; it does what it can. Requires: whole blocks, no more than there are. */
  request(bytes: number): void {
    if (bytes === this.#state.requested) return;
    this.#state.requested = bytes;
    this.#driver?.configChanged();
  }

  get regionBytes(): number {
    return this.#region.sizeBytes;
  }

  get requestedBytes(): number {
    return this.#state.requested;
  }

  get pluggedBytes(): number {
    return this.#count(0, this.#state.plugged.length) * plugBlockBytes;
  }

  /** struct virtio_mem_config. */
  readConfig(offset: number, size: number): number {
    const config = new DataView(new ArrayBuffer(configBytes));
    const fields = [
      [0, plugBlockBytes],
      [16, this.#region.base],
      [24, this.#region.sizeBytes],
      [32, this.#region.sizeBytes],
      [40, this.pluggedBytes],
      [48, this.#state.requested],
    ] as const;
    for (const [at, value] of fields) config.setBigUint64(at, BigInt(value), true);
    return littleEndian(new Uint8Array(config.buffer), offset, size);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
  }

  kick(): void {
    const requests = this.#driver?.queues[0];
    if (requests === undefined) return;
    for (let chain = requests.pop(); chain !== undefined; chain = requests.pop())
      requests.push(chain, chain.write(0, this.#answer(chain)));
    requests.flush();
  }

  stop(): void {
    this.#driver = undefined;
  }

  save(): PluggedMemoryState {
    return copyState(this.#state);
  }

  restore(saved: PluggedMemoryState): void {
    const { requested } = saved;
    if (requested !== undefined && !(requested % plugBlockBytes === 0 && requested <= this.#region.sizeBytes))
      throw new StateError("more memory is requested than can be plugged in");
    restoreState(this.#state, saved);
    for (const [block, plugged] of this.#state.plugged.entries())
      if (plugged !== 0) this.#region.plug(block * plugBlockBytes, plugBlockBytes);
  }

  #answer(chain: Chain): Uint8Array {
    const bytes = new Uint8Array(requestBytes);
    const request = parseRequest(
      bytes.subarray(0, chain.read(0, bytes)),
      this.#region.base,
      this.#state.plugged.length,
    );
    return request === undefined ? encodeAnswer(VIRTIO_MEM_RESP_ERROR) : this.#carryOut(request);
  }

  #carryOut(request: MemRequest): Uint8Array {
    const all = this.#state.plugged.length;
    if (request.kind === "unplug all") return encodeAnswer(this.#unplug(0, all));
    const { kind, first, count } = request;
    const plugged = this.#count(first, count);
    switch (kind) {
      case "plug":
        return encodeAnswer(plugged === 0 ? this.#plug(first, count) : VIRTIO_MEM_RESP_ERROR);
      case "unplug":
        return encodeAnswer(plugged === count ? this.#unplug(first, count) : VIRTIO_MEM_RESP_ERROR);
      case "state":
        return encodeAnswer(VIRTIO_MEM_RESP_ACK, stateOf(plugged, count));
    }
  }

  #plug(first: number, count: number): number {
    if (this.pluggedBytes + count * plugBlockBytes > this.#state.requested) return VIRTIO_MEM_RESP_NACK;
    this.#region.plug(first * plugBlockBytes, count * plugBlockBytes);
    this.#state.plugged.fill(1, first, first + count);
    return VIRTIO_MEM_RESP_ACK;
  }

  #unplug(first: number, count: number): number {
    if (!this.#region.unplug(first * plugBlockBytes, count * plugBlockBytes)) return VIRTIO_MEM_RESP_BUSY;
    this.#state.plugged.fill(0, first, first + count);
    return VIRTIO_MEM_RESP_ACK;
  }

  #count(first: number, count: number): number {
    return this.#state.plugged.subarray(first, first + count).reduce((sum, plugged) => sum + plugged, 0);
  }
}

function stateOf(plugged: number, count: number): number {
  if (plugged === 0) return blockState.VIRTIO_MEM_STATE_UNPLUGGED;
  return plugged === count ? blockState.VIRTIO_MEM_STATE_PLUGGED : blockState.VIRTIO_MEM_STATE_MIXED;
}
