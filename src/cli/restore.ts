/** `memvisor restore`: goes on with a machine from a snapshot. */
import type { restoreCommand, ValuesOf } from "#control";
import { VirtualMachine } from "#host";
import { inForeground } from "./foreground.ts";

export function restore(path: string, values: ValuesOf<typeof restoreCommand>): Promise<number> {
  const { reboot, timeout, interpreter, profile } = values;
  const options = {
    ...(reboot !== undefined && { reboot }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(interpreter && { interpreterOnly: true }),
    ...(profile !== undefined && { profile: true }),
  };
  return inForeground(() => VirtualMachine.restore(path, options), values);
}
