/** Programs of the system that the benchmark needs. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The path of a program, after an installation where that is possible. Ends the process with a word of advice where not. */
export function installed(program: string, ...packages: string[]): string {
  const found = find(program);
  if (found) return found;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    process.stderr.write(`installing ${packages.join(" ")}\n`);
    spawnSync("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { stdio: ["ignore", 2, 2] });
  }
  return find(program) ?? fail(`${program} is not there: install it (Debian: apt install ${packages.join(" ")})`);
}

function find(program: string): string | undefined {
  return process.env.PATH?.split(":")
    .map((folder) => `${folder}/${program}`)
    .find((path) => existsSync(path));
}

/** The benchmark cannot go on. */
export function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}
