/** Named ports of the guest's virtio console, as the owner sees them; `/sys/class/virtio-ports` has the names in the guest. */
import type { GuestStream, GuestStreams } from "./guest-streams.ts";
import { VmError } from "./vm-api.ts";

/** One port. It appears in the guest when `onOpen` is first called. */
export interface GuestPort {
  readonly name: string;
  /**
   * `take` is given a stream each time that a program in the guest opens the port; the stream lasts until it is closed there. A
   * program has the port alone. Returns what ends the subscription; one subscriber a port.
   */
  onOpen(take: (stream: GuestStream) => void): () => void;
}

/** Two queues a port, and a page of the device's registers holds 1024 of them; a driver wants memory for each. */
const maxPorts = 128;

/** What is wrong with a list of ports; undefined when nothing is. */
export function portsProblem(names: readonly string[]): string | undefined {
  if (names.length > maxPorts) return `a machine has at most ${maxPorts}`;
  const bad = names.find((name) => !/^[\x21-\x7e]{1,100}$/.test(name) || name === "hvc0");
  if (bad !== undefined)
    return `${JSON.stringify(bad)} is no name: 1 to 100 printable characters without blanks, not hvc0`;
  return new Set(names).size < names.length ? "a name is there twice" : undefined;
}

export class GuestPorts {
  readonly #streams: GuestStreams;
  readonly #names: ReadonlySet<string>;

  constructor(streams: GuestStreams, names: readonly string[]) {
    this.#streams = streams;
    this.#names = new Set(names.length > 0 ? ["hvc0", ...names] : []);
  }

  port(name: string): GuestPort {
    if (!this.#names.has(name)) {
      throw new VmError("option", `the machine has no port ${name}: name it in the option "ports"`);
    }
    return {
      name,
      onOpen: (take) => {
        const off = this.#streams.listen(`console/${name}`, take);
        if (off === undefined) throw new VmError("option", `the port ${name} has a subscriber already`);
        return off;
      },
    };
  }
}
