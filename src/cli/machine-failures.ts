/** What goes wrong with machines that run elsewhere, as ends of a command. */
import { exitStatus, VmError } from "#control";
import { Failure } from "./failure.ts";

export async function withMachineFailures<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const usage = error.code === "option" || error.code === "machine";
    throw new Failure(error.message, usage ? exitStatus.usage : exitStatus.failure);
  }
}
