import { describe, expect, test } from "vitest";
import { DECODED, decode, TOO_LONG, TRUNCATED, UNDEFINED } from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import { byteRegister, Instruction } from "./instruction.ts";
import { rows } from "./instructions/index.ts";

/** The bytes of "48 89 e5". */
const bytesOf = (code: string): Uint8Array => Uint8Array.from(code.split(" ").map((byte) => Number.parseInt(byte, 16)));

function at(code: string, mode: 64 | 32 | 16 = 64): Instruction & { result: number; text: string } {
  const bytes = bytesOf(code);
  const instruction = new Instruction();
  const result = decode(bytes, 0, bytes.length, mode, instruction);
  return Object.assign(instruction, { result, text: disassemble(instruction, 0x1000n, bytes) });
}

/** "code = text", one a line; all bytes belong to the instruction. */
function reads(mode: 64 | 32, table: string): void {
  for (const line of table.trim().split("\n")) {
    const [code = "", text = ""] = line.split("=").map((part) => part.trim());
    const got = at(code, mode);
    expect([got.result, got.length, got.text]).toEqual([DECODED, bytesOf(code).length, text]);
  }
}

describe("64-bit code", () => {
  test("reads as objdump prints it", () => {
    reads(
      64,
      `
      48 89 e5                      = mov %rsp,%rbp
      66 89 c8                      = mov %cx,%ax
      88 e0                         = mov %ah,%al
      40 88 e0                      = mov %spl,%al
      48 8b 05 10 00 00 00          = mov 0x10(%rip),%rax        # 0x1017
      64 48 8b 04 25 28 00 00 00    = mov %fs:0x28,%rax
      4a 8d 44 a5 f8                = lea -0x8(%rbp,%r12,4),%rax
      43 8b 04 24                   = mov (%r12,%r12,1),%eax
      48 b8 88 77 66 55 44 33 22 11 = movabs $0x1122334455667788,%rax
      48 c7 c0 ff ff ff ff          = mov $0xffffffffffffffff,%rax
      83 c8 ff                      = or $0xffffffff,%eax
      f0 48 0f b1 0f                = lock cmpxchg %rcx,(%rdi)
      f3 48 ab                      = rep stos %rax,%es:(%rdi)
      f2 ae                         = repnz scas %es:(%rdi),%al
      e8 fb ff ff ff                = call 0x1000
      66 e9 00 00 00 00             = data16 jmp 0x1006
      f3 c3                         = repz ret
      3e ff e0                      = notrack jmp *%rax
      f3 0f 1e fa                   = endbr64
      66 2e 0f 1f 84 00 00 00 00 00 = cs nopw 0x0(%rax,%rax,1)
      41 90                         = xchg %eax,%r8d
      f3 90                         = pause
      0f 01 f8                      = swapgs
      48 0f 07                      = sysretq
      44 0f 20 c0                   = mov %cr8,%rax
      dd 45 f8                      = fldl -0x8(%rbp)
      de e9                         = fsubrp %st,%st(1)
      dc eb                         = fsubr %st,%st(3)
      f2 48 0f 2a 07                = cvtsi2sdq (%rdi),%xmm0
      66 48 0f 7e c0                = movq %xmm0,%rax
      66 44 0f 3a 0f c8 04          = palignr $0x4,%xmm0,%xmm9
      0f c2 c8 01                   = cmpltps %xmm0,%xmm1
      f2 48 0f 38 f1 c1             = crc32 %rcx,%rax
      c8 10 00 01                   = enter $0x10,$0x1
      a1 88 77 66 55 44 33 22 11    = movabs 0x1122334455667788,%eax`,
    );
  });

  test("an operand size prefix is void beside REX.W, and a REX is void unless it comes last", () => {
    expect(at("66 48 01 c0").operandSize).toBe(8);
    expect(at("48 66 01 c0")).toMatchObject({ operandSize: 2, rex: 0, length: 4 });
  });

  test("a push takes eight bytes or two, never four", () => {
    expect([at("50").operandSize, at("66 50").operandSize, at("ff 30").operandSize]).toEqual([8, 2, 8]);
  });

  test("a mandatory 66 does not narrow a general register", () => {
    expect(at("66 0f 6e c0").operandSize).toBe(4);
    expect(at("66 f3 0f b8 c1").operandSize).toBe(2);
  });

  test("the stack segment is the default of rSP and rBP bases, but not of r12 and r13", () => {
    const segments = ["8b 04 24", "8b 45 00", "41 8b 04 24", "41 8b 45 00", "65 8b 45 00", "2e 8b 45 00"];
    expect(segments.map((code) => at(code).segment)).toEqual([2, 2, 3, 3, 5, 2]);
  });

  test("REX decides between the high bytes and the low bytes of new registers", () => {
    expect(byteRegister(at("88 e0"), 4)).toBe(0x10);
    expect(byteRegister(at("40 88 e0"), 4)).toBe(4);
  });

  test("REX.W makes CMPXCHG8B the 16-byte form", () => {
    expect([at("0f c7 0f").row.lift, at("48 0f c7 0f").row.lift]).toEqual(["cmpxchg8b", "cmpxchg16b"]);
  });

  test("a tzcnt without BMI1 is a bsf", () => {
    expect(at("f3 0f bc c1")).toMatchObject({ result: DECODED, text: "tzcnt %ecx,%eax", row: { lift: "bsf" } });
  });
});

test("32-bit code reads as objdump prints it", () => {
  reads(
    32,
    `
    40                   = inc %eax
    60                   = pusha
    67 8b 40 08          = mov 0x8(%bx,%si),%eax
    8d 74 26 00          = lea 0x0(%esi,%eiz,1),%esi
    9a 78 56 34 12 10 00 = lcall $0x10,$0x12345678
    c4 07                = les (%edi),%eax
    d4 0a                = aam $0xa`,
  );
});

test("what is no instruction, or may not be locked, is undefined", () => {
  for (const code of [
    "06",
    "c5 f8 77",
    "f0 48 8b 07",
    "f0 01 c0",
    "f0 90",
    "0f 04",
    "8e c8",
    "8e f0",
    "0f 22 c8",
    "44 0f 21 c0",
  ]) {
    expect([code, at(code).result]).toEqual([code, UNDEFINED]);
  }
});

test("an instruction of a later processor is undefined, and named", () => {
  expect(at("66 0f 38 dc c1")).toMatchObject({ result: UNDEFINED, length: 5, row: { mnemonic: "aesenc" } });
});

test("every beginning of an instruction is truncated", () => {
  for (const code of ["48 b8 88 77 66 55 44 33 22 11", "66 44 0f 3a 0f 4c 24 08 04", "c8 10 00 01"]) {
    const bytes = bytesOf(code);
    for (let end = 0; end < bytes.length; end++) {
      expect(decode(bytes, 0, end, 64, new Instruction())).toBe(TRUNCATED);
    }
  }
});

test("fifteen bytes are an instruction, sixteen are too long", () => {
  const prefixes = (n: number): string => "66 ".repeat(n);
  expect(at(`${prefixes(13)}01 c0`).length).toBe(15);
  expect(at(`${prefixes(14)}01 c0`).result).toBe(TOO_LONG);
  expect(at(prefixes(15).trim()).result).toBe(TOO_LONG);
  expect(at(prefixes(14).trim()).result).toBe(TRUNCATED);
});

test("any bytes at all decode without throwing, within their length, and print", () => {
  const instruction = new Instruction();
  const bytes = new Uint8Array(24);
  let seed = 12345;
  for (let n = 0; n < 200_000; n++) {
    for (let k = 0; k < bytes.length; k++) {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      bytes[k] = seed >> 16;
    }
    // Most first bytes are one-byte opcodes; visit the other maps as often.
    if (n % 3 === 1) bytes[0] = 0x0f;
    const mode = n % 5 === 0 ? 16 : n % 2 === 0 ? 32 : 64;
    const end = n % 25;
    const result = decode(bytes, 0, end, mode, instruction);
    if (result === DECODED && (instruction.length < 1 || instruction.length > Math.min(15, end))) {
      expect.fail(`${instruction.length} of ${end} bytes: ${bytes}`);
    }
    if (result === DECODED && disassemble(instruction, 0n, bytes).includes("undefined")) expect.fail(`${bytes}`);
  }
});

describe("the table", () => {
  test("names each form once", () => {
    const keys = rows.map((row) => `${row.code} ${row.form} ${row.modes}`);
    expect(keys.filter((key, n) => keys.indexOf(key) !== n)).toEqual([]);
  });

  test("numbers its rows by their place", () => {
    expect(rows.every((row, n) => row.id === n)).toBe(true);
  });

  test("never calls a flag both defined and undefined", () => {
    expect(rows.filter((row) => row.flagsWritten & row.flagsUndefined)).toEqual([]);
  });

  test("locks only what has a memory destination", () => {
    expect(rows.filter((row) => row.lockable && !/^[EM]/.test(row.operands[0] ?? ""))).toEqual([]);
  });
});
