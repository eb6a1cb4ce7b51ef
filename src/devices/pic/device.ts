/**
 * The 8259A pair of a PC: the slave's output is the master's input 2; the master's output is INTR.
 *
 * Law: `onIntr` has been told of every change of INTR, and of the vector behind it. IRQ n is input n of the master, n - 8 of the slave.
 */
import type { AccessSize, PortDevice } from "../bus.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { PicChip } from "./chip.ts";
import { newPicState, type PicState } from "./persist.ts";

const masterPort = 0x20;
const slavePort = 0xa0;
const elcrPort = 0x4d0;
const cascade = 2;

export const picPorts = [
  [masterPort, 2],
  [slavePort, 2],
  [elcrPort, 2],
] as const;

export class Pic implements PortDevice, Stateful<PicState> {
  readonly #state: PicState = newPicState();
  readonly #master = new PicChip(this.#state.master, true);
  readonly #slave = new PicChip(this.#state.slave, false);
  readonly #onIntr: (level: boolean) => void;
  #intr = false;

  constructor(onIntr: (level: boolean) => void) {
    this.#onIntr = onIntr;
  }

  setIrq(irq: number, asserted: boolean): void {
    if (irq < 0 || irq > 15 || irq === cascade) return;
    if (irq < 8) this.#master.setLine(irq, asserted);
    else this.#slave.setLine(irq - 8, asserted);
    this.#update();
  }

  /** The vector an acknowledge would give. */
  peek(): number {
    const input = this.#master.pendingInput();
    if (input < 0) return this.#master.vectorOf(7);
    if (input !== cascade) return this.#master.vectorOf(input);
    const second = this.#slave.pendingInput();
    return this.#slave.vectorOf(second < 0 ? 7 : second);
  }

  /** The CPU's interrupt acknowledge cycle: gives the vector; input 7's when the request has gone (spurious). */
  acknowledge(): number {
    const vector = this.peek();
    const input = this.#master.pendingInput();
    if (input >= 0) this.#master.acknowledge(input);
    if (input === cascade) {
      const second = this.#slave.pendingInput();
      if (second >= 0) this.#slave.acknowledge(second);
      // Should the slave want more at once, the master is to see an edge.
      this.#master.setLine(cascade, false);
    }
    this.#update();
    return vector;
  }

  readPort(port: number, size: AccessSize): number {
    if (size !== 1) return 0xffff_ffff;
    if (port === elcrPort) return this.#master.elcr;
    if (port === elcrPort + 1) return this.#slave.elcr;
    const value = (port & 0x80) === 0 ? this.#master.read((port & 1) !== 0) : this.#slave.read((port & 1) !== 0);
    this.#update(); // a poll acknowledges
    return value;
  }

  writePort(port: number, _size: AccessSize, value: number): void {
    const byte = value & 0xff;
    if (port === elcrPort) this.#master.elcr = byte;
    else if (port === elcrPort + 1) this.#slave.elcr = byte;
    else if ((port & 0x80) === 0) this.#master.write((port & 1) !== 0, byte);
    else this.#slave.write((port & 1) !== 0, byte);
    this.#update();
  }

  save(): PicState {
    return copyState(this.#state);
  }

  restore(saved: PicState): void {
    restoreState(this.#state, saved);
    this.#intr = this.#master.pendingInput() >= 0;
    this.#onIntr(this.#intr);
  }

  #update(): void {
    this.#master.setLine(cascade, this.#slave.pendingInput() >= 0);
    const intr = this.#master.pendingInput() >= 0;
    // While INTR stays high the vector behind it may have changed.
    if (!intr && !this.#intr) return;
    this.#intr = intr;
    this.#onIntr(intr);
  }
}
