/**
 * Calls of a vCPU's thread to the thread of the devices, which answers between two slices of its own vCPU.
 *
 * The call lies in the caller's vCPU record. Law: a caller has one call at a time and is parked while it waits; the thread of
 * the devices never waits for a caller, so that there is no circle.
 */
import { arenaLayout, processFields } from "#memory";
import { area, at, type Vcpu } from "#vcpu";

export const deviceCall = {
  readPort: 1,
  writePort: 2,
  readMmio: 3,
  writeMmio: 4,
  /** Of a level-triggered interrupt, `address` being its vector. */
  endOfInterrupt: 5,
  /** The text is a remark for the person who runs the machine. */
  notice: 6,
  /** Triple fault. */
  shutdown: 7,
  /** The thread failed, for the reason in the text, and has ended. */
  failed: 8,
  /** The text is the next part of what the thread keeps of its vCPU: its local APIC, its MSRs and its clock. */
  state: 9,
  /** It stands still. Answered when it may go on. */
  paused: 10,
  /** A guest frame (`address`) is to be brought in from its memory object. */
  fill: 11,
} as const;
export type DeviceCallKind = (typeof deviceCall)[keyof typeof deviceCall];

export interface DeviceCall {
  readonly kind: DeviceCallKind;
  readonly address: number;
  readonly size: number;
  readonly value: number;
  readonly text: string;
}

const idle = 0;
const asked = 1;
const answered = 2;
/** Of a call's text; what is longer is cut off. */
export const textBytes = area.scratchBytes;
/** A caller looks up now and then, whatever happens. */
const napMs = 100;

/** The machine ends: thrown out of whatever its threads are doing. */
export class ThreadStopped extends Error {
  override name = "ThreadStopped";
}

export function stopThreads(vcpus: readonly Vcpu[]): void {
  const words = vcpus[0].arena.i32;
  Atomics.store(words, (arenaLayout.PROCESS + processFields.P_STOP) >> 2, 1);
  for (const vcpu of vcpus) Atomics.notify(words, (vcpu.vp + at.CALL_STATE) >> 2);
}

export function threadsStop(vcpu: Vcpu): boolean {
  return Atomics.load(vcpu.arena.i32, (arenaLayout.PROCESS + processFields.P_STOP) >> 2) !== 0;
}

/** Asks all threads to stand still, or lets them go on. */
export function pauseThreads(vcpu: Vcpu, pause: boolean): void {
  Atomics.store(vcpu.arena.i32, (arenaLayout.PROCESS + processFields.P_PAUSE) >> 2, pause ? 1 : 0);
}

export function threadsPause(vcpu: Vcpu): boolean {
  return Atomics.load(vcpu.arena.i32, (arenaLayout.PROCESS + processFields.P_PAUSE) >> 2) !== 0;
}

/** Whether the vCPU's thread waits to go on. */
export function isPaused(vcpu: Vcpu): boolean {
  const called = Atomics.load(vcpu.arena.i32, (vcpu.vp + at.CALL_STATE) >> 2) === asked;
  return called && vcpu.u32("CALL_KIND") === deviceCall.paused;
}

/** `wait`: runs its argument while the caller is parked. `ring`: the thread of the devices looks up. */
export class DeviceCaller {
  readonly #vcpu: Vcpu;
  readonly #ring: () => void;

  constructor(vcpu: Vcpu, ring: () => void) {
    this.#vcpu = vcpu;
    this.#ring = ring;
  }

  /** Requires: the vCPU is parked. */
  call(kind: DeviceCallKind, address = 0, size = 0, value = 0, text = ""): number {
    const vcpu = this.#vcpu;
    const state = (vcpu.vp + at.CALL_STATE) >> 2;
    const bytes = new TextEncoder().encode(text).subarray(0, textBytes);
    vcpu.setU32("CALL_KIND", kind);
    vcpu.setU32("CALL_SIZE", text === "" ? size : bytes.length);
    vcpu.setU32("CALL_VALUE", value);
    vcpu.setU64("CALL_ADDRESS", BigInt(address));
    if (text !== "") vcpu.arena.u8.set(bytes, vcpu.vp + area.scratch);
    Atomics.store(vcpu.arena.i32, state, asked);
    this.#ring();
    if (kind === deviceCall.failed) return 0;
    while (Atomics.load(vcpu.arena.i32, state) === asked) {
      if (threadsStop(vcpu)) throw new ThreadStopped();
      Atomics.wait(vcpu.arena.i32, state, asked, napMs);
    }
    Atomics.store(vcpu.arena.i32, state, idle);
    return vcpu.u32("CALL_VALUE");
  }
}

/**
 * Answers the call that waits in the vCPU's record, if there is one, unless `answer` gives nothing yet: then it is asked again. Who stands
 * still goes on when all may.
 */
export function answerCall(vcpu: Vcpu, answer: (call: DeviceCall) => number | undefined): void {
  const words = vcpu.arena.i32;
  const state = (vcpu.vp + at.CALL_STATE) >> 2;
  if (Atomics.load(words, state) !== asked) return;
  const kind = vcpu.u32("CALL_KIND") as DeviceCallKind;
  if (kind === deviceCall.paused && threadsPause(vcpu)) return;
  const size = vcpu.u32("CALL_SIZE");
  const spoken = kind === deviceCall.notice || kind === deviceCall.failed || kind === deviceCall.state;
  const start = vcpu.vp + area.scratch;
  const value = answer({
    kind,
    size,
    address: Number(vcpu.u64("CALL_ADDRESS")),
    value: vcpu.u32("CALL_VALUE"),
    text: spoken ? new TextDecoder().decode(vcpu.arena.u8.slice(start, start + Math.min(size, textBytes))) : "",
  });
  if (value === undefined) return;
  vcpu.setU32("CALL_VALUE", value);
  Atomics.store(words, state, answered);
  Atomics.notify(words, state);
}
