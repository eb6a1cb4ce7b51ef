/**
 * A guest that stores all over its memory, in all the ways that a processor has, at addresses that are known beforehand: what a
 * dirty log has to say of it. One random number a store (a linear congruential generator in R8) says where, and how much.
 */
import { pageSize } from "#address";
import { assert } from "#base";
import type { VmExit } from "#engine";
import { codeBase, type Guest, type GuestOptions, guest, hex } from "./guest-code.ts";

/** Where the stores go: `2 ** regionBits` bytes from here on, and a little beyond. */
const regionBase = 0x100_0000;
/** The longest store, by REP STOSB, starts before the region's end. */
const slack = 0x4000;

interface Store {
  /** What a person calls it. */
  readonly name: string;
  /** Its address is R9 + R10. The last instruction makes the store. */
  readonly code: string;
  /** Its first byte, of those at a random place in the region, and how many. */
  readonly bytes: (place: number, random: number) => readonly [first: number, count: number];
}

/** `align`: a power of two. */
const at =
  (count: number, align = 1): Store["bytes"] =>
  (place) => [place - (place % align), count];

const stores: readonly Store[] = [
  { name: "mov, a byte", code: "47880411               ; mov %r8b,(%r9,%r10)", bytes: at(1) },
  { name: "mov, eight bytes", code: "4f890411               ; mov %r8,(%r9,%r10)", bytes: at(8) },
  {
    name: "lock xadd",
    code: `
      4183e2fc               ; and $0xfffffffc,%r10d
      f0470fc11c11           ; lock xadd %r11d,(%r9,%r10)`,
    bytes: at(4, 4),
  },
  { name: "lock inc, anywhere", code: "f043ff0411             ; lock incl (%r9,%r10)", bytes: at(4) },
  {
    name: "cmpxchg16b",
    code: `
      4183e2f0               ; and $0xfffffff0,%r10d
      f04b0fc70c11           ; lock cmpxchg16b (%r9,%r10)`,
    bytes: at(16, 16),
  },
  {
    name: "rep stosb",
    code: `
      4b8d3c11               ; lea (%r9,%r10),%rdi
      4489c1                 ; mov %r8d,%ecx
      81e1ff1f0000           ; and $0x1fff,%ecx
      f3aa                   ; rep stos %al,%es:(%rdi)`,
    bytes: (place, random) => [place, random & 0x1fff],
  },
  { name: "movups", code: "430f110411             ; movups %xmm0,(%r9,%r10)", bytes: at(16) },
  {
    name: "fstp, ten bytes",
    code: `
      d9ee                   ; fldz
      43db3c11               ; fstpt (%r9,%r10)`,
    bytes: at(10),
  },
  {
    name: "push",
    code: `
      4b8d641108             ; lea 0x8(%r9,%r10),%rsp
      4150                   ; push %r8`,
    bytes: at(8),
  },
  {
    name: "rep movsb",
    code: `
      4b8d3c11               ; lea (%r9,%r10),%rdi
      4c89ce                 ; mov %r9,%rsi
      4489c1                 ; mov %r8d,%ecx
      81e1ff070000           ; and $0x7ff,%ecx
      f3a4                   ; rep movsb`,
    bytes: (place, random) => [place, random & 0x7ff],
  },
  {
    name: "fxsave",
    code: `
      4181e200feffff         ; and $0xfffffe00,%r10d
      430fae0411             ; fxsave (%r9,%r10)`,
    bytes: at(512, 512),
  },
  { name: "xchg, anywhere", code: "4f871c11               ; xchg %r11,(%r9,%r10)", bytes: at(8) },
  { name: "add, anywhere", code: "4383041105             ; addl $5,(%r9,%r10)", bytes: at(4) },
  // A read, which is no store.
  { name: "cmp", code: "43803c1101             ; cmpb $1,(%r9,%r10)", bytes: () => [0, 0] },
];

/** The next number, and the store's address from its upper bits. */
const draw = (shift: number): string => `
  4569c00d661900         ; imul $0x19660d,%r8d
  4181c05ff36e3c         ; add $0x3c6ef35f,%r8d
  4589c2                 ; mov %r8d,%r10d
  41c1ea${shift.toString(16).padStart(2, "0")}               ; shr $..,%r10d`;
const begin = "dbe3                   ; fninit";
const turn = `
  49ffc4                 ; inc %r12
  e9`;

/** How many stores the program makes in a turn; the number of turns done stands in R12. */
export const storesPerTurn = stores.length;

export class StoreProgram {
  readonly guest: Guest;
  readonly #shift: number;
  /** Where each store is done, as offsets of RIP. */
  readonly #ends: readonly number[];
  #random = 1;
  /** Stores that `pages` has told of. */
  #told = 0;

  constructor(regionBits: number, options: GuestOptions = {}) {
    this.#shift = 32 - regionBits;
    const bytes = [...hex(begin)];
    this.#ends = stores.map(({ code }) => bytes.push(...hex(draw(this.#shift)), ...hex(code)));
    const length = bytes.push(...hex(turn)) + 4 - hex(begin).length;
    bytes.push(...new Uint8Array(Int32Array.of(-length).buffer));
    this.guest = guest(Uint8Array.from(bytes), { bytes: regionBase + 2 ** regionBits + slack, ...options });
    const { vcpu } = this.guest;
    vcpu.setRegister(8, 1n);
    vcpu.setRegister(9, BigInt(regionBase));
    // CR4.OSFXSR: SSE may be used.
    vcpu.setU64("CR4", 1n << 9n);
    this.guest.engine.runtime.update_mode(vcpu.vp);
  }

  /** Stores made so far. */
  get stores(): number {
    const { vcpu } = this.guest;
    const rip = Number(vcpu.u64("RIP")) - codeBase;
    const counted = rip > (this.#ends.at(-1) ?? 0);
    return Number(vcpu.register(12)) * storesPerTurn + (counted ? 0 : this.#ends.filter((end) => rip >= end).length);
  }

  run(icount: bigint): void {
    const exit: VmExit = this.guest.run(icount);
    assert(exit.reason === "budget", "the program runs for ever");
  }

  /** The pages that the stores since the last call went to. */
  pages(): Set<number> {
    const pages = new Set<number>();
    for (const end = this.stores; this.#told < end; this.#told++) {
      this.#random = (Math.imul(this.#random, 0x19660d) + 0x3c6ef35f) | 0;
      const { bytes } = stores[this.#told % storesPerTurn];
      const [first, count] = bytes(this.#random >>> this.#shift, this.#random);
      for (let page = first - (first % pageSize); page < first + count; page += pageSize)
        pages.add((regionBase + page) / pageSize);
    }
    return pages;
  }
}
