import { expect, test } from "vitest";
import { gfnOf, gpa } from "#address";
import type { MemoryQuestion } from "#vm";
import { hex } from "../../../test/guest-code.ts";
import { kernelBase, tinyMachine } from "../../../test/tiny-machine.ts";
import { MemoryFiles } from "./files.ts";
import { type AskMemory, memoryTree } from "./tree.ts";

/** Adds to a word at 32 MiB for ever. */
const adder = hex(`
  83042500000002 01      ; addl $0x1,0x2000000
  ebf6                   ; jmp 0`);
const mib = 2 ** 20;

function setting(config = {}) {
  const { machine } = tinyMachine(adder, config);
  const { memory } = machine.parts;
  let icount = 0n;
  const run = (): void => void machine.runUntil((icount += 5000n));
  run();
  const ask = (async (question: MemoryQuestion) => machine.memory.answer(question)) as AskMemory;
  return { machine, memory, run, files: new MemoryFiles(memoryTree(ask)) };
}

const names = (entries: readonly { readonly name: string }[]): string[] => entries.map(({ name }) => name);

test("mem has the bytes of guest memory at their addresses, and what was never touched is a hole", async () => {
  const { memory, files } = setting();
  memory.write(gpa(40 * mib + 4090), new TextEncoder().encode("over two pages"));
  const { size, bytesHeld, writable } = await files.facts("mem");
  expect([size, bytesHeld, writable]).toEqual([64 * mib, 4096 * memory.framesTouched, true]);
  const text = await files.read("mem", { offset: 40 * mib + 4090, bytes: 14 });
  expect(new TextDecoder().decode(text)).toBe("over two pages");
  expect(await files.read("mem", { offset: 64 * mib - 2, bytes: 100 })).toEqual(new Uint8Array(2));
  const file = await files.open("mem");
  expect(await file.seek?.(32 * mib + 4096, "data")).toBe(40 * mib);
  expect(await file.seek?.(40 * mib + 5, "data")).toBe(40 * mib + 5);
  expect(await file.seek?.(40 * mib, "hole")).toBe(40 * mib + 8192);
  expect(await file.seek?.(41 * mib, "data")).toBe(-1);
  expect(await file.seek?.(41 * mib, "hole")).toBe(41 * mib);
});

test("looking brings nothing in, touches nothing and marks nothing as used", async () => {
  const { memory, files } = setting({ memoryBacking: { kind: "compressed" } });
  memory.write(gpa(40 * mib), Uint8Array.of(1, 2, 3));
  memory.swap.evict([gfnOf(gpa(40 * mib))]);
  memory.harvest(8);
  const before = [memory.framesTouched, memory.swap.counts];
  const all = await files.read("mem");
  expect(all.subarray(40 * mib, 40 * mib + 4)).toEqual(Uint8Array.of(1, 2, 3, 0));
  expect([memory.framesTouched, memory.swap.counts]).toEqual(before);
  expect(memory.harvest(8).size).toBe(0);
});

test("what is written is there for the guest, in the logs, and forgets code", async () => {
  const { memory, run, files } = setting();
  await files.make("dirty/mine");
  await files.write("mem", new Uint8Array(20_000).fill(7), 44 * mib);
  const read = new Uint8Array(1);
  memory.read(gpa(44 * mib + 19_999), read);
  expect(read[0]).toBe(7);
  expect(await files.readText("dirty/mine")).toBe("0002c00000-0002c04fff\n");
  // The guest's code adds 2 from now on.
  await files.write("mem", Uint8Array.of(2), kernelBase + 7);
  const word = async (): Promise<number> =>
    new DataView((await files.read("mem", { offset: 32 * mib, bytes: 4 })).buffer).getUint32(0, true);
  const first = await word();
  run();
  expect((await word()) - first).toBe(2 * 2500);
});

test("a punched hole reads as zeros, and whole pages of it take no frames", async () => {
  const { memory, files } = setting();
  memory.write(gpa(40 * mib), new Uint8Array(3 * 4096).fill(9));
  const frames = memory.framesTouched;
  await files.punch("mem", 40 * mib + 100, 2 * 4096);
  expect(memory.framesTouched).toBe(frames - 1);
  const bytes = await files.read("mem", { offset: 40 * mib, bytes: 3 * 4096 });
  const zeros = bytes.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  expect([zeros, bytes.indexOf(0), bytes.lastIndexOf(0)]).toEqual([8192, 100, 8291]);
  await files.punch("mem", 40 * mib + 50, 10);
  expect((await files.read("mem", { offset: 40 * mib + 49, bytes: 12 })).join("")).toBe("900000000009");
});

test("what is sealed is read, and never written from outside again, by whatever name", async () => {
  const { memory, files } = setting();
  expect(names(await files.list("slots"))[0]).toBe("0x0");
  await files.seal("slots/0x0/mem");
  expect((await files.facts("mem")).writable).toBe(false);
  await expect(files.write("mem", Uint8Array.of(1), 40 * mib)).rejects.toMatchObject({ code: "EPERM" });
  await expect(files.punch("slots/0x0/mem", 0, 4096)).rejects.toMatchObject({ code: "EPERM" });
  // The machine itself goes on.
  expect(memory.write(gpa(40 * mib), Uint8Array.of(1))).toBe(true);
});

test("each log has its own epochs, from when it was made, and ends when it is removed", async () => {
  const { memory, run, files } = setting();
  const store = (address: number): void => void memory.write(gpa(address), Uint8Array.of(1));
  await files.make("dirty/a");
  store(40 * mib);
  await files.make("dirty/b");
  store(41 * mib);
  expect(await files.readText("dirty/a")).toBe("0002800000-0002800fff\n0002900000-0002900fff\n");
  run();
  expect(await files.readText("dirty/a")).toBe("0002000000-0002000fff\n");
  expect(await files.readText("dirty/b")).toBe("0002000000-0002000fff\n0002900000-0002900fff\n");
  expect(names(await files.list("dirty"))).toEqual(["a", "b"]);
  await files.remove("dirty/a");
  expect(names(await files.list("dirty"))).toEqual(["b"]);
  await expect(files.read("dirty/a")).rejects.toMatchObject({ code: "ENOENT" });
  await expect(files.make("dirty/b")).rejects.toMatchObject({ code: "EEXIST" });
  await expect(files.make("dirty/..")).rejects.toMatchObject({ code: "EINVAL" });
  for (let n = 0; n < 15; n++) await files.make(`dirty/more${n}`);
  await expect(files.make("dirty/one-too-many")).rejects.toMatchObject({ code: "EINVAL" });
});

test("the map and the slots have RAM and devices in order of address, none over another", async () => {
  const { files } = setting({ rng: true });
  const ranges = (await files.readText("map")).trim().split("\n");
  expect(ranges).toEqual([
    "0000000000-0003ffffff : RAM",
    expect.stringMatching(/^00e0000000-00efffffff : PCI configuration space$/),
    "00fec00000-00fec00fff : IOAPIC",
    "00fee00000-00fee00fff : local APIC",
    expect.stringMatching(/^4000000000-[0-9a-f]{10} : PCI 00:01.0 rng$/),
  ]);
  const edges = ranges.flatMap((line) =>
    (line.split(" ")[0] as string).split("-").map((each) => Number.parseInt(each, 16)),
  );
  expect(edges).toEqual([...edges].sort((a, b) => a - b));
  expect(names(await files.list("slots"))).toEqual(["0x0", "0xe0000000", "0xfec00000", "0xfee00000", "0x4000000000"]);
  expect(names(await files.list("slots/0xfee00000"))).toEqual(["range", "kind", "object"]);
  expect(await files.readText("slots/0xfee00000/object")).toBe("kind local APIC\n");
});

test("what is no RAM is a hole that cannot be written to, and what is wrong is told", async () => {
  const { files } = setting();
  await expect(files.write("mem", new Uint8Array(2), 64 * mib - 1)).rejects.toMatchObject({ code: "ENXIO" });
  await expect(files.write("stats", new Uint8Array(2))).rejects.toMatchObject({ code: "EPERM" });
  await expect(files.read("no-such-file")).rejects.toMatchObject({ code: "ENOENT" });
  await expect(files.read("slots")).rejects.toMatchObject({ code: "EISDIR" });
  await expect(files.list("mem")).rejects.toMatchObject({ code: "ENOTDIR" });
  await expect(files.make("slots/x")).rejects.toMatchObject({ code: "EPERM" });
});

test("memory that is not plugged in is a hole that cannot be written to, until it is", async () => {
  const { memory, files } = setting({ memoryMaxBytes: 192 * mib });
  const slot = memory.memslots.find(({ pluggable }) => pluggable);
  const at = slot?.gpa ?? gpa(0);
  expect(at).toBeGreaterThan(0);
  const write = (): Promise<void> => files.write("mem", Uint8Array.of(6), at + 5);
  await expect(write()).rejects.toMatchObject({ code: "ENXIO" });
  expect((await files.read("mem", { offset: at, bytes: 8 })).join("")).toBe("00000000");
  memory.plug(at, 4 * mib);
  await write();
  expect((await files.read("mem", { offset: at, bytes: 8 })).join("")).toBe("00000600");
});

test("statistics are lines of a name and a value, and JSON", async () => {
  const { memory, files } = setting();
  const lines = (await files.readText("stats")).split("\n");
  expect(lines).toContain(`pages.own ${memory.framesTouched}`);
  expect(JSON.parse(await files.readText("stats.json"))).toMatchObject({ pages: { own: memory.framesTouched } });
  expect(await files.readText("pressure")).toBe("level none\n");
  expect((await files.readText("ages")).split("\n")[0]).toBe(`0 ${memory.framesTouched}`);
});
