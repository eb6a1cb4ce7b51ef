/**
 * The figures as a picture: for each row a line from TCG's time to memvisor's, in times of native's, on a scale of powers.
 * Left is faster; a line that goes to the left is a row that memvisor wins.
 */
import { type Measured, typical } from "./measure.ts";

const place = { left: 130, right: 24, top: 64, row: 17, group: 14, width: 800 } as const;
const colours = {
  tcg: "#c2410c",
  memvisor: "#1d4ed8",
  text: "#1f2937",
  faint: "#d1d5db",
  faintText: "#6b7280",
} as const;

export function plot(measured: Measured, title: string): string {
  const rows = measured.rows.flatMap(({ name, group }) => {
    const over = (contender: string): number => typical(measured, contender, name) / typical(measured, "native", name);
    const [tcg, memvisor] = [over("tcg"), over("memvisor")];
    return Number.isFinite(tcg) && Number.isFinite(memvisor) ? [{ name, group, tcg, memvisor }] : [];
  });
  const most = Math.max(2, ...rows.flatMap((row) => [row.tcg, row.memvisor]));
  const least = Math.min(1, ...rows.flatMap((row) => [row.tcg, row.memvisor]));
  const inner = place.width - place.left - place.right;
  const x = (ratio: number): number => place.left + (inner * Math.log(ratio / least)) / Math.log((most * 1.1) / least);
  let y = place.top;
  const drawn = rows.map((row, i) => {
    if (i > 0 && rows[i - 1]?.group !== row.group) y += place.group;
    y += place.row;
    return rowMarks(row, y, x);
  });
  const height = y + 28;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${place.width} ${height}" font-family="sans-serif" font-size="12">`,
    "<title>Time over native's, row by row, of memvisor and of QEMU's translator</title>",
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    label(
      16,
      22,
      `fill="${colours.text}" font-size="14"`,
      "Time over native's (1 is as fast as the host itself; left is faster)",
    ),
    label(16, 42, `fill="${colours.faintText}"`, title),
    ...legend(place.width - 190, 22),
    ...ticks(least, most).map((ratio) => grid(ratio, x(ratio), height)),
    ...drawn,
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

interface Drawn {
  readonly name: string;
  readonly tcg: number;
  readonly memvisor: number;
}

function rowMarks({ name, tcg, memvisor }: Drawn, y: number, x: (ratio: number) => number): string {
  const wins = memvisor <= tcg;
  return [
    label(place.left - 10, y + 4, `fill="${colours.text}" text-anchor="end"`, name),
    `<line x1="${at(x(tcg))}" x2="${at(x(memvisor))}" y1="${y}" y2="${y}" stroke="${wins ? colours.memvisor : colours.tcg}" stroke-width="2" opacity="0.45"/>`,
    dot(x(tcg), y, colours.tcg, `${name}: TCG ${tcg.toFixed(1)} times native's time`),
    dot(x(memvisor), y, colours.memvisor, `${name}: memvisor ${memvisor.toFixed(1)} times native's time`),
  ].join("");
}

function legend(x: number, y: number): string[] {
  return [
    dot(x, y - 4, colours.memvisor, "memvisor"),
    label(x + 10, y, `fill="${colours.text}"`, "memvisor"),
    dot(x + 86, y - 4, colours.tcg, "TCG"),
    label(x + 96, y, `fill="${colours.text}"`, "QEMU TCG"),
  ];
}

const grid = (ratio: number, x: number, height: number): string =>
  `<line x1="${at(x)}" x2="${at(x)}" y1="${place.top}" y2="${height - 20}" stroke="${colours.faint}"/>` +
  label(x, height - 6, `fill="${colours.faintText}" text-anchor="middle"`, String(ratio));

/** 1, 2, 5, 10, … within the picture. */
function ticks(least: number, most: number): number[] {
  return [-1, 0, 1, 2, 3, 4]
    .flatMap((power) => [1, 2, 5].map((digit) => Number((digit * 10 ** power).toPrecision(1))))
    .filter((ratio) => ratio >= least && ratio <= most * 1.1);
}

const dot = (x: number, y: number, colour: string, title: string): string =>
  `<circle cx="${at(x)}" cy="${at(y)}" r="4.5" fill="${colour}"><title>${escaped(title)}</title></circle>`;
const label = (x: number, y: number, attributes: string, text: string): string =>
  `<text x="${at(x)}" y="${at(y)}" ${attributes}>${escaped(text)}</text>`;
const at = (value: number): string => value.toFixed(1);
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
