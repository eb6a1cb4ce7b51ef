/**
 * Pages as LZ4 blocks. (LZ4 Block Format Description: sequences of a token, literals, a u16 offset and more length bytes; the last
 * five bytes are literals, and the last match starts at least twelve bytes before the end.)
 *
 * What is decompressed may be anything: it is checked as it is read.
 */
const PAGE: u32 = 4096;
const HASH_LOG: u32 = 11;
const LEAST_MATCH: u32 = 4;
const LAST_LITERALS: u32 = 5;
const NO_MATCH_FROM: u32 = 12;
/** Misses after which the search for a match goes in larger steps. */
const PATIENCE: u32 = 64;

// @ts-ignore: decorator
@inline function slotOf(table: u32, at: u32): u32 {
  return table + (((load<u32>(at) * 2654435761) >> (32 - HASH_LOG)) << 1);
}

/** Bytes from `from` on are written in eights, up to seven too many. */
// @ts-ignore: decorator
@inline function copyEights(to: u32, from: u32, count: u32): void {
  const end = to + count;
  do {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
  } while (to < end);
}

/** How many bytes are the same, of those before `end`. */
function sameBytes(a: u32, b: u32, end: u32): u32 {
  const start = a;
  for (; a + 8 <= end; a += 8, b += 8) {
    const other = load<u64>(a) ^ load<u64>(b);
    if (other != 0) return a - start + (<u32>ctz(other) >> 3);
  }
  while (a < end && load<u8>(a) == load<u8>(b)) {
    a++;
    b++;
  }
  return a - start;
}

/** Bytes of a length past what its half of a token says; where it ends. */
function putLength(out: u32, left: u32): u32 {
  for (; left >= 255; left -= 255) store<u8>(out++, 255);
  store<u8>(out, <u8>left);
  return out + 1;
}

/** A token that says how many literals follow; where they begin. */
function putHead(token: u32, literals: u32): u32 {
  store<u8>(token, <u8>(min<u32>(literals, 15) << 4));
  return literals < 15 ? token + 1 : putLength(token + 1, literals - 15);
}

function putLiterals(token: u32, from: u32, count: u32): u32 {
  const out = putHead(token, count);
  if (count != 0) copyEights(out, from, count);
  return out + count;
}

/**
 * The page at `source` as a block at `target`, of at most `limit` bytes, for which there is room for 32 more; its size, or 0 for
 * one that would be larger. `table`: 4 KiB of anything.
 */
export function lz4_compress(source: u32, target: u32, limit: u32, table: u32): u32 {
  memory.fill(table, 0, 2 << HASH_LOG);
  const end = source + PAGE;
  const lastStart = end - NO_MATCH_FROM;
  const matchEnd = end - LAST_LITERALS;
  const outEnd = target + limit;
  let anchor = source;
  let at = source + 1;
  let out = target;
  for (;;) {
    let match: u32 = 0;
    let tries = PATIENCE;
    let next = at;
    let found = false;
    while (next <= lastStart) {
      at = next;
      next += tries++ / PATIENCE;
      const slot = slotOf(table, at);
      match = source + <u32>load<u16>(slot);
      store<u16>(slot, <u16>(at - source));
      if (load<u32>(match) == load<u32>(at)) {
        found = true;
        break;
      }
    }
    if (!found) break;
    while (at > anchor && match > source && load<u8>(at - 1) == load<u8>(match - 1)) {
      at--;
      match--;
    }
    const literals = at - anchor;
    // Each length byte stands for 255 bytes of the page, of which there are few: all of them fit into the room past the limit.
    if (out + literals > outEnd) return 0;
    const token = out;
    out = putLiterals(token, anchor, literals);
    store<u16>(out, <u16>(at - match));
    out += 2;
    const length = sameBytes(at + LEAST_MATCH, match + LEAST_MATCH, matchEnd);
    store<u8>(token, <u8>(<u32>load<u8>(token) | min<u32>(length, 15)));
    if (length >= 15) out = putLength(out, length - 15);
    at += LEAST_MATCH + length;
    anchor = at;
    if (at > lastStart) break;
    store<u16>(slotOf(table, at - 2), <u16>(at - 2 - source));
  }
  const last = end - anchor;
  if (out + last > outEnd) return 0;
  // Nothing behind the page is read.
  out = putHead(out, last);
  memory.copy(out, anchor, last);
  out += last;
  return out > outEnd ? 0 : out - target;
}

/** Past the end of the block: no length that a page has. */
const TOO_LONG: u32 = 1 << 20;
/** Where the last `lengthOf` has stopped to read. */
let lengthEnd: u32 = 0;

/** A length whose half of the token is `start`, and which may go on at `at`. */
function lengthOf(start: u32, at: u32, end: u32): u32 {
  let length = start;
  lengthEnd = at;
  if (start != 15) return length;
  for (;;) {
    if (lengthEnd >= end || length > PAGE) return TOO_LONG;
    const more = <u32>load<u8>(lengthEnd++);
    length += more;
    if (more != 255) break;
  }
  return length;
}

/**
 * Fills the page at `target` with what a block of `size` bytes at `source` says; 0 where that is not a whole page. What follows the
 * block may be read, 7 bytes.
 */
export function lz4_decompress(source: u32, size: u32, target: u32): u32 {
  const end = source + size;
  const outEnd = target + PAGE;
  let at = source;
  let out = target;
  while (at < end) {
    const token = <u32>load<u8>(at);
    const literals = lengthOf(token >> 4, at + 1, end);
    at = lengthEnd;
    if (literals > end - at || literals > outEnd - out) return 0;
    if (out + literals + 8 <= outEnd) copyEights(out, at, literals);
    else memory.copy(out, at, literals);
    at += literals;
    out += literals;
    // The last sequence has no match.
    if (at == end) return out == outEnd ? 1 : 0;
    if (at + 2 > end) return 0;
    const offset = <u32>load<u16>(at);
    if (offset == 0 || offset > out - target) return 0;
    const length = lengthOf(token & 15, at + 2, end) + LEAST_MATCH;
    at = lengthEnd;
    if (length > outEnd - out) return 0;
    copyMatch(out, out - offset, length, outEnd);
    out += length;
  }
  return 0;
}

/** Copies what may overlap what it is copied to. */
function copyMatch(out: u32, from: u32, length: u32, outEnd: u32): void {
  if (out - from >= 8 && out + length + 8 <= outEnd) return copyEights(out, from, length);
  for (let n: u32 = 0; n < length; n++) store<u8>(out + n, load<u8>(from + n));
}
