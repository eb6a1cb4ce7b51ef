/**
 * MSI-X of one function (PCI Local Bus 3.0, "MSI-X Capability and Table Structures"): a message for each vector, written by
 * the driver into a table in a BAR, and a bit for each that waits because it is masked.
 *
 * Law: a message that is signalled while its vector or the whole function is masked goes out once both are not.
 */
import { copyState, restoreState, type Stateful } from "../state.ts";
import type { PciFunction } from "./function.ts";

const capabilityId = 0x11;
const entryBytes = 16;
const entryMasked = 1;
/** Message control, upper byte. */
const controlEnable = 0x80;
const controlMask = 0x40;

export interface MsixPlace {
  readonly vectors: number;
  readonly bar: number;
  readonly tableOffset: number;
  readonly pendingOffset: number;
}

/** Four words an entry: address, upper address, data, vector control; then a bit a vector. */
export type MsixState = { table: Uint8Array; pending: Uint8Array };

export class Msix implements Stateful<MsixState> {
  readonly vectors: number;
  readonly #function: PciFunction;
  readonly #control: number;
  readonly #send: (address: number, data: number) => void;
  readonly #state: MsixState;
  readonly #table: Uint32Array;
  readonly #pending: Uint32Array;

  /** `send`: writes a message, to an address below 4 GiB. */
  constructor(device: PciFunction, place: MsixPlace, send: (address: number, data: number) => void) {
    const { vectors } = place;
    this.vectors = vectors;
    this.#function = device;
    this.#send = send;
    this.#state = { table: new Uint8Array(vectors * entryBytes), pending: new Uint8Array(Math.ceil(vectors / 64) * 8) };
    this.#table = new Uint32Array(this.#state.table.buffer);
    this.#pending = new Uint32Array(this.#state.pending.buffer);
    for (let vector = 0; vector < vectors; vector++) this.#table[4 * vector + 3] = entryMasked;
    const body = new DataView(new ArrayBuffer(10));
    body.setUint16(0, vectors - 1, true);
    body.setUint32(2, place.tableOffset | place.bar, true);
    body.setUint32(6, place.pendingOffset | place.bar, true);
    const writable = new Uint8Array(10);
    writable[1] = controlEnable | controlMask;
    this.#control = device.addCapability(capabilityId, new Uint8Array(body.buffer), writable) + 3;
  }

  get enabled(): boolean {
    return (this.#function.config[this.#control] & controlEnable) !== 0;
  }

  /** To be called after a write to configuration space: the function may be unmasked now. */
  configWritten(): void {
    for (let vector = 0; vector < this.vectors; vector++) this.#sendPending(vector);
  }

  /** Sends the message of a vector, now or when it is unmasked. A vector that does not exist is no message. */
  signal(vector: number): void {
    if (vector >= this.vectors || !this.enabled) return;
    this.#pending[vector >> 5] |= 1 << (vector & 31);
    this.#sendPending(vector);
  }

  readTable(offset: number): number {
    return this.#table[offset >> 2] ?? 0;
  }

  /** Requires: whole words; others are dropped, as the specification allows. */
  writeTable(offset: number, value: number): void {
    const word = offset >> 2;
    if (word >= this.#table.length) return;
    this.#table[word] = (word & 3) === 3 ? value & entryMasked : (word & 3) === 0 ? value & ~3 : value;
    if ((word & 3) === 3) this.#sendPending(word >> 2);
  }

  readPending(offset: number): number {
    return this.#pending[offset >> 2] ?? 0;
  }

  save(): MsixState {
    return copyState(this.#state);
  }

  restore(saved: MsixState): void {
    restoreState(this.#state, saved);
  }

  #sendPending(vector: number): void {
    const bit = 1 << (vector & 31);
    if ((this.#pending[vector >> 5] & bit) === 0 || !this.enabled) return;
    const functionMasked = (this.#function.config[this.#control] & controlMask) !== 0;
    const at = 4 * vector;
    if (functionMasked || (this.#table[at + 3] & entryMasked) !== 0) return;
    this.#pending[vector >> 5] &= ~bit;
    // Elsewhere than below 4 GiB there are no local APICs to take it.
    if (this.#table[at + 1] === 0) this.#send(this.#table[at], this.#table[at + 2]);
  }
}
