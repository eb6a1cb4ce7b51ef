/**
 * The shape of a region: blocks that lead to each other, grown from a hot one by what was seen to run.
 *
 * Positions are *deltas*: distances from the page of the seed as the guest sees it, so that a region belongs to frames and
 * not to addresses. Edges are direct jumps and branches, calls, the instruction behind a call for a return that was seen to
 * go there, and targets that indirect jumps were seen to take.
 *
 * Laws: every block of a region was lifted for the same mode and is valid; `pages` names the frame of each page that holds
 * one, and the region may run only where the guest maps all of them so; edges to anything else leave the region.
 */
import { Op, opBytes, targetsAt } from "#ir";
import { blockHeader } from "#memory";
import { targetSlots } from "#vcpu";
import type { Passes } from "../passes.ts";

export interface RegionBlock {
  /** Arena offset of the block. */
  readonly block: number;
  /** Distance of its first instruction from the seed's page. */
  readonly delta: number;
  readonly count: number;
  /** Word index of its IR in the arena, and bytes of it. */
  readonly ir: number;
  readonly irBytes: number;
  /**
   * Deltas that its last operation can go to: the taken one first, or those that an indirect jump was seen to take; of a return also
   * what the region's calls of its function come back to.
   */
  readonly targets: readonly number[];
}

export interface RegionPage {
  /** Pages from the seed's. */
  readonly page: number;
  /** HPA of its frame. */
  readonly frame: number;
}

export interface Region {
  /** In order of their deltas. */
  readonly blocks: readonly RegionBlock[];
  /** Index of the block it was grown from. */
  readonly seed: number;
  readonly pages: readonly RegionPage[];
  readonly mode: number;
  readonly size: RegionSize;
  readonly instructions: number;
  /** Each access asks for its page by itself: what is near each other there lies across a page's end. */
  readonly apart?: boolean;
  /** Arena offset of what is kept of it (jit/emit/kept-regions.ts); undefined where it has to be emitted. */
  readonly kept?: number;
}

/** What growing asks of the world. */
export interface RegionGround {
  /** HPA of the frame that the guest runs code from at a page, counted from the seed's; 0 where that is not known. */
  frameOf(page: number): number;
  /** The valid block at an HPA, lifted for this mode; or 0. */
  blockAt(hpa: number, mode: number): number;
  /** Entries of a block before it is hot: blocks that ran much less than the seed stay out. */
  readonly hotThreshold: number;
  readonly size: RegionSize;
  readonly passes: Passes;
}
export type RegionSize = "small" | "large";

/** How large a region may become. */
const limits = {
  /** The first one of a block, which stops at what is compiled already: most code is never so hot that more would pay. */
  small: { blocks: 48, instructions: 200 },
  /** What a region is made into that is entered again and again: with all that it leads to, loops, calls and all. */
  large: { blocks: 96, instructions: 600 },
} as const;
const maxPages = 12;
/** A block belongs to the region when it ran at least this part of what makes a block hot. */
const coldShare = 1 / 64;

/** Instructions of a function that is in a small region although it is compiled already, where it is called from there. */
const inlinedInstructions = 40;

/** Grows a region from the block at `seed`. */
export function growRegion(words: Int32Array, seed: number, ground: RegionGround): Region {
  const field = (block: number, name: number): number => words[(block + name) >> 2];
  const mode = field(seed, blockHeader.B_MODE);
  const found = new Map<number, ReadBlock>();
  const frames = new Map<number, number>();
  const { blocks: maxBlocks, instructions: maxInstructions } = limits[ground.size];
  const queue: { block: number; delta: number; runs: number; inlined: boolean }[] = [];
  const wanted = new Set<number>();
  let instructions = 0;

  const runsOf = (block: number): number => {
    const left = field(block, blockHeader.B_COUNTER);
    return left > 0 && left <= ground.hotThreshold ? ground.hotThreshold - left : ground.hotThreshold;
  };
  /** The frame of a page that the region may have, or 0. */
  const frameOf = (page: number): number => {
    const known = frames.get(page);
    if (known !== undefined) return known;
    if (frames.size >= maxPages || (page !== 0 && !ground.passes["cross-page"])) return 0;
    return ground.frameOf(page);
  };
  /** The block at a position that a region may have, with the frames it lies in; 0 where there is none. */
  const blockAt = (delta: number): number => {
    const frame = frameOf(delta >> 12);
    if (frame === 0) return 0;
    const block = ground.blockAt((frame | (delta & 0xfff)) >>> 0, mode);
    if (block === 0) return 0;
    const second = field(block, blockHeader.B_HPA2);
    if (second !== 0 && frameOf((delta >> 12) + 1) !== second >>> 0) return 0;
    return runsOf(block) >= ground.hotThreshold * coldShare ? block : 0;
  };
  /** Whether the function at a position is so short that a call of it pays for having it twice. What it calls itself does not count. */
  const isShort = (entry: number): boolean => {
    const reached = new Set([entry]);
    let length = 0;
    for (const delta of reached) {
      const block = blockAt(delta);
      if (block === 0) continue;
      const { read, returnPoint, returns } = readBlock(words, block, delta, ground.passes);
      length += read.count;
      if (length > inlinedInstructions) return false;
      if (returnPoint !== undefined) reached.add(returnPoint);
      else if (!returns) for (const target of read.targets) reached.add(target);
    }
    return true;
  };
  const consider = (delta: number, from: { readonly inlined: boolean; readonly calls: boolean }): void => {
    if (wanted.has(delta)) return;
    wanted.add(delta);
    const block = blockAt(delta);
    if (block === 0) return;
    let inlined = from.inlined && !from.calls;
    if (ground.size === "small" && block !== seed && !inlined && field(block, blockHeader.B_REGION) !== 0) {
      if (!from.calls || !isShort(delta)) return;
      inlined = true;
    }
    queue.push({ block, delta, runs: runsOf(block), inlined });
  };

  consider(field(seed, blockHeader.B_HPA) & 0xfff, { inlined: false, calls: false });
  while (queue.length > 0 && found.size < maxBlocks && instructions < maxInstructions) {
    // The one that ran most goes first, the eldest of equals.
    let best = 0;
    queue.forEach((each, n) => {
      if (each.runs > queue[best].runs) best = n;
    });
    const [{ block, delta, inlined }] = queue.splice(best, 1);
    const page = delta >> 12;
    const second = field(block, blockHeader.B_HPA2);
    const pages = second === 0 ? [page] : [page, page + 1];
    if (frames.size + pages.filter((each) => !frames.has(each)).length > maxPages) continue;
    for (const each of pages)
      frames.set(each, each === page ? (field(block, blockHeader.B_HPA) & ~0xfff) >>> 0 : second >>> 0);
    const one = readBlock(words, block, delta, ground.passes);
    const { read, returnPoint, returns } = one;
    found.set(delta, one);
    instructions += read.count;
    if (returns) continue;
    for (const target of read.targets) consider(target, { inlined, calls: returnPoint !== undefined });
    // A call comes back, if what is called belongs to the region.
    if (returnPoint !== undefined && read.targets.some((target) => wanted.has(target)))
      consider(returnPoint, { inlined, calls: false });
  }
  joinReturns(found);
  const blocks = [...found.values()].map(({ read }) => read).sort((a, b) => a.delta - b.delta);
  return {
    blocks,
    seed: blocks.findIndex((each) => each.block === seed),
    pages: [...frames].map(([page, frame]) => ({ page, frame })).sort((a, b) => a.page - b.page),
    mode,
    size: ground.size,
    instructions,
  };
}

/** Adds to the returns of each function what the region's calls of it come back to: compiled code does not note where it goes. */
function joinReturns(found: ReadonlyMap<number, ReadBlock>): void {
  for (const { read, returnPoint } of found.values()) {
    if (returnPoint === undefined || !found.has(returnPoint)) continue;
    const reached = new Set(read.targets);
    for (const delta of reached) {
      const block = found.get(delta);
      if (block?.returns === true) {
        if (!block.read.targets.includes(returnPoint)) block.read.targets.push(returnPoint);
      } else if (block?.returnPoint !== undefined) reached.add(block.returnPoint);
      else for (const target of block?.read.targets ?? []) reached.add(target);
    }
  }
}

interface ReadBlock {
  readonly read: RegionBlock & { readonly targets: number[] };
  /** Where the call at its end comes back to. */
  readonly returnPoint: number | undefined;
  /** It ends with a return: its targets are wanted only as what calls come back to. */
  readonly returns: boolean;
}

function readBlock(words: Int32Array, block: number, delta: number, passes: Passes): ReadBlock {
  const ir = (block + blockHeader.B_IR) >> 2;
  const irBytes = words[(block + blockHeader.B_IR_BYTES) >> 2];
  const end = ir + (irBytes >> 2);
  let last = ir;
  let call: number | undefined;
  for (let word = ir; word < end; word += opBytes(words[word] & 0xffff) >> 2) {
    if ((words[word] & 0xffff) === Op.pushpc) call = words[word + 2];
    last = word;
  }
  const op = words[last] & 0xffff;
  const returns = op === Op.jmpi && words[last + 1] >>> 16 !== 0;
  const followed = passes.calls || (call === undefined && !returns);
  const targets = (followed ? distancesOf(words, last, passes) : []).map((distance) => delta + distance);
  return {
    read: { block, delta, count: words[(block + blockHeader.B_COUNT) >> 2], ir, irBytes, targets },
    returnPoint: call === undefined ? undefined : delta + call,
    returns,
  };
}

/** Where the block's last operation goes, from the block's start. */
function distancesOf(words: Int32Array, last: number, passes: Passes): readonly number[] {
  const op = words[last] & 0xffff;
  if (op === Op.jmp || op === Op.poll) return [words[last + 2]];
  if (isBranch(op)) return [words[last + 2], words[last + 3]];
  if (op !== Op.jmpi) return [];
  if (!passes.indirect && words[last + 1] >>> 16 === 0) return [];
  return [...words.subarray(last + targetsAt, last + targetsAt + targetSlots)].filter((distance) => distance !== 0);
}

export const isBranch = (op: number): boolean => (op >= Op.jcc0 && op <= Op.jcclogic15) || op === Op.jnz;
