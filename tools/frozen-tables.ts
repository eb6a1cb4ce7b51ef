/**
 * Tables that modules make when they are loaded, made once when the bundle or the page is: in it such a module is its exports, written out.
 * Each thread of each process would make them anew, with code that is cold.
 *
 * Law: what a frozen module exports equals what the module itself does (test/frozen-tables.test.ts). It exports nothing but data.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Plugin } from "vite";

const root = fileURLToPath(new URL("../", import.meta.url));

/** Modules whose exports are data, and cost more to make than to read. */
export const frozenModules: readonly string[] = [
  "src/x86/instructions/index.ts",
  "src/x86/decode-maps.ts",
  "src/ir/ops.ts",
  "src/ir/vector-ops.ts",
];

/** So many records of one shape are written as columns. */
const leastColumns = 100;
/** Values of a column that a letter tells apart: with others than ASCII's all of the bundle's file would take two bytes a letter. */
const firstLetter = 0x23;
const mostValues = 0x7f - firstLetter;

export function frozenTables(): Plugin {
  const files = new Set(frozenModules.map((file) => join(root, file)));
  return {
    name: "memvisor-frozen-tables",
    load: (id) => (files.has(id) ? frozenSource(id) : null),
  };
}

/** The source of a module that exports what the one in that file does. */
export async function frozenSource(file: string): Promise<string> {
  const exported: Record<string, unknown> = await import(pathToFileURL(file).href);
  return Object.entries(exported)
    .map(([name, value]) => `export const ${name} = ${written(value, `${file}: ${name}`)};\n`)
    .join("");
}

type Row = Readonly<Record<string, unknown>>;

function written(value: unknown, what: string): string {
  if (value instanceof Int32Array || value instanceof Uint8Array) return numbers(value);
  checkData(value, what);
  return isTable(value) ? columns(value) : JSON.stringify(value);
}

/** Numbers, or how often each comes where one mostly comes many times. */
function numbers(value: Int32Array | Uint8Array): string {
  const kind = value.constructor.name;
  const runs: number[] = [];
  for (const each of value) {
    if (runs.length > 0 && runs.at(-2) === each) runs[runs.length - 1]++;
    else runs.push(each, 1);
  }
  if (2 * runs.length > value.length) return `/* @__PURE__ */ new ${kind}([${value.join()}])`;
  return `/* @__PURE__ */ ((runs) => {
  const all = new ${kind}(${value.length});
  for (let n = 0, at = 0; n < runs.length; n += 2) all.fill(runs[n], at, (at += runs[n + 1]));
  return all;
})([${runs.join()}])`;
}

/** Throws for what would not be the same when it is read again. */
function checkData(value: unknown, what: string): void {
  const isPlain = value === null || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (typeof value === "object" && isPlain)
    return Object.entries(value ?? {}).forEach(([name, each]) => checkData(each, `${what}.${name}`));
  if (["string", "boolean"].includes(typeof value) || Number.isFinite(value)) return;
  throw new Error(`${what} is no data that can be written out`);
}

const shapeOf = (row: Row): string => Object.keys(row).sort().join();

function isTable(value: unknown): value is readonly Row[] {
  if (!Array.isArray(value) || value.length < leastColumns) return false;
  return value.every((row) => typeof row === "object" && row !== null && shapeOf(row) === shapeOf(value[0]));
}

/** Records of one shape: of each field its different values, and in a text which of them each record has; or all, where there are too many. */
function columns(rows: readonly Row[]): string {
  const fields = Object.keys(rows[0] as Row).map((name) => {
    const texts = rows.map((row) => JSON.stringify(row[name]));
    const values = [...new Set(texts)];
    if (values.length > mostValues) return { name, list: texts, value: (n: number) => `lists[${n}][at]` };
    const places = texts.map((text) => values.indexOf(text) + firstLetter);
    const text = JSON.stringify(String.fromCharCode(...places));
    return { name, list: values, value: (n: number) => `lists[${n}][${text}.charCodeAt(at) - ${firstLetter}]` };
  });
  const lists = fields.map(({ list }) => `[${list.join()}]`);
  const made = fields.map(({ name, value }, n) => `${JSON.stringify(name)}: ${value(n)}`);
  return `/* @__PURE__ */ ((lists) => {
  const rows = [];
  for (let at = 0; at < ${rows.length}; at++) rows.push({ ${made.join(", ")} });
  return rows;
})([${lists.join(",\n")}])`;
}
