/**
 * The host's half of running commands in a guest, as a pure state machine over three serial ports.
 *
 *   input/output port  the command's standard input (to the guest) and standard output (from it)
 *   errors port        its standard error
 *   control port       lines. From the guest: "ready", "want", "exit STATUS". To it: "exec", "size ROWS COLUMNS", "poweroff"
 *
 * A stream to the guest is cut into pieces: "LENGTH\n" and as many bytes, ended by "0\n". One piece is sent for each "want",
 * so the guest never holds more than it can. After "exec" come two streams, the command's text and its input; the second
 * is ended at the latest when "exit" comes. The guest reads up to that end before it is "ready" again: both sides always
 * agree on where they are, whatever a command did with its input.
 *
 * Law: any bytes from the guest are accepted; what makes no sense is passed over. Held at any time: one line and what the
 * caller gave and the guest has not asked for.
 *
 * The guest's half is `images/guest/init.ts`.
 */
export type ExecPort = "stdio" | "stderr" | "control";

export interface ExecEvents {
  /** Bytes for the guest, in order. */
  send(port: "stdio" | "control", bytes: Uint8Array): void;
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
  /** The guest takes a command now: once after boot, and again after each command. */
  ready(): void;
  /** The command asks for input and there is none left: call `input` or `endInput`. */
  wantInput(): void;
  exit(status: number): void;
}

/** Two of these and their headers always fit a guest's serial buffers. */
const pieceSize = 4096;
const longestLine = 256;
/** Linux passes at most 128 KiB as one argument (MAX_ARG_STRLEN). */
const longestCommand = 128 * 1024 - 1;

type Phase = "booting" | "ready" | "command" | "running" | "finishing";

const encoder = new TextEncoder();

export class ExecProtocol {
  readonly #events: ExecEvents;
  #phase: Phase = "booting";
  #line = "";
  /** What is to be sent, first piece first. */
  #queue: Uint8Array[] = [];
  #ended = false;
  #wanted = false;
  #streamOpen = false;

  constructor(events: ExecEvents) {
    this.#events = events;
  }

  /** Requires: the guest is ready. Whether the command was taken: one that is too long, or holds a NUL, is not. */
  exec(command: string): boolean {
    const text = encoder.encode(command);
    if (this.#phase !== "ready" || text.length > longestCommand || text.includes(0)) return false;
    this.#startPhase("command");
    this.#queue = [text];
    this.#ended = true;
    this.#control("exec");
    return true;
  }

  /** More of the command's input. Before the command runs, and after its end, it is dropped. */
  input(bytes: Uint8Array): void {
    if (this.#phase !== "running" || this.#ended || bytes.length === 0) return;
    this.#queue.push(bytes.slice());
    this.#sendPiece();
  }

  endInput(): void {
    if (this.#phase !== "running") return;
    this.#ended = true;
    this.#sendPiece();
  }

  /** Tells the console's terminal its size. */
  resize(rows: number, columns: number): void {
    if (this.#phase !== "booting") this.#control(`size ${rows} ${columns}`);
  }

  powerOff(): void {
    if (this.#phase !== "booting") this.#control("poweroff");
  }

  /** Bytes that the guest wrote to a port. */
  receive(port: ExecPort, bytes: Uint8Array): void {
    switch (port) {
      case "stdio":
        if (this.#phase === "running") this.#events.stdout(bytes);
        return;
      case "stderr":
        if (this.#phase === "running") this.#events.stderr(bytes);
        return;
      case "control":
        for (const byte of bytes) this.#controlByte(byte);
    }
  }

  #controlByte(byte: number): void {
    if (byte !== 0x0a) {
      // One character more than is allowed marks a line that is too long.
      if (this.#line.length <= longestLine) this.#line += String.fromCharCode(byte);
      return;
    }
    const line = this.#line;
    this.#line = "";
    if (line.length <= longestLine) this.#controlLine(line.trim());
  }

  #controlLine(line: string): void {
    const status = /^exit (\d{1,3})$/.exec(line)?.[1];
    if (line === "ready") this.#onReady();
    else if (line === "want") this.#onWant();
    else if (status !== undefined) this.#onExit(Number(status) & 0xff);
  }

  #onReady(): void {
    // A guest that was reset says it at any time: then everything begins anew.
    this.#startPhase("ready");
    this.#streamOpen = false;
    this.#events.ready();
  }

  #onWant(): void {
    if (!this.#streamOpen) return;
    this.#wanted = true;
    this.#sendPiece();
    if (this.#wanted && this.#phase === "running") this.#events.wantInput();
  }

  #onExit(status: number): void {
    if (this.#phase !== "running") return;
    const open = this.#streamOpen;
    this.#startPhase("finishing");
    if (open) this.#sendEnd();
    this.#events.exit(status);
  }

  #sendPiece(): void {
    if (!this.#wanted) return;
    const first = this.#queue[0];
    if (first === undefined || first.length === 0) {
      if (!this.#ended) return;
      this.#wanted = false;
      this.#sendEnd();
      if (this.#phase === "command") this.#startPhase("running");
      return;
    }
    this.#wanted = false;
    const piece = first.subarray(0, pieceSize);
    if (piece.length === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(pieceSize);
    this.#events.send("stdio", encoder.encode(`${piece.length}\n`));
    this.#events.send("stdio", piece);
  }

  #sendEnd(): void {
    this.#streamOpen = false;
    this.#events.send("stdio", encoder.encode("0\n"));
  }

  #startPhase(phase: Phase): void {
    this.#phase = phase;
    this.#queue = [];
    this.#ended = false;
    this.#wanted = false;
    this.#streamOpen = phase === "command" || phase === "running";
  }

  #control(line: string): void {
    this.#events.send("control", encoder.encode(`${line}\n`));
  }
}
