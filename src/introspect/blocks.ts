/**
 * Translated code as text: a guest address's blocks with their IR beside the guest's instructions, and the WebAssembly of
 * the region that starts with such a block.
 *
 * Blocks are found by walking the block cache, which keeps them one behind the other. The region is grown and compiled
 * again from the blocks that there are now: it is the one that would be compiled at this moment.
 */
import { opBytes, printOp } from "#ir";
import { emitRegions, passesWithout } from "#jit";
import { arenaLayout, blockHeader, placeBytes, processFields } from "#memory";
import { Mode } from "#vcpu";
import type { MachineParts } from "#vm";
import { printModule } from "#wasm";
import { DECODED, decode, disassemble, Instruction } from "#x86";
import { lookUp } from "./page-tables.ts";

/** A block of the cache: its header's fields. */
export interface BlockFacts {
  /** Arena offset. */
  readonly block: number;
  readonly hpa: number;
  readonly mode: number;
  readonly instructions: number;
  readonly bytes: number;
  /** HPA of the second page where the last instruction crosses into it, else 0. */
  readonly secondPage: number;
  /** Index of the compiled region that starts here, or 0. */
  readonly region: number;
}

/** Blocks whose code holds `address`; none where nothing is mapped or translated. */
export function blocksAt(parts: MachineParts, address: bigint): BlockFacts[] {
  const hpa = hostAddress(parts, address);
  if (hpa === undefined) return [];
  return allBlocks(parts).filter((each) => hpa >= each.hpa && hpa < each.hpa + each.bytes);
}

/** Every valid block, in the order of translation. */
export function allBlocks({ vcpu }: Pick<MachineParts, "vcpu">): BlockFacts[] {
  const words = vcpu.arena.i32;
  const end = words[(arenaLayout.PROCESS + processFields.P_BLOCK_NEXT) >> 2] as number;
  const found: BlockFacts[] = [];
  for (let block: number = arenaLayout.BLOCKS; block < end; ) {
    const field = (offset: number): number => words[(block + offset) >> 2] as number;
    if (field(blockHeader.B_VALID) !== 0) {
      found.push({
        block,
        hpa: field(blockHeader.B_HPA) >>> 0,
        mode: field(blockHeader.B_MODE),
        instructions: field(blockHeader.B_COUNT),
        bytes: field(blockHeader.B_BYTES),
        secondPage: field(blockHeader.B_HPA2) >>> 0,
        region: field(blockHeader.B_REGION),
      });
    }
    block += placeBytes(field(blockHeader.B_PLACE));
  }
  return found;
}

/** Guest instructions on the left, IR on the right. `address`: where the block's first byte is for the guest. */
export function printBlock({ vcpu }: Pick<MachineParts, "vcpu">, facts: BlockFacts, address: bigint): string {
  const words = vcpu.arena.i32;
  const first = (facts.block + blockHeader.B_IR) >> 2;
  const end = first + ((words[(facts.block + blockHeader.B_IR_BYTES) >> 2] as number) >> 2);
  const operations: string[] = [];
  for (let word = first; word < end; word += opBytes((words[word] as number) & 0xffff) >> 2)
    operations.push(printOp(words, word));
  const left = instructionsOf(codeOf(vcpu.arena.u8, facts), facts, address);
  const width = Math.max(...left.map((line) => line.length), 20);
  const title = `block of ${facts.instructions} instructions, ${facts.bytes} bytes, mode 0x${facts.mode.toString(16)}${facts.region === 0 ? "" : ", compiled"}`;
  const rows = Array.from({ length: Math.max(left.length, operations.length) }, (_, n) =>
    `  ${(left[n] ?? "").padEnd(width)}  | ${operations[n] ?? ""}`.trimEnd(),
  );
  return [title, ...rows].join("\n");
}

function codeOf(arena: Uint8Array, facts: BlockFacts): Uint8Array {
  const code = arena.slice(facts.hpa, facts.hpa + facts.bytes);
  if (facts.secondPage !== 0) {
    const inFirst = 4096 - (facts.hpa & 0xfff);
    code.set(arena.subarray(facts.secondPage, facts.secondPage + facts.bytes - inFirst), inFirst);
  }
  return code;
}

function instructionsOf(code: Uint8Array, facts: BlockFacts, address: bigint): string[] {
  const instruction = new Instruction();
  const bits = (facts.mode & Mode.code32) !== 0 ? 32 : (facts.mode & Mode.code16) !== 0 ? 16 : 64;
  const lines: string[] = [];
  for (let at = 0, n = 0; at < code.length && n < facts.instructions; n++) {
    const here = address + BigInt(at);
    const decoded = decode(code, at, code.length, bits, instruction);
    const text = decoded === DECODED ? disassemble(instruction, here, code, at) : "(bad)";
    lines.push(`${BigInt.asUintN(64, here).toString(16)}:  ${text}`);
    if (instruction.length === 0) break;
    at += instruction.length;
  }
  return lines;
}

/** The WebAssembly that the block at `address` is compiled to as a region's start. `exact`: as in virtual time. */
export function printRegion(
  { vcpu, engine }: MachineParts,
  facts: BlockFacts,
  address: bigint,
  exact: boolean,
): string {
  const region = engine.regions.grow(vcpu, facts.block, address, 0, "large");
  const title = `region of ${region.blocks.length} blocks in ${region.pages.length} pages, ${region.instructions} instructions`;
  if (region.blocks.length === 0) return title;
  const { bytes, entries: blocks } = emitRegions(vcpu.arena.i32, [{ region, record: 0, vp: 0 }], {
    exact,
    passes: passesWithout(),
  });
  const entries = region.blocks
    .filter(({ block }) => blocks[0].includes(block))
    .map(({ delta }) => (delta < 0 ? `-${(-delta).toString(16)}` : delta.toString(16)));
  const lines = printModule(bytes)
    .split("\n")
    .filter((line) => !/^(type|import) /.test(line));
  return [`${title}, entries at ${entries.join(" ")}`, ...lines].join("\n");
}

/** Everything that is known of the code at an address. */
export function printCode(parts: MachineParts, address: bigint, exact: boolean): string {
  const blocks = blocksAt(parts, address);
  const hpa = hostAddress(parts, address);
  if (hpa === undefined) return "nothing is mapped there";
  if (blocks.length === 0) return "no translated code there";
  return blocks
    .flatMap((each) => {
      const start = address - BigInt(hpa - each.hpa);
      return [printBlock(parts, each, start), printRegion(parts, each, start, exact)];
    })
    .join("\n");
}

/** HPA of a guest byte that has a frame. */
function hostAddress({ vcpu, memory }: MachineParts, address: bigint): number | undefined {
  const paging = vcpu.u64("CR0") >> 31n !== 0n;
  const at = paging ? lookUp(memory, vcpu.u64("CR3"), address)?.gpa : address;
  if (at === undefined) return undefined;
  const gfn = Number(at >> 12n);
  let hpa: number | undefined;
  memory.forEachPresent((each, bytes) => {
    if (each === gfn) hpa = bytes.byteOffset + Number(at & 0xfffn);
  });
  return hpa;
}
