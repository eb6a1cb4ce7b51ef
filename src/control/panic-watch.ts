/**
 * Knows a kernel panic by what Linux prints on its console (kernel/panic.c): "Kernel panic - not syncing: REASON", the
 * state of the machine, then either a reset (`panic=` not 0) or "---[ end Kernel panic ..." and silence.
 *
 * A program in the guest can print the same words. So the first line counts only when a reset follows within the few
 * lines that a panic prints; the second counts at once, and a guest that fakes it stops just itself.
 */
const longestLine = 400;
/** Registers, a call trace and the modules' names fit. */
const linesOfPanic = 120;

const stamp = String.raw`^(?:<\d+>)?(?:\[[ \d.]+\](?:\[[^\]]*\])? )?`;
const begin = new RegExp(`${stamp}Kernel panic - not syncing: (.*)$`);
const end = new RegExp(String.raw`${stamp}---\[ end Kernel panic - not syncing: (.*?)(?: \]---)?$`);

export class PanicWatch {
  #line = "";
  #linesLeft = 0;
  #message = "";
  #over = false;

  /** What the guest printed on its console. */
  see(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte === 0x0a) this.#endLine();
      else if (byte !== 0x0d && this.#line.length < longestLine) this.#line += String.fromCharCode(byte);
    }
  }

  /** The panic's message, when one was printed just now: to be asked when the machine resets or stops. */
  get message(): string | undefined {
    return this.#linesLeft > 0 || this.#over ? this.#message : undefined;
  }

  /** The kernel has said that it will do nothing more. */
  get over(): boolean {
    return this.#over;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = "";
    if (this.#linesLeft > 0) this.#linesLeft--;
    const begun = begin.exec(line);
    if (begun) {
      this.#message = begun[1] ?? "";
      this.#linesLeft = linesOfPanic;
    }
    const ended = end.exec(line);
    if (ended) {
      this.#message = ended[1] ?? "";
      this.#over = true;
    }
  }
}
