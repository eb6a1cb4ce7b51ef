/** The other end of a running machine's socket. */
import {
  type MemoryAnswer,
  type MemoryQuestion,
  type ProcessEnd,
  type ProcessOptions,
  type SnapshotOptions,
  type SnapshotSummary,
  VmError,
} from "#control";
import { net } from "../late.ts";
import { checkName, forgetStale, namesIn, openFolder, socketOf } from "./folder.ts";
import { Connection, type MachineInfo, type Order, packet, parseMessage, type Reply, type Request } from "./wire.ts";

export interface RemoteCommand {
  readonly argv: readonly string[];
  readonly options: Omit<ProcessOptions, "signal">;
  readonly stdin?: AsyncIterable<Uint8Array>;
  onStdout(bytes: Uint8Array): void | Promise<void>;
  onStderr(bytes: Uint8Array): void | Promise<void>;
  /** Called with what sends orders, when the command runs. */
  onStarted?(order: (order: Order) => void): void;
}

/** The machines that run; what is left of others is cleaned up. */
export async function listMachines(): Promise<MachineInfo[]> {
  const folder = openFolder();
  const found = await Promise.all(
    namesIn(folder).map((name) =>
      new RemoteMachine(name).info().catch(async (error: unknown) => {
        if (!(error instanceof VmError)) throw error;
        if (!(await isAlive(folder, name))) forgetStale(folder, name);
        return undefined;
      }),
    ),
  );
  return found.filter((each) => each !== undefined);
}

export async function isAlive(folder: string, name: string): Promise<boolean> {
  const socket = await open(folder, name);
  socket?.close();
  return socket !== undefined;
}

/** A machine of this user by its name. Every call throws `VmError`: "machine" where there is none of that name. */
export class RemoteMachine {
  readonly #name: string;
  readonly #folder = openFolder();

  constructor(name: string) {
    checkName(name);
    this.#name = name;
  }

  info(): Promise<MachineInfo> {
    return this.#ask({ do: "info" }) as Promise<MachineInfo>;
  }

  /** Asks the guest to power itself off, and pulls the plug when it did not after so long. Gives back how it ended. */
  stop(timeoutMs: number): Promise<string> {
    return this.#ask({ do: "stop", timeoutMs }) as Promise<string>;
  }

  /** Writes the machine to a file of this host, by its absolute path. */
  snapshot(path: string, options: SnapshotOptions): Promise<SnapshotSummary> {
    return this.#ask({ do: "snapshot", path, options }) as Promise<SnapshotSummary>;
  }

  async memory<Q extends MemoryQuestion>(question: Q): Promise<MemoryAnswer<Q>> {
    const parts: Uint8Array[] = [];
    const onStdout = (bytes: Uint8Array): void => void parts.push(bytes);
    const { data, ...rest } = "data" in question ? question : { data: undefined, ...question };
    const request: Request = { do: "memory", question: rest as MemoryQuestion, ...(data && { hasData: true }) };
    const done = await this.#ask(request, { onStdout, ...(data && { stdin: once(data) }) });
    return (question.about === "read" ? new Uint8Array(Buffer.concat(parts)) : done) as MemoryAnswer<Q>;
  }

  async log(follow: boolean, receive: (bytes: Uint8Array) => void | Promise<void>): Promise<void> {
    await this.#ask({ do: "log", follow }, { onStdout: receive });
  }

  async exec(command: RemoteCommand): Promise<ProcessEnd> {
    const { argv, options, stdin } = command;
    const request: Request = { do: "exec", argv, options, input: stdin !== undefined };
    return (await this.#ask(request, command)) as ProcessEnd;
  }

  isFolder(path: string): Promise<boolean> {
    return this.#ask({ do: "test", path }) as Promise<boolean>;
  }

  async unpackTar(archive: AsyncIterable<Uint8Array>, folder: string): Promise<void> {
    await this.#ask({ do: "put", path: folder }, { stdin: archive });
  }

  /** A file or a folder as an archive. Fails at its end. */
  async *packTar(path: string): AsyncGenerator<Uint8Array, void> {
    const connection = await this.#connect();
    await connection.send({ do: "get", path });
    try {
      for await (const { kind, payload } of connection.packets()) {
        if (kind === packet.stream) yield payload;
        else if (ended(parseMessage<Reply>(payload))) return;
      }
    } finally {
      connection.close();
    }
    throw this.#lost();
  }

  async #ask(request: Request, streams: Partial<RemoteCommand> = {}): Promise<unknown> {
    const connection = await this.#connect();
    await connection.send(request);
    let over = false;
    let broken: unknown;
    const feed = async (): Promise<void> => {
      if (!streams.stdin) return;
      for await (const bytes of streams.stdin) {
        if (over) return;
        await connection.stream(packet.stream, bytes);
      }
      await connection.endStream();
    };
    // An archive can be sent at once; a command's input waits in the machine.
    void feed().catch((error: unknown) => {
      broken = error;
      connection.close();
    });
    try {
      for await (const { kind, payload } of connection.packets()) {
        if (kind === packet.stream) await streams.onStdout?.(payload);
        else if (kind === packet.errors) await streams.onStderr?.(payload);
        else {
          const reply = parseMessage<Reply>(payload);
          if (reply && "started" in reply) streams.onStarted?.((order) => void connection.send(order));
          if (ended(reply)) return reply.done;
        }
      }
    } finally {
      over = true;
      connection.close();
    }
    throw broken ?? this.#lost();
  }

  async #connect(): Promise<Connection> {
    const connection = await open(this.#folder, this.#name);
    if (connection) return connection;
    throw new VmError("machine", `no machine called ${this.#name} runs: memvisor ps shows those that do`);
  }

  #lost(): VmError {
    return new VmError("ended", `the machine ${this.#name} ended before it answered`);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** Whether that was the last of the answer; throws what went wrong. */
function ended(reply: Reply | undefined): reply is { done: unknown } {
  if (reply && "failed" in reply) throw new VmError(reply.failed.code, reply.failed.message);
  return reply !== undefined && "done" in reply;
}

/** Undefined when nobody listens. */
function open(folder: string, name: string): Promise<Connection | undefined> {
  return new Promise((resolve) => {
    const socket = net().connect(socketOf(folder, name));
    socket.once("connect", () => resolve(new Connection(socket)));
    socket.once("error", () => resolve(undefined));
  });
}
