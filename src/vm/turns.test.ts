import { expect, test } from "vitest";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { programs, resultOf, twoVcpus } from "../../test/two-vcpus.ts";

const enough = 200_000_000n;

const ways = [
  ["interpreted", { interpreterOnly: true }],
  ["compiled", { hotThreshold: 2 }],
  ["with chaos", { chaosSeed: 7 }],
] as const;

for (const program of programs) {
  test(`two vCPUs in turn, ${program.name}: right, and one run like the other`, () => {
    const ends = ways.map(([, engine]) => {
      const { machine, serial } = tinyMachine(twoVcpus(program), { cpus: 2, engine });
      const outcome = machine.runUntil(enough);
      return { outcome: outcome?.reason, result: resultOf(serial()), digest: machine.digest() };
    });
    expect(ends[0]).toMatchObject({ outcome: "reset", result: program.result });
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[2]).toEqual(ends[0]);
  });
}

test("vCPUs that nobody starts cost nothing and change nothing but what the guest is told", () => {
  const spin = Uint8Array.of(0xeb, 0xfe);
  const { machine } = tinyMachine(spin, { cpus: 8 });
  machine.runUntil(100_000n);
  expect(machine.parts.vcpus.map((vcpu) => vcpu.u64("ICOUNT"))).toEqual([100_000n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]);
});
