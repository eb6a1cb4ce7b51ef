/**
 * What each process of this user holds for its machines, for the others to read: a file each, in the folder of running machines, and the limit
 * that all of them keep.
 *
 * Law: a file whose process is gone counts for nothing, and whoever finds it removes it.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openFolder } from "../machines/folder.ts";
import type { MachineHolding } from "./host-policy.ts";

export class Ledger {
  readonly #folder: string;
  readonly #name: string;
  #written = "";

  /** Throws `VmError` where there can be no such folder. */
  constructor(folder = openFolder(), pid = process.pid) {
    this.#folder = join(folder, "memory");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#name = `${pid}.json`;
  }

  /** What this process holds. */
  write(machines: readonly MachineHolding[]): void {
    const text = JSON.stringify(machines);
    if (text === this.#written) return;
    this.#written = text;
    const path = join(this.#folder, this.#name);
    if (machines.length === 0) rmSync(path, { force: true });
    else replaceFile(path, text);
  }

  /** What the others hold. */
  others(): MachineHolding[] {
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith(".json") && name !== this.#name)
      .flatMap((name) => this.#read(name));
  }

  /** Bytes that all machines of this user may have together; undefined: there is no limit. */
  get limitBytes(): number | undefined {
    try {
      const bytes = Number(readFileSync(join(this.#folder, "limit"), "utf8"));
      return bytes > 0 ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  set limitBytes(bytes: number | undefined) {
    const path = join(this.#folder, "limit");
    if (bytes === undefined) rmSync(path, { force: true });
    else replaceFile(path, String(bytes));
  }

  #read(name: string): MachineHolding[] {
    const path = join(this.#folder, name);
    if (!isAlive(Number.parseInt(name, 10))) {
      rmSync(path, { force: true });
      return [];
    }
    try {
      return JSON.parse(readFileSync(path, "utf8")) as MachineHolding[];
    } catch {
      // It ended just now.
      return [];
    }
  }
}

/** It is whole, or as it was, to whoever reads it. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
