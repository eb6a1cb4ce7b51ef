/** `memvisor restore`: goes on with a machine from a snapshot. */
import { basename } from "node:path";
import type { restoreCommand, ValuesOf } from "#control";
import { VirtualMachine } from "#host";
import { attend } from "./named.ts";

export function restore(path: string, values: ValuesOf<typeof restoreCommand>): Promise<number> {
  const { reboot, timeout, interpreter, profile, memoryBacking, key } = values;
  const options = {
    ...(reboot !== undefined && { reboot }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(interpreter && { interpreterOnly: true }),
    ...(memoryBacking !== undefined && { memoryBacking }),
    ...(values.reclaim && { reclaim: true }),
    ...(values.memoryLimit !== undefined && { memoryLimitBytes: values.memoryLimit }),
    ...(profile !== undefined && { profile: true }),
    ...(key !== undefined && { key }),
  };
  return attend(values, basename(path), () => VirtualMachine.restore(path, options));
}
