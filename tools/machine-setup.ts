/** What tools that run a machine in their own process share: its files from the command line, and a host that sleeps never. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultCommandLine } from "#control";
import type { MachineConfig, MachineHost } from "#vm";
import { cacheFolder } from "../src/host/images/cache.ts";
import { runtimeFile } from "../src/host/package-files.ts";

/** For `parseArgs`. */
export const machineOptions = {
  image: { type: "string", default: "debian-12-cloud" },
  kernel: { type: "string" },
  initrd: { type: "string" },
  append: { type: "string" },
  memory: { type: "string", default: "512" },
  cpus: { type: "string", default: "1" },
  seed: { type: "string", default: "1" },
} as const;

export interface MachineValues {
  readonly image: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly memory: string;
  readonly cpus: string;
  readonly seed: string;
}

export const machineUsage = `  --image NAME          a prepared image (default debian-12-cloud), or
  --kernel FILE         a bzImage or vmlinux, and
  --initrd FILE         its initramfs
  --append STR          more words for the kernel's command line
  --memory MIB          guest memory (default 512)
  --cpus N              vCPUs (default 1)
  --seed N              where the machine's random numbers come from (default 1)`;

/** A machine in virtual time. */
export function virtualMachine(values: MachineValues): Omit<MachineConfig, "engine"> {
  const { kernel, initrd } = machineFiles(values);
  return {
    kernel: readFileSync(kernel),
    ...(initrd !== undefined && { initrd: readFileSync(initrd) }),
    commandLine: [defaultCommandLine, values.append].filter(Boolean).join(" "),
    memoryBytes: Number(values.memory) << 20,
    cpus: Number(values.cpus),
    clock: "virtual",
    seed: Number(values.seed),
  };
}

export function machineFiles(values: Pick<MachineValues, "image" | "kernel" | "initrd">): {
  kernel: string;
  initrd?: string;
} {
  if (values.kernel !== undefined) return { kernel: values.kernel, initrd: values.initrd };
  const folder = join(cacheFolder(), "images", values.image);
  return { kernel: join(folder, "kernel"), initrd: values.initrd ?? join(folder, "initrd.cpio") };
}

/** Nothing comes in; what goes out is given to `output`. */
export function quietHost(output: (port: number, bytes: Uint8Array) => void = () => {}): MachineHost {
  const silent = { available: 0, read: () => 0 };
  return {
    runtimeWasm: readFileSync(runtimeFile()),
    serialInput: [silent, silent, silent, silent],
    serialOutput: output,
    now: () => Math.round(performance.now() * 1e6),
    wallClock: () => Date.now(),
    random: (target) => target.fill(0),
    poll: () => false,
    waitFor: (done) => done(),
    wait: () => {},
    report: (kind, line) => {
      if (kind === "notice") process.stderr.write(`${line}\n`);
    },
  };
}
