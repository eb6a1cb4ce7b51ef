import { expect, test } from "vitest";
import { gpa } from "#address";
import { guest } from "../../test/guest-code.ts";
import { PlainPages } from "./backends/plain.ts";
import { PageAges } from "./page-ages.ts";
import { Reclaimer, type ReclaimOptions } from "./reclaim.ts";

const first = 0x200;
const count = 1000;
const pages = Array.from({ length: count }, (_, n) => first + n);

/** A guest that has written a number to each of its pages. */
function setting(options: ReclaimOptions) {
  const { memory } = guest(Uint8Array.of(0xf4), { host: { fillFrame: (gfn) => memory.fault(gfn) } });
  memory.map(memory.memslots[0], new PlainPages(4096), 0);
  const at = (gfn: number) => gpa(gfn * 4096);
  for (const gfn of pages) memory.write(at(gfn), Uint8Array.of(gfn & 0xff, gfn >> 8));
  const ages = new PageAges(memory);
  const reclaimer = new Reclaimer(memory, ages, options);
  const use = (gfns: readonly number[]): void => {
    const bytes = new Uint8Array(2);
    const wrong = gfns.filter((gfn) => memory.read(at(gfn), bytes) && (bytes[0] | (bytes[1] << 8)) !== gfn);
    expect(wrong).toEqual([]);
  };
  /** Seconds in which these pages are used. */
  const seconds = (n: number, used: readonly number[]): void => {
    for (; n > 0; n--) {
      use(used);
      reclaimer.scanned(ages.scan());
      for (let look = 0; look < 20; look++) reclaimer.work();
    }
  };
  return { memory, reclaimer, use, seconds };
}

const hot = pages.slice(0, 600);
const cold = pages.slice(600);

test("pages that nobody uses for a minute go, those in use stay, and what comes back is what went", () => {
  const { memory, reclaimer, use, seconds } = setting({ proactive: true });
  const before = memory.framesTouched;
  seconds(59, hot);
  expect([memory.framesTouched, reclaimer.stats.coldAge]).toEqual([before, undefined]);
  seconds(10, hot);
  expect([before - memory.framesTouched, reclaimer.stats.coldAge]).toEqual([cold.length + 1, 60]);
  use(cold);
  use(hot);
});

test("pages that come back raise the age at which others go", () => {
  const { memory, reclaimer, seconds } = setting({ proactive: true });
  const seldom = cold.slice(0, 100);
  seconds(70, hot);
  expect(memory.swapped.out).toBe(cold.length + 1);
  seconds(1, [...hot, ...seldom]);
  expect(reclaimer.stats.coldAge).toBeGreaterThan(70);
  const { out } = memory.swapped;
  seconds(65, hot);
  // Sixty seconds old, and that is not cold any more.
  expect(memory.swapped.out).toBe(out);
});

test("a limit is kept, the oldest pages going first", () => {
  const { memory, reclaimer, use, seconds } = setting({ proactive: false, limitFrames: 700 });
  seconds(1, hot);
  expect(memory.framesTouched).toBeLessThanOrEqual(700);
  expect(reclaimer.stats.pressure).toBe("none");
  const { in: before } = memory.swapped;
  use(hot);
  expect(memory.swapped.in).toBe(before);
  use(cold);
  expect(memory.framesTouched).toBeGreaterThan(700);
  reclaimer.work();
  expect([memory.framesTouched <= 700, reclaimer.stats.pressure]).toEqual([true, "some"]);
});

test("where nothing can be taken the pressure is full", () => {
  const { memory } = guest(Uint8Array.of(0xf4));
  for (const gfn of pages) memory.write(gpa(gfn * 4096), Uint8Array.of(1));
  const reclaimer = new Reclaimer(memory, new PageAges(memory), { proactive: true, limitFrames: 100 });
  expect([reclaimer.work(), reclaimer.stats.pressure]).toEqual([0, "full"]);
});
