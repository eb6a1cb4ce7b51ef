/**
 * The entropy device (virtio 1.2, "Entropy Device"): fills what it is given with random bytes. The pattern of a virtio device.
 *
 * One queue, no configuration, no state of its own.
 */

import { copyState, restoreState } from "../../state.ts";
import type { VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { newRngState, type RngState } from "./persist.ts";

/** A request gets no more than this; the specification lets a device write less than there is room for. */
const maxBytes = 4096;

export class Rng implements VirtioDevice<RngState> {
  readonly type = 4;
  readonly classCode = 0xff_0000;
  readonly features = 0n;
  readonly queueSizes = [64];
  readonly #state = newRngState();
  readonly #fill: (target: Uint8Array) => void;
  #requests: Virtqueue | undefined;

  /** `fill`: the machine's source of random numbers. */
  constructor(fill: (target: Uint8Array) => void) {
    this.#fill = fill;
  }

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    [this.#requests] = driver.queues;
  }

  kick(): void {
    const requests = this.#requests;
    if (requests === undefined) return;
    for (let chain = requests.pop(); chain !== undefined; chain = requests.pop()) {
      const bytes = new Uint8Array(Math.min(chain.writableBytes, maxBytes));
      this.#fill(bytes);
      requests.push(chain, chain.write(0, bytes));
    }
    requests.flush();
  }

  stop(): void {
    this.#requests = undefined;
  }

  save(): RngState {
    return copyState(this.#state);
  }

  restore(saved: RngState): void {
    restoreState(this.#state, saved);
  }
}
