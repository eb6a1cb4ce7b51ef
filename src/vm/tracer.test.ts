import { expect, test } from "vitest";
import { hex } from "../../test/guest-code.ts";
import { tinyMachine } from "../../test/tiny-machine.ts";
import type { TraceEvent, TraceOptions } from "./machine-host.ts";

const code = hex(`
  bb 05000000          ; mov $5,%ebx
  83 eb 01             ; sub $1,%ebx
  75 fb                ; jne -5
  ba f8030000          ; mov $0x3f8,%edx
  b0 41                ; mov $0x41,%al
  ee                   ; out %al,(%dx)
  ec                   ; in (%dx),%al
  b9 820000c0          ; mov $0xc0000082,%ecx
  0f 30                ; wrmsr
  0f 0b                ; ud2
`);

function trace(events: readonly TraceEvent[], window: Partial<TraceOptions> = {}): string[] {
  const { machine, reports } = tinyMachine(code, { trace: { events, ...window } });
  machine.runUntil(1000n);
  return reports("trace").map((line) => line.trim().replace(/ {2,}/g, "  "));
}

test("an instruction trace shows each instruction with what it changed", () => {
  expect(trace(["instructions"], { to: 5 })).toEqual([
    "0  0010:0000000001000000  mov $0x5,%ebx  rbx=5",
    "1  0010:0000000001000005  sub $0x1,%ebx  rbx=4",
    "2  0010:0000000001000008  jne 0x1000005",
    "3  0010:0000000001000005  sub $0x1,%ebx  rbx=3 flags=PF",
    "4  0010:0000000001000008  jne 0x1000005",
  ]);
});

test("a trace of blocks shows where control arrives", () => {
  expect(trace(["blocks"], { to: 6 })).toEqual([
    "0  block 0000000001000000 kernel",
    "3  block 0000000001000005 kernel",
    "5  block 0000000001000005 kernel",
  ]);
});

test("ports, MSRs and exceptions are shown, and an IDT of nothing makes a triple fault", () => {
  const lines = trace(["io", "msr", "exceptions"]);
  expect(lines.slice(0, 3)).toEqual([
    expect.stringMatching(/^\d+ {2}out 0x3f8 size 1: 0x41$/),
    expect.stringMatching(/^\d+ {2}in 0x3f8 size 1: 0x0$/),
    expect.stringMatching(/^\d+ {2}wrmsr LSTAR \(0xc0000082\): 0x3f800000000$/),
  ]);
  expect(lines[3]).toMatch(/^17 {2}exception #UD at 000000000100001a$/);
});

test("a trace begins and ends where it is told to", () => {
  const lines = trace(["instructions"], { from: 3, to: 5 });
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["3", "4"]);
});

test("a machine that is traced goes through the same states", () => {
  const states = (events: readonly TraceEvent[] | undefined) => {
    const { machine, reports } = tinyMachine(code, { digestEvery: 4, ...(events && { trace: { events } }) });
    machine.runUntil(100n);
    return reports("digest");
  };
  expect(states(["instructions", "blocks", "exceptions", "io", "msr"])).toEqual(states(undefined));
});
