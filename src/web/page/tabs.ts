/** Tabs as the ARIA practices have them: arrows walk, Home and End jump, what is walked to is shown. */
export class Tabs {
  readonly #tabs: readonly HTMLElement[];

  constructor(list: HTMLElement) {
    this.#tabs = [...list.querySelectorAll<HTMLElement>('[role="tab"]')];
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.show(tab.id));
    list.addEventListener("keydown", (event) => {
      const at = this.#tabs.indexOf(document.activeElement as HTMLElement);
      const count = this.#tabs.length;
      const moves: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1 + count, Home: 0, End: count - 1 };
      if (at < 0 || !(event.key in moves)) return;
      event.preventDefault();
      const next = this.#tabs[moves[event.key] % count];
      this.show(next.id);
      next.focus();
    });
  }

  show(id: string): void {
    for (const tab of this.#tabs) {
      const chosen = tab.id === id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      const panel = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (panel) panel.hidden = !chosen;
      if (chosen) tab.dispatchEvent(new Event("shown"));
    }
  }
}
