/** Persistent memory as the owner of a machine names it. */
import type { PmemConfig } from "#vm";

const mib = 2 ** 20;
/** What the guest's kernel maps at a time. */
const wholeBytes = 2 * mib;
/** Each is a device on PCI. */
const maxRegions = 8;
/** Frames for all of it must find room beside the guest's memory. */
const maxWithMemoryBytes = 3584 * mib;

/** What is wrong with a list of files; undefined when nothing is. */
export function pmemProblem(pmem: readonly PmemConfig[], memoryBytes: number): string | undefined {
  if (pmem.length > maxRegions) return `a machine has at most ${maxRegions}`;
  if (pmem.some(({ file }) => typeof file !== "string" || file === "")) return "each needs the name of a file";
  const odd = pmem.find(({ sizeBytes = wholeBytes }) => !(sizeBytes > 0 && sizeBytes % wholeBytes === 0));
  if (odd !== undefined) return `${odd.file}: its size must be a whole number of 2 MiB`;
  const files = pmem.map(({ file }) => file);
  if (new Set(files).size < files.length) return "two are the same file";
  const sum = pmem.reduce((bytes, { sizeBytes = 0 }) => bytes + sizeBytes, memoryBytes);
  if (sum > maxWithMemoryBytes) return `with the guest's memory it is more than ${maxWithMemoryBytes / mib} MiB`;
  return undefined;
}
