/** A hash of guest memory, fast enough for every few million instructions. Not cryptographic. */
import * as L from "./layout";
import { tableAt, tablesIn } from "./memory/frames";
import { is_zero } from "./pages";

// @ts-ignore: decorator
@inline function mix(hash: u64, word: u64): u64 {
  return rotl<u64>((hash ^ word) * 0x9e3779b97f4a7c15, 29);
}

/** Of `size` bytes, a multiple of 8. */
export function digest_bytes(seed: u64, at: u32, size: u32): u64 {
  let hash = seed;
  for (let end = at + size; at < end; at += 8) hash = mix(hash, load<u64>(at));
  return hash;
}

/** Of a page of RAM, whose bytes are at `at`; a page of zeros counts nothing. */
export function digest_page(gfn: u32, at: u32): u64 {
  return is_zero(at) != 0 ? 0 : digest_bytes(<u64>gfn * 0xc2b2ae3d27d4eb4f, at, 4096);
}

/** Of a guest's RAM that is in frames: all its pages' digests, exclusive or; those of absent pages are to be added. */
export function digest_memory(space: u32): u64 {
  let hash: u64 = 0;
  const end = tablesIn(space);
  for (let n: u32 = 0; n < end; n++) {
    const second = tableAt(space, n);
    if (second == 0) continue;
    for (let k: u32 = 0; k < 1024; k++) {
      const entry = load<u32>(second + (k << 2));
      if ((entry & L.E_PRESENT) == 0) continue;
      hash ^= digest_page((n << 10) | k, entry & 0xfffff000);
    }
  }
  return hash;
}
