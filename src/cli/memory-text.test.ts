import { expect, test } from "vitest";
import type { MemoryStats } from "#control";
import { memoryText } from "./memory-text.ts";

const stats: MemoryStats = {
  slots: [
    { gpa: 0, bytes: 2 ** 26, kind: "ram", name: "RAM" },
    { gpa: 0xfee0_0000, bytes: 4096, kind: "device", name: "local APIC" },
  ],
  objects: [
    { kind: "plain", pageCount: 16384, pagesHeld: 256, hostBytes: 2 ** 20, fileBytes: 0, reads: 0, writes: 0, own: {} },
  ],
  pages: { own: 512, shared: 256, stored: 256, untouched: 15360, zero: 128, ballooned: 1024, unplugged: 0 },
  freeFrames: { kept: 128, discarded: 0 },
  pressure: { level: "none" },
  ages: { watchedMs: 2000, sinceMs: [0, 1000, 2000], pages: [256, 0, 512] },
  workingSet: 256,
};

test("pages are told in MiB, by state and by when they were last used", () => {
  expect(memoryText(stats).split("\n")).toEqual([
    "0000000000-0003ffffff : RAM",
    "00fee00000-00fee00fff : local APIC",
    "memory                             64.0 MiB",
    "  in frames of its own              2.0 MiB",
    "  in frames shared with forks       1.0 MiB",
    "  kept elsewhere, in no frame       1.0 MiB",
    "  untouched                        60.0 MiB",
    "of that in frames                   3.0 MiB",
    "  nothing but zeros                 0.5 MiB",
    "  used in the last 2 s              1.0 MiB",
    "in the balloon                      4.0 MiB",
    "free frames, kept                   0.5 MiB",
    "free frames, given to the host      0.0 MiB",
    "kept in plain: 1.0 MiB of pages, 1.0 MiB of memory, 0.0 MiB of files",
    "last used",
    "  0 to 1 s            1.0 MiB  ################",
    "  1 to 2 s            0.0 MiB",
    "  2 s and more        2.0 MiB  ################################",
  ]);
});
