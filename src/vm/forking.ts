/**
 * What of a machine its forks cannot share, and what they have in its place (docs/forks.md): disks as they are at that moment, frozen in a
 * file without a name, each with an overlay of its own over them; a network of their own, without the ports of the host.
 */
import { pageSize } from "#address";
import { type Blk, type HostFile, IoError, type SavedDisk } from "#devices";
import { fileOf, remoteOf } from "#memory";
import type { MachineConfig, MachineHost, TemporaryFile } from "./machine-host.ts";

/** A machine that shares what a fork cannot share. */
export class ForkError extends Error {
  override name = "ForkError";
}

/** Throws ForkError, which says why a machine with this cannot be forked on its thread. */
export function checkFork({ pmem, memoryBacking, trace, profile }: MachineConfig, threaded: boolean): void {
  if (threaded) throw new ForkError("its vCPUs have threads of their own");
  if (pmem) throw new ForkError("it has persistent memory");
  if (fileOf(memoryBacking) !== undefined) throw new ForkError("its memory backing is a file, which is its alone");
  if (remoteOf(memoryBacking) !== undefined)
    throw new ForkError("its memory is on page servers, which know one machine");
  if (trace || profile) throw new ForkError("it is traced or profiled");
}

/**
 * The configuration of a fork, and a file that is to be there until the fork has opened its disks. Throws ForkError where a disk cannot be
 * frozen. Requires: called in `whileStill`.
 */
export function forkedConfig(
  config: MachineConfig,
  host: MachineHost,
  freeze: (offset: number, file: HostFile) => readonly SavedDisk[],
): { readonly config: MachineConfig; readonly file: TemporaryFile | undefined } {
  const { disks = [], network } = config;
  // A port of the host belongs to the machine that was given it.
  const own = { ...config, ...(network && { network: { ...network, publish: [] } }) };
  if (disks.length === 0) return { config: own, file: undefined };
  const file = host.temporaryFile?.();
  if (file === undefined) throw new ForkError("this host has no files for what its disks hold");
  try {
    const saved = freeze(pageSize, file).map((disk) => ({ ...disk, snapshot: file.name }));
    return { config: { ...own, disks: disks.map((disk, n) => ({ ...disk, saved: saved[n] })) }, file };
  } catch (error) {
    file[Symbol.dispose]();
    throw error instanceof IoError ? new ForkError(error.message) : error;
  }
}

/** Of these disks, one after the other from `offset` on; where that ends. Throws `IoError` where one cannot be frozen. */
export function freezeDisks(
  disks: readonly Blk[],
  offset: number,
  file: HostFile | undefined,
): { disks: SavedDisk[]; end: number } {
  const all: SavedDisk[] = [];
  let at = offset;
  for (const disk of disks) {
    const { saved, end } = disk.freeze(at, file);
    all.push(saved);
    at = end;
  }
  return { disks: all, end: at };
}
