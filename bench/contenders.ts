/** Who is compared: memvisor, QEMU's translator and, for what needs no kernel of ours, the host itself. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultCommandLine } from "#control";
import { hostTscKhz, qemuPath } from "./qemu.ts";

export interface Contender {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface Machine {
  readonly image: string;
  /** The image's own. */
  readonly kernel: string;
  /** The image's own, or another one. */
  readonly initrd: string;
  readonly memoryMib: number;
  readonly processors: number;
  /** More words for the kernel's command line. */
  readonly append: string;
}

/** As a user runs it: this checkout's with no more words, or another one's. */
export function memvisor(
  { image, initrd, memoryMib, processors, append }: Machine,
  { words = "", checkout = fileURLToPath(new URL("..", import.meta.url)) } = {},
): Contender {
  const several = processors > 1 ? ["--cpus", String(processors)] : [];
  return {
    name: "memvisor",
    command: process.execPath,
    args: [
      ...[join(checkout, "bin/memvisor.js"), "run", image, "--initrd", initrd, "--memory", `${memoryMib}M`],
      ...[
        ...several,
        ...(append === "" ? [] : ["--append", append]),
        ...words.split(" ").filter((word) => word !== ""),
      ],
    ],
  };
}

/**
 * memvisor as it boots an image that was prepared, which is how users meet it: preparing learns how the image boots (docs/cold-path.md), for
 * which `teach` stands here. And as it boots once after memvisor was updated, when nothing is learnt by it.
 */
export const bootWords = { "memvisor, prepared": "", "memvisor, updated": "--without learnt" } as const;

export const qemuMachines = ["pc", "microvm"] as const;

export function qemu(
  machine: string,
  cpu: string,
  { kernel, initrd, memoryMib, processors, append }: Machine,
  devices: readonly string[] = [],
): Contender {
  // Without these two, the guest calibrates its TSC against a timer of a busy host: it may hang, or leave the TSC alone.
  const words = `tsc_early_khz=${hostTscKhz()} tsc=reliable`;
  return {
    name: machine,
    command: qemuPath(),
    args: [
      ...[
        "-accel",
        "tcg,thread=multi",
        "-M",
        machine,
        "-cpu",
        cpu,
        "-smp",
        String(processors),
        "-m",
        String(memoryMib),
      ],
      ...[
        "-kernel",
        kernel,
        "-initrd",
        initrd,
        "-append",
        [defaultCommandLine, words, append].filter(Boolean).join(" "),
      ],
      ...["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", ...devices],
    ],
  };
}

export function native(program: string, busybox: string, data: string, rows: readonly string[]): Contender {
  const scratch = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  return {
    name: "native",
    command: program,
    args: ["--busybox", busybox, "--data", data, "--scratch", scratch, ...rows],
  };
}
