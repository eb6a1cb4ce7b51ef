/**
 * Loops of SSE arithmetic in compiled code, which knows of registers that they hold numbers from one turn to the next, against the
 * interpreter, which knows nothing: values turn into denormals, infinities and NaNs on the way, and MXCSR's flags come and go.
 */
import { expect, test } from "vitest";
import { at, xmm } from "#vcpu";
import { codeBase, guest } from "../guest-code.ts";
import { binary, Random, seedOf } from "./operands.ts";

const LOOPS = Number(process.env.FP_LOOPS ?? 30);
const STARTS = 12;

const scalar64 = [0x58, 0x59, 0x5c, 0x5e, 0x51, 0x5d, 0x5f, 0x5a, 0x10];
const scalar32 = [0x58, 0x59, 0x5c, 0x5e, 0x5a, 0x10];
const packed = [0x58, 0x59, 0x5c, 0x5e, 0x5d, 0x28, 0x57, 0x14];

/** One instruction on two of eight registers. */
function instruction(random: Random): number[] {
  const modrm = 0xc0 | (random.below(8) << 3) | random.below(8);
  switch (random.below(8)) {
    case 0:
      return [0xf3, 0x0f, random.pick(scalar32), modrm];
    case 1:
      return [0x0f, random.pick(packed), modrm];
    case 2:
    case 3:
      return [0x66, 0x0f, random.pick(packed), modrm];
    default:
      return [0xf2, 0x0f, random.pick(scalar64), modrm];
  }
}
const several = (random: Random): number[] =>
  Array.from({ length: 1 + random.below(5) }, () => instruction(random)).flat();

/** A loop of ecx turns with an inner one of two, and a part that a comparison skips. */
function program(random: Random): Uint8Array {
  const skipped = several(random);
  const inner = [...several(random), 0xff, 0xca]; // dec %edx
  const body = [
    ...several(random),
    ...[
      0x66,
      0x0f,
      0x2f,
      0xc0 | (random.below(8) << 3) | random.below(8),
      random.pick([0x72, 0x76, 0x74, 0x7a]),
      skipped.length,
    ],
    ...skipped,
    ...(random.one(2) ? [0xba, 2, 0, 0, 0, ...inner, 0x75, 256 - (inner.length + 2)] : []),
    ...several(random),
    ...[0xff, 0xc9], // dec %ecx
  ];
  const jump = new Uint8Array(4);
  new DataView(jump.buffer).setInt32(0, -(body.length + 6), true);
  return Uint8Array.from([...body, 0x0f, 0x85, ...jump, 0xf4]);
}

interface Start {
  readonly mxcsr: number;
  readonly lanes: readonly bigint[];
}
function start(random: Random): Start {
  const ordinary = random.one(2);
  const lane = (): bigint => {
    if (random.one(3)) return (BigInt(binary(random, 23)) << 32n) | BigInt(binary(random, 23));
    const bits = BigInt(binary(random, 52));
    return ordinary ? (bits & 0x800f_ffff_ffff_ffffn) | (BigInt(0x3e0 + random.below(64)) << 52n) : bits;
  };
  return {
    mxcsr: random.pick([0x1f80, 0x1fa0, 0x1fa0, 0x1fa0, 0x9fe0, 0x5f80, 0x3fa0]),
    lanes: Array.from({ length: 16 }, lane),
  };
}

type Machine = ReturnType<typeof guest>;
/** Runs from the start; what is there to see at the end. */
function run({ vcpu, engine }: Machine, { mxcsr, lanes }: Start, turns: number): string {
  vcpu.setU64("CR4", 0x600n);
  engine.runtime.update_mode(vcpu.vp);
  vcpu.setU32("MXCSR", mxcsr);
  lanes.forEach((bits, n) => {
    vcpu.arena.u64[(vcpu.vp + xmm(n >> 1) + 8 * (n & 1)) >> 3] = bits;
  });
  vcpu.setU64("RIP", BigInt(codeBase));
  vcpu.setU32("HALTED", 0);
  vcpu.setRegister(1, BigInt(turns));
  for (let slices = 0; slices < 100; slices++) {
    const exit = engine.run(vcpu, vcpu.u64("ICOUNT") + 5000n);
    if (exit.reason === "budget") continue;
    expect(exit.reason).toBe("halt");
    const words = new BigUint64Array(vcpu.bytes("XMM").buffer, 0, 16);
    return `mxcsr ${vcpu.u32("MXCSR").toString(16)} ${[...words].map((word) => word.toString(16)).join(" ")}`;
  }
  throw new Error("the loop does not end");
}

test(
  "loops of SSE arithmetic end in compiled code as in the interpreter",
  () => {
    expect(at.XMM).toBe(xmm(0));
    const random = new Random(seedOf("loops"));
    let inCompiled = 0n;
    for (let n = 0; n < LOOPS; n++) {
      const code = program(random);
      const interpreter = guest(code);
      const compiled = guest(code, { hotThreshold: 2, exact: false });
      for (let warm = 0; warm < 3; warm++) run(compiled, start(random), 20);
      for (let k = 0; k < STARTS; k++) {
        const from = start(random);
        const turns = 1 + random.below(40);
        expect(run(compiled, from, turns), `${Buffer.from(code).toString("hex")} turns ${turns}`).toBe(
          run(interpreter, from, turns),
        );
      }
      inCompiled += compiled.vcpu.u64("COMPILED");
    }
    expect(inCompiled).toBeGreaterThan(1000n);
  },
  30000 + 1000 * LOOPS,
);
