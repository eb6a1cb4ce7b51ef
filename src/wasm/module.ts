/**
 * A WebAssembly module, section by section (core spec, "Binary Format"): types, imports, functions, tables, exports, branch
 * hints (a custom section), code.
 * Imports come before functions, so a function's index is known as soon as it is imported or declared.
 */
import { assert } from "#base";
import { Bytes, type FunctionBody } from "./code.ts";
import { typeByte, type WasmType } from "./opcodes.ts";

export interface FunctionType {
  readonly parameters: readonly WasmType[];
  readonly results: readonly WasmType[];
}

/** Equal for equal types; the same few objects come with every module. */
const keys = new WeakMap<FunctionType, string>();
function keyOf(type: FunctionType): string {
  let key = keys.get(type);
  if (key === undefined) {
    key = `${type.parameters.join(" ")}:${type.results.join(" ")}`;
    keys.set(type, key);
  }
  return key;
}

export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #typeIndexes = new Map<string, number>();
  readonly #imports: { module: string; name: string; write: (out: Bytes) => void }[] = [];
  readonly #functions: { type: number; code: FunctionBody }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  #importedFunctions = 0;

  type(type: FunctionType): number {
    const key = keyOf(type);
    const known = this.#typeIndexes.get(key);
    if (known !== undefined) return known;
    this.#typeIndexes.set(key, this.#types.length);
    return this.#types.push(type) - 1;
  }

  /** A shared memory32 of up to 4 GiB, which has at least so many `pages` of 64 KiB. */
  importMemory(module: string, name: string, pages = 1): void {
    this.#import(module, name, (out) => {
      out.byte(2);
      out.byte(3);
      out.u32(pages);
      out.u32(65536);
    });
  }
  importTable(module: string, name: string): void {
    this.#import(module, name, (out) => {
      out.byte(1);
      out.byte(0x70);
      out.byte(0);
      out.u32(0);
    });
  }
  importFunction(module: string, name: string, type: FunctionType): number {
    assert(this.#functions.length === 0, "imports precede functions");
    const index = this.type(type);
    this.#import(module, name, (out) => {
      out.byte(0);
      out.u32(index);
    });
    return this.#importedFunctions++;
  }

  /** Adds a function and returns its index. */
  function(type: FunctionType, code: FunctionBody, exportName?: string): number {
    this.#functions.push({ type: this.type(type), code });
    const index = this.#importedFunctions + this.#functions.length - 1;
    if (exportName !== undefined) this.#exports.push({ name: exportName, index });
    return index;
  }

  /** `hints`: with what is known of its branches, if anything is. */
  finish({ hints }: { hints: boolean } = { hints: true }): Uint8Array<ArrayBuffer> {
    const out = new Bytes(65536);
    for (const b of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(b);
    section(out, 1, this.#types, (s, type) => {
      s.byte(0x60);
      s.u32(type.parameters.length);
      for (const p of type.parameters) s.byte(typeByte[p]);
      s.u32(type.results.length);
      for (const r of type.results) s.byte(typeByte[r]);
    });
    section(out, 2, this.#imports, (s, entry) => {
      s.name(entry.module);
      s.name(entry.name);
      entry.write(s);
    });
    section(out, 3, this.#functions, (s, f) => s.u32(f.type));
    section(out, 7, this.#exports, (s, e) => {
      s.name(e.name);
      s.byte(0);
      s.u32(e.index);
    });
    if (hints) this.#writeHints(out);
    section(out, 10, this.#functions, (s, f) => s.append(f.code.finish()));
    return out.view();
  }

  /** The custom section metadata.code.branch_hint, which goes before the code. */
  #writeHints(out: Bytes): void {
    const hinted = this.#functions
      .map(({ code }, n) => ({ index: this.#importedFunctions + n, hints: code.hints() }))
      .filter(({ hints }) => hints.length > 0);
    if (hinted.length === 0) return;
    const body = new Bytes(1024);
    body.name("metadata.code.branch_hint");
    body.u32(hinted.length);
    for (const { index, hints } of hinted) {
      body.u32(index);
      body.u32(hints.length);
      for (const { offset, likely } of hints) {
        body.u32(offset);
        body.u32(1);
        body.byte(likely ? 1 : 0);
      }
    }
    out.byte(0);
    out.u32(body.length);
    out.append(body.view());
  }

  #import(module: string, name: string, write: (out: Bytes) => void): void {
    this.#imports.push({ module, name, write });
  }
}

function section<T>(out: Bytes, id: number, entries: readonly T[], write: (out: Bytes, entry: T) => void): void {
  if (entries.length === 0) return;
  const body = new Bytes(1024);
  body.u32(entries.length);
  for (const entry of entries) write(body, entry);
  out.byte(id);
  out.u32(body.length);
  out.append(body.view());
}
