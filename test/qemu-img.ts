/** `qemu-img`, another reader and writer of disk images. */
import { spawnSync } from "node:child_process";

/** Without it, those who ask it are skipped. */
export const haveQemuImg = spawnSync("qemu-img", ["--version"]).status === 0;

/** What it printed. Throws, with what it said, when it fails. */
export function qemuImg(...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("qemu-img", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`qemu-img ${words.join(" ")}: ${status}\n${stdout}${stderr}`);
  return stdout;
}
