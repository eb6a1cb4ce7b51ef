/**
 * Interrupts from other threads: they wait as bits in the vCPU's record until its own thread hands them to its local APIC.
 *
 * Law: once `postInterrupt` has returned, the vCPU looks at the bit before it sleeps again, and at the next boundary of
 * translated code if it runs.
 */
import { at } from "./layout.ts";
import { Event } from "./leave.ts";
import type { Vcpu } from "./vcpu.ts";

const words = 8;

/** Sleep of another thread's vCPU ends. */
export function wake(vcpu: Vcpu): void {
  const index = (vcpu.vp + at.WAKE) >> 2;
  Atomics.add(vcpu.arena.i32, index, 1);
  Atomics.notify(vcpu.arena.i32, index);
}

/** What `sleep` compares: taken before looking whether there is a reason to stay awake. */
export function wakeCount(vcpu: Vcpu): number {
  return Atomics.load(vcpu.arena.i32, (vcpu.vp + at.WAKE) >> 2);
}

/** Sleeps until somebody has woken the vCPU since `count` was taken, or for `ms`. */
export function sleep(vcpu: Vcpu, count: number, ms: number): void {
  Atomics.wait(vcpu.arena.i32, (vcpu.vp + at.WAKE) >> 2, count, ms);
}

export function postInterrupt(vcpu: Vcpu, vector: number, level: boolean): void {
  const { i32 } = vcpu.arena;
  const word = (vector >> 5) & (words - 1);
  const bit = 1 << (vector & 31);
  const levels = ((vcpu.vp + at.POSTED_LEVEL) >> 2) + word;
  if (level) Atomics.or(i32, levels, bit);
  else Atomics.and(i32, levels, ~bit);
  Atomics.or(i32, ((vcpu.vp + at.POSTED_IRR) >> 2) + word, bit);
  vcpu.raiseEvent(Event.interrupt);
}

/** Takes what was posted. */
export function takePosted(vcpu: Vcpu, take: (vector: number, level: boolean) => void): void {
  const { i32 } = vcpu.arena;
  for (let word = 0; word < words; word++) {
    const index = ((vcpu.vp + at.POSTED_IRR) >> 2) + word;
    if (Atomics.load(i32, index) === 0) continue;
    let bits = Atomics.exchange(i32, index, 0);
    const levels = Atomics.load(i32, ((vcpu.vp + at.POSTED_LEVEL) >> 2) + word);
    while (bits !== 0) {
      const n = 31 - Math.clz32(bits);
      bits &= ~(1 << n);
      take(word * 32 + n, (levels & (1 << n)) !== 0);
    }
  }
}
