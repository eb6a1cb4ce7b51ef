/**
 * The C programs of this folder, made with the system's compiler and kept by the hash of what they are made from, each in a folder of
 * its own.
 */
import { spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const cache = fileURLToPath(new URL("../../node_modules/.cache/memvisor-native/", import.meta.url));

/** The first C compiler there is, or undefined. */
export function compiler(): string | undefined {
  for (const name of [process.env.CC, "cc", "gcc", "clang"])
    if (name && spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) return name;
  return undefined;
}

/** The path of the program that `NAME.c` makes with these words for the compiler. Throws where it makes none. */
export function nativeProgram(name: string, ...flags: readonly string[]): string {
  const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
  const hash = createHash("sha256").update(flags.join("\0")).update("\0").update(readFileSync(source)).digest("hex");
  const path = join(cache, hash.slice(0, 16), name);
  if (existsSync(path)) return path;
  const cc = compiler();
  if (!cc) throw new Error("no C compiler (cc, gcc or clang) was found");
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  // Libraries count for what stands before them.
  const { status, stderr } = spawnSync(cc, ["-o", draft, source, ...flags], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${cc} does not make ${name}: ${stderr}`);
  renameSync(draft, path);
  return path;
}

/** As `nativeProgram`; undefined where there is no compiler, or not what it needs. */
export function nativeProgramIfAny(name: string, ...flags: readonly string[]): string | undefined {
  try {
    return nativeProgram(name, ...flags);
  } catch {
    return undefined;
  }
}
