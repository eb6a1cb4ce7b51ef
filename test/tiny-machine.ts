/** A whole machine whose kernel is a few bytes of code: a vmlinux made around them, and a host that only listens. */
import { type ByteSource, Machine, type MachineConfig, type MachineHost, type Resume } from "#vm";
import { memoryServices } from "../src/host/guest-memory.ts";
import { tinyVmlinux } from "../src/vm/boot/fuzz-cases.ts";
import { runtimeWasm } from "./guest-code.ts";

/** Where the code runs: CPL 0, identity mapped, RSI at the boot parameters. */
export const kernelBase = 0x100_0000;
const codeInFile = 512;

export interface TinyMachine {
  readonly machine: Machine;
  readonly serial: () => string;
  readonly reports: (kind: string) => string[];
  /** Of `machine`, as it is now. */
  readonly fork: () => TinyMachine;
}

const silence: ByteSource = { available: 0, read: () => 0 };

/** A vmlinux whose entry is `code`. */
export function tinyKernel(code: Uint8Array): Uint8Array {
  const kernel = tinyVmlinux();
  kernel.set(code, codeInFile);
  return kernel;
}

/** `around`: what the machine has of its host besides. */
export function tinyMachine(
  code: Uint8Array,
  changes: Partial<MachineConfig> = {},
  resume?: Resume,
  around: Partial<MachineHost> = {},
): TinyMachine {
  const config = { commandLine: "", memoryBytes: 64 << 20, clock: "virtual", engine: {}, ...changes } as const;
  return onTinyHost((host) => new Machine({ kernel: tinyKernel(code), ...config }, host, resume), around);
}

function onTinyHost(newMachine: (host: MachineHost) => Machine, around: Partial<MachineHost>): TinyMachine {
  const reports: [kind: string, line: string][] = [];
  let serial = "";
  let time = 0;
  const host: MachineHost = {
    runtimeWasm: runtimeWasm(),
    memory: memoryServices,
    serialInput: [silence, silence, silence, silence],
    serialOutput: (_, bytes) => {
      serial += String.fromCharCode(...bytes);
    },
    now: () => (time += 1000),
    wallClock: () => 0,
    random: (target) => target.fill(7),
    poll: () => false,
    waitFor: (done) => done(),
    wait: () => {},
    report: (kind, line) => reports.push([kind, line]),
    ...around,
  };
  const machine = newMachine(host);
  return {
    machine,
    serial: () => serial,
    reports: (kind) => reports.filter(([each]) => each === kind).map(([, line]) => line),
    fork: () => onTinyHost((other) => machine.fork(other), around),
  };
}
