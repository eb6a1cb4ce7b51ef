/**
 * A vCPU as the TypeScript side sees it: names for the fields of its record in the arena (layout.ts). It holds no state.
 */
import type { Arena } from "#memory";
import { at, type Field, type FieldName, gpr, vcpuFields } from "./layout.ts";

const fields = new Map(vcpuFields.map((field) => [field.name, field]));

export class Vcpu {
  readonly arena: Arena;
  /** Arena offset of the vCPU's area. */
  readonly vp: number;
  readonly id: number;

  constructor(arena: Arena, vp: number, id: number) {
    this.arena = arena;
    this.vp = vp;
    this.id = id;
  }

  u32(field: FieldName, index = 0): number {
    return this.arena.i32[((this.vp + at[field]) >> 2) + index] >>> 0;
  }
  setU32(field: FieldName, value: number, index = 0): void {
    this.arena.i32[((this.vp + at[field]) >> 2) + index] = value;
  }
  u64(field: FieldName, index = 0): bigint {
    return this.arena.u64[((this.vp + at[field]) >> 3) + index];
  }
  setU64(field: FieldName, value: bigint, index = 0): void {
    this.arena.u64[((this.vp + at[field]) >> 3) + index] = value;
  }
  field(name: FieldName): Field {
    return fields.get(name) as Field;
  }
  /** A copy of a field's bytes. */
  bytes(name: FieldName): Uint8Array {
    const field = this.field(name);
    return this.arena.u8.slice(this.vp + field.offset, this.vp + field.offset + field.stride * field.count);
  }
  register(n: number): bigint {
    return this.arena.u64[(this.vp + gpr(n)) >> 3];
  }
  setRegister(n: number, value: bigint): void {
    this.arena.u64[(this.vp + gpr(n)) >> 3] = value;
  }

  /** Control and tag word of the x87. */
  setX87Control(control: number, tags: number): void {
    const words = new Uint16Array(this.arena.memory.buffer, this.vp + at.FCW, 3);
    words[0] = control;
    words[(at.FTW - at.FCW) >> 1] = tags;
  }

  /** Index of a field in the arena's 32-bit words. */
  wordOf(field: FieldName): number {
    return (this.vp + at[field]) >> 2;
  }

  /** Sets bits of EVENTS: translated code leaves at its next boundary. From any thread. */
  raiseEvent(bits: number): void {
    Atomics.or(this.arena.i32, (this.vp + at.EVENTS) >> 2, bits);
  }
  clearEvent(bits: number): void {
    Atomics.and(this.arena.i32, (this.vp + at.EVENTS) >> 2, ~bits);
  }
}
