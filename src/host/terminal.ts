/**
 * The terminal that the program was started in, in raw mode: every key goes to the guest, Ctrl-C too.
 *
 * Law: however the process ends, short of SIGKILL, the terminal is as it was before; while the process is stopped by
 * SIGTSTP likewise.
 */
import type { ReadStream, WriteStream } from "node:tty";

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What a guest's screen program may have left behind: attributes off, cursor shown, lines wrap. */
const sane = "\x1b[0m\x1b[?25h\x1b[?7h";

export class Terminal {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  #raw = false;
  readonly #restore = () => this.#setRaw(false);
  readonly #suspend = () => {
    this.#setRaw(false);
    process.kill(process.pid, "SIGSTOP");
  };
  readonly #resume = () => this.#setRaw(true);

  /** Whether a person sits at both ends. */
  static available(): boolean {
    return process.stdin.isTTY && process.stdout.isTTY;
  }

  /** Goes raw at once. Requires: `available()`. */
  constructor(input: ReadStream = process.stdin as ReadStream, output: WriteStream = process.stdout as WriteStream) {
    this.#input = input;
    this.#output = output;
    process.on("exit", this.#restore);
    process.on("SIGTSTP", this.#suspend);
    process.on("SIGCONT", this.#resume);
    this.#setRaw(true);
  }

  get size(): TerminalSize {
    return { rows: this.#output.rows, columns: this.#output.columns };
  }

  onResize(receive: (size: TerminalSize) => void): void {
    this.#output.on("resize", () => receive(this.size));
  }

  onInput(receive: (bytes: Uint8Array) => void): void {
    this.#input.on("data", receive);
  }

  [Symbol.dispose](): void {
    this.#setRaw(false);
    process.off("exit", this.#restore);
    process.off("SIGTSTP", this.#suspend);
    process.off("SIGCONT", this.#resume);
    this.#input.removeAllListeners("data");
    this.#output.removeAllListeners("resize");
    this.#input.pause();
  }

  #setRaw(raw: boolean): void {
    if (raw === this.#raw) return;
    this.#raw = raw;
    this.#input.setRawMode(raw);
    if (!raw) this.#output.write(sane);
  }
}
