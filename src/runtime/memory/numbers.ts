/**
 * Numbers of code that change: immediates and displacements that a guest patches again and again, as just-in-time compilers do
 * (docs/cold-path.md, "Code that changes"). Code that has them is lifted once more, and loads them from its bytes as it runs; a store that
 * changes nothing else is one like any other.
 *
 * A few frames have a map, with a bit for each byte of the page. Law: no valid block depends on a byte whose bit is set, but by loading it
 * (B_NUMBERS).
 *
 * Only where one thread runs all vCPUs: another one would have to know of a store what its own blocks make of these bytes.
 */
import * as L from "../layout";
import { severalThreads } from "./exclusive";

/** Numbers have as many bytes at most. */
const LARGEST: u32 = 8;
/** So many changes of a frame's code are taken for the last ones: an operating system patches its own a few times. */
const FREE_CHANGES: u32 = 8;

/** Where the maps are (memory/arena-layout.ts); 0: nothing is noted. */
let maps: u32 = 0;

/** `at`: room for NUMBER_MAPS maps, zeros. */
export function keep_numbers(at: u32): void {
  maps = at;
}

/** The one map that a frame may have. */
function mapOf(frame: u32): u32 {
  return maps + ((frame >> 12) & (L.NUMBER_MAPS - 1)) * L.N_BYTES;
}

/** Whether it has it. */
function isOf(map: u32, frame: u32): bool {
  return maps != 0 && load<u32>(map, L.N_FRAME) == frame;
}

function bitsOf(from: u32, to: u32): u16 {
  const low: u32 = (1 << (to - from)) - 1;
  return <u16>(low << (from & 7));
}

/** Whether bytes [from, to) of a frame are numbers that code loads whenever it runs. */
export function areNumbers(frame: u32, from: u32, to: u32): bool {
  const map = mapOf(frame);
  if (to - from > LARGEST || !isOf(map, frame)) return false;
  const bits = bitsOf(from, to);
  return (load<u16>(map + (from >> 3), L.N_BITS) & bits) == bits;
}

/** Bytes [from, to) of a frame have changed, and all blocks are forgotten that depended on them. */
export function noteChange(frame: u32, from: u32, to: u32): void {
  if (to - from > LARGEST || maps == 0 || severalThreads()) return;
  const map = mapOf(frame);
  const changes = load<u32>(map, L.N_CHANGES);
  if (!isOf(map, frame)) {
    if (changes != 0) return store<u32>(map, changes - 1, L.N_CHANGES);
    memory.fill(map, 0, L.N_BYTES);
    store<u32>(map, frame, L.N_FRAME);
  }
  store<u32>(map, min(changes, FREE_CHANGES) + 1, L.N_CHANGES);
  if (changes < FREE_CHANGES) return;
  const at = map + (from >> 3);
  store<u16>(at, load<u16>(at, L.N_BITS) | bitsOf(from, to), L.N_BITS);
}

/** The frame has other code now: of its numbers nothing is known. */
export function forgetNumbers(frame: u32): void {
  const map = mapOf(frame);
  if (isOf(map, frame)) memory.fill(map, 0, L.N_BYTES);
}

/** Where the bits are of the frame with the code at an HPA, if some are set from there on; else 0. */
export function changing_numbers(hpa: u32): u32 {
  const map = mapOf(hpa);
  if (!isOf(map, hpa & 0xfffff000)) return 0;
  const bits = map + L.N_BITS;
  for (let at = (hpa & 4095) >> 6 << 3; at < 512; at += 8) if (load<u64>(bits + at) != 0) return bits;
  return 0;
}

/** A block depends on bytes [from, to) of a frame from now on, except for its numbers. */
export function dependOn(block: u32, frame: u32, from: u32, to: u32): void {
  const map = mapOf(frame);
  if (!isOf(map, frame)) return;
  for (let at = from; at < to; at++) {
    const bits = map + (at >> 3);
    const bit: u32 = 1 << (at & 7);
    const byte = <u32>load<u8>(bits, L.N_BITS);
    if (byte == 0) {
      at |= 7;
      continue;
    }
    if ((byte & bit) != 0 && !loadsByte(block, at)) store<u8>(bits, <u8>(byte & ~bit), L.N_BITS);
  }
}

/** Whether a byte of the block's first page is one of its numbers. */
function loadsByte(block: u32, at: u32): bool {
  const list = numbersOf(block);
  const end = list + (<u32>load<u16>(block, L.B_NUMBERS) << 2);
  for (let entry = list; entry < end; entry += 4) if (at - <u32>load<u16>(entry) < <u32>load<u16>(entry, 2)) return true;
  return false;
}

/** Behind IR and code of a block: for each of its numbers, u16 place in the page and u16 bytes. */
export function numbersOf(block: u32): u32 {
  return (block + L.B_IR + load<u32>(block, L.B_IR_BYTES) + load<u32>(block, L.B_BYTES) + 3) & ~3;
}
