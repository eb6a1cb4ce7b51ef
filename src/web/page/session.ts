/**
 * One machine at a time, from the wish to start it to its end.
 *
 *   idle → loading → starting → running → stopping → ended
 *                                            (a machine that cannot be started: back to idle, with the trouble)
 *
 * Law: `changed` is told of each state once, in order; only one start is under way at any time.
 */
import { defaultCommandLine, type VmEnd, VmError } from "#control";
import { bootFilesOf, type DownloadProgress } from "../machine/image-store.ts";
import { diskName, diskPath } from "../machine/kept-disk.ts";
import type { SiteImage } from "../machine/site-manifest.ts";
import { WebMachine } from "../machine/web-machine.ts";
import type { Settings } from "./settings.ts";
import type { TerminalSize } from "./terminal-view.ts";

export type SessionState =
  | { readonly name: "idle"; readonly trouble?: string }
  | { readonly name: "loading"; readonly image: SiteImage; readonly progress?: DownloadProgress }
  | { readonly name: "starting"; readonly image: SiteImage; readonly memoryMib: number }
  | { readonly name: "running"; readonly machine: Running }
  | { readonly name: "stopping"; readonly machine: Running }
  | { readonly name: "ended"; readonly machine: Running; readonly end: VmEnd };

export interface Running {
  readonly vm: WebMachine;
  readonly image: SiteImage;
  readonly settings: Settings;
  /** What the browser gave; less than was asked for where it refused that. */
  readonly memoryMib: number;
  /** `Date.now()` then. */
  readonly since: number;
}

/** What a guest's own network would guard: the host is the relay's, and so is the decision. */
const relayDecides = ["127.0.0.0/8:*", "169.254.0.0/16:*"];

/** Less is not worth trying: the kernel needs that much. */
const leastMemoryMib = 64;

export class Session {
  readonly #changed: (state: SessionState) => void;
  #state: SessionState = { name: "idle" };
  #abort: AbortController | undefined;

  constructor(changed: (state: SessionState) => void) {
    this.#changed = changed;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** `terminal`: its size when the guest starts. `prepare`: makes what the settings ask for and is not there yet. */
  async start(
    image: SiteImage,
    settings: Settings,
    terminal: () => TerminalSize,
    prepare: () => Promise<void>,
  ): Promise<void> {
    if (this.#state.name !== "idle" && this.#state.name !== "ended") return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#enter({ name: "loading", image });
    try {
      await prepare();
      const files = await bootFilesOf(
        image,
        (progress) => this.#enter({ name: "loading", image, progress }),
        abort.signal,
      );
      const { rows, columns } = terminal();
      const words = [defaultCommandLine, `memvisor.rows=${rows}`, `memvisor.cols=${columns}`, settings.append];
      const { vm, memoryMib } = await this.#boot(image, settings, (memoryBytes) =>
        WebMachine.start({
          ...files,
          commandLine: words.filter(Boolean).join(" "),
          memoryBytes,
          cpus: settings.cpus,
          ...(settings.relay && { network: { relay: settings.relay, allow: relayDecides } }),
          ...(settings.disk && { disks: [{ file: diskName }] }),
        }),
      );
      // Given up while the machine was being made.
      if (abort.signal.aborted) return void vm.stop();
      const machine: Running = { vm, image, settings, memoryMib, since: Date.now() };
      this.#enter({ name: "running", machine });
      if (settings.disk) void mountDisk(vm);
      void vm.exited.then((end) => this.#enter({ name: "ended", machine, end }));
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#enter({ name: "idle", trouble: troubleText(error) });
    }
  }

  /** Gives up a start that is under way. */
  cancel(): void {
    if (this.#state.name !== "loading" && this.#state.name !== "starting") return;
    this.#abort?.abort();
    this.#enter({ name: "idle" });
  }

  /** As if the plug were pulled. */
  stop(): void {
    this.#leave((vm) => void vm.stop());
  }

  /** Asks the guest. */
  powerOff(): void {
    this.#leave((vm) => vm.powerOff());
  }

  /** From an end back to where one chooses. */
  reset(): void {
    if (this.#state.name === "ended") this.#enter({ name: "idle" });
  }

  /** With less memory each time that the browser has not so much in one piece. */
  async #boot(
    image: SiteImage,
    settings: Settings,
    start: (memoryBytes: number) => Promise<WebMachine>,
  ): Promise<{ vm: WebMachine; memoryMib: number }> {
    for (let memoryMib = settings.memoryMib; ; memoryMib >>= 1) {
      this.#enter({ name: "starting", image, memoryMib });
      try {
        return { vm: await start(memoryMib * 2 ** 20), memoryMib };
      } catch (error) {
        const refused = error instanceof VmError && error.code === "memory";
        if (!refused || memoryMib / 2 < leastMemoryMib) throw error;
      }
    }
  }

  #leave(how: (vm: WebMachine) => void): void {
    const state = this.#state;
    if (state.name !== "running" && state.name !== "stopping") return;
    this.#enter({ name: "stopping", machine: state.machine });
    how(state.machine.vm);
  }

  #enter(state: SessionState): void {
    this.#state = state;
    this.#changed(state);
  }
}

function troubleText(error: unknown): string {
  if (error instanceof TypeError) return `A file could not be loaded: ${error.message}. Is the server still there?`;
  return error instanceof Error ? error.message : String(error);
}

/** As soon as the agent is up, which is with the shell. A disk without a file system stays /dev/vda. */
async function mountDisk(vm: WebMachine): Promise<void> {
  const command = `
    # What the kernel says of it would stand behind the shell's first prompt.
    read -r level _ </proc/sys/kernel/printk; echo 3 >/proc/sys/kernel/printk
    modprobe -q ext4; mkdir -p ${diskPath}; mount /dev/vda ${diskPath} || rmdir ${diskPath}
    echo $level >/proc/sys/kernel/printk`;
  // A machine that ends meanwhile needs no disk.
  await vm.exec(command).catch(() => {});
}
