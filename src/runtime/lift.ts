/**
 * Lifting by example: the operations of an instruction are those of its template (jit/lift/templates.ts), with its displacement, its
 * immediate and its place filled in. What has no template is lifted by its rule, and by that gets one.
 *
 * Law: the words are those that the rule would write. The layout of all of it is memory/lifter-layout.ts.
 *
 * Only for 64-bit code. A head is found without a word on what its opcode means; whether that is right was seen when the template was made.
 */
import * as L from "./layout";

/**
 * So many bytes are read here at most, those of an immediate included that it does not have: behind the page, too, as far as there is
 * memory. And so many are copied for others.
 */
const REACH: u32 = 18;
const COPIED: u32 = 16;

/** In place of a template's number. */
const MET_ONCE: u32 = 0xffff;

/** On with the block in the record at `base`, until it is done or somebody else has to lift its next instruction: L.LIFTED and so on. */
export function lift_on(base: u32): u32 {
  let at = load<u32>(base, L.Y_AT);
  let out = load<u32>(base, L.Y_OUT);
  let position = load<u32>(base, L.Y_POSITION);
  let count = load<u32>(base, L.Y_COUNT);
  let known = load<u32>(base, L.Y_KNOWN);
  let ended: u32 = load<u32>(base, L.Y_ENDED);
  const end = load<u32>(base, L.Y_END);
  const limit = load<u32>(base, L.Y_OUT_LIMIT);
  const most = load<u32>(base, L.Y_MOST);
  const mode = load<u32>(base, L.Y_MODE);
  const least: u32 = <u64>(end - 1) + 1 + REACH <= <u64>memory.size() << 16 ? 1 : REACH;
  let waiting = removeDeadFlags(base, out);
  let answer = L.LIFTED;
  while (ended == 0 && count < most && out < limit) {
    answer = L.LIFT_OTHER;
    if (end - at < least) {
      if (at == end && count != 0) answer = L.LIFTED;
      break;
    }
    const bytes = load<u64>(at);
    let head: u32 = 1;
    let byte = <u32>bytes & 0xff;
    let low: u32 = 0;
    let high = mode;
    let info = <u32>load<u8>(base + byte, L.Y_OPCODE);
    if (info >= 1 << L.O_PREFIX_SHIFT) {
      high |= info >> L.O_PREFIX_SHIFT;
      byte = <u32>(bytes >> 8) & 0xff;
      head = 2;
      info = <u32>load<u8>(base + byte, L.Y_OPCODE);
    }
    if ((info & L.O_REX) != 0) {
      low = (byte & 15 | 16) << 25;
      byte = <u32>(bytes >> (head << 3)) & 0xff;
      head++;
      info = <u32>load<u8>(base + byte, L.Y_OPCODE);
    }
    if ((info & L.O_ESCAPE) != 0) {
      low |= 1 << 24;
      byte = <u32>(bytes >> (head << 3)) & 0xff;
      head++;
      info = <u32>load<u8>(base + byte, L.Y_OPCODE + 256);
    }
    // A prefix again, REX again, or an opcode of three bytes.
    if (info > (L.O_MODRM | L.O_READS_FLAGS)) break;
    low |= byte;
    // Without branches as far as may be: what comes next is not to be foreseen. Without ModRM it is as if that were 0.
    const hasModrm = info & L.O_MODRM;
    const modrm = <u32>(bytes >> (head << 3)) & 0xff & (0 - hasModrm);
    head += hasModrm;
    low |= modrm << 8;
    const shape = <u32>load<u8>(base + modrm, L.Y_MODRM);
    let size = shape & 7;
    if ((shape & L.M_SIB) != 0) {
      const sib = <u32>(bytes >> (head << 3)) & 0xff;
      head++;
      low |= sib << 16;
      // No base.
      if (modrm < 0x40 && (sib & 7) == 5) size = 4;
    }
    // Of size 0 as well.
    const unused = <i64>(32 - 8 * size);
    const displacement = <i32>(<i64>load<u32>(at + head) << unused << 32 >> 32 >> unused);
    head += size;
    if ((info & L.O_READS_FLAGS) != 0) high |= (4 | known) << 8;
    const key = (<u64>high << 32) | <u64>low;
    const entryAt = base + L.Y_HEADS + (hash(low, high) << 3);
    const entry = load<u64>(entryAt);
    if ((entry ^ key) << 16 != 0) {
      // Most heads are met once and never again.
      store<u64>(entryAt, key | (<u64>MET_ONCE << 48));
      break;
    }
    const number = <u32>(entry >> 48);
    if (number == MET_ONCE) {
      answer = L.LIFT_LEARN;
      store<u64>(base, key, L.Y_KEY);
      store<u32>(base, head, L.Y_HEAD);
      store<i32>(base, displacement, L.Y_DISPLACEMENT);
      // All of the head as it was seen, whatever another thread stores there now.
      store<u64>(base, bytes, L.Y_BYTES);
      break;
    }
    if (number == 0) break;
    const template = base + (number << 4);
    const header = load<u64>(template);
    const immediateBytes = <u32>(header >> (8 * L.T_IMMEDIATE_BYTES)) & 0xff;
    const shift = (header >> (8 * L.T_IMMEDIATE_SHIFT)) & 0xff;
    const raw = load<u64>(at + head) << shift;
    const isSigned = (header >> (8 * L.T_IMMEDIATE_SIGNED)) & 1;
    const immediate = <u64>(<i64>raw >> <i64>shift) & (<u64>-1 >> shift | 0 - isSigned);
    const length = head + immediateBytes;
    // It goes on in the next page: another block's.
    if (length > end - at) {
      if (count != 0) answer = L.LIFTED;
      break;
    }
    const next = position + length;
    const target = <i32>next + displacement;
    // The rule has another way for a target that is not within 32 bits.
    if ((shape & L.M_RIP) != 0 && target < displacement) break;
    let numbers = i64x2.splat(<i64>immediate);
    numbers = i32x4.replace_lane(numbers, <u8>(L.V_SIGN >> 2), <i32>immediate >> 31);
    numbers = i32x4.replace_lane(numbers, <u8>(L.V_STAMP >> 2), <i32>(position | (count << 16)));
    let places = i32x4.splat(next);
    places = i32x4.replace_lane(places, <u8>(L.V_DISPLACEMENT >> 2), displacement);
    places = i32x4.replace_lane(places, <u8>(L.V_NEXT_DISPLACEMENT >> 2), target);
    places = i32x4.replace_lane(places, <u8>(L.V_NEXT_IMMEDIATE >> 2), <i32>(next + <u32>immediate));
    let from = template + L.T_HEADER;
    const past = out + (<u32>header & 0xff);
    // Four words at a time. What is written too much is written over by what follows, or is free.
    for (let to = out; ; to += 16) {
      const added = v128.or(
        i8x16.swizzle(numbers, v128.load(from, L.T_NUMBERS)),
        i8x16.swizzle(places, v128.load(from, L.T_PLACES)),
      );
      v128.store(to, i32x4.add(v128.load(from), added));
      from += L.T_QUARTET;
      // Two at least: whether one is enough nobody foresees.
      if (to != out && to + 16 >= past) break;
    }
    for (let effects = load<u64>(template, L.T_EFFECTS); effects != 0; effects >>= 8) {
      const effect = <u32>effects & 0xff;
      waiting = meet(base, waiting, out + (effect & EFFECT_AT), effect);
    }
    out = past;
    const after = <u32>(header >> (8 * L.T_KNOWN)) & 15;
    known = known & (after >> 2) | after & 3;
    ended = <u32>(header >> (8 * L.T_ENDS)) & 1;
    at += length;
    position = next;
    count++;
    answer = L.LIFTED;
  }
  store<u32>(base, at, L.Y_AT);
  store<u32>(base, out, L.Y_OUT);
  store<u32>(base, position, L.Y_POSITION);
  store<u32>(base, count, L.Y_COUNT);
  store<u32>(base, known, L.Y_KNOWN);
  store<u32>(base, ended, L.Y_ENDED);
  store<u32>(base, out, L.Y_TIDIED);
  store<u32>(base, waiting, L.Y_WAITING_END);
  if (answer != L.LIFTED) {
    const size = min(end - at, COPIED);
    const seen: u32 = answer == L.LIFT_LEARN ? min(8, size) : 0;
    memory.copy(base + L.Y_BYTES + seen, at + seen, size - seen);
    store<u32>(base, size, L.Y_BYTES_COUNT);
  }
  return answer;
}

function hash(low: u32, high: u32): u32 {
  return ((low + high * 0x85ebca6b) * 0x9e3779b1) >> 18;
}

/** Where the template for the head in the record is noted. */
export function lift_entry(base: u32): u32 {
  return base + L.Y_HEADS + (hash(load<u32>(base, L.Y_KEY), load<u32>(base, L.Y_KEY + 4)) << 3);
}

/**
 * Ends the block whose operations begin at `start`: it goes on behind its last instruction, unless that has ended it. Gives the bytes of
 * its operations.
 */
export function lift_end(base: u32, start: u32): u32 {
  let out = load<u32>(base, L.Y_OUT);
  if (load<u32>(base, L.Y_ENDED) == 0) {
    store<u64>(out, <u64>load<u32>(base, L.Y_JUMP));
    store<u64>(out, <u64>load<u32>(base, L.Y_POSITION), 8);
    out += 16;
  }
  removeDeadFlags(base, out);
  return out - start;
}

/**
 * Takes flag writes that nobody sees away, as jit/opt/dead-flags.ts does, but from the first operation to the last: they wait until it is
 * known whether they are seen. Goes on up to `end`, and gives the end of those that wait.
 */
function removeDeadFlags(base: u32, end: u32): u32 {
  let waiting = load<u32>(base, L.Y_WAITING_END);
  for (let at = load<u32>(base, L.Y_TIDIED); at < end; ) {
    const op = <u32>load<u16>(at);
    const effect = <u32>load<u8>(base + op, L.Y_EFFECTS);
    if (effect != 0) waiting = meet(base, waiting, at, effect);
    at += <u32>load<u8>(base + op, L.Y_OP_BYTES);
  }
  return waiting;
}

/** An operation of that effect comes; gives the end of those that wait then. */
// @ts-ignore: decorator
@inline
function meet(base: u32, waiting: u32, at: u32, effect: u32): u32 {
  const none = base + L.Y_WAITING;
  const removable = (effect & REMOVABLE) != 0;
  if ((effect & SEES) != 0) {
    // One that sees them and can be removed itself shares the lot of those before it.
    if (!removable) waiting = none;
  } else if ((effect & OVERWRITES) != 0) {
    while (waiting != none) {
      waiting -= 4;
      const dead = load<u32>(waiting);
      store<u16>(dead, load<u16>(base + (<u32>load<u16>(dead) << 1), L.Y_PLAIN));
    }
  }
  if (removable) {
    store<u32>(waiting, at);
    waiting += 4;
  }
  return waiting;
}

/** Of Y_EFFECTS, as jit/opt/dead-flags.ts has them. */
const SEES: u32 = 1;
const OVERWRITES: u32 = 2;
const REMOVABLE: u32 = 4;
/** Of T_EFFECTS. */
const EFFECT_AT: u32 = 0xf8;
