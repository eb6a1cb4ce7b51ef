/** The operations of a block that lies in the arena. */
import { type OpRow, opBytes, opRows } from "#ir";
import type { RegionBlock } from "../hot/region.ts";

/** `word`: where an operation starts in the arena. */
export function eachOperation(words: Int32Array, block: RegionBlock, visit: (row: OpRow, word: number) => void): void {
  const end = block.ir + (block.irBytes >> 2);
  for (let word = block.ir; word < end; ) {
    const op = words[word] & 0xffff;
    visit(opRows[op], word);
    word += opBytes(op) >> 2;
  }
}
