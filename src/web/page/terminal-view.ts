/** The console: a terminal that fills its place and takes the page's theme. */
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import type { SerialPort } from "#control";

const encoder = new TextEncoder();

/** Colours of text that are read on the ground they stand on. */
const themes = {
  dark: { background: "#0b0e13", foreground: "#dfe4ec", cursor: "#748ffc", selectionBackground: "#3b4a78" },
  light: {
    background: "#fbfbfd",
    foreground: "#1b1f27",
    cursor: "#3b5bdb",
    selectionBackground: "#c9d3f8",
    yellow: "#946800",
    brightYellow: "#946800",
    green: "#2b7a3c",
    brightGreen: "#2b7a3c",
    cyan: "#0b7285",
    brightCyan: "#0b7285",
    white: "#5b6472",
    brightWhite: "#1b1f27",
  },
} as const;

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export class TerminalView {
  readonly #terminal = new Terminal({
    cursorBlink: true,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    fontSize: 14,
    // Below, some fonts lose their underscores.
    lineHeight: 1.15,
    scrollback: 10_000,
    theme: themes.dark,
  });
  readonly #fit = new FitAddon();
  #port: SerialPort | undefined;
  #detach = () => {};
  #resized: (size: TerminalSize) => void = () => {};

  /** `leave`: the person wants to be elsewhere on the page. */
  constructor(place: HTMLElement, leave: () => void) {
    const terminal = this.#terminal;
    terminal.loadAddon(this.#fit);
    terminal.open(place);
    terminal.attachCustomKeyEventHandler((event) => !this.#isOurs(event, leave));
    terminal.onData((text) => this.#send(encoder.encode(text)));
    terminal.onBinary((text) => this.#send(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    terminal.onResize(({ rows, cols: columns }) => this.#resized({ rows, columns }));
    new ResizeObserver(() => this.#fit.fit()).observe(place);
    this.#fit.fit();
  }

  get size(): TerminalSize {
    return { rows: this.#terminal.rows, columns: this.#terminal.cols };
  }

  /** Shows what comes from `port` from now on, and sends it what is typed. */
  attach(port: SerialPort, resized: (size: TerminalSize) => void): void {
    this.#detach();
    this.#terminal.reset();
    this.#port = port;
    this.#resized = resized;
    // The guest waits for a terminal that is far behind.
    this.#detach = port.onOutput((bytes) => new Promise((taken) => this.#terminal.write(bytes, taken)));
  }

  /** What is shown stays, and what is typed goes nowhere. */
  detach(): void {
    this.#port = undefined;
    this.#resized = () => {};
  }

  focus(): void {
    this.#terminal.focus();
  }

  set dark(dark: boolean) {
    this.#terminal.options.theme = dark ? themes.dark : themes.light;
  }

  /** Whether each line is told to screen readers, which costs time. */
  set screenReader(on: boolean) {
    this.#terminal.options.screenReaderMode = on;
  }

  #send(bytes: Uint8Array): void {
    void this.#port?.write(bytes);
  }

  #isOurs(event: KeyboardEvent, leave: () => void): boolean {
    const { key, ctrlKey, shiftKey, metaKey, type } = event;
    if (key === "F6") {
      if (type === "keydown") leave();
      event.preventDefault();
      return true;
    }
    const both = (ctrlKey && shiftKey) || metaKey;
    // The browser pastes by itself, and the terminal takes it from there.
    if (both && key.toLowerCase() === "v") return true;
    if (!(both && key.toLowerCase() === "c") || !this.#terminal.hasSelection()) return false;
    if (type === "keydown") void navigator.clipboard.writeText(this.#terminal.getSelection());
    event.preventDefault();
    return true;
  }
}
