/**
 * The files of one machine's memory:
 *
 *     mem            guest-physical memory: what is no RAM, or was never touched, is a hole
 *     map            its ranges, RAM and devices
 *     slots/0x…/     each range by itself: `range`, `kind`, `object`, and `mem` where it is RAM
 *     dirty/         logs of the pages that are stored to, a file each, made and removed by who reads them
 *     stats, stats.json, ages, pressure
 *
 * A text is made when it is opened. docs/memory-files.md says how people use them.
 */
import type { MemoryAnswer, MemoryQuestion, MemorySlot, PageRange, Refusal } from "#vm";
import {
  type FolderEntry,
  type MemoryFile,
  MemoryFileError,
  type MemoryFolder,
  type MemoryNode,
  type OpenMemoryFile,
} from "./node.ts";
import { ageLines, mapLines, rangeText, textOf, valueLines } from "./text.ts";

/** Asks the machine. */
export type AskMemory = <Q extends MemoryQuestion>(question: Q) => Promise<MemoryAnswer<Q>>;

/** A question goes through a ring of shared memory, in text. */
const mostBytesWritten = 8192;

export function memoryTree(ask: AskMemory): MemoryFolder {
  const stats = () => ask({ about: "stats" });
  return fixedFolder({
    mem: memoryFile(ask, () => wholeRange(ask)),
    map: textFile(async () => textOf(mapLines(await ask({ about: "map" })))),
    slots: slotsFolder(ask),
    dirty: logsFolder(ask),
    stats: textFile(async () => textOf(valueLines(await stats()))),
    "stats.json": textFile(async () => `${JSON.stringify(await stats(), undefined, 2)}\n`),
    ages: textFile(async () => textOf(ageLines(await stats()))),
    pressure: textFile(async () => textOf(valueLines((await stats()).pressure))),
  });
}

/** From address 0 to the end of RAM. */
async function wholeRange(ask: AskMemory): Promise<PageRange> {
  const slots = await ask({ about: "map" });
  return { gpa: 0, bytes: Math.max(...slots.filter(isRam).map(({ gpa, bytes }) => gpa + bytes)) };
}

const isRam = ({ kind }: MemorySlot): boolean => kind === "ram";

export function fixedFolder(nodes: Readonly<Record<string, MemoryNode>>): MemoryFolder {
  return {
    kind: "folder",
    entries: async () => Object.entries(nodes).map(([name, { kind }]) => ({ name, kind })),
    find: async (name) => (Object.hasOwn(nodes, name) ? nodes[name] : undefined),
  };
}

function textFile(make: () => Promise<string>): MemoryFile {
  return {
    kind: "file",
    facts: async () => ({ size: 0, bytesHeld: 0, writable: false }),
    open: async () => openText(new TextEncoder().encode(await make())),
  };
}

function openText(bytes: Uint8Array): OpenMemoryFile {
  return { read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

/** `range` may be another one each time: memory grows and shrinks. */
function memoryFile(ask: AskMemory, range: () => Promise<PageRange>): MemoryFile {
  return {
    kind: "file",
    facts: async () => {
      const { gpa, bytes } = await range();
      const held = await ask({ about: "held", gpa, bytes });
      return { size: bytes, bytesHeld: held.bytes, writable: held.writable };
    },
    open: async () => openMemory(ask, await range()),
    seal: async () => void (await ask({ about: "seal", ...(await range()) })),
  };
}

function openMemory(ask: AskMemory, { gpa, bytes: size }: PageRange): OpenMemoryFile {
  const within = (offset: number, length: number): number => Math.max(0, Math.min(length, size - offset));
  return {
    read: async (offset, length) => {
      const bytes = new Uint8Array(within(offset, length));
      for (let done = 0; done < bytes.length; ) {
        const part = await ask({ about: "read", gpa: gpa + offset + done, bytes: bytes.length - done });
        if (part.length === bytes.length) return part;
        bytes.set(part, done);
        done += part.length;
      }
      return bytes;
    },
    write: async (offset, data) => {
      const bytes = within(offset, data.length);
      if (bytes === 0) throw refused("no-memory");
      for (let done = 0; done < bytes; done += mostBytesWritten) {
        const part = data.slice(done, Math.min(done + mostBytesWritten, bytes));
        const answer = await ask({ about: "write", gpa: gpa + offset + done, data: part });
        if (answer === "done") continue;
        if (done === 0) throw refused(answer);
        return done;
      }
      return bytes;
    },
    punch: async (offset, length) => {
      const bytes = within(offset, length);
      for (let done = 0; done < bytes; ) {
        const answer = await ask({ about: "punch", gpa: gpa + offset + done, bytes: bytes - done });
        if (typeof answer !== "number") throw refused(answer);
        done += answer;
      }
    },
    seek: async (offset, what) => {
      if (offset >= size) return -1;
      const found = await ask({ about: "next", gpa: gpa + offset, held: what === "data" });
      if (what === "hole") return Math.min(found - gpa, size);
      return found < 0 || found - gpa >= size ? -1 : found - gpa;
    },
  };
}

function refused(refusal: Refusal): MemoryFileError {
  switch (refusal) {
    case "sealed":
      return new MemoryFileError("EPERM", "this memory is sealed: it is not written to from outside any more");
    case "read-only":
      return new MemoryFileError("EROFS", "this memory is read-only for the guest, too");
    case "no-memory":
      return new MemoryFileError("ENXIO", "there is no RAM at all of these addresses");
  }
}

function slotsFolder(ask: AskMemory): MemoryFolder {
  const named = async (): Promise<Map<string, MemorySlot>> =>
    new Map((await ask({ about: "map" })).map((slot) => [`0x${slot.gpa.toString(16)}`, slot]));
  return {
    kind: "folder",
    entries: async () => [...(await named()).keys()].map((name) => ({ name, kind: "folder" })),
    find: async (name) => {
      const slot = (await named()).get(name);
      return slot && slotFolder(ask, slot);
    },
  };
}

function slotFolder(ask: AskMemory, slot: MemorySlot): MemoryFolder {
  const { gpa, bytes, kind, name, object } = slot;
  return fixedFolder({
    range: textFile(async () => `${rangeText({ gpa, bytes })}\n`),
    kind: textFile(async () => `${kind}\n`),
    object: textFile(async () => textOf(object ? valueLines(object) : [`kind ${kind === "ram" ? "none" : name}`])),
    ...(isRam(slot) && { mem: memoryFile(ask, async () => ({ gpa, bytes })) }),
  });
}

function logsFolder(ask: AskMemory): MemoryFolder {
  const isOpen = async (name: string): Promise<boolean> => (await ask({ about: "logs" })).includes(name);
  return {
    kind: "folder",
    entries: async (): Promise<FolderEntry[]> => (await ask({ about: "logs" })).map((name) => ({ name, kind: "file" })),
    find: async (name) => ((await isOpen(name)) ? logFile(ask, name) : undefined),
    make: async (name) => {
      if (await ask({ about: "open-log", name })) return logFile(ask, name);
      if (await isOpen(name)) throw new MemoryFileError("EEXIST", `there is a log called ${name}`);
      throw new MemoryFileError(
        "EINVAL",
        "no log by that name: names are letters, digits, - . and _, and 16 logs are enough",
      );
    },
    remove: async (name) => {
      if (!(await ask({ about: "close-log", name }))) throw gone(name);
    },
  };
}

const gone = (name: string): MemoryFileError => new MemoryFileError("ENOENT", `there is no log called ${name}`);

/** The epoch ends when the first bytes are read, so that opening alone, as to set times, takes nothing from who reads. */
function logFile(ask: AskMemory, name: string): MemoryFile {
  const harvest = async (): Promise<string> => {
    const ranges = await ask({ about: "harvest-log", name });
    if (ranges === null) throw gone(name);
    return textOf(ranges.map(rangeText));
  };
  return {
    kind: "file",
    facts: async () => ({ size: 0, bytesHeld: 0, writable: true }),
    open: async () => {
      let text: Promise<OpenMemoryFile> | undefined;
      return {
        read: async (offset, bytes) => {
          text ??= harvest().then((lines) => openText(new TextEncoder().encode(lines)));
          return (await text).read(offset, bytes);
        },
      };
    },
    truncate: async () => void (await harvest()),
  };
}
