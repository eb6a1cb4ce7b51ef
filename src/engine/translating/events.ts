/**
 * What happens to a vCPU between two instructions: INIT, startup IPIs, NMIs, interrupts, single steps and breakpoints.
 *
 * Whoever has something for a vCPU raises an event, which ends its run at the next boundary of blocks (vcpu/leave.ts). An interrupt is
 * never taken during the instruction after STI or MOV SS. Order where several wait: SDM 3A, "Prioritization of Concurrent Events".
 */
import { assert } from "#base";
import {
  Event,
  Halted,
  initialize,
  Leave,
  Shadow,
  Signal,
  startUp,
  startupVector,
  takeSignals,
  type Vcpu,
} from "#vcpu";
import type { EngineHost, EngineObserver, VmExit } from "../engine.ts";
import type { RuntimeExports } from "./runtime.ts";

/** What events need of the engine. */
export interface AroundEvents {
  readonly runtime: RuntimeExports;
  /** Of the vCPU that runs. */
  readonly host: EngineHost;
  readonly observer: EngineObserver | undefined;
  /** Other threads raise events, too. */
  readonly isThreaded: boolean;
  /** Runs the next instruction alone. */
  step(vcpu: Vcpu): VmExit | undefined;
  /** Lets others be alone who wait for it. */
  park(vcpu: Vcpu): void;
}

const IF = 1n << 9n;
const TF = 1n << 8n;
/** DR6.BS */
const singleStep = 1 << 14;
const maxRounds = 15;
const debugVector = 1;
const nmiVector = 2;

export class Events {
  readonly #around: AroundEvents;

  constructor(around: AroundEvents) {
    this.#around = around;
  }

  /** True when a halted vCPU goes on. */
  wake(vcpu: Vcpu): boolean {
    vcpu.setU32("INHIBIT", Shadow.none);
    this.#signals(vcpu);
    if (vcpu.u32("HALTED") === Halted.no) return true;
    if (vcpu.u32("HALTED") === Halted.waitForStartup) return false;
    if (!this.#around.host.interruptPending() || (vcpu.u64("EFLAGS") & IF) === 0n) return false;
    vcpu.setU32("HALTED", Halted.no);
    return true;
  }

  /** Takes INIT, then a startup IPI, then an NMI. An NMI that is blocked waits; IRET raises the event again. */
  #signals(vcpu: Vcpu): void {
    if (vcpu.u32("SIGNALS") === 0) return;
    const signals = takeSignals(vcpu, vcpu.u32("NMI_BLOCKED") !== 0 ? Signal.nmi : 0);
    if ((signals & Signal.init) !== 0) {
      initialize(vcpu);
      this.#around.host.initialized();
      vcpu.setU32("HALTED", Halted.waitForStartup);
      this.#around.runtime.tlb_flush_all(vcpu.vp);
      this.#around.runtime.update_mode(vcpu.vp);
      // A run that comes to this between two instructions is over.
      vcpu.raiseEvent(Event.host);
    }
    if ((signals & Signal.startup) !== 0 && vcpu.u32("HALTED") === Halted.waitForStartup) {
      startUp(vcpu, startupVector(signals));
      vcpu.setU32("HALTED", Halted.no);
      this.#around.runtime.update_mode(vcpu.vp);
    }
    if ((signals & Signal.nmi) === 0 || vcpu.u32("HALTED") === Halted.waitForStartup) return;
    this.#around.observer?.interrupt(vcpu, nmiVector);
    this.#around.runtime.deliver_nmi(vcpu.vp);
  }

  /** Deals with EVENTS before code runs; an exit when the host is wanted. */
  take(vcpu: Vcpu): VmExit | undefined {
    for (let rounds = 0; ; rounds++) {
      // Of other threads they may come without end: code gets its turn.
      if (rounds >= maxRounds && this.#around.isThreaded) return undefined;
      assert(rounds < maxRounds, "events come to an end");
      const events = vcpu.u32("EVENTS");
      if (events === 0) return undefined;
      if ((events & Event.park) !== 0) {
        vcpu.clearEvent(Event.park);
        this.#around.park(vcpu);
        continue;
      }
      if ((events & Event.host) !== 0) {
        vcpu.clearEvent(Event.host);
        return vcpu.u32("HALTED") !== 0 ? undefined : { reason: "budget" };
      }
      if ((events & Event.debug) !== 0) {
        const exit = this.#debug(vcpu);
        if (exit !== undefined) return exit;
        if (vcpu.u32("DEBUG_ARMED") === 0) continue;
        // The event stays while breakpoints are armed: interrupts get their turn here, others come back.
        if ((events & Event.interrupt) !== 0 && vcpu.u32("INHIBIT") === 0) this.#interrupt(vcpu);
        return undefined;
      }
      if ((events & Event.interrupt) !== 0) {
        if (vcpu.u32("INHIBIT") !== 0) {
          const exit = this.#stepInhibited(vcpu);
          if (exit !== undefined) return exit;
          if (vcpu.u32("HALTED") !== 0) return undefined;
          continue;
        }
        this.#interrupt(vcpu);
        continue;
      }
      vcpu.clearEvent(events);
    }
  }

  /**
   * Runs the instruction after STI or MOV SS, during which no interrupt is taken. Where the budget ends before it, the
   * shadow stays: an interrupt between STI and HLT would be gone when HLT begins to wait for it.
   */
  #stepInhibited(vcpu: Vcpu): VmExit | undefined {
    const shadow = vcpu.u32("INHIBIT");
    vcpu.setU32("INHIBIT", Shadow.none);
    const retired = vcpu.u64("ICOUNT");
    const exit = this.#around.step(vcpu);
    if (exit !== undefined && vcpu.u64("ICOUNT") === retired) vcpu.setU32("INHIBIT", shadow);
    return exit;
  }

  #interrupt(vcpu: Vcpu): void {
    vcpu.clearEvent(Event.interrupt);
    this.#signals(vcpu);
    if (!this.#around.host.interruptPending()) return;
    if ((vcpu.u64("EFLAGS") & IF) === 0n) {
      vcpu.setU32("IRQ_WAITING", 1);
      return;
    }
    vcpu.setU32("IRQ_WAITING", 0);
    const vector = this.#around.host.acknowledgeInterrupt();
    if (vector < 0) return;
    this.#around.observer?.interrupt(vcpu, vector);
    this.#around.runtime.deliver_interrupt(vcpu.vp, vector);
    // Another one may wait behind it.
    if (this.#around.host.interruptPending()) vcpu.raiseEvent(Event.interrupt);
  }

  /** Single step, or breakpoints: the instruction runs alone, and #DB comes before or after it where something asks for it. */
  #debug(vcpu: Vcpu): VmExit | undefined {
    vcpu.clearEvent(Event.debug);
    const stepping = (vcpu.u64("EFLAGS") & TF) !== 0n;
    const armed = vcpu.u32("DEBUG_ARMED") !== 0;
    if (!stepping && !armed) return undefined;
    const stops = armed && vcpu.u32("RESUME") === 0 && vcpu.u32("INHIBIT") !== Shadow.debug;
    if (stops && this.#around.runtime.deliver_breakpoint(vcpu.vp) !== 0) {
      this.#around.observer?.exception(vcpu, debugVector, 0);
      vcpu.raiseEvent(Event.debug);
      return undefined;
    }
    const retired = vcpu.u64("ICOUNT");
    vcpu.setU32("RESUME", 0);
    vcpu.setU32("STEP_TRAP", stepping ? 1 : 0);
    const exit = this.#stepInhibited(vcpu);
    // After MOV SS single stepping goes on behind the next instruction, and what it found watched waits until then.
    const waits = vcpu.u32("INHIBIT") === Shadow.debug;
    // An instruction that faulted is not done, and begins anew; one element of a repeated one is.
    if (!waits && (vcpu.u64("ICOUNT") !== retired || vcpu.u32("LEAVE") === Leave.again)) {
      const causes = vcpu.u32("PENDING_DB") | (vcpu.u32("STEP_TRAP") !== 0 ? singleStep : 0);
      if (causes !== 0) {
        this.#around.observer?.exception(vcpu, debugVector, 0);
        this.#around.runtime.deliver_debug(vcpu.vp, causes);
      }
    }
    if (!waits) vcpu.setU32("PENDING_DB", 0);
    if (vcpu.u32("DEBUG_ARMED") !== 0 || (vcpu.u64("EFLAGS") & TF) !== 0n) vcpu.raiseEvent(Event.debug);
    return exit;
  }
}
