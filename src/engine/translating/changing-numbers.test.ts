/** Code whose numbers a guest changes, by all ways that lead to its bytes (docs/cold-path.md, "Code that changes"). */
import { describe, expect, test } from "vitest";
import { gpa } from "#address";
import { passesWithout } from "#jit";
import type { Vcpu } from "#vcpu";
import { random } from "../../../test/encodings.ts";
import { codeBase, dataBase, type Guest, type GuestOptions, guest, hex, mapPages } from "../../../test/guest-code.ts";

const interpreted = { hotThreshold: Number.POSITIVE_INFINITY };
const compiled = { hotThreshold: 2 };
const rounds = 300;

/** Where the function is whose numbers change, and words that it may read: the n-th is n times `unit`. */
const functionAt = dataBase;
const tableAt = dataBase + 0x1000;
const unit = 0x1_0001_0001n;

/**
 * For ecx = 300 … 1: does what `patch` says (rdi has the function's address, rsi that of the words), calls the function and adds what it
 * leaves in rax to rbx. Then #UD.
 */
function caller(patch: string): Uint8Array {
  const loop = [...hex(patch), ...hex("ff d7 48 01 c3 ff c9")]; // call rdi; add rbx, rax; dec ecx
  return Uint8Array.of(...hex("b9 2c010000"), ...loop, 0x75, 256 - loop.length - 2, 0x0f, 0x0b); // mov ecx, 300 … jnz; ud2
}

function start(patch: string, code: string, options: GuestOptions): Guest {
  const g = guest(caller(patch), options);
  g.memory.write(gpa(functionAt), hex(code));
  const table = new BigUint64Array(1024).map((_, n) => BigInt(n) * unit);
  g.memory.write(gpa(tableAt), new Uint8Array(table.buffer));
  g.vcpu.setRegister(7, BigInt(functionAt));
  g.vcpu.setRegister(6, BigInt(tableAt));
  return g;
}

/** Runs to the end in slices, so that what is hot is compiled on the way; what it has added up. */
function finish(g: Guest, vcpu: Vcpu = g.vcpu): bigint {
  let exit = g.engine.run(vcpu, vcpu.u64("ICOUNT") + 500n);
  while (exit.reason === "budget") exit = g.engine.run(vcpu, vcpu.u64("ICOUNT") + 500n);
  expect(exit).toMatchObject({ reason: "fault", vector: 6 });
  return vcpu.register(3);
}

/** Runs the caller once more, patching otherwise. */
function again(g: Guest, patch: string): bigint {
  const at = codeBase + 0x800;
  g.memory.write(gpa(at), caller(patch));
  g.vcpu.setU64("RIP", BigInt(at));
  g.vcpu.setRegister(3, 0n);
  return finish(g);
}

/** Of what a function leaves for ecx = 300 … 1. */
function sum(of: (n: bigint) => bigint): bigint {
  let all = 0n;
  for (let n = BigInt(rounds); n > 0n; n--) all += of(n);
  return BigInt.asUintN(64, all);
}

const negative = "89 ca f7 da"; // mov edx, ecx; neg edx
const place = "8d 14 cd 00000000"; // lea edx, [rcx*8]

const forms: readonly { form: string; patch: string; code: string; gives: (n: bigint) => bigint }[] = [
  {
    form: "a byte with its sign",
    patch: "88 4f 03", // mov [rdi+3], cl
    code: "48 6b c1 00 c3", // imul rax, rcx, imm8; ret
    gives: (n) => n * BigInt.asIntN(8, n),
  },
  {
    form: "a byte that is moved",
    patch: "88 4f 03", // mov [rdi+3], cl
    code: "31 c0 b0 00 c3", // xor eax, eax; mov al, imm8; ret
    gives: (n) => n & 0xffn,
  },
  {
    form: "a count",
    patch: "88 4f 06", // mov [rdi+6], cl
    code: "48 89 c8 48 c1 c0 00 c3", // mov rax, rcx; rol rax, imm8; ret
    gives: (n) => BigInt.asUintN(64, n << (n & 63n)) | (n >> (64n - (n & 63n))),
  },
  {
    form: "a word",
    patch: "66 89 4f 04", // mov [rdi+4], cx
    code: "31 c0 66 05 0000 c3", // xor eax, eax; add ax, imm16; ret
    gives: (n) => n,
  },
  {
    form: "32 bits with their sign",
    patch: `${negative} 89 57 05`, // mov [rdi+5], edx
    code: "48 89 c8 48 2d 00000000 c3", // mov rax, rcx; sub rax, imm32; ret
    gives: (n) => 2n * n,
  },
  {
    form: "32 bits that are moved",
    patch: `${negative} 89 57 01`, // mov [rdi+1], edx
    code: "b8 00000000 c3", // mov eax, imm32; ret
    gives: (n) => BigInt.asUintN(32, -n),
  },
  {
    form: "64 bits",
    patch: "48 89 ca 48 c1 e2 28 48 09 ca 48 89 57 02", // mov rdx, rcx; shl rdx, 40; or rdx, rcx; mov [rdi+2], rdx
    code: "48 b8 0000000000000000 c3", // mov rax, imm64; ret
    gives: (n) => (n << 40n) | n,
  },
  {
    form: "the upper half of 64 bits",
    patch: "89 4f 06", // mov [rdi+6], ecx
    code: "48 b8 0500000000000000 c3", // mov rax, imm64; ret
    gives: (n) => (n << 32n) | 5n,
  },
  {
    form: "a load's displacement",
    patch: `${place} 89 57 03`, // mov [rdi+3], edx
    code: "48 8b 86 00000000 c3", // mov rax, [rsi+disp32]; ret
    gives: (n) => n * unit,
  },
  {
    form: "a load's displacement of a byte",
    patch: "89 ca 83 e2 0f c1 e2 03 88 57 03", // mov edx, ecx; and edx, 15; shl edx, 3; mov [rdi+3], dl
    code: "48 8b 46 00 c3", // mov rax, [rsi+disp8]; ret
    gives: (n) => (n & 15n) * unit,
  },
  {
    form: "a displacement beside base and index",
    patch: `${place} 89 57 04`, // mov [rdi+4], edx
    code: "48 8b 84 ce 00000000 c3", // mov rax, [rsi+rcx*8+disp32]; ret
    gives: (n) => 2n * n * unit,
  },
  {
    form: "a displacement from RIP",
    patch: "8d 14 cd f90f0000 89 57 03", // lea edx, [rcx*8+0x1000-7]; mov [rdi+3], edx
    code: "48 8b 05 00000000 c3", // mov rax, [rip+disp32]; ret
    gives: (n) => n * unit,
  },
  {
    form: "two numbers of one instruction, and another one's",
    patch: `${place} 89 57 03 89 4f 07 89 4f 0d`, // mov [rdi+3], edx; mov [rdi+7], ecx; mov [rdi+13], ecx
    code: "48 69 86 00000000 00000000 48 05 00000000 c3", // imul rax, [rsi+disp32], imm32; add rax, imm32; ret
    gives: (n) => n * unit * n + n,
  },
  {
    form: "what is pushed",
    patch: `${negative} 89 57 01`, // mov [rdi+1], edx
    code: "68 00000000 58 c3", // push imm32; pop rax; ret
    gives: (n) => -n,
  },
  {
    form: "what is compared with",
    patch: "89 ca 83 e2 fe 89 57 04", // mov edx, ecx; and edx, ~1; mov [rdi+4], edx
    code: "31 c0 81 f9 00000000 0f 94 c0 c3", // xor eax, eax; cmp ecx, imm32; sete al; ret
    gives: (n) => 1n - (n & 1n),
  },
  {
    form: "what is stored",
    patch: "89 4f 02", // mov [rdi+2], ecx
    code: "c7 06 00000000 8b 06 c3", // mov dword [rsi], imm32; mov eax, [rsi]; ret
    gives: (n) => n,
  },
  {
    form: "what is added to memory, locked",
    patch: "89 4f 04", // mov [rdi+4], ecx
    code: "f0 48 81 06 00000000 48 8b 06 48 c7 06 00000000 c3", // lock add qword [rsi], imm32; mov rax, [rsi]; mov qword [rsi], 0; ret
    gives: (n) => n,
  },
  {
    form: "a number behind the store, in the same block",
    patch: "",
    code: "89 0d 01000000 b8 00000000 c3", // mov [rip+1], ecx; mov eax, imm32; ret
    gives: (n) => n,
  },
  {
    form: "a number that is code, too, for who jumps into it",
    // mov [rdi+2], cl; xor eax, eax; lea rdx, [rdi+1]; call rdx; add rbx, rax
    patch: "88 4f 02 31 c0 48 8d 57 01 ff d2 48 01 c3",
    code: "b8 b000c390 c3", // mov eax, imm32; ret; and from the second byte on: mov al, imm8; ret
    gives: (n) => (n & 0xffn) + 0x90c300b0n + ((n & 0xffn) << 8n),
  },
];

for (const [name, options] of [
  ["interpreted", interpreted],
  ["compiled", compiled],
] as const) {
  describe(name, () => {
    for (const { form, patch, code, gives } of forms) {
      test(`${form} is what it was changed to, and is not lifted again for that`, () => {
        const g = start(patch, code, options);
        expect(finish(g)).toBe(sum(gives));
        expect(g.engine.stats.lifted).toBeLessThan(60);
      });
    }

    test("a number may be changed by another address of its page", () => {
      const g = start("41 89 49 01", "b8 00000000 c3", options); // mov [r9+1], ecx; mov eax, imm32; ret
      mapPages(g, BigInt(functionAt) + 3n);
      g.vcpu.setRegister(9, 0x400000n);
      expect(finish(g)).toBe(sum((n) => n));
      expect(g.engine.stats.lifted).toBeLessThan(60);
    });

    test("an operation beside a number may change after that", () => {
      const g = start("89 4f 03", "31 c0 05 00000000 c3", options); // mov [rdi+3], ecx; xor eax, eax; add eax, imm32; ret
      expect(finish(g)).toBe(sum((n) => n));
      expect(again(g, "c6 47 02 2d 89 4f 03")).toBe(sum((n) => BigInt.asUintN(32, -n))); // mov byte [rdi+2], 0x2d: sub
      expect(again(g, "c6 47 02 0d 89 4f 03")).toBe(sum((n) => n)); // or
      // Operation and number at once, another operation each time: mov edx, ecx; and edx, 1; shl edx, 5; lea edx, [rdx+0x705]; mov [rdi+2], dx
      expect(again(g, "89 ca 83 e2 01 c1 e2 05 8d 92 05070000 66 89 57 02 89 4f 03")).toBe(
        sum((n) => BigInt.asUintN(32, (n & 1n) === 1n ? n & 0n : n)),
      );
    });

    test("a number may hold operations for who jumps into it, which change with it", () => {
      // movzx edx, cl; shl edx, 8; mov eax, ecx; and eax, 1; shl eax, 2; or edx, eax; or edx, 0x90c300b0; mov [rdi+1], edx
      const change = "0f b6 d1 c1 e2 08 89 c8 83 e0 01 c1 e0 02 09 c2 81 ca b000c390 89 57 01";
      // xor eax, eax; lea rdx, [rdi+1]; call rdx; movzx edx, ax; add rbx, rdx
      const jumpIn = "31 c0 48 8d 57 01 ff d2 0f b7 d0 48 01 d3";
      // mov eax, imm32; ret; and from the second byte on: mov al, imm8 or mov ah, imm8; ret
      const g = start(`${change} ${jumpIn}`, "b8 b000c390 c3", options);
      const inside = (n: bigint): bigint => (n & 0xffn) << ((n & 1n) * 8n);
      expect(finish(g)).toBe(sum((n) => inside(n) + (0x90c300b0n | ((n & 0xffn) << 8n) | ((n & 1n) << 2n))));
    });

    test("a number may be changed from outside", () => {
      const g = start("89 4f 01", "b8 00000000 c3", options); // mov [rdi+1], ecx; mov eax, imm32; ret
      expect(finish(g)).toBe(sum((n) => n));
      for (const byte of [7, 9, 200]) {
        g.memory.write(gpa(functionAt + 1), Uint8Array.of(byte, 0, 0, 0));
        expect(again(g, "")).toBe(BigInt(rounds * byte));
      }
    });

    test("a number may be changed by another vCPU", () => {
      const g = start("", "b8 00000000 c3", options); // mov eax, imm32; ret
      const other = g.engine.createVcpu(1, g.memory.header);
      for (const field of ["EFER", "EFLAGS", "DIRECTION", "RIP"] as const) other.setU64(field, g.vcpu.u64(field));
      other.setU32("SEG_FLAGS", 0xa09b, 1);
      g.engine.runtime.update_mode(other.vp);
      const patcher = codeBase + 0xc00;
      g.memory.write(gpa(patcher), hex("89 4f 01 0f 0b")); // mov [rdi+1], ecx; ud2
      other.setRegister(7, BigInt(functionAt));
      for (let n = 1; n <= 30; n++) {
        other.setU64("RIP", BigInt(patcher));
        other.setRegister(1, BigInt(n));
        finish(g, other);
        expect(again(g, "")).toBe(BigInt(rounds * n));
      }
    });
  });
}

/** A function of which all numbers and some operations may change, a byte of junk here and there left alone. */
const pieces: readonly {
  code: string;
  numbers: readonly (readonly [at: number, bytes: number])[];
  operations: string;
  at: number;
}[] = [
  { code: "48 05 11223344", numbers: [[2, 4]], operations: "05 2d 35 0d 25", at: 1 }, // add, sub, xor, or, and rax, imm32
  { code: "48 c1 c0 03", numbers: [[3, 1]], operations: "c0 c8 e0 e8 f8", at: 2 }, // rol, ror, shl, shr, sar rax, imm8
  { code: "49 bb 8877665544332211 4c 01 d8", numbers: [[2, 8]], operations: "01 29 31", at: 11 }, // mov r11, imm64; add, sub, xor rax, r11
  { code: "48 83 d0 7f", numbers: [[3, 1]], operations: "d0 d8 c0 e8", at: 2 }, // adc, sbb, add, sub rax, imm8
  { code: "48 03 86 08000000", numbers: [[3, 1]], operations: "03 2b 33", at: 1 }, // add, sub, xor rax, [rsi+disp32]
  { code: "48 03 46 10", numbers: [[3, 1]], operations: "03 2b 33", at: 1 }, // the same with disp8
  { code: "48 3d 00000010 0f 92 c2", numbers: [[2, 4]], operations: "92 94 97 9c 9e", at: 7 }, // cmp rax, imm32; setcc dl
  { code: "48 0f b6 d2 48 69 d2 45230100 48 01 d0", numbers: [[7, 4]], operations: "01 29 31", at: 12 }, // movzx rdx, dl; imul rdx, rdx, imm32; add rax, rdx
  { code: "c3", numbers: [], operations: "c3", at: 0 },
];

test.each([1, 2, 3, 4])(
  "whatever of a function is changed, by stores of any size, it does what it says (%i)",
  (seed) => {
    const next = random(seed);
    const pick = (n: number): number => Math.floor(next() * n);
    const starts: number[] = [];
    const bytes: number[] = [];
    for (const { code } of pieces) {
      starts.push(bytes.length);
      bytes.push(...hex(code));
    }
    const now = Uint8Array.from([...bytes, ...new Array<number>(16).fill(0x90)]);
    // The function as it will be, patch by patch: each store writes what is there then, but for one number or operation.
    const count = 600;
    const patches = new DataView(new ArrayBuffer(24 * count));
    for (let n = 0; n < count; n++) {
      const which = pick(pieces.length - 1);
      const { numbers, operations, at } = pieces[which];
      const [place, size] = numbers[0];
      // Stretches of numbers alone, so that they are found out.
      const changesOperation = n % 150 > 120 && pick(4) === 0;
      if (changesOperation) now[starts[which] + at] = hex(operations)[pick(hex(operations).length)];
      else
        for (let byte = 0; byte < size; byte++)
          if (pick(3) !== 0) now[starts[which] + place + byte] = pick(size === 1 ? 0x70 : 256);
      const changed = starts[which] + (changesOperation ? at : place);
      // Exactly it, a part, or something around it.
      const kind = pick(6);
      const width = changesOperation ? 1 : size;
      const from = kind === 0 ? Math.max(0, changed - pick(4)) : changed;
      const bytesStored = kind === 0 ? 8 : kind === 1 && width > 1 ? width >> 1 : width;
      const whole = kind !== 1 || width === 1;
      patches.setUint32(24 * n, functionAt + from, true);
      for (let byte = 0; byte < bytesStored; byte++) patches.setUint8(24 * n + 8 + byte, now[from + byte]);
      // What a half does not write stays as it was.
      if (!whole) for (let byte = bytesStored; byte < width; byte++) now[from + byte] = bytes[from + byte] ?? 0;
      patches.setUint32(24 * n + 16, bytesStored, true);
      patches.setUint32(24 * n + 20, starts[pick(3)], true);
      for (let byte = 0; byte < bytesStored; byte++) bytes[from + byte] = now[from + byte];
    }
    const run = (options: GuestOptions): bigint[] => {
      const g = guest(
        hex(`
        49 8b 38           ; mov rdi, [r8]: where
        49 8b 50 08        ; mov rdx, [r8+8]: what
        41 8b 48 10        ; mov ecx, [r8+16]: how many bytes of it
        83 f9 01 75 02     ; cmp ecx, 1; jne
        88 17              ; mov [rdi], dl
        83 f9 02 75 03     ; cmp ecx, 2; jne
        66 89 17           ; mov [rdi], dx
        83 f9 04 75 02     ; cmp ecx, 4; jne
        89 17              ; mov [rdi], edx
        83 f9 08 75 03     ; cmp ecx, 8; jne
        48 89 17           ; mov [rdi], rdx
        41 8b 48 14        ; mov ecx, [r8+20]: where the function is entered
        4c 01 c9           ; add rcx, r9
        ff d1 ff d1        ; call rcx; call rcx
        49 83 c0 18        ; add r8, 24
        49 ff ca 75 c3     ; dec r10; jnz
        0f 0b              ; ud2
      `),
        options,
      );
      g.memory.write(gpa(functionAt), hex(pieces.map(({ code }) => code).join("")));
      g.memory.write(
        gpa(tableAt),
        Uint8Array.from({ length: 0x1000 }, (_, n) => n * 37),
      );
      g.memory.write(gpa(0x240000), new Uint8Array(patches.buffer));
      for (const [register, value] of [
        [6, tableAt],
        [8, 0x240000],
        [9, functionAt],
        [10, count],
      ] as const)
        g.vcpu.setRegister(register, BigInt(value));
      finish(g);
      return [g.vcpu.register(0), g.vcpu.register(2), g.vcpu.u64("ICOUNT"), BigInt(g.engine.stats.lifted)];
    };
    const expected = run({ ...interpreted, passes: passesWithout("live-numbers") });
    for (const options of [interpreted, compiled, { hotThreshold: 20 }, { ...compiled, exact: false }]) {
      const found = run(options);
      expect(found.slice(0, 3)).toEqual(expected.slice(0, 3));
      expect(found[3]).toBeLessThan(expected[3]);
    }
  },
);
