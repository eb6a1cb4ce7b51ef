/** What the person at the page chose, kept in the browser from visit to visit. */
export interface Settings {
  readonly image: string;
  readonly memoryMib: number;
  readonly cpus: number;
  /** With the disk that the browser keeps. */
  readonly disk: boolean;
  /** By which the guest has a network, as `memvisor relay` prints it; empty: no network. */
  readonly relay: string;
  /** More words for the kernel's command line. */
  readonly append: string;
  readonly autoStart: boolean;
  readonly screenReader: boolean;
}

const storageKey = "memvisor.settings";

const defaults: Settings = {
  image: "",
  memoryMib: 512,
  cpus: 1,
  disk: false,
  relay: "",
  append: "",
  autoStart: false,
  screenReader: false,
};

/** What was kept, with what the address says on top: `?image=debian-13-cloud&memory=256&cpus=2`. */
export function loadSettings(): Settings {
  const kept = parse(storage()?.getItem(storageKey) ?? "{}");
  const asked = new URLSearchParams(location.search);
  const number = (name: string): number | undefined => (asked.has(name) ? Number(asked.get(name)) : undefined);
  return sane({
    ...kept,
    ...withValues({
      image: asked.get("image") ?? undefined,
      memoryMib: number("memory"),
      cpus: number("cpus"),
      relay: asked.get("relay") ?? undefined,
      append: asked.get("append") ?? undefined,
      disk: asked.has("disk") ? true : undefined,
    }),
  });
}

/** Whether the address says to start at once; that is for this visit only. */
export const startAsked = (): boolean => new URLSearchParams(location.search).has("start");

export function keepSettings(settings: Settings): void {
  storage()?.setItem(storageKey, JSON.stringify(settings));
}

/** Everything of the right type; what is not, as if nobody had chosen. */
function sane(given: Partial<Record<keyof Settings, unknown>>): Settings {
  const entries = Object.entries(defaults).map(([name, usual]) => {
    const value = given[name as keyof Settings];
    const good = typeof value === typeof usual && !(typeof value === "number" && !Number.isSafeInteger(value));
    return [name, good ? value : usual];
  });
  return Object.fromEntries(entries) as Settings;
}

function withValues(values: Partial<Record<keyof Settings, unknown>>): Partial<Record<keyof Settings, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function parse(text: string): Partial<Record<keyof Settings, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Absent where the browser keeps nothing for this page; asking is an error then. */
function storage(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
