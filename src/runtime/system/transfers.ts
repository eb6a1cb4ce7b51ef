/** Control transfers that change CS: far jumps, calls and returns, IRET, SYSCALL, SYSRET. */
import { taskStack } from "../deliver";
import * as L from "../layout";
import { accessAs, commitAs, raise, READ, WRITE, writeAs } from "../memory";
import {
  CS_INDEX, Descriptor, dpl, dropInnerSegments, fetchDescriptor, fetchUpper, FLAT_CODE32, FLAT_CODE64, FLAT_DATA, isCode, isConforming,
  isNull, isPresent, isSegment, markDescriptor, setCache, setNull, setSegment, SS_INDEX, stackFault,
} from "./descriptors";
import {
  canonical, changeableFlags, code64, cpl, EFER_SCE, failed, F_NT, F_RF, F_VM, GP, gp, gprAt, implicitMode, longMode, NP,
  postEvent, protectedMode, rflags, setEflags, setRflags, SS, ud, update_mode,
} from "./state";

const RSP: u32 = 4;
const CODE_L: u32 = 0x2000;
const CODE_D: u32 = 0x4000;

function rsp(vp: u32): u64 {
  return load<u64>(vp + L.GPR + 32);
}

/** Mask of the stack pointer's bits that count. */
function stackMask(vp: u32): u64 {
  if (code64(vp)) return u64.MAX_VALUE;
  return (load<u32>(vp + L.SEG_FLAGS + 8) & 0x4000) != 0 ? 0xffffffff : 0xffff;
}

/** Linear address of rSP + offset. */
function stackAddress(vp: u32, offset: u64): u64 {
  const at = (rsp(vp) + offset) & stackMask(vp);
  return code64(vp) ? at : (at + load<u64>(vp + L.SEG_BASE + 16)) & 0xffffffff;
}

function setStackPointer(vp: u32, value: u64, mask: u64): void {
  if (mask == 0xffff) store<u16>(gprAt(vp, RSP), <u16>value);
  else store<u64>(gprAt(vp, RSP), value & mask);
}

/** Reads `count` items of `size` bytes from the stack; the address of a copy that the next access may overwrite, or 0. */
function readStack(vp: u32, offset: u64, count: u32, size: u32): u32 {
  store<u32>(vp, 0, L.LEAVE);
  // The item of the last pop but two (RFLAGS of an IRET, CS of a far RET) faults first, as on AMD's processors.
  const mode = load<u32>(vp, L.MODE) & 3;
  const first = offset + (count == 2 ? 1 : 2) * size;
  if (accessAs(vp, stackAddress(vp, first), size, READ, mode) == 0) return 0;
  // Of a frame with a stack pointer SS comes next; RIP is the last.
  if (count == 5 && accessAs(vp, stackAddress(vp, offset + 4 * size), size, READ, mode) == 0) return 0;
  if (accessAs(vp, stackAddress(vp, offset + size), size, READ, mode) == 0) return 0;
  return accessAs(vp, stackAddress(vp, offset), count * size, READ, mode);
}

function item(at: u32, n: u32, size: u32): u64 {
  if (size == 8) return load<u64>(at + n * 8);
  return size == 4 ? <u64>load<u32>(at + n * 4) : <u64>load<u16>(at + n * 2);
}

/** Whether `rip` may be jumped to in the code segment of the fetched descriptor. 0, or #GP raised. */
function checkTarget(vp: u32, rip: u64): u32 {
  if (longMode(vp) && (Descriptor.flags & CODE_L) != 0) return canonical(rip) ? 0 : gp(vp, 0);
  return rip > <u64>Descriptor.limit ? gp(vp, 0) : 0;
}

/** Takes the fetched code segment at privilege `level`. */
function enterCode(vp: u32, selector: u32, level: u32, rip: u64): void {
  setSegment(vp, CS_INDEX, (selector & 0xfffc) | level);
  store<u32>(vp, level, L.CPL);
  store<u64>(vp, rip, L.RIP);
}

// Real mode: what an application processor's first instructions need.

function enterReal(vp: u32, selector: u32, rip: u64): void {
  store<u32>(vp + L.SEG_SELECTOR + 4, selector);
  store<u64>(vp + L.SEG_BASE + 8, <u64>selector << 4);
  store<u64>(vp, rip & 0xffff, L.RIP);
  update_mode(vp);
}

// JMP and CALL.

/** Checks the fetched descriptor as the direct target of a far JMP or CALL. 0, or a fault raised. */
function checkDirect(vp: u32, selector: u32): u32 {
  const flags = Descriptor.flags;
  const level = cpl(vp);
  const error = selector & 0xfffc;
  const allowed = isConforming(flags) ? dpl(flags) <= level : (selector & 3) <= level && dpl(flags) == level;
  if (!isCode(flags) || !allowed) return gp(vp, error);
  if (longMode(vp) && (flags & (CODE_L | CODE_D)) == (CODE_L | CODE_D)) return gp(vp, error);
  return isPresent(flags) ? 0 : raise(vp, NP, error);
}

/** a = offset, b = selector, imm = operand size. */
export function sys_jmp_far(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const selector = <u32>load<u16>(vp + b);
  const offset = load<u64>(vp + a);
  if (!protectedMode(vp)) {
    enterReal(vp, selector, offset);
    return 0;
  }
  if (isNull(selector)) return gp(vp, 0);
  if (!fetchDescriptor(vp, selector, GP, selector & 0xfffc)) return 1;
  if (!isSegment(Descriptor.flags)) return throughGate(vp, selector, 0, 0, false);
  if (checkDirect(vp, selector) != 0 || checkTarget(vp, offset) != 0 || !markDescriptor(vp, 1)) return 1;
  enterCode(vp, selector, cpl(vp), offset);
  update_mode(vp);
  return 0;
}

/** a = a temporary with the offset, the next one with the selector; b = the next instruction's address; imm = operand size. */
export function sys_call_far(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const selector = <u32>load<u16>(vp + a + 8);
  const offset = load<u64>(vp + a);
  const next = load<u64>(vp + b);
  if (!protectedMode(vp)) {
    if (!pushReturn(vp, next, imm)) return 1;
    enterReal(vp, selector, offset);
    return 0;
  }
  if (isNull(selector)) return gp(vp, 0);
  if (!fetchDescriptor(vp, selector, GP, selector & 0xfffc)) return 1;
  if (!isSegment(Descriptor.flags)) return throughGate(vp, selector, next, imm, true);
  if (checkDirect(vp, selector) != 0 || checkTarget(vp, offset) != 0 || !markDescriptor(vp, 1)) return 1;
  if (!pushReturn(vp, next, imm)) return 1;
  enterCode(vp, selector, cpl(vp), offset);
  update_mode(vp);
  return 0;
}

/** Pushes CS and a return address on the current stack. What CS overwrote stays so if there is no room for the address. */
function pushReturn(vp: u32, next: u64, size: u32): bool {
  const mode = load<u32>(vp, L.MODE) & 3;
  const selector = <u64>load<u32>(vp + L.SEG_SELECTOR + 4);
  if (!writeAs(vp, stackAddress(vp, -(<u64>size)), size, selector, mode)) return false;
  const bytes = size * 2;
  if (!writeAs(vp, stackAddress(vp, -(<u64>bytes)), size, next, mode)) return false;
  setStackPointer(vp, rsp(vp) - bytes, stackMask(vp));
  return true;
}

/** Far JMP or CALL through the fetched system descriptor: a 64-bit call gate, or nothing that may be jumped through. */
function throughGate(vp: u32, selector: u32, next: u64, size: u32, calls: bool): u32 {
  const error = selector & 0xfffc;
  const gate = Descriptor.flags;
  if (!longMode(vp) || (gate & 0x1f) != 12) return gp(vp, error);
  const level = cpl(vp);
  if (dpl(gate) < level || dpl(gate) < (selector & 3)) return gp(vp, error);
  if (!isPresent(gate)) return raise(vp, NP, error);
  const upper = fetchUpper(vp, selector, GP);
  if (failed(vp)) return 1;
  if ((upper & 0x1f00000000) != 0) return gp(vp, error);
  const target = <u64>((Descriptor.low & 0xffff) | (Descriptor.high & 0xffff0000)) | (upper << 32);
  const code = Descriptor.low >> 16;
  const codeError = code & 0xfffc;
  if (isNull(code)) return gp(vp, 0);
  if (!fetchDescriptor(vp, code, GP, codeError)) return 1;
  const flags = Descriptor.flags;
  if (!isCode(flags) || dpl(flags) > level || (flags & (CODE_L | CODE_D)) != CODE_L) return gp(vp, codeError);
  if (!isPresent(flags)) return raise(vp, NP, codeError);
  if (!canonical(target)) return gp(vp, 0);
  const inner = !isConforming(flags) && dpl(flags) < level;
  if (!calls && inner) return gp(vp, codeError);
  if (!markDescriptor(vp, 1)) return 1;
  const newLevel = inner ? dpl(flags) : level;
  if (calls) {
    const low = Descriptor.low;
    const high = Descriptor.high;
    if (!pushThroughGate(vp, next, inner, newLevel)) return 1;
    Descriptor.low = low;
    Descriptor.high = high;
  }
  enterCode(vp, code, newLevel, target);
  update_mode(vp);
  return 0;
}

/** A 64-bit gate's frame: RIP CS, and RSP SS on a new stack where the privilege changes. */
function pushThroughGate(vp: u32, next: u64, inner: bool, newLevel: u32): bool {
  let stack = rsp(vp);
  if (!inner) stack &= stackMask(vp);
  else {
    stack = taskStack(vp, 4 + (newLevel << 3), 0);
    if (failed(vp)) return false;
  }
  const bytes: u32 = inner ? 32 : 16;
  stack -= bytes;
  if (!canonical(stack)) {
    raise(vp, SS, 0);
    return false;
  }
  const mode = newLevel == 3 ? 0 : inner ? implicitMode(vp) : load<u32>(vp, L.MODE) & 3;
  store<u32>(vp, 0, L.LEAVE);
  const at = accessAs(vp, stack, bytes, WRITE, mode);
  if (at == 0) return false;
  store<u64>(at, next);
  store<u64>(at, <u64>load<u32>(vp + L.SEG_SELECTOR + 4), 8);
  if (inner) {
    store<u64>(at, rsp(vp), 16);
    store<u64>(at, <u64>load<u32>(vp + L.SEG_SELECTOR + 8), 24);
  }
  if (at == vp + L.BOUNCE && commitAs(vp, stack, bytes, mode) == 0) return false;
  store<u64>(gprAt(vp, RSP), stack);
  if (inner) setNull(vp, SS_INDEX, newLevel);
  return true;
}

// RET and IRET.

// The stack segment that goes with a return to an outer level, found before anything changes.
let stackLow: u32 = 0;
let stackHigh: u32 = 0;

/** Checks the code segment that is returned to. 0 with its descriptor fetched, or a fault raised. */
function checkReturn(vp: u32, selector: u32): u32 {
  if (isNull(selector)) return gp(vp, 0);
  const error = selector & 0xfffc;
  if (!fetchDescriptor(vp, selector, GP, error)) return 1;
  const flags = Descriptor.flags;
  const level = selector & 3;
  if (!isCode(flags) || level < cpl(vp)) return gp(vp, error);
  if (isConforming(flags) ? dpl(flags) > level : dpl(flags) != level) return gp(vp, error);
  if (longMode(vp) && (flags & (CODE_L | CODE_D)) == (CODE_L | CODE_D)) return gp(vp, error);
  return isPresent(flags) ? 0 : raise(vp, NP, error);
}

/** Checks the stack segment that is returned to, into stackLow and stackHigh (0 for null). 0, or a fault raised. */
function checkReturnStack(vp: u32, selector: u32, level: u32, to64: bool): u32 {
  stackHigh = 0;
  if (isNull(selector)) return to64 && level != 3 && (selector & 3) == level ? 0 : gp(vp, 0);
  const error = selector & 0xfffc;
  if (!fetchDescriptor(vp, selector, GP, error)) return 1;
  const vector = stackFault(Descriptor.flags, selector, level, GP);
  if (vector != 0) return raise(vp, vector, error);
  if (!markDescriptor(vp, 1)) return 1;
  stackLow = Descriptor.low;
  stackHigh = Descriptor.high;
  return 0;
}

function takeReturnStack(vp: u32, selector: u32): void {
  if (stackHigh == 0) return setNull(vp, SS_INDEX, selector);
  Descriptor.low = stackLow;
  Descriptor.high = stackHigh;
  setSegment(vp, SS_INDEX, selector);
}

/** a: bytes to release besides; imm = operand size. */
export function sys_ret_far(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const size = imm;
  const at = readStack(vp, 0, 2, size);
  if (at == 0) return 1;
  const rip = item(at, 0, size);
  const selector = <u32>item(at, 1, size) & 0xffff;
  const mask = stackMask(vp);
  const released = rsp(vp) + 2 * size + a;
  if (!protectedMode(vp)) {
    setStackPointer(vp, released, mask);
    enterReal(vp, selector, rip);
    return 0;
  }
  const level = selector & 3;
  // As AMD's processors, which read a stack pointer for any other privilege before they look at it.
  if (level != cpl(vp) && readStack(vp, 2 * size + a, 2, size) == 0) return 1;
  if (checkReturn(vp, selector) != 0 || checkTarget(vp, rip) != 0 || !markDescriptor(vp, 1)) return 1;
  if (level == cpl(vp)) {
    enterCode(vp, selector, level, rip);
    setStackPointer(vp, released, mask);
    update_mode(vp);
    return 0;
  }
  const codeLow = Descriptor.low;
  const codeHigh = Descriptor.high;
  const to64 = longMode(vp) && (Descriptor.flags & CODE_L) != 0;
  const outer = readStack(vp, 2 * size + a, 2, size);
  if (outer == 0) return 1;
  const pointer = item(outer, 0, size);
  const stack = <u32>item(outer, 1, size) & 0xffff;
  if (checkReturnStack(vp, stack, level, to64) != 0) return 1;
  Descriptor.low = codeLow;
  Descriptor.high = codeHigh;
  enterCode(vp, selector, level, rip);
  takeReturnStack(vp, stack);
  update_mode(vp);
  setStackPointer(vp, pointer + a, stackMask(vp));
  dropInnerSegments(vp);
  update_mode(vp);
  return 0;
}

/** imm = operand size. */
export function sys_iret(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const size = imm;
  const from64 = code64(vp);
  const mask = stackMask(vp);
  if (protectedMode(vp) && (<u32>load<u64>(vp, L.EFLAGS) & F_NT) != 0) return gp(vp, 0);
  let at = readStack(vp, 0, from64 ? 5 : 3, size);
  if (at == 0) return 1;
  const rip = item(at, 0, size);
  const selector = <u32>item(at, 1, size) & 0xffff;
  const image = <u32>item(at, 2, size);
  let pointer = rsp(vp) + 3 * size;
  let stack: u32 = 0;
  if (from64) {
    pointer = item(at, 3, size);
    stack = <u32>item(at, 4, size) & 0xffff;
  }
  if (!protectedMode(vp)) {
    setStackPointer(vp, pointer, mask);
    takeFlags(vp, image, changeableFlags(vp, size));
    enterReal(vp, selector, rip);
    return 0;
  }
  if (size != 2 && (image & F_VM) != 0 && !longMode(vp) && cpl(vp) == 0) return gp(vp, 0);
  if (checkReturn(vp, selector) != 0 || checkTarget(vp, rip) != 0 || !markDescriptor(vp, 1)) return 1;
  const level = selector & 3;
  const outward = level != cpl(vp);
  const to64 = longMode(vp) && (Descriptor.flags & CODE_L) != 0;
  const codeLow = Descriptor.low;
  const codeHigh = Descriptor.high;
  if (outward && !from64) {
    at = readStack(vp, 3 * size, 2, size);
    if (at == 0) return 1;
    pointer = item(at, 0, size);
    stack = <u32>item(at, 1, size) & 0xffff;
  }
  const takesStack = outward || from64;
  if (takesStack && checkReturnStack(vp, stack, level, to64) != 0) return 1;

  // Nothing fails from here on. Which flags may change is a matter of the old privilege.
  const changeable = changeableFlags(vp, size);
  Descriptor.low = codeLow;
  Descriptor.high = codeHigh;
  enterCode(vp, selector, level, rip);
  if (takesStack) takeReturnStack(vp, stack);
  takeFlags(vp, image, changeable);
  update_mode(vp);
  setStackPointer(vp, pointer, takesStack ? stackMask(vp) : mask);
  if (outward) {
    dropInnerSegments(vp);
    update_mode(vp);
  }
  store<u32>(vp, size != 2 && (image & F_RF) != 0 ? 1 : 0, L.RESUME);
  if (load<u32>(vp, L.NMI_BLOCKED) != 0) {
    store<u32>(vp, 0, L.NMI_BLOCKED);
    postEvent(vp, L.EVENT_INTERRUPT);
  }
  return 0;
}

function takeFlags(vp: u32, image: u32, changeable: u32): void {
  setRflags(vp, (rflags(vp) & ~changeable) | (image & changeable));
}

// Fast system calls, as AMD has them: in compatibility mode too.

/** a = the next instruction's address. */
export function sys_syscall(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if ((load<u64>(vp, L.EFER) & EFER_SCE) == 0 || !longMode(vp)) return ud(vp);
  const image = rflags(vp) & ~F_RF;
  const selector = <u32>(load<u64>(vp, L.STAR) >> 32) & 0xfffc;
  store<u64>(gprAt(vp, 1), load<u64>(vp + a));
  store<u64>(gprAt(vp, 11), <u64>image);
  store<u64>(vp, load<u64>(vp + (code64(vp) ? L.LSTAR : L.CSTAR)), L.RIP);
  setRflags(vp, image & ~(<u32>load<u64>(vp, L.SFMASK)));
  setCache(vp, CS_INDEX, selector, 0, 0xffffffff, FLAT_CODE64);
  setCache(vp, SS_INDEX, (selector + 8) & 0xffff, 0, 0xffffffff, FLAT_DATA);
  store<u32>(vp, 0, L.CPL);
  store<u32>(vp, 0, L.STEP_TRAP);
  update_mode(vp);
  return 0;
}

/** imm = operand size: 8 returns to 64-bit code. As on AMD, a bad RIP faults only when it is fetched, in user mode. */
export function sys_sysret(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if ((load<u64>(vp, L.EFER) & EFER_SCE) == 0 || !longMode(vp)) return ud(vp);
  if (cpl(vp) != 0) return gp(vp, 0);
  const base = <u32>(load<u64>(vp, L.STAR) >> 48);
  const rip = load<u64>(gprAt(vp, 1));
  if (imm == 8) {
    setCache(vp, CS_INDEX, ((base + 16) & 0xffff) | 3, 0, 0xffffffff, FLAT_CODE64 | 0x60);
    store<u64>(vp, rip, L.RIP);
  } else {
    setCache(vp, CS_INDEX, base | 3, 0, 0xffffffff, FLAT_CODE32 | 0x60);
    store<u64>(vp, rip & 0xffffffff, L.RIP);
  }
  setCache(vp, SS_INDEX, ((base + 8) & 0xffff) | 3, 0, 0xffffffff, FLAT_DATA | 0x60);
  store<u32>(vp, 3, L.CPL);
  setRflags(vp, <u32>load<u64>(gprAt(vp, 11)));
  update_mode(vp);
  return 0;
}
