/** The guest's files: a folder's list, uploads into it, downloads out of it. */
import {
  downloadFile,
  downloadFolder,
  type GuestFile,
  joined,
  listFolder,
  type OnBytes,
  uploadFile,
} from "../machine/guest-files.ts";
import type { WebMachine } from "../machine/web-machine.ts";
import { button, byId, element, icon, input, part } from "./elements.ts";
import { saveFile } from "./save-file.ts";
import { bytesText } from "./text.ts";

export class FilesPanel {
  #vm: WebMachine | undefined;
  #folder = "/root";
  /** Counts the lists asked for: only the last one is shown. */
  #asked = 0;

  constructor() {
    byId("path-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.open(input("path").value.trim() || "/");
    });
    button("parent").addEventListener("click", () => this.open(this.#folder.replace(/\/[^/]*$/, "") || "/"));
    button("reload").addEventListener("click", () => this.open(this.#folder));
  }

  get folder(): string {
    return this.#folder;
  }

  follow(vm: WebMachine): void {
    this.#vm = vm;
    void vm.exited.then(() => {
      if (this.#vm !== vm) return;
      this.#vm = undefined;
      this.#show([], "The machine has ended.");
    });
  }

  /** Shows a folder's list, once the guest has given it. */
  open(folder: string): void {
    const vm = this.#vm;
    if (!vm) return;
    const asked = ++this.#asked;
    part("files-note").textContent = "…";
    listFolder(vm, folder).then(
      (files) => {
        if (asked !== this.#asked) return;
        this.#folder = folder;
        part("drop-folder").textContent = folder;
        this.#show(files, files.length === 0 ? "This folder is empty." : "");
      },
      (error: Error) => {
        if (asked === this.#asked) part("files-note").textContent = error.message;
      },
    );
    input("path").value = folder;
  }

  /** Puts files into the folder that is shown, one after another. */
  async upload(files: readonly File[]): Promise<void> {
    const vm = this.#vm;
    const folder = this.#folder;
    if (!vm) return;
    for (const file of files) {
      await transfer(`${file.name} → ${folder}`, file.size, (onBytes, signal) =>
        uploadFile(vm, file, folder, onBytes, signal),
      );
    }
    this.open(this.#folder);
  }

  async #download(file: GuestFile): Promise<void> {
    const vm = this.#vm;
    if (!vm) return;
    const path = joined(this.#folder, file.name);
    const folder = file.kind === "folder";
    const name = folder ? `${file.name}.tar` : file.name;
    const blob = await transfer(name, folder ? 0 : file.sizeBytes, (onBytes, signal) =>
      folder ? downloadFolder(vm, path, onBytes, signal) : downloadFile(vm, path, onBytes, signal),
    );
    if (blob) saveFile(blob, name);
  }

  #show(files: readonly GuestFile[], note: string): void {
    part("files-note").textContent = note;
    part("file-list").replaceChildren(...files.map((file) => this.#row(file)));
  }

  #row(file: GuestFile): HTMLElement {
    const isFolder = file.kind === "folder";
    const open = element(
      "button",
      { type: "button", className: "open", title: `${file.name}\n${file.changed.toLocaleString()}` },
      icon(isFolder ? "folder" : "file"),
      element("span", { textContent: file.name }),
    );
    open.addEventListener("click", () => {
      if (isFolder) this.open(joined(this.#folder, file.name));
      else void this.#download(file);
    });
    const size = element("span", { className: "size", textContent: isFolder ? "" : bytesText(file.sizeBytes) });
    const get = element("button", { type: "button", className: "quiet", title: "Download" }, icon("download"));
    get.setAttribute("aria-label", `Download ${file.name}`);
    get.addEventListener("click", () => void this.#download(file));
    return element("li", {}, open, size, get);
  }
}

/** Shows how far a transfer is, with a button that ends it. What it gives; undefined when it failed. */
async function transfer<T>(
  name: string,
  totalBytes: number,
  run: (onBytes: OnBytes, signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const abort = new AbortController();
  const text = element("span", { textContent: name });
  const end = element("button", { type: "button", className: "quiet", textContent: "Cancel" });
  const bar = element("progress", { max: Math.max(totalBytes, 1) });
  const row = element("div", { className: "transfer" }, text, end, bar);
  end.addEventListener("click", () => abort.abort());
  part("transfers").append(row);
  try {
    const result = await run((done) => {
      if (totalBytes > 0) bar.value = done;
      text.textContent = `${name}, ${bytesText(done)}`;
    }, abort.signal);
    row.remove();
    return result;
  } catch (error) {
    row.classList.add("failed");
    bar.remove();
    text.textContent = `${name}: ${(error as Error).message}`;
    end.textContent = "Dismiss";
    end.addEventListener("click", () => row.remove());
    return undefined;
  }
}
