/** A piece of code in a loop over many cases, in a guest whose compiler has made a region of it, against the real CPU. */
import { expect } from "vitest";
import { gpa } from "#address";
import { codeBase, guest } from "../guest-code.ts";
import type { Run } from "./judge.ts";

/** Cases of one kind of test/native/fp-judge.c. */
export interface CaseForm {
  readonly kind: 0 | 1;
  readonly bytes: number;
  /** The code with what loads a case's state in front of it and what stores it behind, as the judge has it: rdi is the case. */
  around(code: readonly number[]): readonly number[];
  /** Whether a byte of a case counts. */
  compared(byte: number): boolean;
  show(one: DataView): string;
}

/** What differs in the first few cases, in words; empty when nothing does. */
export function differences(
  judge: Run | undefined,
  form: CaseForm,
  code: readonly number[],
  cases: Uint8Array,
): string {
  const { kind, bytes } = form;
  const ours = runCompiled(form.around(code), cases, bytes);
  const cpu = judge?.(kind, code, cases) ?? cases;
  const found: string[] = [];
  for (let at = 0; at < cases.length && found.length < 3; at += bytes) {
    const same = Array.from({ length: bytes }, (_, k) => !form.compared(k) || ours[at + k] === cpu[at + k]);
    if (same.every(Boolean)) continue;
    const line = (all: Uint8Array): string => form.show(new DataView(all.buffer, all.byteOffset + at, bytes));
    found.push(`before ${line(cases)}\n  cpu    ${line(cpu)}\n  ours   ${line(ours)}`);
  }
  return found.join("\n");
}

/** Where the guest has the cases: behind its stack. */
const casesBase = 0x40_0000;

/**
 * Runs `body` on each case and gives what it makes of them. It finds a case of `size` bytes at rdi, leaves rdi and ecx as they are, and has at most
 * 110 bytes.
 */
function runCompiled(body: readonly number[], cases: Uint8Array, size: number): Uint8Array {
  // add $size, %rdi; dec %ecx; jnz to the start; hlt
  const loop = [...body, 0x48, 0x81, 0xc7, size, 0, 0, 0, 0xff, 0xc9];
  const code = Uint8Array.from([...loop, 0x75, 256 - (loop.length + 2), 0xf4]);
  const { vcpu, memory, engine } = guest(code, { hotThreshold: 2, exact: false });
  // OSFXSR and OSXMMEXCPT: there is SSE.
  vcpu.setU64("CR4", 0x600n);
  engine.runtime.update_mode(vcpu.vp);
  const run = (count: number): void => {
    memory.write(gpa(casesBase), cases);
    vcpu.setU64("RIP", BigInt(codeBase));
    vcpu.setU32("HALTED", 0);
    vcpu.setRegister(7, BigInt(casesBase));
    vcpu.setRegister(1, BigInt(count));
    for (let slices = 0; slices < 1000; slices++) {
      const exit = engine.run(vcpu, vcpu.u64("ICOUNT") + 10_000n);
      if (exit.reason !== "budget") return expect(exit.reason).toBe("halt");
    }
    throw new Error("the loop does not end");
  };
  run(200);
  const before = vcpu.u64("COMPILED");
  run(cases.length / size);
  expect(vcpu.u64("COMPILED"), "compiled code ran").toBeGreaterThan(before);
  const after = new Uint8Array(cases.length);
  memory.read(gpa(casesBase), after);
  return after;
}
