/** What a caller can get wrong in a machine's options, each by name and with what to do. */
import { backingWords, parseBacking } from "#memory/backing";
import { portsProblem } from "./guest-ports.ts";
import { networkOptions } from "./network-options.ts";
import { pmemProblem } from "./pmem.ts";
import { resizableProblem } from "./resizable.ts";
import { sharesProblem } from "./shares.ts";
import {
  defaultMemoryBytes,
  maxCpus,
  maxDisks,
  maxMemoryBytes,
  minMemoryBytes,
  VmError,
  type VmOptions,
} from "./vm-api.ts";
import { leastLimitBytes } from "./vm-memory.ts";

const mib = 1024 * 1024;

const names = Object.keys({
  kernel: true,
  setupHeader: true,
  initrd: true,
  snapshot: true,
  key: true,
  learn: true,
  learnt: true,
  commandLine: true,
  memoryBytes: true,
  memoryMaxBytes: true,
  cpus: true,
  clock: true,
  reboot: true,
  trace: true,
  profile: true,
  ports: true,
  network: true,
  vsock: true,
  shares: true,
  digestEvery: true,
  seed: true,
  disks: true,
  pmem: true,
  memoryBacking: true,
  reclaim: true,
  memoryLimitBytes: true,
  balloon: true,
  rng: true,
  timeoutMs: true,
  programs: true,
  interpreterOnly: true,
  hotThreshold: true,
  chaosSeed: true,
  evictionSeed: true,
  without: true,
} satisfies Record<keyof VmOptions, true>);

/** Those of an object's entries that are options of a machine. */
export const knownOptions = (all: object): Partial<VmOptions> =>
  Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));

/** Throws `VmError` for options that no machine can have. */
export function checkOptions(options: VmOptions): void {
  const wrong = (message: string): never => {
    throw new VmError("option", message);
  };
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) wrong(`${unknown}: a machine has no such option; it has ${names.toSorted().join(", ")}`);
  const { memoryBytes = defaultMemoryBytes, cpus = 1, digestEvery, timeoutMs } = options;
  const { kernel, snapshot } = options;
  if (
    !(kernel instanceof Uint8Array || typeof kernel === "string" || (kernel === undefined && snapshot !== undefined))
  ) {
    wrong("kernel: a Uint8Array with a bzImage or an ELF vmlinux is needed, or the name of such a file");
  }
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes % mib !== 0 || memoryBytes <= 0) {
    wrong(`memoryBytes: ${memoryBytes} is not a whole number of MiB`);
  }
  if (memoryBytes < minMemoryBytes || memoryBytes > maxMemoryBytes) {
    wrong(`memoryBytes: a machine has ${minMemoryBytes / mib} to ${maxMemoryBytes / mib} MiB`);
  }
  const wrongMax = resizableProblem(options);
  if (wrongMax !== undefined) wrong(`memoryMaxBytes: ${wrongMax}`);
  if (!(Number.isSafeInteger(cpus) && cpus >= 1 && cpus <= maxCpus)) wrong(`cpus: a machine has 1 to ${maxCpus}`);
  if (digestEvery !== undefined && !(Number.isSafeInteger(digestEvery) && digestEvery > 0)) {
    wrong("digestEvery: a whole number of instructions above 0 is needed");
  }
  const { memoryLimitBytes } = options;
  if (memoryLimitBytes !== undefined && !(memoryLimitBytes >= leastLimitBytes && memoryLimitBytes <= maxMemoryBytes))
    wrong(`memoryLimitBytes: a limit is from ${leastLimitBytes / mib} to ${maxMemoryBytes / mib} MiB`);
  if (options.memoryBacking !== undefined && parseBacking(options.memoryBacking) === undefined)
    wrong(`memoryBacking: "${options.memoryBacking}" is none: ${backingWords}`);
  if (options.network !== undefined) networkOptions(options.network);
  const wrongShare = sharesProblem(options.shares ?? []);
  if (wrongShare !== undefined) wrong(`shares: ${wrongShare}`);
  const wrongPorts = portsProblem(options.ports ?? []);
  if (wrongPorts !== undefined) wrong(`ports: ${wrongPorts}`);
  if (options.clock === "virtual" && (options.ports?.length ?? 0) > 0) {
    wrong("ports: what a host sends comes at no certain time: leave out ports or the virtual clock");
  }
  if (options.clock === "virtual" && options.vsock) {
    wrong("vsock: what a host sends comes at no certain time: leave out vsock or the virtual clock");
  }
  checkDisks(options.disks ?? [], wrong);
  const wrongPmem = pmemProblem(options.pmem ?? [], options.memoryMaxBytes ?? memoryBytes);
  if (wrongPmem !== undefined) wrong(`pmem: ${wrongPmem}`);
  if (timeoutMs !== undefined && !(timeoutMs > 0)) wrong("timeoutMs: a time above 0 is needed");
}

function checkDisks(disks: NonNullable<VmOptions["disks"]>, wrong: (message: string) => never): void {
  if (disks.length > maxDisks) wrong(`disks: a machine has at most ${maxDisks}`);
  const isName = (value: unknown): boolean => typeof value === "string" && value !== "";
  for (const { file, overlay = true } of disks) {
    if (!isName(file)) wrong("disks: each needs a file, the name of a raw or qcow2 disk");
    if (overlay !== true && !isName(overlay))
      wrong("disks: an overlay is the name of a file, or true for one that is gone at the end");
  }
}
