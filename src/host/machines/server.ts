/** A running machine's socket: lets other processes of its owner run commands in it, copy files, see its console, stop it. */
import type { Server, Socket } from "node:net";
import { type GuestProcess, type MemoryQuestion, type SignalName, VmError } from "#control";
import { net } from "../late.ts";
import type { VirtualMachine } from "../virtual-machine.ts";
import { isAlive } from "./client.ts";
import { checkName, forget, forgetStale, markName, openFolder, socketOf } from "./folder.ts";
import { Connection, type MachineInfo, type Order, type Packet, packet, parseMessage, type Request } from "./wire.ts";

/** What is kept of the console for `memvisor logs`. */
const logBytes = 256 * 1024;

/** What is asked of a machine here. */
export type ServedMachine = Pick<
  VirtualMachine,
  | "console"
  | "exited"
  | "isFolder"
  | "memory"
  | "packTar"
  | "powerOff"
  | "ready"
  | "snapshot"
  | "spawn"
  | "stop"
  | "unpackTar"
>;

export type MachineFacts = Pick<MachineInfo, "name" | "image" | "memoryBytes" | "cpus">;

export class MachineServer implements Disposable {
  readonly #vm: ServedMachine;
  readonly #facts: MachineFacts;
  readonly #folder: string;
  readonly #server: Server;
  readonly #startedAt = Date.now();
  readonly #followers = new Set<(bytes: Uint8Array) => void>();
  #log: Buffer = Buffer.alloc(0);
  #ready = false;

  private constructor(vm: ServedMachine, facts: MachineFacts, folder: string, server: Server) {
    this.#vm = vm;
    this.#facts = facts;
    this.#folder = folder;
    this.#server = server;
    server.removeAllListeners("connection").on("connection", (socket) => void this.#serve(socket));
    vm.console.onOutput((bytes) => {
      this.#log = Buffer.concat([this.#log, bytes]).subarray(-logBytes);
      for (const follow of this.#followers) follow(bytes);
    });
    vm.ready().then(
      () => void (this.#ready = true),
      () => {},
    );
  }

  /** Requires: `reserve` gave the server for that name. */
  static open(vm: ServedMachine, facts: MachineFacts, reserved: Reserved): MachineServer {
    return new MachineServer(vm, facts, reserved.folder, reserved.server);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    forget(this.#folder, this.#facts.name);
  }

  async #serve(socket: Socket): Promise<void> {
    const connection = new Connection(socket);
    const packets = connection.packets();
    try {
      const first = await packets.next();
      const request = first.done ? undefined : parseMessage<Request>(first.value.payload);
      if (request) await connection.send({ done: (await this.#answer(request, connection, packets)) ?? null });
    } catch (error) {
      const { code, message } = error instanceof VmError ? error : new VmError("machine", String(error));
      await connection.send({ failed: { code, message } });
    } finally {
      connection.close();
    }
  }

  async #answer(request: Request, connection: Connection, packets: AsyncGenerator<Packet, void>): Promise<unknown> {
    switch (request.do) {
      case "info":
        return {
          ...this.#facts,
          pid: process.pid,
          startedAt: this.#startedAt,
          ready: this.#ready,
          pressure: this.#vm.memory.pressure,
          frameBytes: this.#vm.memory.held.frameBytes,
        } satisfies MachineInfo;
      case "stop":
        return this.#stop(request.timeoutMs);
      case "log":
        return this.#sendLog(request.follow, connection, packets);
      case "exec":
        return this.#exec(request, connection, packets);
      case "test":
        return (await this.#vm.isFolder(request.path)) satisfies boolean;
      case "snapshot":
        return this.#vm.snapshot(request.path, request.options);
      case "memory": {
        if (request.question.about === "limit") return this.#vm.memory.limit(request.question.bytes);
        const data = request.hasData && { data: await collected(streamOf(packets)) };
        const answer = await this.#vm.memory.ask({ ...request.question, ...data } as MemoryQuestion);
        if (!(answer instanceof Uint8Array)) return answer;
        await connection.stream(packet.stream, answer);
        return undefined;
      }
      case "put":
        return this.#vm.unpackTar(streamOf(packets), request.path);
      case "get":
        for await (const bytes of this.#vm.packTar(request.path)) await connection.stream(packet.stream, bytes);
        return undefined;
      default:
        throw new VmError("machine", "this machine's memvisor does not know that request: use the same version");
    }
  }

  async #stop(timeoutMs: number): Promise<string> {
    this.#vm.powerOff();
    const timer = setTimeout(() => void this.#vm.stop(), timeoutMs);
    const { reason } = await this.#vm.exited;
    clearTimeout(timer);
    return reason;
  }

  async #sendLog(follow: boolean, connection: Connection, packets: AsyncGenerator<Packet, void>): Promise<void> {
    let last: Promise<void> = Promise.resolve();
    let behind = 0;
    const send = (bytes: Uint8Array): void => {
      // A reader that does not read misses a part, and holds up nobody.
      if (behind > logBytes) return;
      behind += bytes.length;
      last = last.then(() => connection.stream(packet.stream, bytes)).then(() => void (behind -= bytes.length));
    };
    send(this.#log);
    if (follow) {
      this.#followers.add(send);
      await Promise.race([packets.next(), this.#vm.exited]);
      this.#followers.delete(send);
    }
    await last;
  }

  async #exec(
    { argv, options, input }: Extract<Request, { do: "exec" }>,
    connection: Connection,
    packets: AsyncGenerator<Packet, void>,
  ): Promise<unknown> {
    const given = new AbortController();
    // A client that leaves before its command runs wants none.
    const orders = followOrders(packets, given);
    const [program, ...args] = argv;
    const command = await this.#vm
      .spawn(program ?? "", args, { ...options, stdin: input, signal: given.signal })
      .catch((error: unknown) => {
        orders.attach(undefined);
        throw error;
      });
    orders.attach(command);
    await connection.send({ started: true });
    const relay = async (stream: AsyncIterable<Uint8Array>, kind: number): Promise<void> => {
      for await (const bytes of stream) await connection.stream(kind, bytes);
    };
    await Promise.all([relay(command.stdout, packet.stream), relay(command.stderr, packet.errors)]);
    return command.exited;
  }
}

/** Hands what the client sends to its command; when the client goes, so does the command. */
function followOrders(packets: AsyncGenerator<Packet, void>, gone: AbortController) {
  const command = Promise.withResolvers<GuestProcess | undefined>();
  const work = async (): Promise<void> => {
    for await (const { kind, payload } of packets) {
      const to = await command.promise;
      if (!to) return;
      if (kind === packet.stream) {
        if (payload.length > 0) await to.write(payload);
        else to.end();
        continue;
      }
      const order = parseMessage<Order>(payload);
      if (order && "signal" in order) to.kill(order.signal as SignalName);
      if (order && "resize" in order) to.resize(order.resize);
    }
    gone.abort();
    (await command.promise)?.kill("SIGKILL");
  };
  void work();
  return {
    /** Undefined when there will be no command. */
    attach: (to: GuestProcess | undefined): void => command.resolve(to),
  };
}

async function collected(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const bytes of stream) parts.push(bytes);
  return new Uint8Array(Buffer.concat(parts));
}

async function* streamOf(packets: AsyncGenerator<Packet, void>): AsyncGenerator<Uint8Array, void> {
  for await (const { kind, payload } of packets) {
    if (kind !== packet.stream) continue;
    if (payload.length === 0) return;
    yield payload;
  }
}

/** A machine's name, taken before the machine is there. */
export interface Reserved extends Disposable {
  readonly name: string;
  readonly folder: string;
  readonly server: Server;
}

/** Throws `VmError` when a machine of that name runs already. */
export async function reserve(name: string): Promise<Reserved> {
  checkName(name);
  const folder = openFolder();
  const socket = socketOf(folder, name);
  for (let attempt = 0; ; attempt++) {
    const server = net().createServer();
    // Until the machine is there nobody is answered.
    server.on("connection", (socket) => socket.destroy());
    const error = await listen(server, socket);
    if (!error) {
      markName(folder, name);
      return {
        name,
        folder,
        server,
        [Symbol.dispose]: () => {
          server.close();
          forget(folder, name);
        },
      };
    }
    if (error.code !== "EADDRINUSE") throw new VmError("machine", `${socket} cannot be listened at: ${error.message}`);
    if (attempt > 0 || (await isAlive(folder, name)) || !forgetStale(folder, name)) {
      throw new VmError(
        "machine",
        `a machine called ${name} runs already: memvisor stop ${name}, or choose another --name`,
      );
    }
  }
}

function listen(server: Server, socket: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once("error", resolve);
    server.listen(socket, () => resolve(undefined));
  });
}
