/** IN, OUT, INS, OUTS: IOPL or the TSS's permission bitmap lets them. */
import { portRead, portWrite } from "../host";
import * as L from "../layout";
import { accessAs, commitAs, parks, READ, WRITE } from "../memory";
import { code64, cpl, F_IOPL, failed, gp, gprAt, readTable } from "./state";

const LEAVE_AGAIN: u32 = 8;
/** A repeated INS or OUTS gives way after so many items. */
const BURST: u32 = 1024;

/** 0, or #GP raised (or the read of the bitmap left). */
function mayUse(vp: u32, port: u32, size: u32): u32 {
  if (cpl(vp) <= (<u32>load<u64>(vp, L.EFLAGS) & F_IOPL) >> 12) return 0;
  const limit = load<u32>(vp, L.TR_LIMIT);
  const tss = load<u64>(vp, L.TR_BASE);
  if (limit < 0x67) return gp(vp, 0);
  const map = <u32>readTable(vp, tss + 0x66, 2);
  if (failed(vp)) return 1;
  const at = map + (port >> 3);
  if (at + 1 > limit) return gp(vp, 0);
  const bits = <u32>readTable(vp, tss + at, 2);
  if (failed(vp)) return 1;
  return ((bits >> (port & 7)) & ((1 << size) - 1)) != 0 ? gp(vp, 0) : 0;
}

function portValue(value: u32, size: u32): u32 {
  return size == 4 ? value : value & ((1 << (size << 3)) - 1);
}

/** a = field with the port (16 bits), imm = size. */
export function sys_in(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const port = <u32>load<u16>(vp + a);
  if (mayUse(vp, port, imm) != 0) return 1;
  const value = portRead(port, imm);
  const rax = gprAt(vp, 0);
  if (imm == 1) store<u8>(rax, <u8>value);
  else if (imm == 2) store<u16>(rax, <u16>value);
  else store<u64>(rax, <u64>value);
  return 0;
}

/** a = field with the port (16 bits), imm = size. */
export function sys_out(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const port = <u32>load<u16>(vp + a);
  if (mayUse(vp, port, imm) != 0) return 1;
  portWrite(port, imm, portValue(<u32>load<u64>(gprAt(vp, 0)), imm));
  return 0;
}

/** The bits of a register that an address size gives. */
function sizedRegister(vp: u32, n: u32, size: u32): u64 {
  const value = load<u64>(gprAt(vp, n));
  return size == 8 ? value : size == 4 ? value & 0xffffffff : value & 0xffff;
}

function setSizedRegister(vp: u32, n: u32, size: u32, value: u64): void {
  if (size == 8) store<u64>(gprAt(vp, n), value);
  else if (size == 4) store<u64>(gprAt(vp, n), value & 0xffffffff);
  else store<u16>(gprAt(vp, n), <u16>value);
}

function linear(vp: u32, offset: u64, segment: u32): u64 {
  const base = load<u64>(vp + L.SEG_BASE + (segment << 3));
  if (code64(vp)) return segment >= 4 ? base + offset : offset;
  return (base + offset) & 0xffffffff;
}

/** One item of INS (n = RDI) or OUTS (n = RSI); 0, or what left. */
function one(vp: u32, port: u32, size: u32, addressSize: u32, segment: u32, outs: bool): u32 {
  const n: u32 = outs ? 6 : 7;
  const offset = sizedRegister(vp, n, addressSize);
  const va = linear(vp, offset, segment);
  const mode = load<u32>(vp, L.MODE) & 3;
  store<u32>(vp, 0, L.LEAVE);
  // Memory first: a device is asked only when nothing can fail any more.
  let at = accessAs(vp, va, size, outs ? READ : WRITE, mode);
  if (at == 0) return 1;
  if (outs) portWrite(port, size, portValue(size == 1 ? <u32>load<u8>(at) : size == 2 ? <u32>load<u16>(at) : load<u32>(at), size));
  else {
    const before = parks;
    const value = portRead(port, size);
    // The page may have been harvested from the dirty log meanwhile, or taken away.
    if (parks != before) at = accessAs(vp, va, size, WRITE, mode);
    if (at == 0) return 1;
    if (size == 1) store<u8>(at, <u8>value);
    else if (size == 2) store<u16>(at, <u16>value);
    else store<u32>(at, value);
    if (at == vp + L.BOUNCE && commitAs(vp, va, size, mode) == 0) return 1;
  }
  setSizedRegister(vp, n, addressSize, offset + <u64>(<i64>size * load<i64>(vp, L.DIRECTION)));
  return 0;
}

/** a = segment of OUTS, b = address size; imm = size, + 16 repeated, + 32 OUTS. Registers tell how far it has come. */
export function sys_string_io(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const size = imm & 15;
  const repeated = (imm & 16) != 0;
  const outs = (imm & 32) != 0;
  const port = <u32>load<u16>(gprAt(vp, 2));
  if (mayUse(vp, port, size) != 0) return 1;
  if (repeated && sizedRegister(vp, 1, b) == 0) return 0;
  if (!repeated) return one(vp, port, size, b, a, outs);
  for (let n: u32 = 0; n < BURST; n++) {
    if (one(vp, port, size, b, a, outs) != 0) return 1;
    const left = sizedRegister(vp, 1, b) - 1;
    setSizedRegister(vp, 1, b, left);
    if (left == 0) return 0;
  }
  store<u32>(vp, LEAVE_AGAIN, L.LEAVE);
  return LEAVE_AGAIN;
}
