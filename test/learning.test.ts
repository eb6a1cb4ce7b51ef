/** An image of one's own, by the command as a shell has it: made, booted once for what that leaves, and booted again. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { openImage } from "#host/images";
import { patienceMs } from "./patience.ts";

const command = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
const base = await openImage("debian-12-cloud").catch(() => undefined);

test.skipIf(!base)(
  "the first boot of an image that was imported lifts next to nothing",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "memvisor-learning-"));
    const cache = join(folder, "cache");
    const memvisor = async (...words: string[]): Promise<string> => {
      const options = { cwd: folder, env: { ...process.env, MEMVISOR_CACHE: cache }, timeout: patienceMs };
      return (await promisify(execFile)(process.execPath, [command, ...words], options)).stderr;
    };
    try {
      await mkdir(join(cache, "images"), { recursive: true });
      await symlink(dirname(base?.kernelPath ?? ""), join(cache, "images", "debian-12-cloud"));
      for (const name of ["bin", "root"]) await mkdir(join(folder, "root", name), { recursive: true });
      await symlink("/run/memvisor/busybox", join(folder, "root", "bin", "sh"));
      expect(await memvisor("image", "import", "mine", "root")).toContain("learning how mine boots\n");
      const stats = await memvisor("run", "mine", "--cold", "--exec", "true", "--stats");
      const counter = (name: string): number =>
        Number(new RegExp(`^ *${name} +([0-9 ]+)$`, "m").exec(stats)?.[1].replaceAll(" ", ""));
      expect(counter("learnt before")).toBeGreaterThan(10 * counter("blocks lifted"));
      // Most are, on a host that is not busy.
      expect(counter("kept before")).toBeGreaterThan(counter("regions") / 10);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  patienceMs,
);
