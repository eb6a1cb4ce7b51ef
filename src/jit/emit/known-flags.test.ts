import { expect, test } from "vitest";
import { gpa } from "#address";
import { FlagsClass, flagsKind } from "#ir";
import { codeBase, type Guest, guest, hex } from "../../../test/guest-code.ts";

/** What a loop begins with: nothing that sets flags, and some of it runs outside of compiled code each time. */
const begins = [
  "", //
  "48 8b 06", // mov rax, [rsi]: a device
  "48 8d 54 13 03 48 8b 06", // lea rdx, [rbx+rdx+3]; mov rax, [rsi]
  "48 8b 45 00 50 5a", // mov rax, [rbp]; push rax; pop rdx
  "9c 58", // pushfq; pop rax
];
const sets = [
  ...["48 39 d0", "39 d0", "66 39 d0", "38 d0", "38 d4"], // cmp rax, rdx, of each width; ah, dl
  ...["48 3d 85ffffff", "3d 10000080", "66 3d 0080", "3c 80"], // cmp with a constant
  ...["48 83 eb 07", "83 eb 07", "66 83 eb 87", "80 eb 87", "80 ef 07"], // sub
  ...["48 83 c3 79", "83 c3 f9", "66 83 c3 79", "80 c3 79", "80 c7 79"], // add
  ...["21 f3", "66 09 d3", "48 31 d3", "85 db", "84 d3", "66 83 e3 f1"], // logic
  ...[
    "ff cb",
    "48 ff c3",
    "f7 db",
    "c1 e3 03",
    "d3 eb",
    "48 c1 fb 00",
    "0f af da",
    "11 d3",
    "0f ba e3 03",
    "48 c1 cb 07",
  ],
];
/** After the flags are set and before the loop comes round. */
const moves = ["", "48 8d 5c 13 05", "90 48 01 c8 48 39 d0 48 89 d0", "88 f3 66 89 d0"];

/** Loops without end, each of which sets flags at its beginning, at its end, and is left anywhere. */
const loops = sets.flatMap((last, n) =>
  begins.flatMap((begin, m) => {
    const first = sets[(n * 7 + m * 3) % sets.length];
    const body = hex(`${begin} ${first} ${last} ${moves[(n + m) % moves.length]}`);
    // jo over the jump or not: round by both ways.
    const around = -(body.length + 4);
    return [Uint8Array.from([...body, 0x70, 2, 0xeb, around, 0xeb, around - 2])];
  }),
);
const place = (n: number): number => codeBase + 64 * n;

function machine(options: Parameters<typeof guest>[1]): Guest {
  const g = guest(new Uint8Array(0), options);
  loops.forEach((loop, n) => {
    g.memory.write(gpa(place(n)), loop);
  });
  return g;
}

/** Registers, place and flags after each of some slices; between them the flags become others now and then. */
function trace(g: Guest, n: number): string[] {
  const { vcpu, engine } = g;
  vcpu.setU64("RIP", BigInt(place(n)));
  for (let register = 0; register < 16; register++)
    if (register !== 4) vcpu.setRegister(register, BigInt.asUintN(64, 0x9e37_79b9_7f4a_7c15n * BigInt(register + n)));
  // A device, and RAM.
  vcpu.setRegister(6, 0x4000_0000n);
  vcpu.setRegister(5, 0x20_0000n);
  const seen: string[] = [];
  let icount = vcpu.u64("ICOUNT");
  for (let slice = 0; slice < 60; slice++) {
    if (slice % 5 === 4) {
      vcpu.setU64("CC_KIND", BigInt(flagsKind(FlagsClass.EXPLICIT, 0)));
      vcpu.setU64("CC_A", BigInt([0x8d5, 0, 0x40, 0x801][(slice >> 2) & 3]));
    }
    icount += BigInt(slice < 20 ? 9 : 1 + (slice % 7));
    expect(g.run(icount)).toEqual({ reason: "budget" });
    const registers = Array.from({ length: 16 }, (_, register) => vcpu.register(register).toString(16));
    seen.push(`${vcpu.u64("RIP").toString(16)} ${engine.runtime.flags(vcpu.vp).toString(16)} ${registers.join(" ")}`);
  }
  return seen;
}

test("a loop that is left anywhere, and entered with any flags, has the registers and flags that are due there", () => {
  const interpreted = machine({});
  const compiled = machine({ hotThreshold: 2 });
  loops.forEach((loop, n) => {
    const before = compiled.vcpu.u64("COMPILED");
    expect(trace(compiled, n), Buffer.from(loop).toString("hex")).toEqual(trace(interpreted, n));
    expect(compiled.vcpu.u64("COMPILED")).toBeGreaterThan(before);
  });
});
