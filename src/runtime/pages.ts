/** XXH64 of bytes in the arena: the checksum of pages in a snapshot. (xxHash fast digest algorithm, "XXH64 Algorithm Description".) */
const PRIME1: u64 = 0x9e3779b185ebca87;
const PRIME2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME3: u64 = 0x165667b19e3779f9;
const PRIME4: u64 = 0x85ebca77c2b2ae63;
const PRIME5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline function round(lane: u64, word: u64): u64 {
  return rotl<u64>(lane + word * PRIME2, 31) * PRIME1;
}
// @ts-ignore: decorator
@inline function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME1 + PRIME4;
}

/** Of `size` bytes, a multiple of 32, with seed 0. */
export function xxh64(at: u32, size: u32): u64 {
  let a: u64 = PRIME1 + PRIME2;
  let b: u64 = PRIME2;
  let c: u64 = 0;
  let d: u64 = 0 - PRIME1;
  for (let end = at + size; at < end; at += 32) {
    a = round(a, load<u64>(at));
    b = round(b, load<u64>(at, 8));
    c = round(c, load<u64>(at, 16));
    d = round(d, load<u64>(at, 24));
  }
  let hash = size == 0 ? PRIME5 : rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
  if (size != 0) hash = merge(merge(merge(merge(hash, a), b), c), d);
  hash += <u64>size;
  hash = (hash ^ (hash >> 33)) * PRIME2;
  hash = (hash ^ (hash >> 29)) * PRIME3;
  return hash ^ (hash >> 32);
}

/** Whether a page holds nothing but zeros. */
export function is_zero(page: u32): u32 {
  for (let at = page; at < page + 4096; at += 32) {
    if ((load<u64>(at) | load<u64>(at, 8) | load<u64>(at, 16) | load<u64>(at, 24)) != 0) return 0;
  }
  return 1;
}
