/**
 * Where the time of a start goes: with MEMVISOR_TIMES set, each thread says on standard error when it came how far, in milliseconds since the
 * process began. For those who work on memvisor (docs/snapshots.md, "Starting fast").
 */
import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const thread = isMainThread ? "main   " : "machine";

const wanted = process.env.MEMVISOR_TIMES !== undefined;

/** Says that this thread came so far; nothing where nobody wants to know. */
export const mark: (what: string) => void = !wanted
  ? () => {}
  : (what) => void writeSync(2, `${(process.uptime() * 1000).toFixed(1).padStart(7)} ms  ${thread} ${what}\n`);

/** Says when a machine has come so far, as its owner sees it. */
export function markMachine(vm: { ready(): Promise<void>; readonly exited: Promise<unknown> }): void {
  if (!wanted) return;
  mark("the machine runs");
  vm.ready().then(
    () => mark("its agent answers"),
    () => {},
  );
  void vm.exited.then(() => mark("its thread has ended"));
}

if (wanted && isMainThread)
  mark(`knows its command; Node itself took ${performance.nodeTiming.bootstrapComplete.toFixed(1)} ms`);
