/**
 * A machine for tests of everything around machines: its kernel is a script of one command a line.
 *
 *   print TEXT        to COM1          echo          COM1 to COM1 until a byte 4 comes
 *   flood BYTES       to COM1          agent         plays the exec agent: "cat", "status N", else 127
 *   end REASON        ends the machine throw         fails as a bug would        spin   never looks at the host
 */
import { parentPort, workerData } from "node:worker_threads";
import { runMachineThread } from "#control/thread";
import {
  BootError,
  type MachineConfig,
  type MachineHost,
  type MachineOutcome,
  type MachineStats,
  type RunnableMachine,
  type Turn,
} from "#vm";
import { agentVersion, encodeFrame, type Frame, fromAgent, numbers, toAgent } from "../../control/agent/frames.ts";
import { nodeThread } from "../node-thread.ts";
import { awaitStart } from "../waiting-thread.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Each value ends a turn: whether there is something to do yet. */
type Script<T> = Generator<"busy" | "waits", T>;

class ScriptedMachine implements RunnableMachine {
  readonly #script = this.#run();
  readonly #host: MachineHost;
  readonly #lines: readonly string[];
  #instructions = 0;

  constructor(config: MachineConfig, host: MachineHost) {
    this.#host = host;
    this.#lines = decoder.decode(config.kernel as Uint8Array).split("\n");
    if (this.#lines[0] === "bad") throw new BootError("kernel: not a kernel");
  }

  turn(): Turn {
    const { done, value } = this.#script.next();
    if (done === true) return { outcome: value, nextNs: 0 };
    return { nextNs: value === "busy" ? 0 : Number.POSITIVE_INFINITY };
  }

  [Symbol.dispose](): void {}

  *#run(): Script<MachineOutcome> {
    for (const line of this.#lines) {
      this.#instructions++;
      const [command, rest = ""] = [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)];
      if (command === "print") this.#send(0, `${rest}\n`);
      else if (command === "flood") yield* this.#flood(Number(rest));
      else if (command === "report") this.#host.report("digest", rest);
      else if (command === "throw") throw new Error("a bug");
      else if (command === "spin") for (;;);
      else if (command === "end") return { reason: rest as MachineOutcome["reason"], detail: "" };
      else if (command === "echo" && !(yield* this.#echo())) return { reason: "stopped", detail: "" };
      else if (command === "agent" && !(yield* this.#agent())) return { reason: "stopped", detail: "" };
    }
    return { reason: "poweroff", detail: "" };
  }

  stats(): MachineStats {
    const exits = { lines: this.#instructions };
    return {
      guestInstructions: this.#instructions,
      tiers: [],
      blocksLifted: 0,
      blocksLearnt: 0,
      regionsKept: 0,
      regions: 0,
      wasmBytes: 0,
      tlbMisses: 0,
      pageWalks: 0,
      exits,
      framesTouched: 1,
    };
  }

  #send(port: number, text: string | Uint8Array): void {
    this.#host.serialOutput(port, typeof text === "string" ? encoder.encode(text) : text);
  }

  *#flood(bytes: number): Script<void> {
    for (let i = 0; i < bytes; i += 1024) {
      this.#send(0, "x".repeat(1024));
      yield "busy";
    }
  }

  /** The next bytes on a port; undefined when the machine is to stop. */
  *#receive(port: number, limit: number): Script<Uint8Array | undefined> {
    const target = new Uint8Array(limit);
    for (;;) {
      if (this.#host.poll()) return undefined;
      const count = this.#host.serialInput[port]?.read(target) ?? 0;
      if (count > 0) return target.subarray(0, count);
      yield "waits";
    }
  }

  *#echo(): Script<boolean> {
    for (;;) {
      const bytes = yield* this.#receive(0, 100);
      if (!bytes) return false;
      if (bytes.includes(4)) return true;
      this.#send(0, bytes.slice());
    }
  }

  /** The next frame on COM2; as the agent does, tells what was read. */
  *#frame(): Script<Frame | undefined> {
    const header = yield* this.#take(8);
    const payload = header && (yield* this.#take(new DataView(header.buffer).getUint32(0, true)));
    return header && payload && { kind: header[4] ?? 0, session: header[6] ?? 0, payload };
  }

  *#take(length: number): Script<Uint8Array<ArrayBuffer> | undefined> {
    const all = new Uint8Array(length);
    for (let have = 0; have < length; ) {
      const bytes = yield* this.#receive(1, Math.min(length - have, 1024));
      if (!bytes) return undefined;
      all.set(bytes, have);
      have += bytes.length;
      this.#send(1, encodeFrame(fromAgent.read, 0, numbers(bytes.length)));
    }
    return all;
  }

  /** One command at a time. */
  *#agent(): Script<boolean> {
    this.#send(1, encodeFrame(fromAgent.hello, 0, numbers(agentVersion)));
    for (;;) {
      const frame = yield* this.#frame();
      if (!frame) return false;
      if (frame.kind === toAgent.powerOff) return true;
      // Folder, shell, "-c", command.
      const command = decoder.decode(frame.payload.subarray(24)).split("\0")[3] ?? "";
      if (frame.kind === toAgent.start && !(yield* this.#execute(frame.session, command))) return false;
    }
  }

  *#execute(session: number, command: string): Script<boolean> {
    this.#send(1, encodeFrame(fromAgent.started, session, numbers(100)));
    let status = 127;
    if (command.startsWith("status ")) status = Number(command.slice(7));
    else if (command === "cat") status = 0;
    while (command === "cat") {
      const frame = yield* this.#frame();
      if (!frame) return false;
      if (frame.kind !== toAgent.input) continue;
      if (frame.payload.length === 0) break;
      this.#send(1, encodeFrame(fromAgent.output, session, frame.payload));
      this.#send(1, encodeFrame(fromAgent.taken, session, numbers(frame.payload.length)));
    }
    if (status === 127)
      this.#send(1, encodeFrame(fromAgent.errors, session, encoder.encode(`${command}: not found\n`)));
    this.#send(1, encodeFrame(fromAgent.exit, session, numbers(status << 8)));
    return true;
  }
}

if (parentPort) {
  void runMachineThread(
    awaitStart(parentPort, workerData).start,
    nodeThread(parentPort),
    (config, host) => new ScriptedMachine(config, host),
  );
}
