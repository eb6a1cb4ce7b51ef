/** Live figures of the machine: asked for once a second, shown as numbers and charts. */
import type { VmStats } from "#control";
import type { WebMachine } from "../machine/web-machine.ts";
import { Chart } from "./chart.ts";
import { element, part, showFacts } from "./elements.ts";
import { ratesBetween } from "./rates.ts";
import { bytesText, countText } from "./text.ts";

const periodMs = 1000;
const frameBytes = 4096;

export class FiguresPanel {
  readonly #mips = new Chart(part("mips-chart"), "count", (value) => countText(value * 1e6));
  readonly #touched = new Chart(part("touched-chart"), "bytes", bytesText);
  #timer: ReturnType<typeof setInterval> | undefined;
  #last: VmStats | undefined;

  /** Follows `vm` until it ends. */
  follow(vm: WebMachine, memoryBytes: number): void {
    this.#mips.clear();
    this.#touched.clear();
    this.#last = undefined;
    let asked = false;
    const look = async (): Promise<void> => {
      if (asked || document.hidden) return;
      asked = true;
      const stats = await vm.stats().catch(() => undefined);
      asked = false;
      if (stats) this.#show(stats, memoryBytes);
    };
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void look(), periodMs);
    void look();
    void vm.exited.then(() => clearInterval(this.#timer));
  }

  redraw(): void {
    this.#mips.redraw();
    this.#touched.redraw();
  }

  #show(stats: VmStats, memoryBytes: number): void {
    const last = this.#last;
    this.#last = stats;
    const touched = stats.framesTouched * frameBytes;
    const seconds = stats.wallMs / 1000;
    part("touched").textContent = bytesText(touched);
    part("touched-note").textContent = `of ${bytesText(memoryBytes)}, the rest costs nothing`;
    this.#touched.add(seconds, touched);
    const compiled = stats.tiers.find((tier) => tier.name === "regions")?.instructions ?? 0;
    showFacts(part("counters"), [
      ["Instructions", countText(stats.guestInstructions)],
      ["of these compiled", percent(compiled, stats.guestInstructions)],
      ["Regions compiled", countText(stats.regions)],
      ["WebAssembly made", bytesText(stats.wasmBytes)],
      ["TLB misses", countText(stats.tlbMisses)],
    ]);
    if (last === undefined) return;
    const rates = ratesBetween(last, stats);
    part("mips").textContent = rates.mips < 100 ? rates.mips.toFixed(1) : rates.mips.toFixed(0);
    this.#mips.add(seconds, rates.mips);
    part("exits").textContent = countText(rates.exitsPerSecond);
    const rows = rates.exits.slice(0, 12).map(({ reason, perSecond, count }) => {
      const cells = [reason, countText(perSecond), countText(count)];
      return element("tr", {}, ...cells.map((textContent) => element("td", { textContent })));
    });
    part("exit-table")
      .querySelector("tbody")
      ?.replaceChildren(...rows);
  }
}

const percent = (part: number, whole: number): string => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–");
