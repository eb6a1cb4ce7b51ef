import { expect, test } from "vitest";
import { gpa } from "#address";
import { guest } from "../../test/guest-code.ts";
import { MemoryObjectError } from "./backends/memory-object.ts";
import { PlainPages } from "./backends/plain.ts";
import { PageAges } from "./page-ages.ts";
import { Reclaimer } from "./reclaim.ts";

const first = 0x200;
const count = 1000;
const pages = Array.from({ length: count }, (_, n) => first + n);

/** A guest that has written a number to each of its pages. */
function setting(proactive = true) {
  const { memory } = guest(Uint8Array.of(0xf4), { host: { fillFrame: (gfn) => memory.swap.fault(gfn) } });
  memory.swap.map(memory.memslots[0], new PlainPages(4096), 0);
  const at = (gfn: number) => gpa(gfn * 4096);
  for (const gfn of pages) memory.write(at(gfn), Uint8Array.of(gfn & 0xff, gfn >> 8));
  const ages = new PageAges(memory);
  const reclaimer = new Reclaimer(memory, ages, proactive);
  const use = (gfns: readonly number[]): void => {
    const bytes = new Uint8Array(2);
    const wrong = gfns.filter((gfn) => memory.read(at(gfn), bytes) && (bytes[0] | (bytes[1] << 8)) !== gfn);
    expect(wrong).toEqual([]);
  };
  /** Seconds in which these pages are used. */
  const seconds = (n: number, used: readonly number[]): void => {
    for (; n > 0; n--) {
      use(used);
      reclaimer.scan(1);
      for (let look = 0; look < 20; look++) reclaimer.takeCold();
    }
  };
  return { memory, reclaimer, use, seconds };
}

const hot = pages.slice(0, 600);
const cold = pages.slice(600);

test("pages that nobody uses for a minute go, those in use stay, and what comes back is what went", () => {
  const { memory, reclaimer, use, seconds } = setting();
  const before = memory.framesTouched;
  seconds(59, hot);
  expect([memory.framesTouched, reclaimer.stats.coldAge]).toEqual([before, undefined]);
  seconds(10, hot);
  expect([before - memory.framesTouched, reclaimer.stats.coldAge]).toEqual([cold.length + 1, 60]);
  use(cold);
  use(hot);
});

test("pages that come back raise the age at which others go", () => {
  const { memory, reclaimer, seconds } = setting();
  const seldom = cold.slice(0, 100);
  seconds(70, hot);
  expect(memory.swap.counts.out).toBe(cold.length + 1);
  seconds(1, [...hot, ...seldom]);
  expect(reclaimer.stats.coldAge).toBeGreaterThan(70);
  const { out } = memory.swap.counts;
  seconds(65, hot);
  // Sixty seconds old, and that is not cold any more.
  expect(memory.swap.counts.out).toBe(out);
});

test("where frames are short the oldest pages go first, and those in use last", () => {
  const { memory, reclaimer, use, seconds } = setting(false);
  seconds(1, hot);
  expect(reclaimer.takeOldest(300)).toEqual({ pages: 300, pressure: "some" });
  use(hot);
  expect(memory.swap.counts.in).toBe(0);
  // A hundred that nobody uses, the guest's own page with them, and then some of those in use.
  expect(reclaimer.takeOldest(101)).toEqual({ pages: 101, pressure: "some" });
  expect(reclaimer.takeOldest(50)).toEqual({ pages: 50, pressure: "high" });
  use(pages);
  expect(memory.swap.counts).toEqual({ out: 451, in: 450 });
});

test("a page that is used between two rounds has a second chance", () => {
  const { memory, reclaimer, use } = setting(false);
  use(pages);
  reclaimer.takeOldest(10);
  use(pages.slice(10, 500));
  reclaimer.takeOldest(400);
  use(pages.slice(10, 500));
  expect(memory.swap.counts).toEqual({ out: 410, in: 0 });
});

test("where nothing can be taken the pressure is critical", () => {
  const { memory } = guest(Uint8Array.of(0xf4));
  for (const gfn of pages) memory.write(gpa(gfn * 4096), Uint8Array.of(1));
  const reclaimer = new Reclaimer(memory, new PageAges(memory), true);
  expect(reclaimer.takeOldest(100)).toEqual({ pages: 0, pressure: "critical" });
});

test("a backing that takes no page says why, and the pages stay what they were", () => {
  const { memory } = guest(Uint8Array.of(0xf4), { host: { fillFrame: (gfn) => memory.swap.fault(gfn) } });
  const backing = new FullDisk(4096);
  memory.swap.map(memory.memslots[0], backing, 0);
  for (const gfn of pages) memory.write(gpa(gfn * 4096), Uint8Array.of(gfn & 0xff, gfn >> 8));
  const reclaimer = new Reclaimer(memory, new PageAges(memory), true);
  backing.room = 70;
  expect([reclaimer.takeOldest(100).pages, reclaimer.refusal]).toEqual([70, "the disk is full"]);
  expect([reclaimer.takeOldest(29), reclaimer.refusal]).toEqual([
    { pages: 0, pressure: "critical" },
    "the disk is full",
  ]);
  backing.room = 1000;
  expect([reclaimer.takeOldest(29), reclaimer.refusal]).toEqual([{ pages: 29, pressure: "some" }, undefined]);
  const bytes = new Uint8Array(2);
  const wrong = pages.filter((gfn) => memory.read(gpa(gfn * 4096), bytes) && (bytes[0] | (bytes[1] << 8)) !== gfn);
  expect(wrong).toEqual([]);
});

/** Has place for so many pages. */
class FullDisk extends PlainPages {
  room = 0;

  protected override store(page: number, source: Uint8Array): void {
    if (!this.has(page) && this.room-- <= 0) throw new MemoryObjectError("the disk is full");
    super.store(page, source);
  }
}
