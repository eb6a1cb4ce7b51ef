import { afterEach, expect, test, vi } from "vitest";
import { Arena, ArenaError } from "./arena.ts";
import { arenaLayout, processFields } from "./arena-layout.ts";

const mib = 2 ** 20;
const Memory = WebAssembly.Memory;
afterEach(() => vi.unstubAllGlobals());

/** A host that has so much for one memory; what was asked of it. */
function hostWith(pages: number): number[] {
  const asked: number[] = [];
  vi.stubGlobal("WebAssembly", {
    ...WebAssembly,
    Memory: class {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        const { initial, maximum = 0 } = descriptor;
        asked.push(maximum);
        if (maximum > pages) throw new RangeError("could not allocate memory");
        // biome-ignore lint/correctness/noConstructorReturn: stands for the host's own
        return new Memory({ initial, maximum, shared: true });
      }
    },
  });
  return asked;
}

const frameLimit = (arena: Arena): number => arena.i32[(arenaLayout.PROCESS + processFields.P_FRAME_LIMIT) >> 2];

test("where the host refuses 4 GiB of addresses, an arena has what its guest can touch", () => {
  const asked = hostWith(10_000);
  const arena = new Arena({ frameBytes: 100 * mib });
  const needed = Math.ceil((arenaLayout.FRAMES / mib + 100) / 16) * 16;
  expect(asked).toEqual([65536, needed * 16]);
  expect(frameLimit(arena)).toBe(((needed - arenaLayout.FRAMES / mib) * mib) / 4096);
});

test("where the host refuses that too, it is an error that says how much it was", () => {
  hostWith(1000);
  expect(() => new Arena({ frameBytes: 100 * mib })).toThrow(ArenaError);
  expect(() => new Arena({ frameBytes: 100 * mib })).toThrow("no 208 MiB of shared memory");
});
