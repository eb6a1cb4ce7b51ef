/** A virtual machine in this page: its vCPUs run in workers, so the page stays free. */
import { checkOptions, MachineHandle, type VmOptions } from "#control";
import { startMachineThread } from "./machine-threads.ts";

export class WebMachine extends MachineHandle {
  /** Resolves when the guest runs. Throws `VmError` for options or a kernel that no machine can run. */
  static async start(options: VmOptions): Promise<WebMachine> {
    checkOptions(options);
    const vm = new WebMachine(options, startMachineThread);
    await vm.started;
    return vm;
  }
}
