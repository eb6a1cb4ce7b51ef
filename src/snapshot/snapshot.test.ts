import { describe, expect, test } from "vitest";
import { parseValue, printValue } from "#base";
import { memorySink } from "../../test/memory-sink.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { programs, resultOf, twoVcpus } from "../../test/two-vcpus.ts";
import { openSnapshot, SnapshotError, type SnapshotSource } from "./format.ts";
import { readSnapshot } from "./restore.ts";
import { writeSnapshot } from "./save.ts";

const enough = 200_000_000n;

function saved(machine: Parameters<typeof writeSnapshot>[0]): Uint8Array {
  const { sink, bytes } = memorySink();
  const { sizeBytes } = writeSnapshot(machine, { image: "test" }, sink);
  const file = bytes();
  expect(file.length).toBe(sizeBytes);
  return file;
}

function source(file: Uint8Array): SnapshotSource {
  return {
    name: "a.snapshot",
    sizeBytes: file.length,
    read: (offset, target) => {
      const bytes = file.subarray(offset, offset + target.length);
      target.set(bytes);
      return bytes.length;
    },
  };
}

const ways = [
  ["interpreted", { interpreterOnly: true }],
  ["compiled", { hotThreshold: 2 }],
  ["chaotic, its pages evicted", { hotThreshold: 2, chaosSeed: 11 }],
] as const;

describe("a machine that goes on from a snapshot", () => {
  test.each(programs)("ends as the saved one does: two vCPUs, $name", (program) => {
    const code = twoVcpus(program);
    const whole = tinyMachine(code, { cpus: 2 });
    whole.machine.runUntil(enough);
    const digest = whole.machine.digest();
    for (const instant of [1n, 137n, 5_003n, 70_001n]) {
      const first = tinyMachine(code, { cpus: 2, engine: { hotThreshold: 2, chaosSeed: 5 } });
      if (first.machine.runUntil(instant) !== undefined) break;
      const file = saved(first.machine);
      for (const [, engine] of ways) {
        const resume = readSnapshot(source(file)).resume;
        const second = tinyMachine(code, { cpus: 2, engine }, resume);
        expect(second.machine.runUntil(enough)?.reason).toBe("reset");
        expect(resultOf(first.serial() + second.serial())).toBe(program.result);
        expect(second.machine.digest()).toEqual(digest);
      }
      // Saving changed nothing.
      first.machine.runUntil(enough);
      expect(first.machine.digest()).toEqual(digest);
    }
  });

  test("can be saved again before its pages were touched", () => {
    const { machine } = tinyMachine(twoVcpus(programs[0]), { cpus: 2 });
    machine.runUntil(1000n);
    const file = saved(machine);
    const again = tinyMachine(new Uint8Array(1), { cpus: 2 }, readSnapshot(source(file)).resume);
    expect(again.machine.parts.memory.framesTouched).toBe(0);
    expect(saved(again.machine)).toEqual(file);
  });

  test("must be like the saved one", () => {
    const { machine } = tinyMachine(Uint8Array.of(0xeb, 0xfe));
    machine.runUntil(1000n);
    const { resume } = readSnapshot(source(saved(machine)));
    const spin = Uint8Array.of(0xeb, 0xfe);
    expect(() => tinyMachine(spin, { memoryBytes: 128 << 20 }, resume)).toThrow("a machine with 64 MiB of memory");
    expect(() => tinyMachine(spin, { cpus: 2 }, resume)).toThrow("a machine with 1 vCPUs");
    expect(() => tinyMachine(spin, { clock: "wall" }, resume)).toThrow("a machine with a virtual clock");
  });
});

describe("a snapshot file", () => {
  const { machine } = tinyMachine(twoVcpus(programs[0]), { cpus: 2 });
  machine.runUntil(1000n);
  const file = saved(machine);
  const { index } = openSnapshot(source(file));
  const gfns = Array.from({ length: index.count }, (_, n) => index.gfn(n));

  test("gives its owner's words back", () => {
    expect(readSnapshot(source(file)).owner).toEqual({ image: "test" });
  });

  test("that is something else is refused", () => {
    expect(() => readSnapshot(source(new Uint8Array(10)))).toThrow("a.snapshot: this is no snapshot");
    expect(() => readSnapshot(source(new Uint8Array(10_000)))).toThrow("a.snapshot: this is no snapshot");
    const newer = file.slice();
    newer[8] = 9;
    expect(() => readSnapshot(source(newer))).toThrow(
      "a.snapshot: its format is 9, and this memvisor reads 1 to 2: take a newer memvisor",
    );
  });

  test("cut short anywhere is refused", () => {
    for (let length = 0; length < file.length; length += 509)
      expect(() => readSnapshot(source(file.subarray(0, length)))).toThrow(SnapshotError);
  });

  test("with any wrong byte that is no page's is refused", () => {
    const tail = 4096 * (1 + Math.max(...gfns.map((_, n) => index.place(n))));
    for (let at = 0; at < file.length; at += at < 64 ? 1 : 97) {
      if (at === 64) at = tail;
      const damaged = file.slice();
      damaged[at] ^= 0x10;
      expect(() => readSnapshot(source(damaged))).toThrow(SnapshotError);
    }
  });

  test("with a wrong byte in a page ends the machine that touches it, by name", () => {
    for (const [n, gfn] of gfns.entries()) {
      const damaged = file.slice();
      damaged[4096 * index.place(n) + 77] ^= 1;
      const { resume } = readSnapshot(source(damaged));
      expect(() => tinyMachine(new Uint8Array(1), { cpus: 2 }, resume).machine.digest()).toThrow(
        `a.snapshot: the page of guest frame 0x${gfn.toString(16)} is damaged`,
      );
    }
  });
});

test("values keep their kinds through a text", () => {
  const value = { a: 1, b: [2n ** 64n - 1n, -3n], c: { d: Uint8Array.of(0, 255), e: "text" }, f: true };
  expect(parseValue(printValue(value))).toEqual(value);
});
