/**
 * What runs a vCPU. The translating engine and the KVM engine share this interface; the machine model, the devices and
 * the snapshot format do not know which one is at work.
 */
import type { Vcpu } from "#vcpu";

/** Why `run` came back. */
export type VmExit =
  /** The budget is spent, or the host asked for attention. */
  | { readonly reason: "budget" }
  /** HLT was retired and nothing is pending. */
  | { readonly reason: "halt" }
  /** Triple fault: the processor stopped. */
  | { readonly reason: "shutdown" }
  /** The instruction at RIP raised an exception, and the engine was asked to catch them; `address` counts for #PF. */
  | { readonly reason: "fault"; readonly vector: number; readonly error: number; readonly address: bigint };

/** What a running vCPU asks of the machine around it. All calls are synchronous, on the engine's thread. */
export interface EngineHost {
  readMmio(gpa: number, size: 1 | 2 | 4): number;
  writeMmio(gpa: number, size: 1 | 2 | 4, value: number): void;
  readPort(port: number, size: 1 | 2 | 4): number;
  writePort(port: number, size: 1 | 2 | 4, value: number): void;
  /** Gives a guest frame that only its memory object has a frame. */
  fillFrame?(gfn: number): void;
  /** Whether such a frame is there without waiting; else its page is asked for. Asked of vCPUs with ASYNC_FAULTS. */
  comesAtOnce?(gfn: number): boolean;
  /** A token for the guest, which does not wait for that page; 0: it has its frame. */
  deferFault?(gfn: number): number;
  /** Undefined raises #GP. */
  readMsr(index: number): bigint | undefined;
  /** False raises #GP. */
  writeMsr(index: number, value: bigint): boolean;
  cpuid(leaf: number, subleaf: number): readonly [eax: number, ebx: number, ecx: number, edx: number];
  /** Time-stamp counter after `instructions` retired ones. */
  readTsc(): bigint;
  random64(): bigint;
  /** CR8 was written: the task priority follows. */
  writeCr8(value: number): void;
  /** TSC_OFFSET changed: deadlines in terms of the TSC lie elsewhere now. */
  tscChanged(): void;
  /** True when an interrupt could be taken. */
  interruptPending(): boolean;
  /** Vector of the interrupt now taken, or -1 when it went away. */
  acknowledgeInterrupt(): number;
  /** The vCPU takes an INIT: its local APIC is reset, too. */
  initialized(): void;
  /** An instruction that no rule lifts was met: reported once for each. */
  missingInstruction(mnemonic: string, code: string): void;
  /** Some hot code cannot be compiled, and is interpreted from here on: a mistake of the compiler's. */
  notCompiled(why: string): void;
}

/** Who watches a vCPU run. It changes nothing; where there is none, nothing is asked. */
export interface EngineObserver {
  /** The instruction at RIP runs alone now. */
  instruction(vcpu: Vcpu): void;
  /** It ran, or raised an exception that has been delivered. */
  instructionDone(vcpu: Vcpu): void;
  /** An exception is about to be delivered; RIP is where it was raised. */
  exception(vcpu: Vcpu, vector: number, error: number): void;
  interrupt(vcpu: Vcpu, vector: number): void;
  /** RDMSR has given EDX:EAX, or WRMSR has taken it; `failed`: with an exception instead. */
  msr(vcpu: Vcpu, write: boolean, failed: boolean): void;
}

export interface Engine {
  /** Runs until `icount` instructions of this vCPU have retired, or something else ends it. */
  run(vcpu: Vcpu, icount: bigint): VmExit;
}
