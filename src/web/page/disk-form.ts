/** The part of the form that is about the kept disk: whether to use it, its size when it is new, and what else can be done. */
import {
  canKeepDisks,
  createDisk,
  diskName,
  diskPath,
  eraseDisk,
  exportDisk,
  findDisk,
  importDisk,
} from "../machine/kept-disk.ts";
import { button, element, input, part, select } from "./elements.ts";
import { saveFile } from "./save-file.ts";
import { bytesText } from "./text.ts";

const sizesGib = [1, 4, 16];
const usualGib = 4;

export class DiskForm {
  #exists = false;

  constructor(use: boolean) {
    input("use-disk").checked = use;
    select("disk-size").append(
      ...sizesGib.map((gib) => element("option", { value: String(gib), textContent: `${gib} GiB` })),
    );
    select("disk-size").value = String(usualGib);
    input("use-disk").addEventListener("change", () => void this.refresh());
    button("disk-export").addEventListener("click", () => void this.#do(this.#export));
    button("disk-erase").addEventListener("click", () => void this.#do(this.#erase));
    button("disk-import").addEventListener("click", () => input("disk-file").click());
    input("disk-file").addEventListener("change", () => {
      const file = input("disk-file").files?.[0];
      input("disk-file").value = "";
      if (file) void this.#do(() => this.#import(file));
    });
    void this.refresh();
  }

  get used(): boolean {
    return input("use-disk").checked;
  }

  /** Makes the disk that is to be used, if there is none. */
  async prepare(): Promise<void> {
    if (this.used && !(await findDisk())) await createDisk(Number(select("disk-size").value) * 2 ** 30);
  }

  async refresh(): Promise<void> {
    const able = await canKeepDisks();
    const disk = able ? await findDisk().catch(() => undefined) : undefined;
    this.#exists = disk !== undefined;
    input("use-disk").disabled = !able;
    if (!able) input("use-disk").checked = false;
    part("disk-details").hidden = !this.used;
    part("disk-new").hidden = this.#exists;
    for (const id of ["disk-export", "disk-erase"]) button(id).hidden = !this.#exists;
    part("disk-note").textContent = !able
      ? "This browser keeps no files for this page; a private window, perhaps."
      : disk
        ? `${bytesText(disk.sizeBytes)}, of which ${bytesText(disk.usedBytes)} take room in the browser. It is ${diskPath} in the guest.`
        : `It grows with what the guest writes to ${diskPath}, and is there again after a reload.`;
  }

  readonly #export = async (): Promise<void> => {
    const file = await exportDisk();
    if (file) saveFile(file, diskName);
  };

  readonly #erase = async (): Promise<void> => {
    if (confirm("Erase the disk and all that is on it?")) await eraseDisk();
  };

  async #import(file: File): Promise<void> {
    if (this.#exists && !confirm(`Put ${file.name} in place of the disk, with all that is on it?`)) return;
    await importDisk(file);
  }

  /** What goes wrong is said where the disk is described. */
  async #do(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      await this.refresh();
    } catch (error) {
      part("disk-note").textContent = (error as Error).message;
    }
  }
}
