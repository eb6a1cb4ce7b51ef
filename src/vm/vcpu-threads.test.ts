import { expect, test } from "vitest";
import { gpa } from "#address";
import type { Platform } from "#devices";
import { at } from "#vcpu";
import { guest } from "../../test/guest-code.ts";
import { PlainPages } from "../memory/backends/plain.ts";
import { SameFilledPages } from "../memory/backends/same-filled.ts";
import { deviceCall } from "./device-calls.ts";
import { VcpuThreads } from "./vcpu-threads.ts";

/** Far away: a page is here when it was asked for and `here` says so. */
class FarPages extends PlainPages {
  readonly asked: number[] = [];
  here = false;

  begin(page: number): boolean {
    if (!this.here) this.asked.push(page);
    return this.here;
  }
}

test("a vCPU that waits for a page far away keeps no other one waiting, and goes on when the page is there", () => {
  const { memory, vcpu, engine } = guest(Uint8Array.of(0xf4));
  const far = new FarPages(4096);
  memory.swap.map(memory.memslots[0], new SameFilledPages(far), 0);
  const page = 0x300;
  memory.write(gpa(page * 4096), Uint8Array.of(1, 2, 3));
  memory.swap.evict([page]);
  const other = engine.createVcpu(1, memory.header);
  const threads = new VcpuThreads([vcpu, other], {
    notice: () => {},
    tripleFault: () => {},
    bringIn: (gfn, wait) => memory.swap.bringIn(gfn, wait),
  });
  const state = (other.vp + at.CALL_STATE) >> 2;
  const words = other.arena.i32;
  other.setU32("CALL_KIND", deviceCall.fill);
  other.setU64("CALL_ADDRESS", BigInt(page));
  words[state] = 1;
  const platform = {} as Platform;
  threads.answer(platform);
  threads.answer(platform);
  expect([words[state], far.asked, memory.presentBytes(page)]).toEqual([1, [page, page], undefined]);
  far.here = true;
  threads.answer(platform);
  expect([words[state], [...(memory.presentBytes(page)?.subarray(0, 3) ?? [])]]).toEqual([2, [1, 2, 3]]);
});
