import { expect, test } from "vitest";
import { gfnOf, gpa } from "#address";
import { guest } from "../../test/guest-code.ts";
import type { AddressSpace } from "./address-space.ts";
import { MemoryObjectError } from "./backends/memory-object.ts";
import { PlainPages } from "./backends/plain.ts";

const at = gpa(0x40_0000);
const gfn = gfnOf(at);
const halt = Uint8Array.of(0xf4);

/** A guest whose memory is mapped onto `object`. */
function guestOn(object: PlainPages, code = halt) {
  const made = guest(code, { host: { fillFrame: (page) => made.memory.swap.fault(page) } });
  made.memory.swap.map(made.memory.memslots[0], object, 0);
  return made;
}

function spaceOn(object = new PlainPages(0x1000)): { space: AddressSpace; object: PlainPages } {
  return { space: guestOn(object).memory, object };
}

const put = (space: AddressSpace, offset: number, ...bytes: number[]): void =>
  void space.write(gpa(at + offset), Uint8Array.from(bytes));

function bytesAt(space: AddressSpace, offset: number, length = 3): number[] {
  const bytes = new Uint8Array(length);
  space.read(gpa(at + offset), bytes);
  return [...bytes];
}

test("an evicted page has no frame, and the bytes that it had", () => {
  const { space, object } = spaceOn();
  put(space, 0x10, 1, 2, 3);
  const before = space.framesTouched;
  expect([space.swap.evict([gfn]), space.framesTouched, object.has(gfn)]).toEqual([1, before - 1, true]);
  expect([bytesAt(space, 0x10), space.framesTouched]).toEqual([[1, 2, 3], before]);
  expect(space.swap.counts).toEqual({ out: 1, in: 1 });
});

test("what is cleared is zeros, and needs no frame where there was none", () => {
  const { space } = spaceOn();
  put(space, 0x10, 1, 2, 3);
  put(space, 0x1010, 4, 5, 6);
  space.swap.evict([gfn]);
  const before = space.framesTouched;
  expect(space.clear(gpa(at + 0x11), 0x3000)).toBe(true);
  expect([bytesAt(space, 0x10), bytesAt(space, 0x1010)]).toEqual([
    [1, 0, 0],
    [0, 0, 0],
  ]);
  // The evicted one has come in.
  expect(space.framesTouched).toBe(before + 1);
  expect(space.clear(gpa(1 << 30), 1)).toBe(false);
});

test("a store to a part of an evicted page leaves the rest", () => {
  const { space } = spaceOn();
  put(space, 0x10, 1, 2, 3);
  space.swap.evict([gfn]);
  put(space, 0x11, 9);
  expect(bytesAt(space, 0x10)).toEqual([1, 9, 3]);
  space.swap.evict([gfn]);
  expect(bytesAt(space, 0x10)).toEqual([1, 9, 3]);
});

test("a page of zeros takes nothing of the object, not even what it had there", () => {
  const { space, object } = spaceOn();
  put(space, 0, 1);
  space.swap.evict([gfn]);
  put(space, 0, 0);
  expect([space.swap.evict([gfn]), object.has(gfn), bytesAt(space, 0)]).toEqual([1, false, [0, 0, 0]]);
});

test("a page that only was read goes again without being written", () => {
  class Elsewhere extends PlainPages {
    protected override isInMemory(): boolean {
      return false;
    }
  }
  const { space, object } = spaceOn(new Elsewhere(0x1000));
  put(space, 0, 7);
  space.swap.evict([gfn]);
  bytesAt(space, 0);
  expect([space.swap.evict([gfn]), object.stats().writes]).toEqual([1, 1]);
  put(space, 1, 8);
  expect([space.swap.evict([gfn]), object.stats().writes, bytesAt(space, 0)]).toEqual([1, 2, [7, 8, 0]]);
});

test("a page that a device works on stays", () => {
  const { space } = spaceOn();
  const pinned = space.pin([{ gpa: at, length: 16 }], true);
  expect(space.swap.evict([gfn])).toBe(0);
  pinned?.release();
  expect(space.swap.evict([gfn])).toBe(1);
});

test("a page that is given back is zeros, whatever the object had", () => {
  const { space, object } = spaceOn();
  put(space, 0, 1);
  space.swap.evict([gfn]);
  space.release([gfn]);
  expect([bytesAt(space, 0), object.has(gfn)]).toEqual([[0, 0, 0], false]);
});

test("what cannot be kept stays where it is", () => {
  class Full extends PlainPages {
    protected override store(page: number, source: Uint8Array): void {
      if (page === gfn + 1) throw new MemoryObjectError("no room");
      super.store(page, source);
    }
  }
  const { space } = spaceOn(new Full(0x1000));
  for (let page = 0; page < 3; page++) put(space, page * 4096, 1 + page);
  const before = space.framesTouched;
  expect(() => space.swap.evict([gfn, gfn + 1, gfn + 2])).toThrow("no room");
  expect(space.framesTouched).toBe(before - 1);
  expect([0, 1, 2].map((page) => bytesAt(space, page * 4096, 1)[0])).toEqual([1, 2, 3]);
});

test("a fork and who it comes from have each their own of what was evicted", () => {
  const { space } = spaceOn();
  put(space, 0, 1);
  put(space, 4096, 2);
  space.swap.evict([gfn, gfn + 1]);
  const fork = space.fork();
  fork.swap.map(fork.memslots[0], new PlainPages(0x1000), 0);
  put(fork, 0, 3);
  put(space, 4096, 4);
  const all = [gfn, gfn + 1];
  expect([fork.swap.evict(all), space.swap.evict(all)]).toEqual([1, 1]);
  // The guest that runs is the other one.
  for (const page of all) fork.swap.bringIn(page);
  expect([0, 4096].map((offset) => bytesAt(space, offset, 1)[0])).toEqual([1, 4]);
  expect([0, 4096].map((offset) => bytesAt(fork, offset, 1)[0])).toEqual([3, 2]);
});

test("code that was evicted runs as before, and as it is when it has changed", () => {
  // mov al, 1; inc byte [0x400000]; hlt, from 0x100000 on
  const code = Uint8Array.of(0xb0, 1, 0xfe, 0x04, 0x25, 0, 0, 0x40, 0, 0xf4);
  const made = guestOn(new PlainPages(0x1000), code);
  const { vcpu, memory, run } = made;
  const again = (): number => {
    vcpu.setU64("RIP", 0x10_0000n);
    vcpu.setU32("HALTED", 0);
    vcpu.clearEvent(vcpu.u32("EVENTS"));
    expect(run().reason).toBe("halt");
    return Number(vcpu.register(0) & 0xffn);
  };
  again();
  memory.swap.evict([0x100, gfn]);
  expect(again()).toBe(1);
  memory.swap.evict([0x100, gfn]);
  memory.write(gpa(0x10_0001), Uint8Array.of(5));
  expect([again(), bytesAt(memory, 0, 1)]).toEqual([5, [3]]);
});
