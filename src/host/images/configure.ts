/**
 * Lets the scripts of a new disk's packages run where they belong: in a guest, as root there and nobody here. It is what
 * debootstrap does in its second stage, by `chroot` and the host's root.
 */
import { join } from "node:path";
import { VmError } from "#control";
import { ImageError, type OnProgress } from "#images";
import { unpackedIn } from "./cache.ts";

const patienceMs = 30 * 60_000;
const memoryBytes = 512 * 2 ** 20;
const command =
  "dpkg --configure -a --force-unsafe-io && ldconfig && rm -f /var/log/dpkg.log /var/log/alternatives.log";

/** Requires: the folder holds an image's kernel, initramfs and disk. */
export async function configureDisk(
  folder: string,
  packages: number,
  onProgress: OnProgress,
  signal?: AbortSignal,
): Promise<void> {
  let done = 0;
  const report = (what: string): void =>
    onProgress({ phase: "configure", what, doneBytes: Math.min(done, packages), totalBytes: packages });
  report("the packages");
  // A machine is more than those who prepare need to load, and knows of images itself.
  const { VirtualMachine } = await import("../virtual-machine.ts");
  try {
    const { vmlinuxPath, setupHeaderPath } = unpackedIn(folder);
    await using vm = await VirtualMachine.start({
      kernel: vmlinuxPath,
      setupHeader: setupHeaderPath,
      initrd: join(folder, "initrd.cpio"),
      disks: [{ file: join(folder, "root.img"), format: "raw" }],
      commandLine: "console=ttyS0 quiet panic=-1 memvisor.exec=1 memvisor.root=vda",
      memoryBytes,
    });
    let said = "";
    const follow = (bytes: Uint8Array): void => {
      said = (said + new TextDecoder().decode(bytes)).slice(-4096);
      const names = [...new TextDecoder().decode(bytes).matchAll(/^Setting up (\S+?)(?::\w+)? /gm)];
      done += names.length;
      if (names.length > 0) report(names[names.length - 1][1]);
    };
    const { status } = await vm.exec(command, {
      env: { DEBIAN_FRONTEND: "noninteractive", DEBCONF_NONINTERACTIVE_SEEN: "true" },
      onStdout: follow,
      onStderr: follow,
      timeoutMs: patienceMs,
      ...(signal && { signal }),
    });
    if (status !== 0) throw failed(said.trim().split("\n").slice(-5).join("; "));
    vm.powerOff();
    const { reason, detail } = await vm.exited;
    if (reason !== "poweroff") throw failed(`the machine ended: ${reason} ${detail}`);
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof VmError ? failed(error.message, error) : error;
  }
}

const failed = (why: string, cause?: unknown): ImageError =>
  new ImageError(
    "configure",
    `the packages were unpacked, but their scripts failed (${why}): leave packages out, or pass --no-configure`,
    cause,
  );
