/**
 * What a contender runs: the guest program, built here by the system's compiler, its data, and an initramfs that is the
 * image's own with both appended (the kernel takes archives one after the other).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { fileType, writeCpio } from "../src/images/archive/cpio.ts";
import { machineFiles } from "../tools/machine-setup.ts";
import { fail, installed } from "./programs.ts";

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  /** For a native run: the same program, data and busybox that the guest has. */
  readonly program: string;
  readonly busybox: string;
  readonly data: string;
}

/** One row of the guest program, which alone knows what there is. */
export interface Row {
  readonly name: string;
  readonly group: string;
  readonly count: number;
  readonly unit: string;
}

const sources = fileURLToPath(new URL("guest/", import.meta.url));
/** Ignored by git; the names in it carry a digest of what they were made of. */
const folder = fileURLToPath(new URL("../dist/bench/", import.meta.url));
// What the guest announces is SSE2 and a little more; a program built for the host would not run in it.
const flags = ["-O2", "-static", "-march=x86-64", "-std=gnu11", "-Wall", "-Wextra", "-Werror"];

/** Rows wanted come by the kernel's command line; words with a dot in them the kernel leaves to others. */
const init = `#!/bin/busybox sh
echo "memvisor: init"
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
# A line that goes out is one line that comes in: no carriage returns.
/bin/busybox stty -onlcr
for word in $(/bin/busybox cat /proc/cmdline); do
  case "$word" in bench.rows=*) rows=$word ;; esac
done
/bench/bench $(echo "$rows" | /bin/busybox sed 's/^bench.rows=//; s/,/ /g')
/bin/busybox poweroff -f
`;

export function prepareGuest(image: string): GuestFiles {
  mkdirSync(folder, { recursive: true });
  const program = compiled();
  const data = textFiles();
  const { kernel, initrd } = machineFiles({ image });
  if (initrd === undefined || !existsSync(initrd)) fail(`${image} is not prepared: memvisor image prepare ${image}`);
  const base = readFileSync(initrd);
  const busybox = extracted(base);
  const files: [path: string, file: string][] = [["bench/bench", program]];
  for (const name of readdirSync(data)) files.push([`bench/${name}`, join(data, name)]);
  const appended = writeCpio([
    { path: "bench", mode: fileType.directory | 0o755, data: new Uint8Array(0) },
    { path: "bench/init", mode: fileType.file | 0o755, data: Buffer.from(init) },
    ...files.map(([path, file]) => ({ path, mode: fileType.file | 0o755, data: readFileSync(file) })),
  ]);
  const whole = Buffer.concat([base, appended]);
  return { kernel, initrd: kept(`initrd-${digest(whole)}.cpio`, () => whole), program, busybox, data };
}

export function rowsOf(program: string): Row[] {
  return execFileSync(program, ["--list"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => {
      const [name, group, count, ...unit] = line.split(" ");
      return { name, group, count: Number(count), unit: unit.join(" ") };
    });
}

const digest = (...parts: (Uint8Array | string)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex").slice(0, 16);
};

/** The path of a file that is made once. It appears whole or not at all. */
function kept(name: string, make: () => Uint8Array, mode = 0o644): string {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, make(), { mode });
  renameSync(partial, path);
  return path;
}

function compiled(): string {
  const names = readdirSync(sources).sort();
  const gcc = installed("gcc", "gcc", "libc6-dev");
  const path = join(folder, `bench-${digest(...flags, ...names.map((name) => readFileSync(join(sources, name))))}`);
  if (existsSync(path)) return path;
  const partial = `${path}.${process.pid}`;
  const units = names.filter((name) => name.endsWith(".c")).map((name) => join(sources, name));
  const { status } = spawnSync(gcc, [...flags, ...units, "-o", partial, "-lm", "-lpthread"], { stdio: [0, 2, 2] });
  if (status !== 0) fail("the guest program could not be built");
  renameSync(partial, path);
  return path;
}

/** Something to decompress: words in a skewed distribution, with repeats near and far, as text has. */
function textFiles(): string {
  const text = prose(6 << 20);
  const path = join(folder, `data-${digest(text)}`);
  if (existsSync(path)) return path;
  const xz = installed("xz", "xz-utils");
  const partial = `${path}.${process.pid}`;
  mkdirSync(partial);
  writeFileSync(join(partial, "text.gz"), gzipSync(text, { level: 6 }));
  const packed = spawnSync(xz, ["-6", "--check=crc32", "-c"], { input: text, maxBuffer: 64 << 20 });
  if (packed.status !== 0) fail("xz could not pack the data");
  writeFileSync(join(partial, "text.xz"), packed.stdout);
  renameSync(partial, path);
  return path;
}

function prose(size: number): Buffer {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const words = Array.from({ length: 4000 }, () =>
    Array.from({ length: 2 + random(9) }, () => "etaoinshrdlucmfwypvbgkjqxz"[Math.floor(random(676) ** 0.5)]).join(""),
  );
  const text = Buffer.alloc(size);
  let at = 0;
  while (at < size) {
    if (at > 1000 && random(60) === 0) {
      const from = random(at - 200);
      at += text.copy(text, at, from, from + 20 + random(150));
    } else {
      at += text.write(`${words[Math.floor(random(4000) ** 2 / 4000)]}${random(12) === 0 ? ".\n" : " "}`, at);
    }
  }
  return text;
}

/** The busybox of an initramfs, out of its cpio archive. */
function extracted(archive: Buffer): string {
  const aligned = (offset: number): number => (offset + 3) & ~3;
  for (let at = 0; archive.toString("latin1", at, at + 6) === "070701"; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = archive.toString("latin1", at + 110, at + 109 + nameSize);
    const data = aligned(at + 110 + nameSize);
    if ((mode & 0o170000) === fileType.file && /^(usr\/)?bin\/busybox$/.test(name)) {
      const bytes = archive.subarray(data, data + size);
      return kept(`busybox-${digest(bytes)}`, () => bytes, 0o755);
    }
    at = data + aligned(size);
  }
  return fail("the image has no busybox in it");
}
