/**
 * Where everything lies in the arena, the one shared WebAssembly.Memory of a process, and the records of memory
 * management in it. Untouched parts of a WebAssembly.Memory cost no host memory, so tables have their full size at once.
 *
 *   0x0000_0000  never used: offset 0 means "nothing"
 *   0x0000_1000  static data of the Wasm runtime
 *   0x0010_0000  process header
 *   0x0020_0000  block hash table: u32 block, by (HPA, mode)
 *   0x0028_0000  lists of blocks' places that are free (runtime/memory/places.ts)
 *   0x0030_0000  allotted once: what engines need
 *   0x00a0_0000  lists of free frames: u32 HPA of the next one for each of 2^20 frames
 *   0x00e0_0000  users of frames, a u16 for each of 2^20 frames
 *   0x0100_0000  frame records, 16 bytes for each of 2^20 frames
 *   0x0200_0000  blocks: headers and IR
 *   0x0600_0000  translations of each thread after the first, where there are several; then frames, and among them pieces that are
 *                lent to a VM: its vCPU areas, and its address space's header and tables
 */
import {
  lifted,
  lifterFields,
  modrmFlags,
  opcodeFlags,
  templateFields,
  templateNumbers,
  templatePlaces,
} from "./lifter-layout.ts";

export const arenaLayout = {
  PROCESS: 0x100000,
  BLOCK_HASH: 0x200000,
  BLOCK_HASH_ENTRIES: 1 << 17,
  FREE_PLACES: 0x280000,
  ALLOTTED: 0x300000,
  FRAME_LINKS: 0xa00000,
  FRAME_USERS: 0xe00000,
  FRAME_RECORDS: 0x1000000,
  FRAME_RECORD_BYTES: 16,
  BLOCKS: 0x2000000,
  BLOCKS_END: 0x6000000,
  FRAMES: 0x6000000,
} as const;

/**
 * Translations of a thread that runs vCPUs. The first thread's lie where arenaLayout says; another's are one piece: frame
 * records, then at these offsets the hash table of its blocks, the end of its blocks, its free places, and the blocks.
 */
export const threadTranslations = {
  T_BLOCK_HASH: 0x1000000,
  T_BLOCK_NEXT: 0x1080000,
  T_FREE_PLACES: 0x1081000,
  T_SCRATCH: 0x1090000,
  T_REGIONS: 0x10b0000,
  T_LIFTER: 0x1140000,
  T_BLOCKS: 0x1200000,
  T_BYTES: 0x4000000,
} as const;

/** Where a thread's translations lie. */
export interface Translations {
  readonly hash: number;
  readonly blocks: number;
  readonly blocksEnd: number;
  /** Address of the word with the first free byte of the blocks. */
  readonly nextAt: number;
  /** For a block that runs alone; undefined: anywhere. */
  readonly scratch?: number;
  /** Records of regions that span pages; undefined: anywhere. */
  readonly regions?: number;
  /** What lifting by example keeps; undefined: anywhere. */
  readonly lifter?: number;
  /** Frame records; but for the first thread, where the piece begins. */
  readonly records: number;
}

/** `thread`: 0 for the first of the process. */
export function translationsOf(thread: number): Translations {
  if (thread === 0) {
    const { BLOCK_HASH: hash, BLOCKS: blocks, BLOCKS_END: blocksEnd, FRAME_RECORDS: records, PROCESS } = arenaLayout;
    return { hash, blocks, blocksEnd, nextAt: PROCESS + processFields.P_BLOCK_NEXT, records };
  }
  const { T_BLOCK_HASH, T_BLOCK_NEXT, T_SCRATCH, T_REGIONS, T_LIFTER, T_BLOCKS, T_BYTES } = threadTranslations;
  const base = arenaLayout.FRAMES + (thread - 1) * T_BYTES;
  return {
    hash: base + T_BLOCK_HASH,
    blocks: base + T_BLOCKS,
    blocksEnd: base + T_BYTES,
    nextAt: base + T_BLOCK_NEXT,
    scratch: base + T_SCRATCH,
    regions: base + T_REGIONS,
    lifter: base + T_LIFTER,
    records: base,
  };
}

/** Process header: byte offsets of u32 fields from PROCESS. */
export const processFields = {
  /** First frame never used yet. */
  P_FRAME_NEXT: 0,
  /** Head of the list of frames given back, which goes on in FRAME_LINKS, and how many there are. */
  P_FRAME_FREE: 4,
  P_FREE_COUNT: 544,
  /** The same of those whose memory the host has again: they are zeros. */
  P_FRAME_EMPTY: 548,
  P_EMPTY_COUNT: 552,
  P_FRAMES_USED: 8,
  /** End of the arena's committed part. */
  P_ARENA_END: 12,
  /** First free byte of the block cache. */
  P_BLOCK_NEXT: 16,
  /** Frames the host allows, all VMs together. */
  P_FRAME_LIMIT: 20,
  /** From so many frames in use on, who is allotted one ends its slice. */
  P_FRAME_ALARM: 556,
  /** vCPUs of all VMs, and the offsets of their areas. */
  P_VCPU_COUNT: 24,
  P_VCPUS: 4096,
  /** Threads that translate, and the offsets of their frame records. */
  P_THREADS: 28,
  P_RECORDS: 320,
  /** Of each thread, u32 twice: the frames whose code it is reading, or 0. */
  P_LIFTING: 384,
  /** The area of the vCPU that wants to be the only one running, or 0 (runtime/memory/exclusive.ts). */
  P_EXCLUSIVE: 512,
  /** vCPUs that wait until nobody is alone. */
  P_WAITING: 536,
  /** Locks of the runtime: 1 is taken. */
  P_FRAME_LOCK: 516,
  P_WIDE_LOCK: 520,
  /** 1: threads of vCPUs end. */
  P_STOP: 524,
  /** 1: they stand still, so that the machine can be saved. */
  P_PAUSE: 540,
  /** u64, statistics: how often a vCPU was alone. */
  P_EXCLUSIVES: 528,
} as const;

/** So many vCPUs a process has at most, of all VMs together. */
export const maxVcpus = 1024;
/** So many threads run them. */
export const maxThreads = 8;

/** Frame record: byte offsets. */
export const frameRecord = {
  /** First block lifted from this frame, a list by B_PAGE_NEXT with a valid one; nonzero keeps the frame out of write TLBs. */
  F_BLOCKS: 0,
  /** u8: how often a store forgot a compiled region of the frame's code. */
  F_PATCHES: 4,
  /** u8: how often all of its code was forgotten. */
  F_EMPTIED: 5,
  /** u16: stores to the frame since one changed code in it, that one included; 0 when code was lifted from it after that. */
  F_STORES: 6,
  /**
   * The same u16, while the frame holds no code: which entry of the write TLBs may be the frame's, one more than its number; 0 none,
   * all ones several.
   */
  F_WRITER: 6,
  /** u64: which granules of 64 bytes some block was lifted from. */
  F_CODE: 8,
} as const;

/**
 * Maps of numbers in code that change (runtime/memory/numbers.ts): of which frame, how often its code changed (less what changed in others
 * that want the map), and a bit for each byte of the page. Two bytes of bits are read at a time.
 */
export const numberMap = {
  N_FRAME: 0,
  N_CHANGES: 4,
  N_BITS: 8,
  N_BYTES: 8 + 512 + 8,
  NUMBER_MAPS: 256,
} as const;

/** Address-space header of a VM: byte offsets of u32 fields. */
export const spaceFields = {
  /** Arena offset of the first-level table: u32 each, arena offset of a second-level table or 0. */
  S_TABLE: 0,
  /** Guest frame numbers at and above this one are nothing. */
  S_GFN_END: 4,
  S_FRAMES: 8,
  /** The dirty ring (runtime/memory/logs.ts): arena offset or 0, guest frame numbers it has room for, and how many there were. */
  S_DIRTY_RING: 12,
  S_DIRTY_ROOM: 16,
  S_DIRTY_COUNT: 20,
} as const;

/**
 * Guest-frame entry, u32, 1024 in a second-level table (one per 4 MiB): the frame's HPA in bits 31..12, and
 * E_RAM memory is there; E_PRESENT a frame holds it; E_READONLY writes are dropped; E_ACCESSED, E_DIRTY since last harvested;
 * E_BACKED its memory object has its bytes: those of the frame, where there is one, which is then in no write TLB;
 * E_COW other VMs may use the frame (runtime/memory/share.ts).
 */
export const entryFlags = {
  E_PRESENT: 1,
  E_RAM: 2,
  E_READONLY: 4,
  E_ACCESSED: 8,
  E_DIRTY: 16,
  E_BACKED: 32,
  E_COW: 64,
} as const;

/** Block header, then its IR. */
export const blockHeader = {
  B_PAGE_NEXT: 0,
  B_PAGE2_NEXT: 4,
  /** Bytes of guest code that the block depends on. */
  B_BYTES: 8,
  B_IR_BYTES: 12,
  /** u16: entries that the region refused. */
  B_REFUSALS: 16,
  /** u16: how many numbers of its instructions the block loads from their bytes, immediates and displacements that change. */
  B_NUMBERS: 18,
  /** Entries into the region that starts here until it is made anew, larger. */
  B_HEAT: 20,
  // From here on, what running the block asks for stands together, next to its operations.
  B_HASH_NEXT: 24,
  B_HPA: 28,
  /** HPA of the second page where the block's last instruction crosses into it, else 0. */
  B_HPA2: 32,
  B_MODE: 36,
  /** Where the block was found last: vCPU area, its ASID or GLOBAL_ASID, and u64 RIP (jit/emit/interpreter.ts); ASID 0 nowhere. */
  B_SEEN_VP: 40,
  B_SEEN_ASID: 44,
  B_SEEN_RIP: 48,
  /** 0 forgotten; 1 valid; 3 valid and part of a compiled region. */
  B_VALID: 56,
  /** Which of the region's entries this is. */
  B_ENTRY: 60,
  /** Entries left until the block is hot, of which one of user code takes two; 0 makes every entry ask (see B_REGION and B_VALID). */
  B_COUNTER: 64,
  /** Place in the table of the compiled region that can be entered here, or 0. */
  B_REGION: 68,
  /** Guest instructions. */
  B_COUNT: 72,
  /** Bytes of the block's place, a multiple of 16; KEPT_PLACE: it never has another block (runtime/memory/places.ts). */
  B_PLACE: 76,
  /**
   * The operations, and behind them the B_BYTES of code that they were lifted from; from the next multiple of 4 on, for each of its numbers,
   * u16 place in the page and u16 bytes.
   */
  B_IR: 80,
} as const;

/** Of B_PLACE and F_PATCHES. */
export const translationNumbers = {
  KEPT_PLACE: 1,
  /** Changes of a frame's compiled code that cost nothing: an operating system patches its own once in a while, and goes on with it. */
  FREE_PATCHES: 8,
} as const;

/** Bytes of a place, by the block's B_PLACE. */
export const placeBytes = (place: number): number => place & ~translationNumbers.KEPT_PLACE;

/** From a block's beginning to the list of its numbers. */
export const numbersPlace = (irBytes: number, codeBytes: number): number =>
  (blockHeader.B_IR + irBytes + codeBytes + 3) & ~3;

/**
 * Of a block with that much IR, code and numbers, header and all (`blockSize` in the runtime). Blocks lie one after the other, each in a place
 * of that size, or of a larger one that another block had before (B_PLACE).
 */
export const blockSize = (irBytes: number, codeBytes: number, numbers: number): number =>
  (numbersPlace(irBytes, codeBytes) + 4 * numbers + 15) & ~15;

/**
 * Record of a region that spans pages: under which generation it was last found to be mapped (runtime/memory/generations.ts).
 * Then R_COUNT pairs of i32 page, counted from the region's base, and u32 frame.
 */
export const regionRecord = {
  /** vCPU area, its ASID or GLOBAL_ASID, and u64 base (GVA of the page of the seed) that were right. */
  R_VP: 0,
  R_ASID: 4,
  R_BASE: 8,
  R_COUNT: 16,
  R_PAGES: 24,
  R_BYTES: 128,
} as const;
/** Such records of each thread. */
export const regionRecords = 4096;

export function generateArenaLayout(): string {
  const all = {
    ...arenaLayout,
    ...threadTranslations,
    ...processFields,
    ...frameRecord,
    ...numberMap,
    ...spaceFields,
    ...entryFlags,
    ...blockHeader,
    ...translationNumbers,
    ...regionRecord,
    ...lifterFields,
    ...templateNumbers,
    ...templatePlaces,
    ...templateFields,
    ...modrmFlags,
    ...opcodeFlags,
    ...lifted,
  };
  return Object.entries(all)
    .map(([name, value]) => `export const ${name}: u32 = ${value};`)
    .join("\n");
}
