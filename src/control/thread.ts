/** The door for a machine's own thread: what it needs brings the whole machine with it, which owners and their start do without. */

export type { ThreadMachine } from "./machine-life.ts";
export { runMachineThread } from "./machine-thread.ts";
