/** The parts of a CPU state by name, each as one number: what text, comparison and shrinking go over. */
import { type CpuState, gprNames } from "./case.ts";

export interface Field {
  readonly name: string;
  read(state: CpuState): bigint;
  write(state: CpuState, value: bigint): void;
}

/** Little-endian bytes of the FXSAVE image. */
function fxField(name: string, offset: number, size: number): Field {
  return {
    name,
    // In words of 32 bits: bigints are slow.
    read: (state) => {
      const { fx } = state;
      let value = 0n;
      for (let at = size & ~3; at >= 0; at -= 4) {
        let word = 0;
        for (let i = Math.min(size, at + 4) - 1; i >= at; i--) word = word * 256 + fx[offset + i];
        value = (value << 32n) | BigInt(word);
      }
      return value;
    },
    write: (state, value) => {
      let rest = value;
      for (let i = 0, word = 0; i < size; i++, word >>>= 8) {
        if (i % 4 === 0) {
          word = Number(BigInt.asUintN(32, rest));
          rest >>= 32n;
        }
        state.fx[offset + i] = word;
      }
    },
  };
}

const gprFields: Field[] = gprNames.map((name, n) => ({
  name,
  read: (state) => state.gpr[n],
  write: (state, value) => {
    state.gpr[n] = value;
  },
}));

const otherFields: Field[] = [
  {
    name: "flags",
    read: (state) => BigInt(state.rflags),
    write: (state, value) => {
      state.rflags = Number(value);
    },
  },
  {
    name: "fsbase",
    read: (state) => state.fsBase,
    write: (state, value) => {
      state.fsBase = value;
    },
  },
  {
    name: "gsbase",
    read: (state) => state.gsBase,
    write: (state, value) => {
      state.gsBase = value;
    },
  },
];

export const fcw = fxField("fcw", 0, 2);
export const fsw = fxField("fsw", 2, 2);
/** One bit a physical register: not empty. */
export const ftw = fxField("ftw", 4, 1);
export const mxcsr = fxField("mxcsr", 24, 4);
/** ST(0)..ST(7), counted from the top as FXSAVE does; an MMX register is the low 64 bits where TOP is 0. */
export const st: readonly Field[] = Array.from({ length: 8 }, (_, i) => fxField(`st${i}`, 32 + 16 * i, 10));
export const xmm: readonly Field[] = Array.from({ length: 16 }, (_, i) => fxField(`xmm${i}`, 160 + 16 * i, 16));

/** All but RIP, which is part of where a case starts and stops. */
export const fields: readonly Field[] = [...gprFields, ...otherFields, fcw, fsw, ftw, mxcsr, ...st, ...xmm];
export const fieldByName: ReadonlyMap<string, Field> = new Map(fields.map((field) => [field.name, field]));
