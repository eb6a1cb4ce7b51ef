/** Light or dark: as the system has it, until somebody chooses here. */
const storageKey = "memvisor.theme";

export class Theme {
  readonly #system = matchMedia("(prefers-color-scheme: dark)");
  readonly #changed: (dark: boolean) => void;

  /** `changed` is called at once, and again whenever it is another. */
  constructor(changed: (dark: boolean) => void) {
    this.#changed = changed;
    const kept = keptTheme();
    if (kept !== undefined) document.documentElement.dataset.theme = kept;
    this.#system.addEventListener("change", () => changed(this.dark));
    changed(this.dark);
  }

  get dark(): boolean {
    const chosen = document.documentElement.dataset.theme;
    return chosen === undefined ? this.#system.matches : chosen === "dark";
  }

  toggle(): void {
    const theme = this.dark ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(storageKey, theme);
    } catch {
      // The browser keeps nothing for this page: it holds until the page is closed.
    }
    this.#changed(this.dark);
  }
}

function keptTheme(): "light" | "dark" | undefined {
  try {
    const kept = localStorage.getItem(storageKey);
    return kept === "light" || kept === "dark" ? kept : undefined;
  } catch {
    return undefined;
  }
}
