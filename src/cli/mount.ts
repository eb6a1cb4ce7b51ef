/** `memvisor mount`: the memory of machines as files in a folder. */
import { exitStatus } from "#control";
import { listMachines, mountFiles, RemoteMachine } from "#host";
import { fixedFolder, type MemoryFolder, memoryTree } from "#introspect/memory-files";
import { withMachineFailures } from "./machine-failures.ts";

/** `vm/NAME`: those that run now, whenever it is looked at. */
const machines: MemoryFolder = {
  kind: "folder",
  entries: async () => (await listMachines()).map(({ name }) => ({ name, kind: "folder" })),
  find: async (name) => {
    if (!(await listMachines()).some((each) => each.name === name)) return undefined;
    const machine = new RemoteMachine(name);
    return memoryTree((question) => machine.memory(question));
  },
};

export async function mount(folder: string): Promise<number> {
  return withMachineFailures(async () => {
    const mounted = await mountFiles(fixedFolder({ vm: machines }), folder);
    console.log(`${mounted.folder}/vm has the machines' memory; Ctrl-C, or umount ${mounted.folder}, ends it`);
    const end = (): void => {
      if (!mounted.unmount()) console.error(`${mounted.folder} is in use: this ends when nobody uses it any more`);
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    // A second signal ends the process as it is.
    for (const signal of signals) process.once(signal, end);
    await mounted.ended;
    for (const signal of signals) process.off(signal, end);
    return exitStatus.success;
  });
}
