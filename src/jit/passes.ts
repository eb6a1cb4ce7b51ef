/**
 * The optimisations of the translator that can be turned off, each by itself: to measure what it buys, and to find out
 * whether it is to blame. The guest sees no difference.
 */
export const passNames = [
  /** Flag writes that nobody sees are taken away (opt/dead-flags.ts). */
  "dead-flags",
  /** Regions go on into other pages. */
  "cross-page",
  /** Regions follow direct calls, and returns to what called. */
  "calls",
  /** Regions follow indirect jumps and calls to targets that were seen. */
  "indirect",
  /** XMM registers live in locals. */
  "vector-locals",
  /** An instruction that modifies memory asks the TLB once, for reading and writing. */
  "reuse-translations",
  /** Accesses in loops remember the page that they were on last (emit/known-pages.ts). */
  "known-pages",
  /** Accesses of a block that are close together ask for their page once (emit/same-page.ts). */
  "same-page",
  /** Loops that follow pointers go on from where each led last, and look up meanwhile (emit/followed-pointers.ts). */
  "followed-pointers",
  /** Where one vCPU runs all of them, regions know where its area lies. */
  "one-vcpu",
  /** Blocks remember which lanes hold numbers and what MXCSR says, and keep x87 registers in locals (emit/float-state.ts). */
  "float-knowledge",
  /** Numbers of instructions that change again and again are loaded from the code (lift/live-numbers.ts). */
  "live-numbers",
  /** Blocks that earlier runs have lifted are taken as they are (engine/translating/learnt-blocks.ts). */
  "learnt",
  /** Slow paths are marked as unlikely. */
  "branch-hints",
] as const;

export type PassName = (typeof passNames)[number];
export type Passes = Readonly<Record<PassName, boolean>>;

/** All passes but those named. */
export function passesWithout(...off: readonly PassName[]): Passes {
  return Object.fromEntries(passNames.map((name) => [name, !off.includes(name)])) as Record<PassName, boolean>;
}
