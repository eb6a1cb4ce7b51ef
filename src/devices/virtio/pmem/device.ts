/**
 * The persistent memory device (virtio 1.2, "PMEM Device"): says where a region of guest memory lies that outlives the machine, and
 * makes what was stored there safe when the driver asks.
 *
 * The guest reads and stores by its processor: of that the device sees nothing. A request is a u32, 0 for flush; the answer a u32, 0
 * for done. Law: what was stored before a flush that is answered with 0 survives.
 */
import { littleEndian } from "#base";
import { copyState, restoreState } from "../../state.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { newPmemState, type PmemState } from "./persist.ts";

const VIRTIO_PMEM_REQ_TYPE_FLUSH = 0;
const answerBytes = 4;
const requestBytes = 4;
const failed = 1;
const configBytes = 16;

/** The region of guest memory that the device stands for. */
export interface PersistentRegion {
  readonly base: number;
  readonly sizeBytes: number;
  /** Makes safe what has been stored in it. False where the host cannot. */
  flush(): boolean;
}

export class Pmem implements VirtioDevice<PmemState> {
  readonly type = 27;
  readonly classCode = 0x05_8000;
  readonly features = 0n;
  readonly queueSizes = [64];
  readonly #region: PersistentRegion;
  readonly #state = newPmemState();
  #requests: Virtqueue | undefined;

  constructor(region: PersistentRegion) {
    this.#region = region;
  }

  /** struct virtio_pmem_config: le64 start, le64 size. */
  readConfig(offset: number, size: number): number {
    const config = new DataView(new ArrayBuffer(configBytes));
    config.setBigUint64(0, BigInt(this.#region.base), true);
    config.setBigUint64(8, BigInt(this.#region.sizeBytes), true);
    return littleEndian(new Uint8Array(config.buffer), offset, size);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    [this.#requests] = driver.queues;
  }

  /** One flush answers all that wait for one. */
  kick(): void {
    const requests = this.#requests;
    if (requests === undefined) return;
    const chains: Chain[] = [];
    for (let chain = requests.pop(); chain !== undefined; chain = requests.pop()) chains.push(chain);
    const flushed = chains.some(isFlush) && this.#region.flush();
    for (const chain of chains) {
      const answer = new DataView(new ArrayBuffer(answerBytes));
      answer.setUint32(0, flushed && isFlush(chain) ? 0 : failed, true);
      requests.push(chain, chain.write(0, new Uint8Array(answer.buffer)));
    }
    requests.flush();
  }

  stop(): void {
    this.#requests = undefined;
  }

  save(): PmemState {
    return copyState(this.#state);
  }

  restore(saved: PmemState): void {
    restoreState(this.#state, saved);
  }
}

function isFlush(chain: Chain): boolean {
  const request = new Uint8Array(requestBytes);
  return (
    chain.read(0, request) === requestBytes &&
    new DataView(request.buffer).getUint32(0, true) === VIRTIO_PMEM_REQ_TYPE_FLUSH
  );
}
