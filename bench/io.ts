/**
 * Disks, network and shares, each beside QEMU's translator with its own: the benches of the three, one after the other.
 *
 *   npm run bench:io -- --rounds 5
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { deviceOptions, deviceUsage } from "./device-bench.ts";

const benches = ["disks", "net", "shares"];

const { help, json, ...values } = parseArgs({ options: deviceOptions }).values;
if (help) console.log(`npm run bench:io -- [options], the figures of each in FILE.disks and so on\n${deviceUsage}`);
else for (const name of benches) bench(name);

function bench(name: string): void {
  const words = Object.entries(values).flatMap(([option, value]) => [`--${option}`, value]);
  if (json !== undefined) words.push("--json", `${json}.${name}`);
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...words], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
