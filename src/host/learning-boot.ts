/**
 * A boot for what it leaves: how an image boots is learnt when it is prepared (docs/cold-path.md), so that each boot that somebody waits for
 * takes it. The machine is the one that `memvisor run IMAGE` starts; it ends when its agent has answered.
 *
 * Law: whatever goes wrong, the image is as good as before, and its next boot learns the same.
 */
import { join } from "node:path";
import { busybox, type MachineHandle, type VmOptions } from "#control";
import { cacheFolder } from "./images/index.ts";
import { isLearnt, withLearnt } from "./learnt-files.ts";
import { buildOf } from "./package-files.ts";
import { withImage } from "./start-options.ts";
import { VirtualMachine } from "./virtual-machine.ts";

/** A boot of some seconds, on a host that is busy otherwise. */
const patienceMs = 120_000;

export interface LearningOptions {
  /** Called when it is known that there is something to learn. */
  readonly onBegin?: () => void;
  /** Ends the boot; what it has learnt is kept. */
  readonly signal?: AbortSignal;
}

/** Who learns, and by what machines. */
export interface Learner {
  /** Undefined where nothing is learnt. */
  readonly build: Uint8Array | undefined;
  start(options: VmOptions): Promise<MachineHandle>;
}

/** Boots a prepared image if this build has not learnt how that goes. Gives why it could not, else nothing. */
export async function learnImage(name: string, options: LearningOptions = {}): Promise<string | undefined> {
  const machine = await withLearnt(await withImage({ image: name, shell: true }), join(cacheFolder(), "learnt"));
  return learnBoot(machine, { build: buildOf(), start: (all) => VirtualMachine.start(all) }, options);
}

/** The same of a machine that has an agent. */
export async function learnBoot(
  machine: VmOptions,
  { build, start }: Learner,
  { onBegin, signal }: LearningOptions,
): Promise<string | undefined> {
  if (build === undefined || machine.learnt === undefined || (await isLearnt(machine.learnt, build))) return undefined;
  onBegin?.();
  try {
    signal?.throwIfAborted();
    await using vm = await start({ timeoutMs: patienceMs, ...machine });
    const stop = (): void => void vm.stop();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    // What every image can run, a root disk without a shell, too.
    await vm.exec(busybox, ["true"], { cwd: "/" }).finally(() => signal?.removeEventListener("abort", stop));
    return undefined;
  } catch (error) {
    return signal?.aborted ? "it was interrupted" : (error as Error).message;
  }
}
