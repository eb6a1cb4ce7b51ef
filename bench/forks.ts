/** Forks of one machine, all of them alive: what each takes, and whether each answers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { VirtualMachine } from "#host";

export interface ForkFigures {
  readonly count: number;
  /** Milliseconds that each fork took. */
  readonly forkMs: readonly number[];
  /** Added to the process's resident memory, for each, when all are idle. */
  readonly idleBytes: number;
  /** Processor time of all of them together, of one processor, while they are idle. */
  readonly idleLoad: number;
  /** Those that answered an exec with what only they know. */
  readonly answered: number;
  /** All of these execs, given at once: milliseconds until the last answer, and of processor time. */
  readonly allMs: number;
  readonly allCpuMs: number;
}

/** Guests finish what was under way, and the agent what comes with a fork. */
const settleMs = 3000;
const idleMs = 5000;

export async function measureForks(vm: VirtualMachine, count: number): Promise<ForkFigures> {
  const before = process.memoryUsage.rss();
  const forks: VirtualMachine[] = [];
  const forkMs: number[] = [];
  for (let n = 0; n < count; n++) {
    const begun = performance.now();
    forks.push(...(await vm.fork(1)));
    forkMs.push(performance.now() - begun);
  }
  await sleep(settleMs);
  const idleBytes = (process.memoryUsage.rss() - before) / count;
  const idle = process.cpuUsage();
  await sleep(idleMs);
  const idleLoad = cpuMsSince(idle) / idleMs;
  const busy = process.cpuUsage();
  const begun = performance.now();
  const answers = await Promise.all(forks.map((fork, n) => answerOf(fork, `fork ${n}`)));
  const allMs = performance.now() - begun;
  const allCpuMs = cpuMsSince(busy);
  // Each still has its own, and not the last one's.
  const again = await Promise.all(forks.map((fork) => textOf(fork, "cat /tmp/name")));
  const answered = answers.filter((answer, n) => answer === `fork ${n}` && again[n] === answer).length;
  await Promise.all(forks.map((fork) => fork.stop()));
  return { count, forkMs, idleBytes, idleLoad, answered, allMs, allCpuMs };
}

const answerOf = (fork: VirtualMachine, name: string): Promise<string> =>
  textOf(fork, `echo ${name} >/tmp/name; cat /tmp/name`);

const textOf = async (fork: VirtualMachine, command: string): Promise<string> =>
  (await fork.exec(command)).stdout.text().trim();

function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
