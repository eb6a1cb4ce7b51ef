/** A command that runs in the guest, as its owner holds it: streams, signals, and how it ended. */
import type { VmError } from "../vm-api.ts";
import { ByteQueue } from "./byte-queue.ts";
import {
  fromAgent,
  inputWindow,
  numberAt,
  numbers,
  outputWindow,
  shapePayload,
  type TerminalShape,
  toAgent,
} from "./frames.ts";
import { type SignalName, signalName, signalNumbers } from "./signals.ts";

export interface ProcessEnd {
  /** What the program gave to exit(2); 128 and the signal's number where a signal ended it, as shells say it. */
  readonly status: number;
  /** The signal that ended it. */
  readonly signal?: string;
}

/** So much goes into one frame, that no command waits long for another's. */
const pieceSize = 16 * 1024;
/** Credit is given back in portions of so much. */
const creditPortion = outputWindow / 4;

export type SendFrame = (kind: number, payload?: Uint8Array) => void;

export class GuestProcess {
  /** Its number in the guest. */
  pid = 0;
  /** What it prints: read it, or the command waits when some hundred KiB are unread; `discard` it if it is of no use. */
  readonly stdout: ByteQueue;
  readonly stderr: ByteQueue;
  /** Rejected only when the machine or its agent ended before the command did. */
  readonly exited: Promise<ProcessEnd>;
  readonly #send: SendFrame;
  readonly #exited = Promise.withResolvers<ProcessEnd>();
  #inputRoom = inputWindow;
  #inputEnded: boolean;
  #roomWaiters: (() => void)[] = [];
  #lastWrite: Promise<void> = Promise.resolve();
  /** Bytes of output and errors that the agent may still send. */
  readonly #outputRoom = [outputWindow, outputWindow];
  readonly #unreturned = [0, 0];
  #over = false;

  constructor(send: SendFrame, hasInput: boolean) {
    this.#send = send;
    this.#inputEnded = !hasInput;
    this.exited = this.#exited.promise;
    this.exited.catch(() => {});
    this.stdout = new ByteQueue((count) => this.#giveCredit(0, count));
    this.stderr = new ByteQueue((count) => this.#giveCredit(1, count));
  }

  /** Bytes for its standard input; resolved when they are on their way, which a command that does not read delays. */
  write(bytes: Uint8Array): Promise<void> {
    this.#lastWrite = this.#lastWrite.then(() => this.#writeNow(bytes));
    return this.#lastWrite;
  }

  /** The end of its standard input, behind what was written. */
  end(): void {
    void this.#lastWrite.then(() => {
      if (!this.#over && !this.#inputEnded) this.#send(toAgent.input);
      this.#inputEnded = true;
    });
  }

  /** To the command and all that it started and that is still in its process group. */
  kill(signal: SignalName | number = "SIGTERM"): void {
    const number = typeof signal === "number" ? signal : signalNumbers[signal];
    if (!this.#over) this.#send(toAgent.signal, numbers(number));
  }

  /** Of a command with a terminal. */
  resize(shape: TerminalShape): void {
    if (!this.#over) this.#send(toAgent.resize, shapePayload(shape));
  }

  /** What the agent says of this command. Whether it keeps to the protocol. */
  receive(kind: number, payload: Uint8Array): boolean {
    switch (kind) {
      case fromAgent.output:
        return this.#takeOutput(0, payload);
      case fromAgent.errors:
        return this.#takeOutput(1, payload);
      case fromAgent.taken:
        this.#inputRoom = Math.min(inputWindow, this.#inputRoom + numberAt(payload, 0));
        this.#wakeWriters();
        return true;
      case fromAgent.exit:
        this.#finish(endOf(numberAt(payload, 0)));
        return true;
      default:
        return true;
    }
  }

  /** There will be no more of it: the machine ended, or its agent. */
  fail(error: VmError): void {
    if (this.#over) return;
    this.#over = true;
    this.stdout.end(error);
    this.stderr.end(error);
    this.#wakeWriters();
    this.#exited.reject(error);
  }

  async #writeNow(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.#over && !this.#inputEnded) {
      if (this.#inputRoom === 0) {
        await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
        continue;
      }
      const piece = rest.subarray(0, Math.min(this.#inputRoom, pieceSize));
      this.#inputRoom -= piece.length;
      this.#send(toAgent.input, piece);
      rest = rest.subarray(piece.length);
    }
  }

  #wakeWriters(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  #takeOutput(stream: 0 | 1, payload: Uint8Array): boolean {
    this.#outputRoom[stream] -= payload.length;
    if (this.#outputRoom[stream] < 0) return false;
    if (payload.length > 0) (stream === 0 ? this.stdout : this.stderr).push(payload.slice());
    return true;
  }

  #giveCredit(stream: 0 | 1, count: number): void {
    this.#unreturned[stream] += count;
    if (this.#over || this.#unreturned[stream] < creditPortion) return;
    const credit = this.#unreturned[stream];
    this.#unreturned[stream] = 0;
    this.#outputRoom[stream] += credit;
    this.#send(toAgent.credit, stream === 0 ? numbers(credit, 0) : numbers(0, credit));
  }

  #finish(end: ProcessEnd): void {
    this.#over = true;
    this.stdout.end();
    this.stderr.end();
    this.#wakeWriters();
    this.#exited.resolve(end);
  }
}

/** wait(2): the low seven bits are the signal, 0 for an exit whose status is the byte above. */
function endOf(status: number): ProcessEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { status: (status >>> 8) & 0xff } : { status: 128 + signal, signal: signalName(signal) };
}
