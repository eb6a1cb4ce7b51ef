/** A virtual machine in this process: its vCPU runs in a worker thread, so the caller's event loop stays free. */
import { Worker } from "node:worker_threads";
import type { Value } from "#base";
import {
  checkOptions,
  MachineHandle,
  type MachineMessage,
  type MachineStart,
  type MachineThread,
  type RestoreOptions,
  recallOptions,
  type StartThread,
  VmError,
  type VmOptions,
} from "#control";
import { readSnapshot, SnapshotError } from "#snapshot";
import { hostModule } from "./package-files.ts";
import { openFile } from "./snapshot-file.ts";

export class VirtualMachine extends MachineHandle {
  /** Resolves when the guest runs. Throws `VmError` for options or a kernel that no machine can run. */
  static async start(options: VmOptions): Promise<VirtualMachine> {
    checkOptions(options);
    const vm = new VirtualMachine(options, workerThread(hostModule("vm-worker")));
    await vm.started;
    return vm;
  }

  /**
   * A machine that goes on from a file that `snapshot` wrote; any number of them can. The file stays where it is for as long as
   * they run. Throws `VmError` for what is no snapshot, or damaged.
   */
  static async restore(path: string, options: RestoreOptions = {}): Promise<VirtualMachine> {
    return VirtualMachine.start(recallOptions(ownerOf(path), path, options));
  }
}

function ownerOf(path: string): Value {
  try {
    return readSnapshot(openFile(path)).owner;
  } catch (error) {
    throw error instanceof SnapshotError ? new VmError("snapshot", error.message) : error;
  }
}

/** What a machine's thread makes lives for a moment or for good: collecting more often costs nothing and saves 20 MiB. */
const maxYoungGenerationSizeMb = 8;

/** Machines on worker threads that begin at `entry`. */
export function workerThread(entry: URL): StartThread {
  return (start: MachineStart): MachineThread => {
    const worker = new Worker(entry, {
      workerData: start,
      name: "memvisor machine",
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    return {
      onMessage: (receive) => void worker.on("message", (message: MachineMessage) => receive(message)),
      onEnd: (receive) => {
        worker.on("error", (error) => receive(error instanceof Error ? error : new Error(String(error))));
        worker.on("exit", () => receive(undefined));
      },
      terminate: async () => void (await worker.terminate()),
    };
  };
}
