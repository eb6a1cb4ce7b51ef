/**
 * A heat map of guest memory (HeatMap in vm/machine-memory.ts) as lines of text and as a picture.
 *
 * Empty memory is dark, memory that is not used any more blue, what was used just now red; between them, by how hot a cell's pages are.
 */
import { pageSize } from "#address";
import type { HeatMap, MemorySlot } from "#vm";

/** Levels from cold to hot: a character, a colour of terminals (256 colours), and one of pictures. */
const levels = [
  { mark: ".", ansi: 18, rgb: "#1b2a6b" },
  { mark: ":", ansi: 25, rgb: "#1f5aa6" },
  { mark: "-", ansi: 31, rgb: "#1c8aa8" },
  { mark: "=", ansi: 36, rgb: "#2aa876" },
  { mark: "+", ansi: 142, rgb: "#b5a81c" },
  { mark: "*", ansi: 208, rgb: "#ee7f1d" },
  { mark: "#", ansi: 196, rgb: "#e5232b" },
] as const;
const empty = { mark: " ", ansi: 234, rgb: "#16181d" } as const;

type Level = (typeof levels)[number] | typeof empty;

function levelOf({ present, heat }: HeatMap, cell: number): Level {
  if (present[cell] === 0) return empty;
  return levels[Math.min(levels.length - 1, Math.floor((heat[cell] * levels.length) / 256))];
}

const unit = (bytes: number): string =>
  bytes >= 2 ** 20 ? `${+(bytes / 2 ** 20).toFixed(1)} MiB` : `${+(bytes / 1024).toFixed(1)} KiB`;

/** Where the memory of a cell begins, slots put one after the other. */
function addressOf(cell: number, map: HeatMap, slots: readonly MemorySlot[]): number {
  let offset = cell * map.pagesPerCell * pageSize;
  for (const { gpa, bytes, kind } of slots) {
    if (kind !== "ram") continue;
    if (offset < bytes) return gpa + offset;
    offset -= bytes;
  }
  return 0;
}

/** A line for each `columns` cells, with its address; `colours`: for a terminal that shows them. */
export function heatLines(map: HeatMap, slots: readonly MemorySlot[], columns: number, colours: boolean): string[] {
  const lines: string[] = [];
  for (let first = 0; first < map.present.length; first += columns) {
    const cells = Array.from({ length: Math.min(columns, map.present.length - first) }, (_, n) =>
      levelOf(map, first + n),
    );
    const address = addressOf(first, map, slots).toString(16).padStart(10, "0");
    lines.push(`${address}  ${colours ? coloured(cells) : cells.map(({ mark }) => mark).join("")}`.trimEnd());
  }
  const legend = [empty, ...levels];
  const scale = colours ? coloured(legend) : `[${legend.map(({ mark }) => mark).join("")}]`;
  lines.push(`${" ".repeat(12)}a cell: ${unit(map.pagesPerCell * pageSize)}; empty, then cold to hot: ${scale}`);
  return lines;
}

/** Neighbours of one colour are one sequence. */
function coloured(cells: readonly Level[]): string {
  let line = "";
  for (const [n, { ansi }] of cells.entries())
    line += n > 0 && cells[n - 1].ansi === ansi ? " " : `\u001b[48;5;${ansi}m `;
  return `${line}\u001b[0m`;
}

const cellSize = 10;
const margin = { left: 110, top: 48, bottom: 44, right: 20 };

/** A picture with `columns` cells in a row. */
export function heatSvg(map: HeatMap, slots: readonly MemorySlot[], columns: number, title: string): string {
  const rows = Math.ceil(map.present.length / columns);
  const width = margin.left + columns * cellSize + margin.right;
  const height = margin.top + rows * cellSize + margin.bottom;
  const labelEvery = Math.max(1, Math.ceil(rows / 16));
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<rect width="${width}" height="${height}" fill="#0d0f13"/>`,
    `<g font-family="ui-monospace, monospace" font-size="11" fill="#c9ced8">`,
    `<text x="${margin.left}" y="28" font-size="14">${escapeXml(title)}</text>`,
  ];
  for (let row = 0; row < rows; row++) {
    const y = margin.top + row * cellSize;
    if (row % labelEvery === 0)
      parts.push(
        `<text x="${margin.left - 8}" y="${y + 9}" text-anchor="end">${addressOf(row * columns, map, slots).toString(16)}</text>`,
      );
    parts.push(...rowRects(map, row * columns, Math.min(columns, map.present.length - row * columns), y));
  }
  const legendY = margin.top + rows * cellSize + 18;
  [empty, ...levels].forEach(({ rgb }, n) => {
    parts.push(`<rect x="${margin.left + n * 16}" y="${legendY}" width="14" height="12" fill="${rgb}"/>`);
  });
  const text = `empty, then cold to hot; a cell is ${unit(map.pagesPerCell * pageSize)}`;
  parts.push(`<text x="${margin.left + 8 * 16 + 8}" y="${legendY + 10}">${text}</text>`, "</g>", "</svg>");
  return `${parts.join("\n")}\n`;
}

/** Neighbours of one colour are one rectangle. */
function rowRects(map: HeatMap, first: number, count: number, y: number): string[] {
  const rects: string[] = [];
  for (let n = 0; n < count; ) {
    const { rgb } = levelOf(map, first + n);
    let end = n + 1;
    while (end < count && levelOf(map, first + end).rgb === rgb) end++;
    const x = margin.left + n * cellSize;
    rects.push(`<rect x="${x}" y="${y}" width="${(end - n) * cellSize}" height="${cellSize}" fill="${rgb}"/>`);
    n = end;
  }
  return rects;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}
