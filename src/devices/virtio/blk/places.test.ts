import { expect, test } from "vitest";
import { Places } from "./places.ts";
import type { Place } from "./protocol.ts";

const kib = 1024;
const place = (from: number, length: number, at: number, file = 3, writable = true): Place => ({
  from: from * kib,
  length: length * kib,
  at: at * kib,
  file,
  writable,
});
/** Runs as "FILE@KiB+KiB", of a range in KiB. */
const found = (places: Places, offset: number, length: number, write = false): string | undefined =>
  places
    .find(offset * kib, length * kib, write)
    ?.map((run) => `${run.file}@${run.at / kib}+${run.length / kib}`)
    .join(" ");

test("a disk that is a file lies there from end to end, whatever is done to it", () => {
  const places = new Places(4 * kib, place(0, 1000, 0));
  places.mayMove(0, 1000 * kib);
  expect([found(places, 0, 1000, true), found(places, 0.5, 1)]).toEqual(["3@0+1000", "3@0.5+1"]);
  expect(found(new Places(4 * kib, place(0, 8, 0, 3, false)), 0, 4, true)).toBeUndefined();
});

test("what was told of is found, neighbours in a file as one, and nothing else", () => {
  const places = new Places(64 * kib);
  places.learn(place(64, 64, 640), 0);
  places.learn(place(128, 64, 704), 0);
  places.learn(place(192, 64, 0, 4, false), 0);
  expect([found(places, 70, 10), found(places, 100, 60), found(places, 100, 100)]).toEqual([
    "3@646+10",
    "3@676+60",
    "3@676+92 4@0+8",
  ]);
  expect([found(places, 0, 8), found(places, 250, 10), found(places, 190, 10, true)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("what may have moved is forgotten, a unit whole", () => {
  const places = new Places(64 * kib);
  places.learn(place(0, 256, 1024), 0);
  places.mayMove(100 * kib, 1 * kib);
  expect([found(places, 0, 64), found(places, 64, 4), found(places, 128, 128)]).toEqual([
    "3@1024+64",
    undefined,
    "3@1152+128",
  ]);
});

test("an answer that was overtaken by a step that moves something is not believed", () => {
  const places = new Places(64 * kib);
  const asked = places.moves;
  places.mayMove(0, 512);
  places.learn(place(0, 64, 64), asked);
  expect(found(places, 0, 4)).toBeUndefined();
  places.learn(place(0, 64, 64), places.moves);
  expect(found(places, 0, 4)).toBe("3@64+4");
});

test("a place that covers a unit in part says nothing of it", () => {
  const places = new Places(64 * kib);
  places.learn(place(32, 64, 0), 0);
  expect([found(places, 32, 4), found(places, 64, 4)]).toEqual([undefined, undefined]);
});

test("what is known stays bounded", () => {
  const places = new Places(4 * kib);
  for (let n = 0; n < 100; n++) places.learn(place(n * 4096, 4096, 0), 0);
  expect([found(places, 0, 4), found(places, 99 * 4096, 4)]).toEqual([undefined, "3@0+4"]);
});
