/**
 * The keys that are for memvisor and not for the guest: Ctrl-A, then one more.
 *
 * Law: what is not an escape goes to the guest unchanged and in order, however the bytes are cut into pieces.
 */
const ctrlA = 0x01;

export type EscapeCommand = "quit" | "help" | "save";

export const keysHelp = `Ctrl-A h  this help
Ctrl-A s  save the machine to a file, for "memvisor restore"
Ctrl-A x  end the machine as if its plug were pulled
Ctrl-A a  send Ctrl-A to the guest (Ctrl-A Ctrl-A too)`;

export class EscapeKeys {
  #escaped = false;

  /** Splits what was typed into bytes for the guest and commands for us, in order. */
  *feed(bytes: Uint8Array): Generator<Uint8Array | EscapeCommand> {
    let start = 0;
    for (let i = 0; i < bytes.length; i++) {
      if (this.#escaped) {
        this.#escaped = false;
        yield this.#second(bytes[i] as number);
        start = i + 1;
      } else if (bytes[i] === ctrlA) {
        if (i > start) yield bytes.subarray(start, i);
        this.#escaped = true;
        start = i + 1;
      }
    }
    if (start < bytes.length) yield bytes.subarray(start);
  }

  #second(key: number): Uint8Array | EscapeCommand {
    switch (String.fromCharCode(key).toLowerCase()) {
      case "x":
        return "quit";
      case "s":
        return "save";
      case "h":
      case "?":
        return "help";
      case "a":
      case "\x01":
        return Uint8Array.of(ctrlA);
      default:
        // No key of ours: the guest gets both.
        return Uint8Array.of(ctrlA, key);
    }
  }
}
