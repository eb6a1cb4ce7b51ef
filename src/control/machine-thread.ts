/**
 * A thread that machines live on, whatever they are and whoever made the thread: the first one, and its forks.
 *
 * Each takes turns for some milliseconds where it has something to do; where none has, the thread sleeps until the first
 * of their times or a ring of the first machine's bell, which the forks' owners ring, too. One whose owner rings is next, however many
 * others wait for their turn. Law: what one does to itself ends that one only.
 */
import { type LifeContext, MachineLife, type NewMachine } from "./machine-life.ts";
import type { ThreadHost } from "./thread-machine-host.ts";
import { type MachineStart, words } from "./thread-protocol.ts";

/** Resolved when all machines have ended; till then the thread hears nothing but the shared words, except while files are read. */
export async function runMachineThread(start: MachineStart, thread: ThreadHost, newMachine: NewMachine): Promise<void> {
  const bell = new Int32Array(start.words);
  const lives: MachineLife[] = [];
  const context: LifeContext = { bell: start.words, thread, newMachine, add: (life) => void lives.push(life) };
  lives.push(new MachineLife(start, context));
  while (lives.length > 0) {
    let rung = Atomics.load(bell, words.bell);
    const now = thread.now();
    let nextNs = Number.POSITIVE_INFINITY;
    const take = (life: MachineLife): void => {
      if (!life.isOver && !life.isToBoot) nextNs = Math.min(nextNs, life.turns(now));
    };
    // One that is forked meanwhile stands at the end.
    for (let n = 0; n < lives.length; n++) {
      const life = lives[n];
      if (life.isToBoot) await life.boot();
      take(life);
      const heard = Atomics.load(bell, words.bell);
      if (heard !== rung) for (const each of lives) if (each.wasRung) take(each);
      rung = heard;
      if (life.isOver) lives.splice(n--, 1);
    }
    if (lives.length === 0) return;
    // A timer that fires early makes the machines look again; one that fires late is time lost.
    const ms = (nextNs - thread.now()) / 1e6;
    if (ms > 0) Atomics.wait(bell, words.bell, rung, ms);
  }
}
