/**
 * What is said over a machine's socket, both ways: packets of u32 length, u8 kind, then the payload.
 *
 *   0 a message, JSON     1 standard input, output, an archive or a log     2 standard errors
 *
 * A connection is one request: the client's first packet is a `Request`, and the last one of the machine `done` or `failed`. An empty
 * packet of kind 1 from the client is the end of its input. docs/library.md has it in words.
 */
import type { Socket } from "node:net";
import type { MemoryQuestion, ProcessOptions, SnapshotOptions, VmErrorCode, VmPressure } from "#control";

export const packet = { message: 0, stream: 1, errors: 2 } as const;

export type Request =
  | { readonly do: "info" }
  | { readonly do: "stop"; readonly timeoutMs: number }
  | { readonly do: "log"; readonly follow: boolean }
  | {
      readonly do: "exec";
      readonly argv: readonly string[];
      readonly options: Omit<ProcessOptions, "signal">;
      readonly input: boolean;
    }
  | { readonly do: "put"; readonly path: string; readonly isFolder?: boolean }
  | { readonly do: "get"; readonly path: string }
  | { readonly do: "test"; readonly path: string }
  | { readonly do: "snapshot"; readonly path: string; readonly options: SnapshotOptions }
  /** `data` of a question, and an answer that is bytes, go as packets of kind 1. */
  | { readonly do: "memory"; readonly question: MemoryQuestion; readonly hasData?: true };

/** From the client, while its command runs. */
export type Order =
  | { readonly signal: string }
  | { readonly resize: { readonly rows: number; readonly columns: number } };

export type Reply =
  | { readonly started: true }
  | { readonly done: unknown }
  | { readonly failed: { readonly code: VmErrorCode; readonly message: string } };

export interface MachineInfo {
  readonly name: string;
  readonly image: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Whether it takes commands. */
  readonly ready: boolean;
  /** How its memory is off. */
  readonly pressure: VmPressure;
  /** In frames. */
  readonly frameBytes: number;
}

export interface Packet {
  readonly kind: number;
  readonly payload: Buffer;
}

const headerSize = 5;
const largestPacket = 4 << 20;
const pieceSize = 1 << 16;

export class Connection {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    // A connection that ends is seen by who reads it.
    socket.on("error", () => {});
  }

  send(message: Request | Order | Reply): Promise<void> {
    return this.#write(packet.message, Buffer.from(JSON.stringify(message)));
  }

  /** Resolved when the other side has taken enough of it. Nothing is sent for no bytes. */
  async stream(kind: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceSize) await this.#write(kind, bytes.subarray(at, at + pieceSize));
  }

  endStream(): Promise<void> {
    return this.#write(packet.stream, Buffer.alloc(0));
  }

  close(): void {
    this.#socket.end();
  }

  /** All packets; ends with the connection, also when the other side goes in the middle of one. */
  async *packets(): AsyncGenerator<Packet, void> {
    let held: Buffer = Buffer.alloc(0);
    try {
      // A reader that has what it wants goes on answering.
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer]);
        while (held.length >= headerSize) {
          const size = held.readUInt32LE(0);
          if (size > largestPacket) return;
          if (held.length < headerSize + size) break;
          yield { kind: held[4], payload: held.subarray(headerSize, headerSize + size) };
          held = held.subarray(headerSize + size);
        }
      }
    } catch {
      // As an end.
    }
  }

  async #write(kind: number, payload: Uint8Array): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    const header = Buffer.alloc(headerSize);
    header.writeUInt32LE(payload.length, 0);
    header[4] = kind;
    if (this.#socket.write(Buffer.concat([header, payload]))) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }
}

export function parseMessage<T>(payload: Buffer): T | undefined {
  try {
    return JSON.parse(payload.toString()) as T;
  } catch {
    return undefined;
  }
}
