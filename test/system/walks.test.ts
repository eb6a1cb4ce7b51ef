/**
 * Page walks beside a model that reads the tables anew each time, while they change as the manual lets them: an entry is given more
 * rights or a page without a word, anything else is followed by INVLPG of the pages concerned or by a write of CR3 (SDM 3A, "Invalidation of TLBs
 * and Paging-Structure Caches").
 */
import { describe, expect, test } from "vitest";
import { gpa } from "#address";
import { guest } from "../guest-code.ts";

const present = 1n;
const writable = 2n;
const user = 4n;
const large = 0x80n;
const address = 0xffff_f000n;

const directory = 0x303000;
const tables = [0x304000, 0x305000, 0x306000] as const;
/** Regions of 2 MiB behind the first two, which map themselves, and pages of each that are looked at. */
const regions = [2, 3, 4, 5];
const pages = [0, 1, 511];
/** Frames of the pages, each of which begins with its own address; large ones are at multiples of 2 MiB. */
const frames = Array.from({ length: 8 }, (_, n) => 0x400000 + n * 0x200000);

interface Runtime {
  access(vp: number, va: bigint, size: number, intent: number): number;
  tlb_flush_page(vp: number, va: bigint): void;
  tlb_flush(vp: number): void;
}

class Tables {
  readonly #guest = guest(new Uint8Array(1), { bytes: 24 << 20 });
  readonly #runtime = this.#guest.engine.runtime as unknown as Runtime;
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
    this.#write(0x301000, 0x302000n | 7n);
    this.#write(0x302000, BigInt(directory) | 7n);
    this.#write(directory, large | 7n);
    this.#write(directory + 8, 0x200000n | large | 7n);
    for (const frame of frames) {
      for (const page of pages) this.#write(frame + page * 4096, BigInt(frame + page * 4096));
    }
    const { vcpu, engine } = this.#guest;
    vcpu.setU64("CR4", 0x20n);
    vcpu.setU64("CR3", 0x301000n);
    vcpu.setU64("CR0", 0x80010001n);
    engine.runtime.update_mode(vcpu.vp);
    engine.runtime.tlb_flush_all(vcpu.vp);
  }

  #random(below: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }

  #pick<T>(all: readonly T[]): T {
    return all[this.#random(all.length)] as T;
  }

  #read(at: number): bigint {
    const bytes = new Uint8Array(8);
    this.#guest.memory.read(gpa(at), bytes);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  #write(at: number, value: bigint): void {
    this.#guest.memory.write(gpa(at), new Uint8Array(BigUint64Array.of(value).buffer));
  }

  change(): void {
    const region = this.#pick(regions);
    const inTable = this.#random(3) > 0;
    const table = this.#pick(tables);
    const page = this.#pick(pages);
    const at = inTable ? table + page * 8 : directory + region * 8;
    const before = this.#read(at);
    const rights = BigInt(this.#random(8));
    if (this.#random(3) === 0) {
      // Only more rights; A and D bits stay.
      if ((before & present) !== 0n) this.#write(at, before | (rights & (writable | user)));
      return;
    }
    const isLarge = !inTable && this.#random(3) === 0;
    const target = inTable || isLarge ? BigInt(this.#pick(frames)) : BigInt(this.#pick(tables));
    this.#write(at, target | rights | (isLarge ? large : 0n));
    if ((before & present) === 0n) return;
    const { vcpu } = this.#guest;
    if (this.#random(2) === 0) this.#runtime.tlb_flush(vcpu.vp);
    // A table may be that of several regions.
    else for (const each of regions) for (const n of pages) this.#runtime.tlb_flush_page(vcpu.vp, addressOf(each, n));
  }

  /** The two sides of an access: what it finds at the page, or nothing. */
  look(): [found: bigint | undefined, expected: bigint | undefined] {
    const [region, page] = [this.#pick(regions), this.#pick(pages)];
    const [writing, asUser] = [this.#random(2) === 1, this.#random(2) === 1];
    const { vcpu, memory } = this.#guest;
    // User, or a supervisor that may touch user pages.
    vcpu.setU32("MODE", (vcpu.u32("MODE") & ~3) | (asUser ? 0 : 2));
    const at = this.#runtime.access(vcpu.vp, addressOf(region, page), 8, writing ? 1 : 0) >>> 0;
    const found = at === 0 ? undefined : new DataView(memory.frameBytes(at, 8).slice().buffer).getBigUint64(0, true);
    return [found, this.#walk(region, page, writing, asUser)];
  }

  #walk(region: number, page: number, writing: boolean, asUser: boolean): bigint | undefined {
    const upper = this.#read(directory + region * 8);
    if ((upper & present) === 0n) return undefined;
    const lower = (upper & large) !== 0n ? upper : this.#read(Number(upper & address) + page * 8);
    if ((lower & present) === 0n) return undefined;
    const rights = upper & lower;
    // CR0.WP is set, SMAP is not.
    if ((writing && (rights & writable) === 0n) || (asUser && (rights & user) === 0n)) return undefined;
    return (upper & large) !== 0n ? (upper & address) + BigInt(page * 4096) : lower & address;
  }
}

const addressOf = (region: number, page: number): bigint => BigInt(region * 0x200000 + page * 4096);

describe("page walks that remember", () => {
  test.each([1, 2, 3])("find what the tables say, seed %d", (seed) => {
    const walked = new Tables(seed);
    let found = 0;
    for (let n = 0; n < 4000; n++) {
      if (n % 3 === 0) walked.change();
      const [is, expected] = walked.look();
      if (is !== undefined) found++;
      if (is !== expected) expect([n, is]).toEqual([n, expected]);
    }
    expect(found).toBeGreaterThan(500);
  });
});
