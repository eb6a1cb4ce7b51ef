// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * From an address of the guest to one of the arena, in compiled code: the look-up in the TLB, or what spares it.
 *
 * An access by itself adds an addend to its address: the TLB's, a slot's (known-pages.ts), or where none of them serves the difference
 * to what the runtime answers. One that belongs to a group (same-page.ts) is so far behind the group's place in the arena.
 */
import { area, at, knownPageEntryBytes, knownPageSlots, tlbBytes, tlbEntries } from "#vcpu";
import { type Local, W } from "#wasm";
import type { Pointer } from "./followed-pointers.ts";
import { Intent } from "./op-emitter.ts";
import { type PointerGround, PointerHints } from "./pointer-hints.ts";
import type { NearAccesses, PageGroup } from "./same-page.ts";

/** What the runtime is asked for; `splitWrite`: a write by who looks for the bounce buffer (runtime/memory/access.ts). */
export const splitWrite = 4;
export type Asked = Intent | typeof splitWrite;

/** One access. */
export interface PageQuestion {
  /** Word that its operation starts at. */
  readonly word: number;
  readonly bytes: number;
  readonly intent: Asked;
  /** Of an address by one register: how far it is from what that points to. */
  readonly displacement: number;
  /** Written where the runtime has been asked: its answer is in p. */
  readonly resolved?: () => void;
}

/** What is asked of the region's emitter: its code and scratch locals, x being the address. */
export interface PageGround extends PointerGround {
  readonly x: Local;
  /** x is the address from here on, if it is not yet. */
  settleAddress(): void;
  leaveIf(): void;
}

export class PageAccess {
  /** By the words that operations start at: slots that know pages. */
  slots: ReadonlyMap<number, number> = new Map();
  readonly pointers: PointerHints;
  near: NearAccesses = { groups: new Map(), distances: new Map(), aligned: new Set() };
  readonly #e: PageGround;
  /** The read TLB of the region's mode, counted from the first of all. */
  readonly #tlb: number;
  /** vp, where it is part of offsets; else 0, and it is added to what has been looked up. */
  readonly #knownVp: number;
  /** Of the groups of a block: arena addresses of their least bytes, or 0. */
  readonly #hosts: Local[] = [];
  readonly #least: Local;
  /** How far a group's least byte is into its page. */
  readonly #onPage: Local;

  constructor(ground: PageGround, tlbMode: number, knownVp: number) {
    this.#e = ground;
    this.#knownVp = knownVp;
    this.#tlb = 2 * tlbMode;
    this.pointers = new PointerHints(ground, knownVp);
    this.#least = ground.code.local("i64");
    this.#onPage = ground.code.local("i64");
  }

  /** The access of an operation that belongs to a group, behind the group's first: only who misses needs its address. */
  isMember(word: number): boolean {
    const group = this.near.groups.get(word);
    return group !== undefined && group.first !== word;
  }

  /** Leaves in p an arena address, and gives how far behind it the access is; or leaves. */
  translate(question: PageQuestion): number {
    const slot = this.slots.get(question.word);
    const group = this.near.groups.get(question.word);
    if (group === undefined) {
      this.#alone(slot, question);
      return 0;
    }
    const from = group.before + (this.near.distances.get(question.word) as number);
    if (group.first === question.word) this.#first(group, slot, question);
    else this.#member(group, from, question);
    return from;
  }

  #alone(slot: number | undefined, question: PageQuestion): void {
    const { code: c, x, p } = this.#e;
    const pointer = slot === undefined ? this.pointers.usedBy(question.word) : undefined;
    if (pointer !== undefined) return this.#follow(pointer, question);
    if (slot === undefined) this.#askTlb(question);
    else this.#askSlot(slot, question);
    // Behind both ways, so that the sum is known to have 32 bits.
    c.get(x).op(W.i32_wrap_i64).get(p).op(W.i32_add).set(p);
  }
  /** p = what is to be added to the address in x. */
  #askTlb(question: PageQuestion): void {
    const { code: c, x, p } = this.#e;
    this.#pushTag(x, question.intent);
    c.get(x).op(W.i64_xor).i64(4096 - question.bytes).op(W.i64_gt_u).unlikely().if();
    this.#missed("resolve", question, { address: x });
    c.else();
    c.get(p).memory(W.i32_load, this.#table(question.intent) + 8).set(p);
    c.end();
  }
  #askSlot(slot: number, question: PageQuestion): void {
    const { code: c, vp, x, p } = this.#e;
    const entry = this.#entry(slot, question.intent);
    c.get(vp).memory(W.i64_load, entry).get(x).op(W.i64_xor);
    c.get(vp).memory(W.i64_load, entry + 8).op(W.i64_ge_u);
    c.unlikely().if();
    this.#missed("page_miss", question, { address: x }, slot);
    c.else();
    c.get(vp).memory(W.i32_load, entry + 16).set(p);
    c.end();
  }

  /** The first access of a group finds out whether all of it is on one page. */
  #first(group: PageGroup, slot: number | undefined, question: PageQuestion): void {
    const { code: c, vp, x, p } = this.#e;
    const least = this.#least;
    const host = this.#host(group);
    c.get(x);
    if (group.before > 0) c.i64(group.before).op(W.i64_sub);
    c.set(least);
    const entry = slot === undefined ? undefined : this.#entry(slot, question.intent);
    const done = c.block();
    const missed = c.block();
    if (entry === undefined) {
      this.#pushTag(least, question.intent);
      c.get(least).op(W.i64_xor);
    } else {
      c.get(vp).memory(W.i64_load, entry).get(least).op(W.i64_xor).tee(this.#onPage);
      c.get(vp).memory(W.i64_load, entry + 8).op(W.i64_ge_u).unlikely().brIf(missed);
      c.get(this.#onPage);
    }
    c.i64(4096 - group.span).op(W.i64_gt_u).unlikely().brIf(missed);
    if (entry === undefined) c.get(p).memory(W.i32_load, this.#table(question.intent) + 8);
    else c.get(vp).memory(W.i32_load, entry + 16);
    c.get(least).op(W.i32_wrap_i64, W.i32_add);
    const pointer = entry === undefined ? this.pointers.usedBy(question.word) : undefined;
    if (pointer === undefined) c.tee(host).set(p).br(done);
    else this.pointers.goOnFrom(pointer, question.displacement - group.before, question.displacement, () => c.get(p).set(host).br(done));
    c.end();
    c.i32(0).set(host);
    this.#missed(slot === undefined ? "seek" : "page_miss", question, group.before, slot);
    c.end();
  }
  #member(group: PageGroup, from: number, question: PageQuestion): void {
    const { code: c, p } = this.#e;
    const host = this.#host(group);
    c.get(host).op(W.i32_eqz).unlikely().if();
    this.#e.settleAddress();
    this.#missed("seek", question, from);
    c.else();
    c.get(host).set(p);
    c.end();
  }
  /** An access by itself, by a pointer that is followed. */
  #follow(pointer: Pointer, question: PageQuestion): void {
    const { code: c, x, p } = this.#e;
    const done = c.block();
    this.#pushTag(x, question.intent);
    c.get(x).op(W.i64_xor).i64(4096 - question.bytes).op(W.i64_gt_u).unlikely().if();
    this.#missed("resolve", question, 0);
    c.br(done).end();
    c.get(p).memory(W.i32_load, this.#table(question.intent) + 8).get(x).op(W.i32_wrap_i64, W.i32_add);
    this.pointers.goOnFrom(pointer, question.displacement, question.displacement, () => c.br(done));
    c.end();
  }
  #host({ number }: PageGroup): Local {
    while (this.#hosts.length <= number) this.#hosts.push(this.#e.code.local("i32"));
    return this.#hosts[number];
  }

  /** Pushes the tag of the TLB's entry for an address, and leaves in p where the entry is: `#table` less than it. */
  #pushTag(address: Local, intent: Asked): void {
    const { code: c, vp, p } = this.#e;
    c.get(address).op(W.i32_wrap_i64).i32(8).op(W.i32_shr_u).i32((tlbEntries - 1) << 4).op(W.i32_and);
    if (this.#knownVp === 0) c.get(vp).op(W.i32_add);
    c.tee(p).memory(W.i64_load, this.#table(intent));
  }
  /** Asks the runtime for the arena address, and leaves in p by how much it is more than `from`: a number, or an address of the guest; or leaves. */
  #missed(call: "resolve" | "seek" | "page_miss", { bytes, intent, resolved }: PageQuestion, from: number | { readonly address: Local }, slot = 0): void {
    const { code: c, vp, x, p } = this.#e;
    c.get(vp).get(x);
    if (call === "page_miss") c.i32(this.#which(intent) * knownPageSlots + slot);
    c.i32(bytes).i32(intent);
    this.#e.callRuntime(call);
    c.tee(p).op(W.i32_eqz);
    this.#e.leaveIf();
    resolved?.();
    if (from !== 0) c.get(p);
    if (typeof from === "object") c.get(from.address).op(W.i32_wrap_i64, W.i32_sub).set(p);
    else if (from > 0) c.i32(from).op(W.i32_sub).set(p);
  }
  /** Which of the TLBs of data serves. */
  #which(intent: Asked): number {
    return this.#tlb + (intent === Intent.read ? 0 : 1);
  }
  #table(intent: Asked): number {
    return this.#knownVp + area.tlb + this.#which(intent) * tlbBytes;
  }
  #entry(slot: number, intent: Asked): number {
    return area.knownPages + knownPageEntryBytes * (this.#which(intent) * knownPageSlots + slot);
  }

  /** A store that crosses pages now and then: what is in the bounce buffer is carried to where it belongs. */
  storeAcross(question: PageQuestion, store: (from: number) => void): void {
    const { code: c, vp, x, p } = this.#e;
    const done = c.block();
    const resolved = (): void => {
      c.get(p).get(vp).i32(at.BOUNCE).op(W.i32_add, W.i32_eq).if();
      c.get(p);
      store(0);
      c.get(vp).get(x).i32(question.bytes);
      this.#e.callRuntime("commit");
      c.op(W.i32_eqz);
      this.#e.leaveIf();
      c.br(done).end();
    };
    const from = this.translate({ ...question, intent: splitWrite, resolved });
    c.get(p);
    store(from);
    c.end();
  }
}
