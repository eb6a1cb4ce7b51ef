import type { VirtualMachine } from "#host";

/** Runs a command of the guest to its end; what it wrote to its output. Throws when it fails. */
export async function run(vm: VirtualMachine, command: string, stdin?: string): Promise<string> {
  const { status, stdout, stderr } = await vm.exec(command, stdin === undefined ? {} : { stdin });
  if (status === 0) return stdout.text();
  throw new Error(`status ${status}: ${`${stdout.text()}\n${stderr.text()}`.trim().split("\n").slice(-4).join(" / ")}`);
}
