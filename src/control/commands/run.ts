/** `run`: starts a machine and gives it this terminal, or runs one command in it. */
import {
  allowList,
  backing,
  choice,
  command,
  count,
  diskList,
  flag,
  list,
  negatedFlag,
  passList,
  pmemList,
  publishList,
  seconds,
  shareList,
  size,
  text,
  traceList,
} from "../schema.ts";
import { maxCpus, maxMemoryBytes, minMemoryBytes, type VmEnd } from "../vm-api.ts";

/** How the command ends, by what ended the machine. */
export const exitStatus = {
  success: 0,
  /** The monitor failed: a bug or the host's trouble. */
  failure: 1,
  /** What was asked for cannot be done as it was written. */
  usage: 2,
  panic: 70,
  timeout: 124,
  /** The machine ended before the command that `--exec` runs did. */
  execLost: 125,
  interrupted: 130,
  terminated: 143,
  /** Nobody reads what is printed: 128 and SIGPIPE. */
  brokenPipe: 141,
} as const;

export function statusOf(end: VmEnd): number {
  switch (end.reason) {
    case "poweroff":
    case "reset":
    case "stopped":
      return exitStatus.success;
    case "panic":
      return exitStatus.panic;
    case "timeout":
      return exitStatus.timeout;
    case "error":
      return exitStatus.failure;
  }
}

export const runCommand = command({
  name: "run",
  summary: "start a machine in this terminal",
  argument: { name: "IMAGE", help: "a prepared image, or one to prepare now", required: false },
  options: {
    kernel: text("FILE", "boot this bzImage or vmlinux; without IMAGE there is no initrd but --initrd"),
    initrd: text("FILE", "initial RAM file system"),
    append: text("STR", "more words for the kernel's command line"),
    memory: size("512M", minMemoryBytes, maxMemoryBytes, "guest memory"),
    memoryMax: size(
      "none",
      minMemoryBytes,
      maxMemoryBytes,
      "what guest memory can grow to: memvisor mem NAME --resize SIZE",
    ),
    memoryBacking: backing("where guest memory goes that is evicted (docs/memory.md)"),
    reclaim: flag("evict what the guest does not use; to a compressed backing, if none is named"),
    memoryLimit: size("none", minMemoryBytes, maxMemoryBytes, "evict what the guest has in memory over this"),
    cpus: count("N", 1, `vCPUs, at most ${maxCpus}`),
    name: text("NAME", "let other commands find the machine: exec, cp, logs, stop"),
    detach: { ...flag("run in the background; without --name it gets one, which is printed"), short: "d" },
    exec: text("CMD", "run CMD in the guest's shell, pass input, output and exit status through, and end"),
    cold: flag("boot, though there is a snapshot of such a machine as it was after its boot"),
    snapshot: text(
      "FILE",
      "when the command of --exec has ended: write the machine to FILE; also where Ctrl-A s saves to",
    ),
    key: text("FILE", "encrypt the snapshot with the secret in the first line of FILE"),
    clock: choice(["wall", "virtual"], "guest time follows the host's clock, or counts instructions"),
    reboot: negatedFlag("end at a reset of the guest instead of starting it again"),
    timeout: seconds("end the machine after S seconds"),
    stats: flag("print counters to standard error at the end"),
    profile: text("FILE", "write where guest time goes to FILE at the end, for https://www.speedscope.app"),
    trace: traceList("print events to standard error"),
    traceFrom: count("N", 0, "trace from the N-th instruction on"),
    traceTo: count("N", 1, "trace until the N-th instruction"),
    digestEvery: count("N", 1, "print a hash of CPU, memory and devices every N instructions"),
    seed: count("N", 0, "where the machine's random numbers come from; 1 with --clock virtual"),
    net: choice(["none", "user"], "plug in a network card with a way out; -p and --allow do so too"),
    publish: publishList("a port of this host that leads to the guest"),
    allow: allowList("what the guest may reach on this host: localhost:5432, which is 10.0.2.2:5432 to it"),
    disk: diskList("plug in a disk (virtio): /dev/vda, vdb and so on in the guest"),
    pmem: pmemList("a file as persistent memory: /dev/pmem0 and so on (docs/persistent-memory.md)"),
    share: shareList("a directory of this host that the guest sees at PATH (docs/shares.md)"),
    balloon: flag("plug in a memory balloon (virtio): what the guest does not use is given back"),
    rng: flag("plug in an entropy device (virtio): /dev/hwrng in the guest"),
    interpreter: flag("compile nothing, interpret everything"),
    chaos: count("SEED", 0, "flush the TLB, drop regions and so on at random; the guest must not notice"),
    without: passList("leave out optimisations of the translator"),
    consoleLog: text("FILE", "write what the guest prints on its console to FILE too"),
    mirror: text("URL", "when the image is prepared: Debian mirror"),
    keyring: text("FILE", "when the image is prepared: the archive's public keys"),
    with: list("PACKAGE", "when the image is prepared: put a Debian with these packages onto a root disk"),
    keep: text("FILE", "keep what the guest writes to its root disk in this qcow2 file, and go on from it"),
  },
  notes: `At the terminal, Ctrl-A h shows the keys and Ctrl-A x ends the machine.

Exit status:
  0    the guest powered off, or reset with --no-reboot, or Ctrl-A x
  N    with --exec, the command's own status
  1    memvisor failed
  2    wrong usage: an option, an image, a file that is no kernel
  70   the guest's kernel panicked
  124  --timeout ran out
  125  the guest ended before the command of --exec did
  130  interrupted, 143 terminated by a signal`,
});
