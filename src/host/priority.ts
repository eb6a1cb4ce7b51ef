/**
 * Who goes first where there are more threads than processors: those that run guests.
 *
 * What compiles for a machine may be late: the machine goes on with slower code. A machine that waits for a processor stands still, as
 * one did for a seventh of its boot on two processors. Of those that compile for it the thread that emits regions comes before V8's: what is
 * interpreted until its region is there loses more than what V8 has not optimised yet. None of them steps back so far that other programs
 * leave it nothing: on a busy host the interpreter itself would wait for V8 for seconds.
 *
 * On Linux each thread has a nice value of its own (setpriority(2), "C library/kernel differences"). Elsewhere it is the process's, and
 * nothing is done. Nor is it with one processor, where who steps back hardly runs at all.
 */
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, constants, getPriority, setPriority } from "node:os";

const tasks = "/proc/self/task";
/** What V8's own threads are called, which compile and collect for all threads of the process. */
const v8Thread = /^node-V8Worker/;
const lowest = constants.priority.PRIORITY_LOW;
/** How much nicer they are than the threads they step back behind. */
export const nicer = { emitter: 5, v8: 10 } as const;
const hasNiceThreads = process.platform === "linux" && availableParallelism() > 1;

/** The calling thread steps back behind the one that began it. */
export function stepBack(): void {
  if (hasNiceThreads) ifAllowed(() => lower(0, getPriority(), nicer.emitter));
}

/** V8's threads step back behind the calling one, unless they have. */
export function stepAhead(): void {
  if (!hasNiceThreads) return;
  ifAllowed(() => {
    for (const task of readdirSync(tasks)) ifAllowed(() => stepBehind(Number(task), getPriority()));
  });
}

function stepBehind(thread: number, own: number): void {
  const isV8s = v8Thread.test(readFileSync(`${tasks}/${thread}/comm`, "utf8"));
  if (isV8s && getPriority(thread) <= own) lower(thread, own, nicer.v8);
}

const lower = (thread: number, from: number, by: number): void => setPriority(thread, Math.min(from + by, lowest));

/** Where a sandbox forbids it, or the thread has ended meanwhile, all goes on as it was. */
function ifAllowed(act: () => void): void {
  try {
    act();
  } catch {}
}
