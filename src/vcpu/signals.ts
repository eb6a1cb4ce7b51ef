/**
 * What reaches a vCPU besides interrupts: INIT, NMI, and the startup IPI that ends the wait after INIT
 * (SDM 3A, "MP Initialization Protocol Algorithm").
 *
 * They wait in the field SIGNALS, set from any thread, until the engine takes them between two instructions.
 * Law: an INIT forgets a startup IPI that came before it and was not taken yet.
 */
import { at } from "./layout.ts";
import { Event } from "./leave.ts";
import type { Vcpu } from "./vcpu.ts";

export const Signal = { init: 1, nmi: 2, startup: 4 } as const;
const startupVectorShift = 8;
const startupBits = Signal.startup | (0xff << startupVectorShift);

/** Values of HALTED. */
export const Halted = { no: 0, hlt: 1, waitForStartup: 2 } as const;

export function postNmi(vcpu: Vcpu): void {
  post(vcpu, 0, Signal.nmi);
}

export function postInit(vcpu: Vcpu): void {
  post(vcpu, startupBits, Signal.init);
}

/** `vector`: the page that real-mode code starts in. */
export function postStartup(vcpu: Vcpu, vector: number): void {
  post(vcpu, startupBits, Signal.startup | ((vector & 0xff) << startupVectorShift));
}

export function startupVector(signals: number): number {
  return (signals >> startupVectorShift) & 0xff;
}

/** Takes all that waits but what `keep` says. */
export function takeSignals(vcpu: Vcpu, keep: number): number {
  return Atomics.and(vcpu.arena.i32, (vcpu.vp + at.SIGNALS) >> 2, keep) & ~keep;
}

function post(vcpu: Vcpu, clear: number, set: number): void {
  const words = vcpu.arena.i32;
  const index = (vcpu.vp + at.SIGNALS) >> 2;
  for (;;) {
    const old = Atomics.load(words, index);
    if (Atomics.compareExchange(words, index, old, (old & ~clear) | set) === old) break;
  }
  vcpu.raiseEvent(Event.interrupt);
}
