/** Memory that grows and shrinks, as the owner of a machine names it. */
import { defaultMemoryBytes, maxMemoryBytes, type VmOptions } from "./vm-api.ts";

const mib = 2 ** 20;
/** Linux adds memory in pieces of this size. */
const pieceBytes = 128 * mib;

/**
 * For the kernel's command line. What is added is used at once, for what can be moved elsewhere alone: only such memory can be taken away
 * again.
 */
export const resizableWords = ["memhp_default_state=online_movable"] as const;

/** What is wrong with the size that a machine may grow to; undefined when nothing is. */
export function resizableProblem({
  memoryBytes = defaultMemoryBytes,
  memoryMaxBytes,
  clock,
}: VmOptions): string | undefined {
  if (memoryMaxBytes === undefined) return undefined;
  if (clock === "virtual") return "a wish for more comes at no certain time: leave it out or the virtual clock";
  if (!(memoryMaxBytes > memoryBytes && memoryMaxBytes <= maxMemoryBytes))
    return `it is above the ${memoryBytes / mib} MiB that the machine begins with, and at most ${maxMemoryBytes / mib} MiB`;
  if ((memoryMaxBytes - memoryBytes) % pieceBytes !== 0)
    return `what it has over the ${memoryBytes / mib} MiB of the beginning is a whole number of ${pieceBytes / mib} MiB`;
  return undefined;
}
