/**
 * Segment descriptors: from the tables in guest memory to the caches in the record (SDM 3A, "Segment Descriptors").
 *
 * SEG_FLAGS: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable.
 */
import * as L from "../layout";
import { raise, writeAs } from "../memory";
import { code64, cpl, failed, GP, gp, implicitMode, NP, protectedMode, readTable, SS, update_mode } from "./state";

export const ES_INDEX: u32 = 0;
export const CS_INDEX: u32 = 1;
export const SS_INDEX: u32 = 2;
export const DS_INDEX: u32 = 3;
export const GS_INDEX: u32 = 5;

export const UNUSABLE: u32 = 0x10000;
export const FLAT_CODE64: u32 = 0xa09b;
export const FLAT_CODE32: u32 = 0xc09b;
export const FLAT_DATA: u32 = 0xc093;

/** The descriptor that `fetch` found last, and where. (Wasm globals: each worker has its own.) */
export class Descriptor {
  static address: u64 = 0;
  static low: u32 = 0;
  static high: u32 = 0;

  static get base(): u64 {
    return <u64>((Descriptor.low >> 16) | ((Descriptor.high & 0xff) << 16) | (Descriptor.high & 0xff000000));
  }
  static get limit(): u32 {
    const limit = (Descriptor.low & 0xffff) | (Descriptor.high & 0xf0000);
    return (Descriptor.high & 0x800000) != 0 ? (limit << 12) | 0xfff : limit;
  }
  static get flags(): u32 {
    return (Descriptor.high >> 8) & 0xf0ff;
  }
}

export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}
export function isSegment(flags: u32): bool {
  return (flags & 0x10) != 0;
}
export function isCode(flags: u32): bool {
  return (flags & 0x18) == 0x18;
}
export function isConforming(flags: u32): bool {
  return (flags & 0x1c) == 0x1c;
}
export function isWritableData(flags: u32): bool {
  return (flags & 0x1a) == 0x12;
}
export function dpl(flags: u32): u32 {
  return (flags >> 5) & 3;
}
export function isPresent(flags: u32): bool {
  return (flags & 0x80) != 0;
}

/** Where a selector's descriptor of `bytes` lies; all ones past the table's limit. */
function locate(vp: u32, selector: u32, bytes: u32): u64 {
  const offset = selector & 0xfff8;
  let base = load<u64>(vp, L.GDTR_BASE);
  let limit = load<u32>(vp, L.GDTR_LIMIT);
  if ((selector & 4) != 0) {
    if ((load<u32>(vp, L.LDTR_FLAGS) & 0x10080) != 0x80) return u64.MAX_VALUE;
    base = load<u64>(vp, L.LDTR_BASE);
    limit = load<u32>(vp, L.LDTR_LIMIT);
  }
  return offset + bytes - 1 > limit ? u64.MAX_VALUE : base + offset;
}

/** Reads the descriptor of a selector that is not null. False: `vector` with `error` is raised, or the read left. */
export function fetchDescriptor(vp: u32, selector: u32, vector: u32, error: u32): bool {
  const address = locate(vp, selector, 8);
  if (address == u64.MAX_VALUE) {
    raise(vp, vector, error);
    return false;
  }
  const value = readTable(vp, address, 8);
  if (failed(vp)) return false;
  Descriptor.address = address;
  Descriptor.low = <u32>value;
  Descriptor.high = <u32>(value >> 32);
  return true;
}

/** The upper eight bytes of a 16-byte system descriptor just fetched. LEAVE says whether it could be read. */
export function fetchUpper(vp: u32, selector: u32, vector: u32): u64 {
  if (locate(vp, selector, 16) == u64.MAX_VALUE) {
    raise(vp, vector, selector & 0xfffc);
    return 0;
  }
  return readTable(vp, Descriptor.address + 8, 8);
}

/** Sets type bits of the fetched descriptor in memory and in the copy: accessed, or busy. */
export function markDescriptor(vp: u32, bits: u32): bool {
  const type = (Descriptor.high >> 8) & 0xff;
  if ((type & bits) == bits) return true;
  Descriptor.high |= bits << 8;
  return writeAs(vp, Descriptor.address + 5, 1, <u64>(type | bits), implicitMode(vp));
}

/** Puts the fetched descriptor into a segment register's cache. */
export function setSegment(vp: u32, segment: u32, selector: u32): void {
  setCache(vp, segment, selector, Descriptor.base, Descriptor.limit, Descriptor.flags);
}

export function setCache(vp: u32, segment: u32, selector: u32, base: u64, limit: u32, flags: u32): void {
  store<u32>(vp + L.SEG_SELECTOR + (segment << 2), selector);
  store<u64>(vp + L.SEG_BASE + (segment << 3), base);
  store<u32>(vp + L.SEG_LIMIT + (segment << 2), limit);
  store<u32>(vp + L.SEG_FLAGS + (segment << 2), flags);
}

export function setNull(vp: u32, segment: u32, selector: u32): void {
  // SS keeps the privilege level as its DPL. CPUID says that a null selector clears the base.
  setCache(vp, segment, selector, 0, 0, UNUSABLE | (segment == SS_INDEX ? (selector & 3) << 5 : 0));
}

/** Checks the fetched descriptor for the stack of privilege `level`; 0, or the vector to raise. */
export function stackFault(flags: u32, selector: u32, level: u32, badVector: u32): u32 {
  if ((selector & 3) != level || !isWritableData(flags) || dpl(flags) != level) return badVector;
  return isPresent(flags) ? 0 : SS;
}

/** Loads a data segment register, or SS, as MOV, POP and LDS do. */
export function loadSegment(vp: u32, segment: u32, selector: u32): u32 {
  if (!protectedMode(vp)) {
    setCache(vp, segment, selector, <u64>selector << 4, 0xffff, 0x93);
    update_mode(vp);
    return 0;
  }
  const level = cpl(vp);
  if (isNull(selector)) {
    if (segment == SS_INDEX && (!code64(vp) || level == 3 || (selector & 3) != level)) return gp(vp, 0);
    setNull(vp, segment, selector);
    update_mode(vp);
    return 0;
  }
  const error = selector & 0xfffc;
  if (!fetchDescriptor(vp, selector, GP, error)) return 1;
  const flags = Descriptor.flags;
  if (segment == SS_INDEX) {
    const vector = stackFault(flags, selector, level, GP);
    if (vector != 0) return raise(vp, vector, error);
  } else {
    if (!isSegment(flags) || (flags & 0xa) == 8) return gp(vp, error);
    if (!isConforming(flags) && dpl(flags) < max(selector & 3, level)) return gp(vp, error);
    if (!isPresent(flags)) return raise(vp, NP, error);
  }
  if (!markDescriptor(vp, 1)) return 1;
  setSegment(vp, segment, selector);
  update_mode(vp);
  return 0;
}

/** After a return to an outer level: data segments it may not use become null. */
export function dropInnerSegments(vp: u32): void {
  const level = cpl(vp);
  for (let segment: u32 = 0; segment <= GS_INDEX; segment++) {
    if (segment == CS_INDEX || segment == SS_INDEX) continue;
    const flags = load<u32>(vp + L.SEG_FLAGS + (segment << 2));
    if ((flags & UNUSABLE) == 0 && !isConforming(flags) && dpl(flags) < level) setNull(vp, segment, 0);
  }
}
