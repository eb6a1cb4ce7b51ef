import { beforeEach, expect, test } from "vitest";
import { gpa } from "#address";
import { KeptPages, type KeptStats } from "#memory";
import { AsyncFaults } from "../../src/vm/async-faults.ts";
import { type Outcome, userCode, userData, World } from "./world.ts";

/** Pages that come when they have been asked for and `arrive` is called. */
class FarPages extends KeptPages {
  readonly #pages = new Map<number, Uint8Array>();
  readonly here = new Set<number>();
  readonly asked = new Set<number>();
  /** Reads that would have had to wait. */
  waits = 0;

  constructor() {
    super("far", 1024);
  }
  has(page: number): boolean {
    return this.#pages.has(page);
  }
  begin(page: number): boolean {
    this.asked.add(page);
    return this.here.has(page);
  }
  protected load(page: number, target: Uint8Array): void {
    if (!this.here.delete(page)) this.waits++;
    target.set(this.#pages.get(page) as Uint8Array);
  }
  protected store(page: number, source: Uint8Array): void {
    this.#pages.set(page, source.slice());
  }
  protected drop(page: number): void {
    this.#pages.delete(page);
  }
  protected kept(): KeptStats {
    return { pagesHeld: this.#pages.size, hostBytes: 0 };
  }
}

const area = 0x60040;
const vector = 0xf3;
const dataPage = userData >> 12;
const enabled = BigInt(area) | 9n;
/** mov 0xa0008,%eax; hlt, which user code may not: #GP. */
const readData = "8b 04 25 08 00 0a 00 f4";

let world: World;
let pages: FarPages;
let faults: AsyncFaults;
let interrupts: number[];

beforeEach(() => {
  interrupts = [];
  world = new World({
    fillFrame: (gfn) => world.memory.swap.fault(gfn),
    comesAtOnce: (gfn) => world.memory.swap.begin(gfn),
    deferFault: (gfn) => faults.defer(gfn),
  });
  pages = new FarPages();
  world.memory.swap.map(world.memory.memslots[0] as (typeof world.memory.memslots)[number], pages, 0);
  faults = new AsyncFaults(world.memory, {
    enable: (on) => world.vcpu.setU32("ASYNC_FAULTS", on ? 1 : 0),
    interrupt: (each) => void interrupts.push(each),
  });
  world.writeWords(userData, 0, 0x1234);
  faults.configure(enabled, BigInt(vector));
});

const words = (): number[] => [world.memory.load32(gpa(area)), world.memory.load32(gpa(area + 4))];
const clearFlags = (): void => world.memory.store32(gpa(area), 0);
const far = (page: number): number => world.memory.swap.evict([page]);
/** With interrupts on: a handler had them off. */
function user(code: string): Outcome {
  world.vcpu.setU64("EFLAGS", 0x202n);
  return world.user(code);
}
const touch = (): Outcome => user(readData);
const seen = ({ vector: at, stack }: Outcome): unknown => [at, stack[0], Number(world.vcpu.u64("CR2")), stack[1]];

test("user code that touches a far page gets a token in place of an address, and reads on when the page has come", () => {
  far(dataPage);
  expect(seen(touch())).toEqual([14, 0, 1, userCode]);
  expect([words(), pages.waits, [...pages.asked]]).toEqual([[1, 0], 0, [dataPage]]);
  clearFlags();
  faults.poll();
  expect([words(), interrupts]).toEqual([[0, 0], []]);
  pages.here.add(dataPage);
  faults.poll();
  expect([words(), interrupts]).toEqual([[0, 1], [vector]]);
  expect([touch().vector, Number(world.vcpu.register(0)), pages.waits]).toEqual([13, 0x1234, 0]);
});

test("so does a store, and the fetch of an instruction", () => {
  far(dataPage);
  expect(seen(user("c7 04 25 08 00 0a 00 07 00 00 00"))).toEqual([14, 0, 1, userCode]);
  clearFlags();
  expect(world.memory.load32(gpa(area))).toBe(0);
  // A jump to a page whose code is far away.
  world.write(0xa1000, Uint8Array.of(0xf4));
  far(0xa1);
  expect(seen(user("e9 fb 0f 02 00"))).toEqual([14, 0, 2, 0xa1000]);
});

test.each([
  ["when the last one was not heard of", () => world.memory.store32(gpa(area), 1)],
  ["when nothing was asked for", () => faults.configure(0n, 0n)],
  ["by an interrupt that is not asked for", () => faults.configure(enabled & ~8n, 0n)],
  ["in an area that is no memory", () => faults.configure(0xff_0000_0009n, 0n)],
])("%s the vCPU waits for the page", (_when, prepare) => {
  far(dataPage);
  prepare();
  expect([touch().vector, Number(world.vcpu.register(0)), pages.waits]).toEqual([13, 0x1234, 1]);
});

test("with interrupts off the vCPU waits", () => {
  far(dataPage);
  world.vcpu.setU64("EFLAGS", 2n);
  expect([world.user(readData).vector, pages.waits]).toEqual([13, 1]);
});

test("the kernel waits for its pages", () => {
  far(dataPage);
  expect(world.system("8b 04 25 08 00 0a 00 f4").exit).toBe("halt");
  expect([Number(world.vcpu.register(0)), pages.waits]).toEqual([0x1234, 1]);
});

test("no more than 32 pages are waited for at a time", () => {
  for (let n = 0; n < 40; n++) world.writeWords(userData + 4096 * n + 8, n + 1);
  for (let n = 0; n < 40; n++) far(dataPage + n);
  for (let n = 0; n < 40; n++) {
    const address = userData + 4096 * n + 8;
    const { vector: at } = user(
      `8b 04 25 ${[0, 8, 16, 24].map((s) => ((address >> s) & 255).toString(16)).join(" ")} f4`,
    );
    expect(at).toBe(n < 32 ? 14 : 13);
    clearFlags();
  }
  expect(pages.waits).toBe(8);
});

test("tokens are told one after the other, each when the guest has taken the last one", () => {
  for (const n of [0, 1]) {
    far(dataPage + n);
    world.writeWords(userData + 4096 * n + 8, 5);
    far(dataPage + n);
    user(`8b 04 25 08 ${n === 0 ? "00" : "10"} 0a 00 f4`);
    clearFlags();
    pages.here.add(dataPage + n);
  }
  faults.poll();
  faults.poll();
  expect([words(), interrupts.length]).toEqual([[0, 1], 1]);
  world.memory.store32(gpa(area + 4), 0);
  faults.tell();
  expect([words(), interrupts.length]).toEqual([[0, 2], 2]);
});

test("a machine that goes on wakes all that wait, for nobody knows any more what for", () => {
  faults.resume(enabled, BigInt(vector));
  faults.poll();
  expect([words(), interrupts]).toEqual([[0, 0xffff_ffff], [vector]]);
});
