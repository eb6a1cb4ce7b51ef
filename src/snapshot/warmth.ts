/**
 * What machines that go on from a snapshot want first: the pages that one of them touched, and what it had translated of them. A file
 * beside the snapshot keeps it, and the next machine has it at once.
 *
 * Law: warmth changes nothing that a guest can see. It is good for one snapshot and one build of memvisor; what is damaged, or of
 * others, is no warmth.
 */
import { type Gfn, pageSize } from "#address";
import { xxh64Low } from "#base";
import { entryFlags } from "#memory";
import type { Machine } from "#vm";
import type { SnapshotReader } from "./pages.ts";

/** A machine that did more wanted more than what is always wanted first. */
const mostPages = 4096;
/** Magic, u32 pages, u32 length of the blocks, u32 their check, u32 check of all before the blocks with this as 0; build; the snapshot's header. */
const magic = "MEMVWARM";
const pagesAt = 8;
const lengthAt = 12;
const blocksCheckAt = 16;
const checkAt = 20;
const buildAt = 24;
const buildBytes = 32;
const identityAt = buildAt + buildBytes;
const identityBytes = 32;
const listAt = identityAt + identityBytes;

/** What there is to know of who reads or writes it. */
export interface WarmthOf {
  readonly pages: SnapshotReader;
  /** Of memvisor: 32 bytes that differ when anything does that translates. */
  readonly build: Uint8Array;
}

/** Gives a machine that has not run yet what the file holds; false where that is nothing for it. */
export function warmUp(machine: Machine, { pages, build }: WarmthOf, file: Uint8Array): boolean {
  const { memory, engine, vcpus } = machine.parts;
  const head = parse(file);
  if (head === undefined || vcpus.length > 1) return false;
  if (!sameBytes(head.build, build) || !sameBytes(head.identity, identityOf(pages))) return false;
  pages.expect(head.gfns);
  const frames = new Uint32Array(head.gfns.length + 1);
  for (const [n, gfn] of head.gfns.entries()) frames[n + 1] = engine.runtime.frame_of(memory.header, gfn, 0);
  engine.adoptBlocks(vcpus[0], { bytes: head.blocks, length: head.length }, head.blocksCheck, frames);
  return true;
}

/**
 * The file for what this machine has wanted so far; undefined where it is too much, or not clearly less than what `before` holds.
 * Requires: it stands still.
 */
export function learnWarmth(
  machine: Machine,
  { pages, build }: WarmthOf,
  before: Uint8Array | undefined,
): Uint8Array | undefined {
  const { memory, engine, vcpus } = machine.parts;
  if (vcpus.length > 1) return undefined;
  const known = before && parse(before);
  const isKnown = known && sameBytes(known.build, build) && sameBytes(known.identity, identityOf(pages));
  // Mostly that is so: looking at these alone is quicker than at all pages.
  const touched = isKnown ? known.gfns.reduce((sum, gfn) => sum + (memory.wasUsed(gfn as Gfn) ? 1 : 0), 0) : 0;
  if (isKnown && 2 * touched > known.gfns.length) return undefined;
  const gfns: number[] = [];
  const frames: number[] = [];
  memory.forEachPage((gfn, frame, entry) => {
    if (frame === 0 || (entry & entryFlags.E_ACCESSED) === 0 || !pages.has(gfn)) return;
    gfns.push(gfn);
    frames.push(frame);
  });
  if (gfns.length > mostPages || (isKnown && 2 * gfns.length > known.gfns.length)) return undefined;
  // Blocks of a page that has changed since it was read are not those of the snapshot.
  const numbers = new Map<number, number>();
  for (const [n, frame] of frames.entries()) {
    const check = Number(BigInt.asUintN(32, engine.runtime.xxh64(frame, pageSize)));
    if (check === pages.checkOf(gfns[n])) numbers.set(frame, n + 1);
  }
  const blocks = engine.takeBlocks((frame) => numbers.get(frame) ?? 0);
  const file = new Uint8Array(blocksAt(gfns.length) + blocks.bytes.length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(magic));
  view.setUint32(pagesAt, gfns.length, true);
  view.setUint32(lengthAt, blocks.length, true);
  view.setUint32(blocksCheckAt, xxh64Low(blocks.bytes), true);
  file.set(build, buildAt);
  file.set(identityOf(pages), identityAt);
  file.set(new Uint8Array(Uint32Array.from(gfns).buffer), listAt);
  file.set(blocks.bytes, blocksAt(gfns.length));
  view.setUint32(checkAt, xxh64Low(file.subarray(0, blocksAt(gfns.length))), true);
  return file;
}

/** The end of the header, with its checks: lengths and magic are less telling. */
const identityOf = ({ header }: SnapshotReader): Uint8Array => {
  const bytes = new Uint8Array(identityBytes);
  bytes.set(header.subarray(8, 28));
  bytes.set(header.subarray(header.length - 12), 20);
  return bytes;
};

const blocksAt = (pageCount: number): number => Math.ceil((listAt + 4 * pageCount) / 32) * 32;

function parse(file: Uint8Array) {
  if (file.length < listAt || new TextDecoder().decode(file.subarray(0, pagesAt)) !== magic) return undefined;
  const view = new DataView(file.buffer, file.byteOffset);
  const count = view.getUint32(pagesAt, true);
  const length = view.getUint32(lengthAt, true);
  if (count > mostPages || file.length !== blocksAt(count) + Math.ceil(length / 32) * 32) return undefined;
  const head = file.slice(0, blocksAt(count));
  head.fill(0, checkAt, checkAt + 4);
  if (xxh64Low(head) !== view.getUint32(checkAt, true)) return undefined;
  return {
    gfns: new Uint32Array(head.buffer, listAt, count),
    build: head.subarray(buildAt, buildAt + buildBytes),
    identity: head.subarray(identityAt, listAt),
    blocks: file.subarray(blocksAt(count)),
    blocksCheck: view.getUint32(blocksCheckAt, true),
    length,
  };
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, n) => byte === b[n]);
