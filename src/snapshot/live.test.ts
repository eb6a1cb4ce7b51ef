import { expect, test } from "vitest";
import { hex } from "../../test/guest-code.ts";
import { memorySink } from "../../test/memory-sink.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import { LiveSnapshot } from "./live.ts";
import { readSnapshot } from "./restore.ts";

/** Adds to each word of the 64 KiB from 0x300000 on, over and over. */
const code = hex(`
  bf00003000             ; 1: mov $0x300000,%edi
  8307 03                ; 2: addl $3,(%rdi)
  83c704                 ; add $4,%edi
  81ff00003100           ; cmp $0x310000,%edi
  75f2                   ; jne 2b
  ebeb                   ; jmp 1b
`);

test("a machine that runs while it is saved goes on from the end as it was then", () => {
  const { machine } = tinyMachine(code);
  machine.runUntil(1000n);
  const { sink, bytes } = memorySink();
  using live = new LiveSnapshot(machine, sink);
  let icount = 1000n;
  let steps = 0;
  while (!live.step()) {
    icount += 3001n;
    machine.runUntil(icount);
    steps++;
  }
  expect(steps).toBeGreaterThan(10);
  const atEnd = machine.digest();
  live.finish({});
  const file = bytes();
  const { resume } = readSnapshot({
    name: "a",
    sizeBytes: file.length,
    read: (offset, target) => {
      const part = file.subarray(offset, offset + target.length);
      target.set(part);
      return part.length;
    },
  });
  const restored = tinyMachine(code, {}, resume).machine;
  expect(restored.digest()).toEqual(atEnd);
  for (const each of [machine, restored]) each.runUntil(icount + 50_000n);
  expect(restored.digest()).toEqual(machine.digest());
});
