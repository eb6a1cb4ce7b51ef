/** The form that starts a machine: what can be chosen, and what was. */
import { maxCpus } from "#control";
import { filesOf, type SiteImage, type SiteManifest } from "../machine/site-manifest.ts";
import { DiskForm } from "./disk-form.ts";
import { byId, element, input, part, select } from "./elements.ts";
import { keepSettings, type Settings } from "./settings.ts";
import { bytesText } from "./text.ts";

const memoryChoicesMib = [64, 128, 256, 512, 1024, 2048, 3072];

export class StartForm {
  readonly disk: DiskForm;
  readonly #images: readonly SiteImage[];

  /** `onStart` is called with what was chosen, whenever somebody presses the button. */
  constructor({ images }: SiteManifest, settings: Settings, threads: boolean, onStart: () => void) {
    this.#images = images;
    this.disk = new DiskForm(settings.disk);
    const choices: [id: string, chosen: string, options: [value: string, text: string][]][] = [
      ["image", settings.image, images.map(({ name, title }) => [name, title])],
      ["memory", String(settings.memoryMib), memoryChoicesMib.map((mib) => [String(mib), bytesText(mib * 2 ** 20)])],
      ["cpus", String(settings.cpus), Array.from({ length: maxCpus }, (_, n) => [String(n + 1), String(n + 1)])],
    ];
    for (const [id, chosen, options] of choices) {
      select(id).append(...options.map(([value, text]) => element("option", { value, textContent: text })));
      if (options.some(([value]) => value === chosen)) select(id).value = chosen;
    }
    input("relay").value = settings.relay;
    input("append").value = settings.append;
    input("auto-start").checked = settings.autoStart;
    input("screen-reader").checked = settings.screenReader;
    const describe = (): void => this.#describe(threads);
    select("image").addEventListener("change", describe);
    select("cpus").addEventListener("change", describe);
    byId("start-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      onStart();
    });
    describe();
  }

  get image(): SiteImage {
    return this.#images.find(({ name }) => name === select("image").value) ?? this.#images[0];
  }

  /** What is chosen now; kept for the next visit. */
  take(): Settings {
    const settings: Settings = {
      image: this.image.name,
      memoryMib: Number(select("memory").value),
      cpus: Number(select("cpus").value),
      disk: this.disk.used,
      relay: input("relay").value.trim(),
      append: input("append").value.trim(),
      autoStart: input("auto-start").checked,
      screenReader: input("screen-reader").checked,
    };
    keepSettings(settings);
    return settings;
  }

  #describe(threads: boolean): void {
    const size = bytesText(filesOf(this.image).reduce((sum, file) => sum + file.packedBytes, 0));
    part("image-note").textContent = `Linux ${this.image.kernelVersion}; ${size} to download once`;
    const note = part("cpus-note");
    const several = Number(select("cpus").value) > 1;
    note.hidden = !several || threads;
    note.textContent =
      "This computer's processor does not order memory as x86 does: one thread runs all of the guest's, in turn.";
  }
}
