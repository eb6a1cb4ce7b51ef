import { expect, test } from "vitest";
import type { HeatMap } from "#vm";
import { heatLines, heatSvg } from "./heat-map.ts";

const ram = { kind: "ram", name: "RAM" } as const;
const slots = [
  { gpa: 0, bytes: 0x40_0000, ...ram },
  { gpa: 0xc000_0000, bytes: 0x1000_0000, kind: "device", name: "a device" } as const,
  { gpa: 0x1_0000_0000, bytes: 0x40_0000, ...ram },
];
/** Eight cells of 1 MiB; the second half is above 4 GiB. */
const map: HeatMap = {
  pagesPerCell: 256,
  present: [255, 255, 0, 1, 128, 255, 255, 0],
  heat: [255, 128, 0, 0, 200, 60, 60, 0],
};

test("a heat map as text has a row's address, a mark a cell, and says what a cell is", () => {
  expect(heatLines(map, slots, 4, false)).toEqual([
    "0000000000  #= .",
    "0100000000  *::",
    "            a cell: 1 MiB; empty, then cold to hot: [ .:-=+*#]",
  ]);
});

test("with colours a run of cells of one colour is one sequence", () => {
  expect(heatLines(map, slots, 8, true)[0]?.split("\u001b[48;5;").length).toBe(1 + 7);
});

test("a picture has a rectangle a run, and nothing of its title is markup", () => {
  const svg = heatSvg(map, slots, 4, `<a> & "b"`);
  expect(svg.match(/height="10" fill/g)?.length).toBe(4 + 3);
  expect(svg).toContain("&#60;a&#62; &#38; &#34;b&#34;");
  expect(svg.match(/<text/g)?.length).toBe(4);
});
