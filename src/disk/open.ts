/** From what a person asks for to a disk: format, overlay, and backing files. */
import { type DiskConfig, type DiskFileFacts, type DiskFormat, diskFormats, type SavedDisk } from "#devices";
import type { Disk } from "./disk.ts";
import { DiskError, type DiskHost } from "./file.ts";
import { FrozenDisk } from "./frozen.ts";
import { createQcow2, isQcow2, openQcow2, type Qcow2Options } from "./qcow2/index.ts";
import { RawDisk } from "./raw.ts";

/** A chain of backing files is not longer. */
const maxDepth = 16;

/** Throws `DiskError` that says what is wrong with which file. */
export function openDisk(config: DiskConfig, host: DiskHost): Disk {
  const { file, overlay, format, readOnly = false, saved } = config;
  const opener = new Opener(host);
  if (saved !== undefined) return opener.saved(saved, format);
  if (overlay === undefined) return opener.open(file, format, readOnly);
  return overlay === true ? opener.temporary(file, format) : opener.overlay(overlay, file, format, readOnly);
}

class Opener {
  readonly #host: DiskHost;
  #depth = 0;

  constructor(host: DiskHost) {
    this.#host = host;
  }

  /**
   * The format is what was said, or what the name says; never what the file holds: a guest writes what it likes to a raw disk,
   * and would find itself with another file of the host the next time.
   */
  open(name: string, format: string | undefined, readOnly: boolean): Disk {
    if (format !== undefined && !diskFormats.some((each) => each === format))
      throw new DiskError(`${name}: no disk format is called ${format}: use ${diskFormats.join(" or ")}`);
    const chosen = format ?? byName(name);
    const file = this.#host.open(name, readOnly ? "read" : "write");
    try {
      if (file.sizeBytes === 0)
        throw new DiskError(`${name}: the file is empty: give it a size, as with truncate -s 4G`);
      if (chosen === "qcow2") return openQcow2(file, this.#options(name, readOnly));
      if (format === undefined && isQcow2(file))
        throw new DiskError(
          `${name}: holds a qcow2 disk under another name: say format=qcow2, or format=raw if the guest made it`,
        );
      return new RawDisk(file, readOnly);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** What is written is gone at the end. */
  temporary(name: string, format: string | undefined): Disk {
    const below = this.open(name, format, true);
    const top = this.#host.createTemporary();
    createQcow2(top, { sizeBytes: below.sizeBytes });
    return openQcow2(top, { ...this.#options(name, false), below });
  }

  /** What a snapshot has of a disk, and on it what is written from now on, which is gone at the end. */
  saved(saved: SavedDisk, format: string | undefined): Disk {
    const [base] = saved.files;
    const below = base && this.open(base.name, format, true);
    checkFiles(below, saved.files);
    if (saved.index === undefined) return below as Disk;
    const file = saved.snapshot === undefined ? undefined : this.#host.openSnapshot?.(saved.snapshot, saved.key);
    if (file === undefined) throw new DiskError("this host has no disks of snapshots");
    const frozen = new FrozenDisk(file, saved, below);
    const top = this.#host.createTemporary();
    createQcow2(top, { sizeBytes: frozen.sizeBytes });
    return openQcow2(top, { ...this.#options(file.name, false), below: frozen });
  }

  /** What is written goes to the file `top`, which is made if it is not there. */
  overlay(top: string, name: string, format: DiskFormat | undefined, readOnly: boolean): Disk {
    if (!this.#host.exists(top)) {
      const below = this.open(name, format, true);
      const { sizeBytes } = below;
      below.close();
      const file = this.#host.create(top);
      createQcow2(file, { sizeBytes, backing: { name: this.#host.resolve("", name), format: format ?? byName(name) } });
      file.close();
    }
    const { openBelow, ...options } = this.#options(top, readOnly);
    const file = this.#host.open(top, readOnly ? "read" : "write");
    try {
      return openQcow2(file, {
        ...options,
        openBelow: (backing, backingFormat) => {
          if (this.#host.resolve(top, backing) !== this.#host.resolve("", name))
            throw new DiskError(
              `${top}: was made over ${backing}, not over ${name}: name that one, or another overlay`,
            );
          return openBelow(backing, backingFormat);
        },
      });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #options(from: string, readOnly: boolean): Qcow2Options {
    return {
      readOnly,
      unpack: (method, bytes, size) => this.#host.unpack(method, bytes, size),
      openBelow: (backing, format) => {
        if (++this.#depth > maxDepth)
          throw new DiskError(`${from}: more than ${maxDepth} backing files behind each other`);
        return this.open(this.#host.resolve(from, backing), format, true);
      },
    };
  }
}

/** The files of a disk and of what lies below it. */
export function filesBelow(disk: Disk | undefined): readonly DiskFileFacts[] {
  return disk === undefined ? [] : [...disk.files, ...filesBelow(disk.below)];
}

/** Throws `DiskError` where these are not the files as they were: what was written over them would not fit. */
function checkFiles(disk: Disk | undefined, saved: readonly DiskFileFacts[]): void {
  const files = filesBelow(disk);
  for (const [n, { name, sizeBytes, modifiedMs }] of saved.entries()) {
    const same = files[n]?.name === name && files[n].sizeBytes === sizeBytes && files[n].modifiedMs === modifiedMs;
    if (!same)
      throw new DiskError(
        `${name}: was changed after the snapshot was taken, which goes on only with the file as it was then`,
      );
  }
}

const byName = (name: string): DiskFormat => (name.endsWith(".qcow2") ? "qcow2" : "raw");
