/**
 * The arena: the one shared WebAssembly.Memory in which a process keeps all guests' frames, vCPUs and code tables.
 *
 * The memory grows while the Wasm runtime runs, so that views are made anew through the accessors here, never kept
 * across a call that may allot frames.
 */
import { assert } from "#base";
import { arenaLayout, processFields } from "./arena-layout.ts";

const initialPages = (arenaLayout.FRAMES >> 16) + 256;

export class Arena {
  readonly memory = new WebAssembly.Memory({ initial: initialPages, maximum: 65536, shared: true });
  #allotted: number = arenaLayout.ALLOTTED;
  #u8 = new Uint8Array(this.memory.buffer);
  #i32 = new Int32Array(this.memory.buffer);
  #u64 = new BigUint64Array(this.memory.buffer);

  /** `frameLimit`: frames that all guests together may have. */
  constructor(frameLimit = (2 ** 32 - arenaLayout.FRAMES) / 4096) {
    const words = this.i32;
    const set = (field: number, value: number): void => {
      words[(arenaLayout.PROCESS + field) >> 2] = value;
    };
    set(processFields.P_FRAME_NEXT, arenaLayout.FRAMES);
    set(processFields.P_ARENA_END, initialPages << 16);
    set(processFields.P_BLOCK_NEXT, arenaLayout.BLOCKS);
    set(processFields.P_FRAME_LIMIT, frameLimit);
  }

  get u8(): Uint8Array {
    this.#refresh();
    return this.#u8;
  }
  get i32(): Int32Array {
    this.#refresh();
    return this.#i32;
  }
  get u64(): BigUint64Array {
    this.#refresh();
    return this.#u64;
  }

  /** Frames in use, of all guests. */
  get framesUsed(): number {
    return this.i32[(arenaLayout.PROCESS + processFields.P_FRAMES_USED) >> 2];
  }

  /** Zeroed bytes for a table or a record, for good; aligned to 4096. */
  allot(bytes: number): number {
    const at = this.#allotted;
    this.#allotted += Math.ceil(bytes / 4096) * 4096;
    assert(this.#allotted <= arenaLayout.FRAME_RECORDS, "the arena's tables fit their place");
    return at;
  }

  #refresh(): void {
    const buffer = this.memory.buffer;
    if (this.#u8.buffer === buffer) return;
    this.#u8 = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
  }
}
