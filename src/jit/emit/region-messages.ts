/**
 * Regions on their way to a thread that emits them, and modules on their way back: messages of 32-bit numbers.
 *
 * A message holds all that `emitRegions` reads, the operations of the blocks too: whoever emits looks at no memory of the
 * machine, which goes on meanwhile.
 *
 *     request  number, count, then for each region: record, vCPU, count of blocks, where it is kept or 0, then where it is not:
 *              mode, flags, seed, then for each block: block, and where the region is not kept:
 *              delta, count, count of targets, targets, count of operation words, operations
 *     reply    number, count, then for each region: count of entries, entries' blocks; then the module's bytes
 *
 * A reply with count -1 says instead of a module what went wrong.
 */
import type { RegionBlock } from "../hot/region.ts";
import type { CompiledBatch, RegionCode } from "./region.ts";

/** What else there is of a kept region is where it is kept. */
const keptBlock = { delta: 0, count: 0, ir: 0, irBytes: 0, targets: [] } as const;
const keptShape = { seed: 0, pages: [], mode: 0, size: "small", instructions: 0 } as const;

const flag = { large: 1, apart: 2 } as const;

export interface EmitRequest {
  readonly number: number;
  /** What the blocks' `ir` points into. */
  readonly words: Int32Array;
  readonly codes: readonly RegionCode[];
}

/** `words`: the arena. */
export function encodeRequest(number: number, words: Int32Array, codes: readonly RegionCode[]): Uint8Array {
  const wordsOf = ({ targets, irBytes }: RegionBlock): number => 4 + targets.length + (irBytes >> 2);
  const size = codes.reduce((sum, { region: { blocks, kept } }) => {
    const shape = kept === undefined ? 3 + blocks.reduce((words, block) => words + wordsOf(block), 0) : 0;
    return sum + 4 + blocks.length + shape;
  }, 2);
  const message = new Int32Array(size);
  let at = 0;
  const put = (...values: readonly number[]): void => {
    for (const value of values) message[at++] = value;
  };
  put(number, codes.length);
  for (const { region, record, vp } of codes) {
    put(record, vp, region.blocks.length, region.kept ?? 0);
    if (region.kept !== undefined) {
      for (const { block } of region.blocks) put(block);
      continue;
    }
    put(region.mode, (region.size === "large" ? flag.large : 0) | (region.apart ? flag.apart : 0), region.seed);
    for (const { block, delta, count, ir, irBytes, targets } of region.blocks) {
      put(block, delta, count, targets.length, ...targets, irBytes >> 2);
      message.set(words.subarray(ir, ir + (irBytes >> 2)), at);
      at += irBytes >> 2;
    }
  }
  return new Uint8Array(message.buffer);
}

export function decodeRequest(bytes: Uint8Array<ArrayBuffer>): EmitRequest {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let at = 0;
  const take = (): number => words[at++];
  const [number, count] = [take(), take()];
  const codes: RegionCode[] = [];
  while (codes.length < count) {
    const [record, vp, blockCount, kept] = [take(), take(), take(), take() >>> 0];
    const blocks: RegionBlock[] = [];
    let instructions = 0;
    if (kept !== 0) {
      while (blocks.length < blockCount) blocks.push({ ...keptBlock, block: take() >>> 0 });
      codes.push({ region: { ...keptShape, blocks, kept }, record, vp });
      continue;
    }
    const [mode, flags, seed] = [take(), take(), take()];
    while (blocks.length < blockCount) {
      const [block, delta, length, targetCount] = [take() >>> 0, take(), take(), take()];
      const targets = [...words.subarray(at, (at += targetCount))];
      const irWords = take();
      blocks.push({ block, delta, count: length, ir: at, irBytes: 4 * irWords, targets });
      at += irWords;
      instructions += length;
    }
    // What pages it stands on is in its record.
    codes.push({
      region: {
        blocks,
        seed,
        pages: [],
        mode,
        size: (flags & flag.large) !== 0 ? "large" : "small",
        instructions,
        apart: (flags & flag.apart) !== 0,
      },
      record,
      vp,
    });
  }
  return { number, words, codes };
}

export interface EmitReply {
  readonly number: number;
  /** Or why there is none. */
  readonly batch: CompiledBatch | string;
}

export function encodeReply(number: number, { bytes, entries }: CompiledBatch): readonly Uint8Array[] {
  const head = Int32Array.from([number, entries.length, ...entries.flatMap((each) => [each.length, ...each])]);
  return [new Uint8Array(head.buffer), bytes];
}
export function encodeFailure(number: number, message: string): readonly Uint8Array[] {
  return [new Uint8Array(Int32Array.of(number, -1).buffer), new TextEncoder().encode(message)];
}

export function decodeReply(bytes: Uint8Array<ArrayBuffer>): EmitReply {
  const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
  const [number, count] = words;
  if (count < 0) return { number, batch: new TextDecoder().decode(bytes.subarray(8)) };
  const entries: number[][] = [];
  let at = 2;
  while (entries.length < count) {
    const length = words[at++];
    entries.push([...words.subarray(at, (at += length))].map((block) => block >>> 0));
  }
  return { number, batch: { bytes: bytes.subarray(4 * at), entries } };
}
