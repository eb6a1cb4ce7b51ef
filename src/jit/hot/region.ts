/**
 * The shape of a region: blocks of one page that lead to each other, grown from a hot one.
 *
 * Positions are byte offsets in the page, so that a region belongs to a frame and not to an address. Law: every block of a
 * region was lifted for the same mode and is valid; edges that leave the page, or that nobody has run yet, leave the region.
 */
import { Op, opBytes } from "#ir";
import { blockHeader } from "#memory";

export interface RegionBlock {
  /** Arena offset of the block. */
  readonly block: number;
  /** Offset in the page of its first instruction. */
  readonly offset: number;
  readonly count: number;
  /** Word index of its IR in the arena, and bytes of it. */
  readonly ir: number;
  readonly irBytes: number;
  /** Positions that its last operation can go to within the page; taken first. */
  readonly targets: readonly number[];
}

export interface Region {
  /** In order of their offsets. */
  readonly blocks: readonly RegionBlock[];
  /** Indexes of blocks where the region can be entered: the hot one and the heads of loops. */
  readonly entries: readonly number[];
  readonly mode: number;
  readonly instructions: number;
}

const maxBlocks = 64;
const maxInstructions = 500;

/** Grows a region from the block at `seed`. `blockAt` finds the valid block at an offset of the same page, or 0. */
export function growRegion(words: Int32Array, seed: number, blockAt: (offset: number) => number): Region {
  const mode = words[(seed + blockHeader.B_MODE) >> 2];
  const found = new Map<number, RegionBlock>();
  const queue: number[] = [seed];
  let instructions = 0;
  while (queue.length > 0 && found.size < maxBlocks && instructions < maxInstructions) {
    const block = queue.shift() as number;
    const read = readBlock(words, block);
    if (found.has(read.offset)) continue;
    found.set(read.offset, read);
    instructions += read.count;
    for (const target of read.targets) {
      const next = blockAt(target);
      if (next !== 0) queue.push(next);
    }
  }
  const blocks = [...found.values()].sort((a, b) => a.offset - b.offset);
  const index = new Map(blocks.map((block, n) => [block.offset, n]));
  const entries = new Set([index.get(readBlock(words, seed).offset) as number]);
  blocks.forEach((block, n) => {
    for (const target of block.targets) {
      const to = index.get(target);
      if (to !== undefined && to <= n) entries.add(to);
    }
  });
  return { blocks, entries: [...entries].sort((a, b) => a - b), mode, instructions };
}

function readBlock(words: Int32Array, block: number): RegionBlock {
  const header = block >> 2;
  const offset = words[header + (blockHeader.B_HPA >> 2)] & 0xfff;
  const ir = header + (blockHeader.B_IR >> 2);
  const irBytes = words[header + (blockHeader.B_IR_BYTES >> 2)];
  return {
    block,
    offset,
    count: words[header + (blockHeader.B_COUNT >> 2)],
    ir,
    irBytes,
    targets: targetsOf(words, ir, irBytes, offset),
  };
}

/** Where the last operation goes, as far as that is in the page. */
function targetsOf(words: Int32Array, ir: number, irBytes: number, offset: number): number[] {
  let at = ir;
  const end = ir + (irBytes >> 2);
  let op = 0;
  for (;;) {
    op = words[at] & 0xffff;
    const next = at + (opBytes(op) >> 2);
    if (next >= end) break;
    at = next;
  }
  const inPage = (delta: number): boolean => offset + delta >= 0 && offset + delta < 4096;
  if (op === Op.jmp) return [words[at + 2]].filter(inPage).map((delta) => offset + delta);
  if (isBranch(op)) return [words[at + 2], words[at + 3]].filter(inPage).map((delta) => offset + delta);
  return [];
}

export const isBranch = (op: number): boolean => (op >= Op.jcc0 && op <= Op.jcclogic15) || op === Op.jnz;
