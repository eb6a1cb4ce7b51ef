/**
 * A case in the making: which registers hold what, which memory was given contents, and what waits for addresses.
 *
 * Law: a register that was `set` for an instruction keeps that value until an instruction has `written` it. So
 * addresses, counts and divisors are what the generator meant, whatever ran before.
 */

import type { InstructionRow } from "#x86";
import { littleEndian } from "./addressing.ts";
import { codeBase, codeSize, dataOffset, dataPages, emptyState, type Mode, type OracleCase, pageSize } from "./case.ts";
import type { Random } from "./random.ts";
import { doubleValue, extendedValue, floatValue, integerValue } from "./values.ts";

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

/** Something in the code or the state that depends on where the code will lie. `target` counts items. */
export type Fixup =
  | { kind: "relative"; offset: number; size: 1 | 2 | 4; target: number }
  | { kind: "rip"; offset: number; address: bigint }
  | { kind: "absolute"; offset: number; size: 2 | 4; target: number }
  | { kind: "register"; register: number; target: number }
  | { kind: "memory"; address: number; size: number; target: number };

/** One instruction. Offsets in fixups count from its first byte. */
export interface Item {
  readonly row: InstructionRow;
  readonly bytes: number[];
  readonly fixups: Fixup[];
}

export class CaseBuilder {
  readonly random: Random;
  readonly mode: Mode;
  readonly items: Item[] = [];
  /** Instructions that the case will have. */
  readonly planned: number;
  readonly state = emptyState();
  readonly patches: OracleCase["patches"] = [];
  #set = 0;
  #written = 0;
  #pool: number[];

  constructor(random: Random, mode: Mode, planned: number) {
    this.random = random;
    this.mode = mode;
    this.planned = planned;
    const { gpr } = this.state;
    for (let i = 0; i < this.registerCount; i++) gpr[i] = this.#cut(integerValue(random));
    gpr[RSP] = BigInt(0x1000_4800 + 8 * random.below(16) - (random.chance(10) ? random.below(16) : 0));
    this.state.fsBase = this.#segmentBase();
    this.state.gsBase = this.#segmentBase();
    this.state.rflags = 0x202 | (random.u32() & (random.chance(70) ? 0x8d5 : 0xcd5));
    this.#pool = Array.from({ length: 4 }, () => random.below(this.registerCount));
  }

  #segmentBase(): bigint {
    const { random } = this;
    if (random.chance(40)) return 0n;
    if (this.mode === 64 && random.chance(30)) return random.u64() & ((1n << 47n) - 1n);
    return BigInt(dataPages[0].address + random.below(pageSize));
  }

  get registerCount(): number {
    return this.mode === 64 ? 16 : 8;
  }

  #cut(value: bigint): bigint {
    return BigInt.asUintN(this.mode, value);
  }

  /** True while a register may still be given a start value. */
  isFree(register: number): boolean {
    return ((this.#set | this.#written) & (1 << register)) === 0;
  }

  /** The register's value when the next instruction starts, where that is known. */
  known(register: number): bigint | undefined {
    return (this.#written & (1 << register)) === 0 ? this.state.gpr[register] : undefined;
  }

  /** Gives the register a start value for this and all later instructions; false where it is taken. */
  set(register: number, value: bigint): boolean {
    if (!this.isFree(register)) return false;
    this.state.gpr[register] = this.#cut(value);
    this.#set |= 1 << register;
    return true;
  }

  written(register: number): void {
    this.#written |= 1 << register;
  }

  /** A register for data: mostly of a small pool, so that instructions meet; seldom one that holds an address. */
  dataRegister(): number {
    const { random } = this;
    for (let tries = 0; tries < 6; tries++) {
      const register = random.chance(60) ? random.pick(this.#pool) : random.below(this.registerCount);
      if (register === RSP && !random.chance(4)) continue;
      if ((this.#set & (1 << register)) !== 0 && !random.chance(10)) continue;
      return register;
    }
    return random.below(this.registerCount);
  }

  /** A register that may become an address, or any that is one already. */
  addressRegister(allowRsp: boolean): number {
    const { random } = this;
    for (let tries = 0; tries < 24; tries++) {
      const register = random.below(this.registerCount);
      if (register === RSP && (!allowRsp || !random.chance(20))) continue;
      if (tries < 16 ? this.isFree(register) : this.known(register) !== undefined) return register;
    }
    return RBX;
  }

  /** Where a memory operand should lie. Mostly in pages; sometimes over their ends, read-only, absent, or nonsense. */
  dataAddress(size: number, alignment: number, writes: boolean): bigint {
    const { random } = this;
    const roll = random.below(100);
    const over = size > 1 ? 1 + random.below(size - 1) : 0;
    const align = (address: number): bigint => BigInt(address - (address % alignment));
    if (alignment > 1 && random.chance(6)) return BigInt(dataPages[0].address + random.below(pageSize));
    if (roll < 3) return align(0x1000_3000 - over);
    if (roll < 5) return align(0x1000_2000 - over);
    if (roll < 7) return align(0x1000_3000 + random.below(pageSize));
    if (roll < 12) return align(0x1000_1000 - over);
    if (roll < 14 && this.mode === 64) return integerValue(random);
    if (roll < 15 && this.mode === 64) return (1n << 47n) - BigInt(over);
    const page = writes && !random.chance(5) ? random.below(2) : random.below(3);
    const room = Math.max(pageSize - size, 1);
    const offset = random.below(room);
    const natural = random.chance(50) ? Math.max(alignment, Math.min(size, 16)) : alignment;
    return BigInt(dataPages[page].address + offset - (offset % Math.max(natural, 1)));
  }

  /** Start contents of memory, as far as it lies in data pages. */
  patch(address: bigint, bytes: Uint8Array): void {
    const at = Number(address);
    for (let from = 0; from < bytes.length; ) {
      const place = at + from;
      const inPage = Math.min(bytes.length - from, pageSize - (place % pageSize));
      if (dataOffset(place) >= 0) this.patches.push({ address: place, bytes: bytes.slice(from, from + inPage) });
      from += inPage;
    }
  }

  patchInteger(address: bigint, value: bigint, size: number): void {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    this.patch(address, bytes);
  }

  /** Something worth reading at a memory operand. */
  patchValue(address: bigint, size: number, floating: boolean): void {
    const { random } = this;
    if (size === 0 || size > 64 || !random.chance(70)) return;
    if (size === 10) {
      this.patchInteger(address, extendedValue(random), 10);
      return;
    }
    if (size === 16) {
      const wide = floating && random.chance(50);
      for (let i = 0; i < 16; i += wide ? 8 : 4) {
        const value = wide ? doubleValue(random) : floating ? BigInt(floatValue(random)) : integerValue(random, 32);
        this.patchInteger(address + BigInt(i), value, wide ? 8 : 4);
      }
      return;
    }
    if (floating && size === 4) {
      this.patchInteger(address, BigInt(floatValue(random)), 4);
      return;
    }
    if (floating && size === 8) {
      this.patchInteger(address, doubleValue(random), 8);
      return;
    }
    this.patchInteger(address, integerValue(random, size * 8), size);
  }

  /** A later instruction, or the end, for a forward branch of the item now made. */
  forwardTarget(): number {
    const left = this.planned - this.items.length;
    return this.items.length + 1 + this.random.below(Math.max(left, 1));
  }

  /** Lays the code out and resolves what waited for addresses. */
  finish(name: string, pageSeed: number): OracleCase {
    const { random, items } = this;
    const starts: number[] = [0];
    for (const item of items) starts.push(starts[starts.length - 1] + item.bytes.length);
    const length = starts[items.length];
    const roll = random.below(100);
    let rip = codeBase + random.below(64);
    if (roll < 4) rip = codeBase + codeSize - length;
    else if (roll < 10) rip = codeBase + pageSize - random.below(length + 1);
    const code = new Uint8Array(length);
    for (const [n, item] of items.entries()) {
      const next = starts[n + 1];
      const view = new DataView(code.buffer);
      code.set(item.bytes, starts[n]);
      for (const f of item.fixups) {
        const to = "target" in f ? starts[Math.min(f.target, items.length)] : 0;
        if (f.kind === "rip") view.setInt32(starts[n] + f.offset, Number(f.address) - (rip + next), true);
        else if (f.kind === "register") this.state.gpr[f.register] = BigInt(rip + to);
        else if (f.kind === "memory") this.patchInteger(BigInt(f.address), BigInt(rip + to), f.size);
        else if (f.kind === "absolute") code.set(littleEndian(BigInt(rip + to), f.size), starts[n] + f.offset);
        else if (f.size === 1) view.setInt8(starts[n] + f.offset, to - next);
        else if (f.size === 2) view.setInt16(starts[n] + f.offset, to - next, true);
        else view.setInt32(starts[n] + f.offset, to - next, true);
      }
    }
    this.state.rip = BigInt(rip);
    return { name, mode: this.mode, code, start: this.state, pageSeed, patches: this.patches };
  }
}
