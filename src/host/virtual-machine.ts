/** A virtual machine in this process: its vCPU runs in a worker thread, so the caller's event loop stays free. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, posix, resolve } from "node:path";
import {
  busybox,
  checkOptions,
  MachineHandle,
  type RestoreOptions,
  recallOptions,
  type SnapshotSummary,
  VmError,
} from "#control";
import { readOwner, SnapshotError, type SnapshotOwner } from "#snapshot";
import { packPath, unpackTo } from "./copy.ts";
import { hostMemory } from "./memory/index.ts";
import { hostModule } from "./package-files.ts";
import { openFile } from "./snapshot-file.ts";
import { type StartOptions, withImage } from "./start-options.ts";
import { mark, markMachine } from "./times.ts";
import { beginThread } from "./waiting-thread.ts";
import { workerThread } from "./worker-thread.ts";

export class VirtualMachine extends MachineHandle {
  /**
   * Resolves when the guest runs. Throws `VmError` for options or a kernel that no machine can run, `ImageError` for an image that
   * is not here.
   */
  static async start(given: StartOptions): Promise<VirtualMachine> {
    mark("knows its machine");
    const options = await withImage(given);
    checkOptions(options);
    const vm = new VirtualMachine(options, workerThread(hostModule("vm-worker")));
    await vm.#begun();
    markMachine(vm);
    return vm;
  }

  /**
   * Begins `count` threads for machines that are to come. One that is started or restored takes one of them, and runs earlier by the time that a
   * thread takes to load what it needs. They take some 25 MiB each, and end with the process.
   */
  static prepare(count = 1): void {
    for (let n = 0; n < count; n++) beginThread(hostModule("vm-worker"));
  }

  /** Resolved when the guest runs: then the machine takes its part of the host's memory, until it ends. */
  async #begun(): Promise<void> {
    await this.started;
    const part = hostMemory.add(this.memory);
    void this.exited.then(() => part[Symbol.dispose]());
  }

  /** Copies a file or a folder of this host into the guest: to that name, or under its own into a folder that is there. */
  async copyIn(hostPath: string, guestPath: string): Promise<void> {
    const into = guestPath.endsWith("/") || (await this.isFolder(guestPath));
    const clean = guestPath.replace(/\/+$/, "") || "/";
    const name = into ? basename(resolve(hostPath)) : posix.basename(clean);
    await this.unpackTar(packPath(hostPath, name), into ? clean : posix.dirname(clean));
  }

  /** Whether there is a folder of that name in the guest. */
  async isFolder(guestPath: string): Promise<boolean> {
    const { status } = await this.exec(busybox, ["test", "-d", guestPath], { cwd: "/" });
    return status === 0;
  }

  /** Copies a file or a folder of the guest to this host: to that name, or under its own into a folder that is there. */
  async copyOut(guestPath: string, hostPath: string): Promise<void> {
    await unpackTo(this.packTar(guestPath), hostPath);
  }

  /**
   * A machine that goes on from a file that `snapshot` wrote; any number of them can. The file stays where it is for as long as
   * they run. Throws `VmError` for what is no snapshot, or damaged.
   */
  static async restore(path: string, options: RestoreOptions = {}): Promise<VirtualMachine> {
    return VirtualMachine.start(recallOptions(ownerOf(resolve(path), options.key), path, options));
  }

  /**
   * Writes a snapshot and those that it is based on as one that needs no other. `key`: the file with the secret of those that are encrypted; the
   * new one is so, too. Throws `VmError` for what is no snapshot, or damaged; then there is no file, or that of before.
   */
  static async flatten(path: string, into: string, { key }: { readonly key?: string } = {}): Promise<SnapshotSummary> {
    const { flattenFile } = await import("./flatten.ts");
    return refusingSnapshots(() => ({ ...flattenFile(resolve(path), resolve(into), key), pauseMs: 0 }));
  }

  /**
   * `count` machines that go on as this one does, which runs on. They live on its thread and share its memory, but for what they
   * write; where it has what cannot be shared, or they are to have another engine, each is restored from a snapshot on a thread of its
   * own (docs/forks.md). Throws as `snapshot` does; then there is none.
   */
  async fork(count = 1, options: RestoreOptions = {}): Promise<VirtualMachine[]> {
    return (await this.#forkBeside(count, options)) ?? this.#forkByFile(count, options);
  }

  /** Undefined where that cannot be. */
  async #forkBeside(count: number, options: RestoreOptions): Promise<VirtualMachine[] | undefined> {
    const place = this.placeForForks(options);
    if (place === undefined) return undefined;
    const forks = Array.from({ length: count }, () => new VirtualMachine(place.options, place.start));
    try {
      await place.begin();
      await Promise.all(forks.map((fork) => fork.#begun()));
      return forks;
    } catch (error) {
      await Promise.all(forks.map((fork) => fork.stop()));
      if (error instanceof VmError && error.code === "fork") return undefined;
      throw error;
    }
  }

  async #forkByFile(count: number, options: RestoreOptions): Promise<VirtualMachine[]> {
    const folder = await mkdtemp(join(tmpdir(), "memvisor-fork-"));
    const removed = () => rm(folder, { recursive: true, force: true });
    const path = join(folder, "snapshot");
    const forks: VirtualMachine[] = [];
    try {
      await this.snapshot(path, options.key === undefined ? {} : { key: options.key });
      for (let n = 0; n < count; n++) forks.push(await VirtualMachine.restore(path, options));
    } catch (error) {
      await Promise.all(forks.map((fork) => fork.stop()));
      await removed();
      throw error;
    }
    // Open files outlive their names, but for Windows: there it goes with the last fork.
    void (process.platform === "win32" ? Promise.all(forks.map((fork) => fork.exited)) : Promise.resolve()).then(
      removed,
    );
    return forks;
  }
}

function ownerOf(path: string, key: string | undefined): SnapshotOwner {
  return refusingSnapshots(() => {
    using file = openFile(path, key);
    const { owner, disks } = readOwner(file);
    return { owner, disks: key === undefined ? disks : disks.map((disk) => ({ ...disk, key: resolve(key) })) };
  });
}

function refusingSnapshots<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof SnapshotError ? new VmError("snapshot", error.message) : error;
  }
}
