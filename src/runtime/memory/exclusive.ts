/**
 * Threads that run vCPUs of one process, and how one of them stops the others (docs/smp.md).
 *
 * A thread runs one vCPU. It is *running* while translated code or the runtime may touch guest memory by what the TLB said, and
 * *parked* otherwise: asleep, compiling, waiting for a device. P_EXCLUSIVE names the vCPU that wants to be alone, or 0.
 *
 * Laws: between `beginExclusive` and `endExclusive` no other vCPU is running. Who becomes running says so first and looks at
 * P_EXCLUSIVE then; who wants to be alone does it in the other order: one of them sees the other.
 * Who waits for anything here is parked, so that two who want to be alone come one after the other.
 *
 * With one thread all of this is nothing.
 */
import * as L from "../layout";
import { granules, records } from "./worker";

/** Looks at a word before sleeping on it. */
const SPINS: u32 = 4000;
const NAP_NS: i64 = 200_000;
const LOCK_NAP_NS: i64 = 20_000;

/** The vCPU of this thread, where there are several threads; else 0. */
let self: u32 = 0;
/** `beginExclusive` called and not ended. */
let depth: u32 = 0;

/** Says that this thread runs the vCPU `vp`, and other threads others. */
export function use_thread(vp: u32): void {
  self = vp;
}

export function severalThreads(): bool {
  return self != 0;
}

export function isExclusive(): bool {
  return depth != 0;
}

/** Not before nobody is alone. */
export function resume(vp: u32): void {
  const lock = L.PROCESS + L.P_EXCLUSIVE;
  let waited = false;
  for (;;) {
    atomic.store<u32>(vp + L.RUNNING, 1);
    const holder = atomic.load<u32>(lock);
    if (holder == 0 || holder == vp) break;
    park(vp);
    if (!waited) atomic.add<u32>(L.PROCESS + L.P_WAITING, 1);
    waited = true;
    if (!changes(lock, holder)) atomic.wait<i32>(lock, holder, NAP_NS);
  }
  if (waited) atomic.sub<u32>(L.PROCESS + L.P_WAITING, 1);
}

/** Looks for a while whether a word is still what it was. */
function changes(at: u32, value: u32): bool {
  for (let n: u32 = 0; n < SPINS; n++) if (atomic.load<u32>(at) != value) return true;
  return false;
}

/**
 * How often this thread has parked. While it is parked frames may be taken away and harvested from the logs: what several accesses
 * have found holds together only where it has not parked in between.
 */
export let parks: u32 = 0;

export function park(vp: u32): void {
  parks++;
  atomic.store<u32>(vp + L.RUNNING, 0);
  if (atomic.load<u32>(L.PROCESS + L.P_EXCLUSIVE) != 0) atomic.notify(vp + L.RUNNING, -1);
}

/** Returns when no other vCPU is running, and none will before `endExclusive`. May be nested; parks on the way. */
export function beginExclusive(): void {
  if (self == 0 || depth++ != 0) return;
  const running = atomic.load<u32>(self + L.RUNNING) != 0;
  const lock = L.PROCESS + L.P_EXCLUSIVE;
  for (;;) {
    const holder = atomic.cmpxchg<u32>(lock, 0, self);
    if (holder == 0) break;
    if (running) {
      park(self);
      resume(self);
    } else atomic.wait<i32>(lock, holder, NAP_NS);
  }
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (vp != self) awaitParked(vp);
  }
  store<u64>(L.PROCESS, load<u64>(L.PROCESS, L.P_EXCLUSIVES) + 1, L.P_EXCLUSIVES);
}

function awaitParked(vp: u32): void {
  if (atomic.load<u32>(vp + L.RUNNING) == 0) return;
  atomic.or<u32>(vp + L.EVENTS, L.EVENT_PARK);
  if (changes(vp + L.RUNNING, 1)) return;
  while (atomic.load<u32>(vp + L.RUNNING) != 0) atomic.wait<i32>(vp + L.RUNNING, 1, NAP_NS);
}

export function endExclusive(): void {
  if (self == 0 || --depth != 0) return;
  atomic.store<u32>(L.PROCESS + L.P_EXCLUSIVE, 0);
  atomic.notify(L.PROCESS + L.P_EXCLUSIVE, -1);
  // Who is alone again and again lets the others run in between.
  for (let n: u32 = 0; n < SPINS; n++) if (atomic.load<u32>(L.PROCESS + L.P_WAITING) == 0) return;
}

/** A lock for a few instructions of the runtime, never held across anything that waits. */
export function lock(at: u32): void {
  if (self == 0) return;
  while (atomic.cmpxchg<u32>(at, 0, 1) != 0) {
    if (!changes(at, 1)) atomic.wait<i32>(at, 1, LOCK_NAP_NS);
  }
}

export function unlock(at: u32): void {
  if (self != 0) atomic.store<u32>(at, 0);
}

// Frames that other threads have translated.

function recordOf(thread: u32, frame: u32): u32 {
  return load<u32>(L.PROCESS + (thread << 2), L.P_RECORDS) + (frame >> 12) * L.FRAME_RECORD_BYTES;
}

/** That thread has blocks of the frame, and has not been told to forget them. */
function translates(thread: u32, frame: u32): bool {
  if (load<u32>(recordOf(thread, frame), L.F_BLOCKS) == 0) return false;
  const vp = load<u32>(L.PROCESS + (thread << 2), L.P_VCPUS);
  const count = min(load<u32>(vp, L.FORGET_COUNT), L.FORGET_ENTRIES);
  for (let n: u32 = 0; n < count; n++) if (load<u32>(vp + L.FORGET + (n << 2)) == frame) return false;
  return true;
}

function isOther(thread: u32): bool {
  return load<u32>(L.PROCESS + (thread << 2), L.P_RECORDS) != records;
}

/** Whether another thread has translated code of the frame. */
function othersTranslate(frame: u32): bool {
  const threads = load<u32>(L.PROCESS, L.P_THREADS);
  for (let n: u32 = 0; n < threads; n++) if (isOther(n) && translates(n, frame)) return true;
  return false;
}

/** That thread has blocks of the frame that depend on some of these granules, or will from what it reads now. */
function holds(thread: u32, frame: u32, granules: u64): bool {
  // In this order: blocks are there before their bytes are no longer read.
  const lifting = L.PROCESS + L.P_LIFTING + (thread << 3);
  if (atomic.load<u32>(lifting) == frame || atomic.load<u32>(lifting, 4) == frame) return true;
  return translates(thread, frame) && (load<u64>(recordOf(thread, frame), L.F_CODE) & granules) != 0;
}

/** Whether another thread has translated code of the frame, or is reading it now. */
export function othersHold(frame: u32, granules: u64 = u64.MAX_VALUE): bool {
  if (self == 0) return false;
  const threads = load<u32>(L.PROCESS, L.P_THREADS);
  for (let n: u32 = 0; n < threads; n++) if (isOther(n) && holds(n, frame, granules)) return true;
  return false;
}

/** The word of this thread in P_LIFTING; `second`: for a frame that a block goes on in. */
function liftingAt(second: bool): u32 {
  const threads = load<u32>(L.PROCESS, L.P_THREADS);
  for (let n: u32 = 0; n < threads; n++) if (!isOther(n)) return L.PROCESS + L.P_LIFTING + (n << 3) + (second ? 4 : 0);
  return 0;
}

/** This thread reads code of the frame from now on; whether no thread has translated any of it before. */
export function beginLifting(frame: u32, second: bool): bool {
  atomic.store<u32>(liftingAt(second), frame);
  return load<u32>(records + (frame >> 12) * L.FRAME_RECORD_BYTES, L.F_BLOCKS) == 0 && !othersTranslate(frame);
}

export function endLifting(): void {
  if (self == 0) return;
  atomic.store<u32>(liftingAt(false), 0);
  atomic.store<u32>(liftingAt(true), 0);
}

/**
 * Bytes [from, to) of the frame have been changed: whoever else has translated them forgets that before it runs another instruction.
 * Law: bytes are changed first and this is called then; who lifts says so first and reads then.
 */
export function tellOthers(frame: u32, from: u32, to: u32): void {
  if (self == 0) return;
  const changed = granules(from, to);
  // A store before this is seen before what is loaded after it.
  atomic.add<u32>(self + L.RUNNING, 0);
  if (!othersHold(frame, changed)) return;
  beginExclusive();
  const threads = load<u32>(L.PROCESS, L.P_THREADS);
  for (let n: u32 = 0; n < threads; n++) if (isOther(n) && holds(n, frame, changed)) postForget(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS), frame);
  endExclusive();
}

/** Requires: exclusive. A full list means all blocks. */
function postForget(vp: u32, frame: u32): void {
  const count = load<u32>(vp, L.FORGET_COUNT);
  if (count < L.FORGET_ENTRIES) store<u32>(vp + L.FORGET + (count << 2), frame);
  store<u32>(vp, min(count + 1, L.FORGET_ENTRIES + 1), L.FORGET_COUNT);
  atomic.or<u32>(vp + L.EVENTS, L.EVENT_PARK);
}
