/** The same random operations on a share and on a directory beside it: each succeeds or fails alike, and the trees are equal. */
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { setFlag } from "../../devices/virtio/fs/protocol.ts";
import { FuseClient, FuseFailure } from "../testing/fuse-client.ts";
import { Share } from "./share.ts";

const root = 1;
const names = ["a", "b", "c", "d"];

/** A tree as lines: path, type, links, size and contents. */
function describeTree(folder: string, path = ""): string[] {
  return readdirSync(join(folder, path))
    .sort()
    .flatMap((name) => {
      const at = join(path, name);
      const stats = lstatSync(join(folder, at));
      if (stats.isDirectory()) return [`${at}/`, ...describeTree(folder, at)];
      if (stats.isSymbolicLink()) return [`${at} -> ${readlinkSync(join(folder, at))}`];
      return [`${at} ${stats.nlink} ${stats.size} ${readFileSync(join(folder, at)).toString("hex")}`];
    });
}

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 10) % below;
  };
}

const outcome = (use: () => unknown): string => {
  try {
    return String(use() ?? "done");
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

/** A guest's kernel in little: it walks paths, and keeps what it has looked up. */
class Mounted {
  readonly client: FuseClient;

  constructor(client: FuseClient) {
    this.client = client;
  }

  at(path: string): [parent: number, name: string] {
    const cut = path.lastIndexOf("/");
    const parent = cut < 0 ? { node: root } : this.client.walk(path.slice(0, cut));
    if ("mode" in parent && (parent.mode & 0o170000) !== 0o040000) throw new FuseFailure("ENOTDIR");
    return [parent.node, path.slice(cut + 1)];
  }

  write(path: string, text: string, offset: number): void {
    const made = this.client.create(...this.at(path), 1);
    this.client.write(made.node, made.handle, offset, new TextEncoder().encode(text));
    this.client.release(made.node, made.handle);
  }
}

interface Kept {
  readonly ours: { readonly node: number; readonly handle: number };
  readonly theirs: number;
}

test.each([1, 2, 3])(
  "random operations, seed %i",
  (seed) => {
    const folder = mkdtempSync(join(tmpdir(), "memvisor-differential-"));
    const [shared, beside] = [join(folder, "shared"), join(folder, "beside")];
    mkdirSync(shared);
    mkdirSync(beside);
    const share = new Share({
      path: shared,
      readOnly: false,
      asRoot: process.getuid?.() === 0,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      byDescriptor: process.platform === "linux",
      // So few that directories lose theirs all the time.
      maxDescriptors: 24,
    });
    const guest = new Mounted(new FuseClient(share));
    const { client } = guest;
    const random = randomFrom(seed);
    const path = (): string =>
      Array.from({ length: 1 + random(3) }, () => names[random(names.length)] as string).join("/");
    const kept: Kept[] = [];
    const counts = { done: 0, failed: 0 };
    for (let n = 0; n < 1500; n++) {
      const [one, two] = [path(), path()];
      const there = (each: string): string => join(beside, each);
      const operations: [name: string, ours: () => unknown, theirs: () => unknown][] = [
        ["mkdir", () => void client.mkdir(...guest.at(one)), () => mkdirSync(there(one))],
        ["rmdir", () => client.rmdir(...guest.at(one)), () => rmdirSync(there(one))],
        ["unlink", () => client.unlink(...guest.at(one)), () => unlinkSync(there(one))],
        ["rename", () => client.rename(...guest.at(one), ...guest.at(two)), () => renameSync(there(one), there(two))],
        [
          "write",
          () => guest.write(one, `text ${n}`, n % 40),
          () => {
            const fd = openSync(there(one), "a");
            closeSync(fd);
            const file = openSync(there(one), "r+");
            writeSync(file, `text ${n}`, n % 40);
            closeSync(file);
          },
        ],
        [
          "link",
          () => void client.link(client.walk(one).node, ...guest.at(two)),
          () => linkSync(there(one), there(two)),
        ],
        ["symlink", () => void client.symlink(...guest.at(one), two), () => symlinkSync(two, there(one))],
        [
          "truncate",
          () => void client.setattr(client.walk(one).node, setFlag.size, { size: n % 50 }),
          () => truncateSync(there(one), n % 50),
        ],
        ["list", () => client.list(client.walk(one).node), () => readdirSync(there(one)).sort()],
        [
          "keep open",
          () => {
            const { node } = client.walk(one);
            const { handle } = client.open(node, 2);
            const theirs = openSync(there(one), "r+");
            kept.push({ ours: { node, handle }, theirs });
          },
          () => closeSync(openSync(there(one), "r+")),
        ],
        [
          "use what is open",
          () => {
            const { ours } = kept[n % kept.length] as Kept;
            client.write(ours.node, ours.handle, n % 30, new TextEncoder().encode(`open ${n}`));
            return Buffer.from(client.read(ours.node, ours.handle, 0, 100)).toString("hex");
          },
          () => {
            const { theirs } = kept[n % kept.length] as Kept;
            writeSync(theirs, `open ${n}`, n % 30);
            const buffer = Buffer.alloc(100);
            return buffer.subarray(0, readSync(theirs, buffer, 0, 100, 0)).toString("hex");
          },
        ],
      ];
      // Directories and files go more often than links, so that there is room for more.
      const [name, ours, theirs] = operations[
        random(4) === 0 ? random(3) : random(operations.length)
      ] as (typeof operations)[number];
      // A guest's kernel would follow links itself, and come with the path they lead to.
      const follows = ["write", "truncate", "list", "keep open"].includes(name);
      if (
        throughLink(beside, one, follows) ||
        throughLink(beside, two, false) ||
        (name === "use what is open" && kept.length === 0)
      )
        continue;
      const expected = outcome(theirs);
      const got = outcome(ours);
      const failed = /^E[A-Z]+$/.test(expected);
      counts[failed ? "failed" : "done"]++;
      expect(failed === /^E[A-Z]+$/.test(got), `${n} ${name} ${one} ${two}: ${got} instead of ${expected}`).toBe(true);
      if (failed)
        expect(sameError(name, got, expected), `${n} ${name} ${one} ${two}: ${got}, not ${expected}`).toBe(true);
      else expect(got, `${n} ${name} ${one} ${two}`).toBe(expected);
      if (kept.length > 4) {
        const { ours: open, theirs: fd } = kept.shift() as Kept;
        client.release(open.node, open.handle);
        closeSync(fd);
      }
      if (n % 50 === 0) expect(describeTree(shared), `after ${n}`).toEqual(describeTree(beside));
    }
    for (const { theirs } of kept) closeSync(theirs);
    expect(describeTree(shared)).toEqual(describeTree(beside));
    expect(Math.min(counts.done, counts.failed)).toBeGreaterThan(100);
    share.close();
    rmSync(folder, { recursive: true });
  },
  30_000,
);

/** Whether there is a link on the way, or, with `last`, at the end. */
function throughLink(folder: string, path: string, last: boolean): boolean {
  const parts = path.split("/");
  return parts.some((_, n) => {
    try {
      if (n === parts.length - 1 && !last) return false;
      return lstatSync(join(folder, ...parts.slice(0, n + 1))).isSymbolicLink();
    } catch {
      return false;
    }
  });
}

/** A guest's kernel checks types before it asks: which of these it is, is its business. */
const ofTypes = ["EISDIR", "EPERM", "ENXIO", "ENOTDIR", "EINVAL", "ELOOP"];

function sameError(name: string, a: string, b: string): boolean {
  // It knows of the new name before it asks for a link.
  const types = name === "link" ? [...ofTypes, "EEXIST"] : ofTypes;
  return a === b || (types.includes(a) && types.includes(b));
}
