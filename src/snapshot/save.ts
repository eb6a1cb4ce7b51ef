/**
 * A machine written down. Requires: it stands still between two instructions.
 *
 * Pages are read twice: once for their checks, which stand before them, and once to be written.
 */
import { pageSize } from "#address";
import type { Value } from "#base";
import type { Machine } from "#vm";
import { encodeHead } from "./format.ts";

/** Takes bytes in order. They may lie in shared memory, and change after the call. */
export interface SnapshotSink {
  write(bytes: Uint8Array): void;
}

export interface SavedSnapshot {
  readonly sizeBytes: number;
  readonly pages: number;
}

/** `owner`: what whoever restores it wants to know about how the machine was started. */
export function writeSnapshot(machine: Machine, owner: Value, sink: SnapshotSink): SavedSnapshot {
  return machine.whileStill((state) => write(machine, { machine: state as unknown as Value, owner }, sink));
}

function write(machine: Machine, description: Value, sink: SnapshotSink): SavedSnapshot {
  const { memory, engine } = machine.parts;
  const { runtime } = engine;
  const frames: number[] = [];
  const index: number[] = [];
  memory.forEachPage((gfn, frame) => {
    const at = frame || memory.peek(gfn);
    if (runtime.is_zero(at) !== 0) return;
    frames.push(frame);
    index.push(gfn, Number(BigInt.asUintN(32, runtime.xxh64(at, pageSize))));
  });
  const head = encodeHead(description, Uint32Array.from(index));
  sink.write(head);
  for (let n = 0; n < frames.length; ) {
    let end = n + 1;
    if (frames[n] === 0) {
      sink.write(memory.frameBytes(memory.peek(index[2 * n]), pageSize));
      n = end;
      continue;
    }
    while (end < frames.length && frames[end] === frames[end - 1] + pageSize) end++;
    sink.write(memory.frameBytes(frames[n], (end - n) * pageSize));
    n = end;
  }
  return { sizeBytes: head.length + frames.length * pageSize, pages: frames.length };
}
