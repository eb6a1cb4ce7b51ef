import {
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { setFlag } from "../../devices/virtio/fs/protocol.ts";
import { FuseClient } from "../testing/fuse-client.ts";
import { Share, type ShareOptions } from "./share.ts";

const root = 1;
const linux = process.platform === "linux";
let folder = "";
let shared = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "memvisor-share-"));
  shared = join(folder, "shared");
  mkdirSync(join(shared, "dir", "sub"), { recursive: true });
  writeFileSync(join(shared, "file"), "hello");
  writeFileSync(join(shared, "dir", "sub", "deep"), "deep");
  mkdirSync(join(folder, "outside"));
  writeFileSync(join(folder, "outside", "secret"), "secret");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function mount(options: Partial<ShareOptions> = {}) {
  const share = new Share({
    path: shared,
    readOnly: false,
    asRoot: process.getuid?.() === 0,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    byDescriptor: linux,
    maxDescriptors: 64,
    ...options,
  });
  return { share, client: new FuseClient(share) };
}

const plain = { read: false, write: false, append: false, truncate: false, exclusive: false, sync: false };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

function readAll(client: FuseClient, path: string): string {
  const { node, size } = client.walk(path);
  const { handle } = client.open(node);
  const data = client.read(node, handle, 0, size + 10);
  client.release(node, handle);
  return text(data);
}

describe.each(linux ? ["by descriptor", "by name"] : ["by name"])("files, %s", (way) => {
  const byDescriptor = way === "by descriptor";

  test("a file is found, read, written, made longer and shorter", () => {
    const { client } = mount({ byDescriptor });
    expect(readAll(client, "file")).toBe("hello");
    const made = client.create(root, "new", 2);
    expect(client.write(made.node, made.handle, 3, bytes("abc"))).toBe(3);
    expect(client.setattr(made.node, setFlag.size, { size: 5 }).size).toBe(5);
    client.release(made.node, made.handle);
    expect(readFileSync(join(shared, "new"))).toEqual(Buffer.from("\0\0\0ab"));
    expect(client.open(made.node, 0o1002).handle).toBeGreaterThan(0);
    expect(statSync(join(shared, "new")).size).toBe(0);
  });

  test("directories are made, listed and removed", () => {
    const { client } = mount({ byDescriptor });
    const { node } = client.mkdir(root, "d", 0o750);
    expect(statSync(join(shared, "d")).mode & 0o777).toBe(0o750);
    for (let n = 0; n < 300; n++) client.release(0, client.create(node, `file-${n}`).handle);
    const expected = Array.from({ length: 300 }, (_, n) => `file-${n}`).sort();
    expect(client.list(node, 512)).toEqual(expected);
    expect(client.list(node, 2000, true)).toEqual(expected);
    expect(() => client.rmdir(root, "d")).toThrow("ENOTEMPTY");
    for (const name of expected) client.unlink(node, name);
    client.rmdir(root, "d");
    expect(existsSync(join(shared, "d"))).toBe(false);
  });

  test("a listing that is asked for again from an earlier place gives the same names", () => {
    const { client } = mount({ byDescriptor });
    const { node } = client.mkdir(root, "d");
    for (let n = 0; n < 50; n++) client.release(0, client.create(node, `${n}`).handle);
    const handle = client.opendir(node);
    const first = client.readdir(node, handle, 0, 1000);
    const second = client.readdir(node, handle, first.at(-1)?.next ?? 0, 1000);
    expect(client.readdir(node, handle, first[4]?.next ?? 0, 200)).toEqual(first.slice(5, 5 + 6));
    expect(client.readdir(node, handle, first.at(-1)?.next ?? 0, 1000)).toEqual(second);
    expect(client.readdir(node, handle, 0, 1000)).toEqual(first);
    expect(client.readdir(node, handle, 2 ** 52, 1000)).toEqual([]);
  });

  test("names move within a directory and between two, over others", () => {
    const { client } = mount({ byDescriptor });
    const sub = client.walk("dir/sub");
    const file = client.walk("file");
    client.rename(root, "file", sub.node, "deep");
    expect(readFileSync(join(shared, "dir/sub/deep"), "utf8")).toBe("hello");
    expect(client.getattr(file.node).size).toBe(5);
    client.rename(root, "dir", root, "moved");
    expect(client.walk("moved/sub/deep").node).toBe(file.node);
    expect(() => client.rename(root, "moved", sub.node, "x")).toThrow("EINVAL");
    expect(() => client.rename(root, "moved", root, "y", 1)).toThrow("ENOSYS");
  });

  test("links: hard ones are one file, symbolic ones are text", () => {
    const { client } = mount({ byDescriptor });
    const file = client.walk("file");
    const hard = client.link(file.node, root, "hard");
    expect([hard.node, hard.nlink, hard.ino]).toEqual([file.node, 2, file.ino]);
    client.unlink(root, "file");
    expect(client.getattr(client.lookup(root, "hard").node).nlink).toBe(1);
    const link = client.symlink(root, "link", "../outside/secret");
    expect(client.readlink(link.node)).toBe("../outside/secret");
    expect(readlinkSync(join(shared, "link"))).toBe("../outside/secret");
  });

  test("a file that is removed while it is open can be read and written on", () => {
    const { client } = mount({ byDescriptor });
    const made = client.create(root, "temporary", 2);
    client.unlink(root, "temporary");
    client.write(made.node, made.handle, 0, bytes("still here"));
    expect(text(client.read(made.node, made.handle, 0, 100))).toBe("still here");
    if (byDescriptor) expect(client.getattr(made.node).nlink).toBe(0);
    client.release(made.node, made.handle);
    expect(() => client.getattr(made.node)).toThrow("ESTALE");
  });

  test("names that are no text stay what they are", () => {
    const { client } = mount({ byDescriptor });
    const name = "\xff\xfe \x01'\"";
    client.release(0, client.create(root, name).handle);
    expect(client.list(root)).toContain(name);
    expect(readdirSync(shared, { encoding: "buffer" }).some((each) => each[0] === 0xff)).toBe(true);
    client.unlink(root, name);
  });

  test.skipIf(!linux)("mode, owner and times are set", () => {
    const { client } = mount({ byDescriptor });
    const { node } = client.walk("file");
    expect(client.setattr(node, setFlag.mode, { mode: 0o640 }).mode & 0o7777).toBe(0o640);
    expect(client.setattr(node, setFlag.mtime, { mtime: 1_577_934_245 }).mtimeNs).toBe(1_577_934_245_000_000_000n);
    if (process.getuid?.() !== 0) return;
    const { uid, gid } = client.setattr(node, setFlag.uid | setFlag.gid, { uid: 12, gid: 34 });
    expect([uid, gid]).toEqual([12, 34]);
  });

  test("a read-only share changes nothing", () => {
    const { client } = mount({ byDescriptor, readOnly: true });
    const { node } = client.walk("file");
    const attempts: (() => unknown)[] = [
      () => client.open(node, 1),
      () => client.open(node, 0o1000),
      () => client.create(root, "new"),
      () => client.mkdir(root, "d"),
      () => client.symlink(root, "l", "x"),
      () => client.link(node, root, "h"),
      () => client.unlink(root, "file"),
      () => client.rmdir(root, "dir"),
      () => client.rename(root, "file", root, "other"),
      () => client.setattr(node, setFlag.mode, { mode: 0 }),
      () => client.write(node, client.open(node, 0).handle, 0, bytes("x")),
    ];
    for (const attempt of attempts) expect(attempt).toThrow("EROFS");
    expect(readAll(client, "file")).toBe("hello");
  });

  test("a host that is not root: its files are root's in the guest, and owners stay", () => {
    const { uid, gid } = statSync(join(shared, "file"));
    const { client } = mount({ byDescriptor, asRoot: false, uid, gid });
    const file = client.walk("file");
    expect([file.uid, file.gid]).toEqual([0, 0]);
    expect(client.setattr(file.node, setFlag.uid, { uid: 77 }).uid).toBe(0);
    expect(statSync(join(shared, "file")).uid).toBe(uid);
  });

  test("set-user-ID bits do not reach the host", () => {
    const { client } = mount({ byDescriptor });
    const made = client.create(root, "program", 2, 0o4755);
    client.setattr(made.node, setFlag.mode, { mode: 0o6755 });
    expect(statSync(join(shared, "program")).mode & 0o7777).toBe(0o755);
  });

  test("pipes and devices are seen and not opened", () => {
    const { client } = mount({ byDescriptor, path: "/dev" });
    expect(() => client.open(client.walk("null").node, 2)).toThrow("ENXIO");
  });

  test("a name that leads out is no name", () => {
    const { client } = mount({ byDescriptor });
    for (const name of ["..", ".", "a/b", "../outside", "/etc/passwd"]) {
      expect(() => client.lookup(root, name)).toThrow("EINVAL");
      expect(() => client.rename(root, "file", root, name)).toThrow("EINVAL");
      expect(() => client.mkdir(root, name)).toThrow("EINVAL");
    }
    expect(() => client.lookup(root, "")).toThrow("ENOENT");
    expect(() => client.lookup(root, "x".repeat(256))).toThrow("ENAMETOOLONG");
  });

  test("a link in a directory's place is not followed, nor in a file's", () => {
    symlinkSync(join(folder, "outside"), join(shared, "out"));
    symlinkSync(join(folder, "outside", "secret"), join(shared, "leak"));
    const { client } = mount({ byDescriptor });
    expect(() => client.lookup(client.lookup(root, "out").node, "secret")).toThrow("ENOTDIR");
    expect(() => client.open(client.lookup(root, "leak").node)).toThrow("ENXIO");
    expect(() => client.create(root, "leak")).toThrow(/EEXIST|ELOOP/);
    // The guest knows a directory and a file, and the host puts links there.
    const dir = client.walk("dir/sub");
    const file = client.walk("file");
    renameSync(join(shared, "dir"), join(shared, "was-dir"));
    symlinkSync(join(folder, "outside"), join(shared, "dir"));
    rmSync(join(shared, "file"));
    symlinkSync(join(folder, "outside", "secret"), join(shared, "file"));
    expect(() => client.lookup(dir.node, "secret")).toThrow(/ENOENT|ESTALE/);
    expect(() => client.open(file.node)).toThrow(/ESTALE|ELOOP/);
    expect(readFileSync(join(folder, "outside", "secret"), "utf8")).toBe("secret");
  });
});

test.skipIf(!linux)("descriptors are bounded: directories that lost theirs are found again", () => {
  const { share, client } = mount({ maxDescriptors: 16 });
  const nodes: number[] = [];
  for (let n = 0; n < 100; n++) {
    const { node } = client.mkdir(root, `d${n}`);
    client.release(0, client.create(node, "f").handle);
    nodes.push(node);
  }
  for (const [n, node] of nodes.entries()) expect(client.list(node), `d${n}`).toEqual(["f"]);
  expect(share.held.descriptors).toBeLessThanOrEqual(9);
  const handles = Array.from({ length: 8 }, () => client.open(client.walk("file").node).handle);
  expect(() => client.open(client.walk("file").node)).toThrow("ENFILE");
  for (const handle of handles) client.release(0, handle);
  expect(share.held.handles).toBe(0);
});

test("what the guest forgets is forgotten", () => {
  const { share, client } = mount();
  for (let round = 0; round < 3; round++) {
    const dir = client.lookup(root, "dir");
    const sub = client.lookup(dir.node, "sub");
    const deep = client.lookup(sub.node, "deep");
    for (const { node } of [dir, sub, deep]) client.forget(node, 1);
  }
  expect(share.held).toEqual({ inodes: 1, descriptors: 0, handles: 0 });
});

test("a listing with attributes counts as lookups, and is forgotten as such", () => {
  const { share, client } = mount();
  client.list(root, 4096, true);
  expect(share.held.inodes).toBe(3);
  for (const name of ["dir", "file"]) {
    const { node } = client.lookup(root, name);
    client.forget(node, 2);
  }
  expect(share.held.inodes).toBe(1);
});

test("a file that the host has not changed may stay in the guest's cache", async () => {
  const { client } = mount();
  const { node } = client.walk("file");
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect([client.open(node).keepCache, client.open(node).keepCache]).toEqual([false, true]);
  writeFileSync(join(shared, "file"), "other");
  expect(client.open(node).keepCache).toBe(false);
});

test("a session that is brought back goes on: files, directories, what is open, what was counted", () => {
  const { share, client } = mount();
  const deep = client.walk("dir/sub/deep");
  const { handle } = client.open(deep.node, 2);
  const made = client.create(root, "appended", 1 | 0o2000);
  client.write(made.node, made.handle, 0, bytes("one "));
  const directory = client.opendir(root);
  const session = client.server.save();
  share.reset();

  const other = mount();
  other.client.server.restore(session);
  renameSync(join(shared, "file"), join(shared, "elsewhere"));
  expect(text(other.client.read(deep.node, handle, 0, 10))).toBe("deep");
  other.client.write(made.node, made.handle, 0, bytes("two"));
  expect(readFileSync(join(shared, "appended"), "utf8")).toBe("one two");
  expect(other.client.walk("dir/sub/deep").node).toBe(deep.node);
  expect(other.client.readdir(root, directory, 0).length).toBeGreaterThan(3);
  other.client.release(deep.node, handle);
  expect(() => other.client.getattr(999)).toThrow("ESTALE");
  expect(other.client.create(root, "fresh").node).toBeGreaterThan(made.node);
});

test("what is another file by now is stale to a session that is brought back", () => {
  const { client } = mount();
  const file = client.walk("file");
  const { handle } = client.open(file.node);
  const session = client.server.save();
  // One inode number more is used before, so that the file has another.
  writeFileSync(join(shared, "new"), "other");
  renameSync(join(shared, "new"), join(shared, "file"));
  const other = mount();
  other.client.server.restore(session);
  expect(() => other.client.getattr(file.node)).toThrow("ESTALE");
  expect(() => other.client.read(file.node, handle, 0, 10)).toThrow("EBADF");
});

test("a file that is lent stays open until it is given back, though the guest has closed it", () => {
  const { share, client } = mount();
  const recalled: number[] = [];
  share.onRecall = (file) => void recalled.push(file);
  const { node } = client.walk("/file");
  const opened = share.open(node, { ...plain, read: true });
  const file = opened.file as number;
  share.release(node, opened.handle);
  expect(recalled).toEqual([file]);
  expect(readSync(file, new Uint8Array(5), 0, 5, 0)).toBe(5);
  share.returned(file);
  expect(() => readSync(file, new Uint8Array(5), 0, 5, 0)).toThrow("EBADF");
  // Nobody has lent it.
  share.returned(0);

  const kept = share.open(node, { ...plain, read: true }).file as number;
  share.close();
  expect(() => fstatSync(kept)).toThrow("EBADF");
});

test("a file that several use stays open until the last of them has given it back", () => {
  const { share, client } = mount();
  share.onRecall = () => {};
  const isOpen = (file: number): boolean => {
    try {
      return fstatSync(file) !== undefined;
    } catch {
      return false;
    }
  };
  const { node } = client.walk("/file");
  const opened = share.open(node, { ...plain, read: true });
  const file = share.lend(node, opened.handle);
  expect(file).toBe(opened.file);
  share.release(node, opened.handle);
  share.returned(file);
  expect(isOpen(file)).toBe(true);
  share.returned(file);
  expect(isOpen(file)).toBe(false);
  expect(() => share.lend(node, opened.handle)).toThrow("EBADF");

  const directory = share.lendDirectory(root);
  fsyncSync(directory);
  share.returned(directory);
  expect(isOpen(directory)).toBe(false);
});

test("files that are written through are not lent", () => {
  const { share, client } = mount();
  share.onRecall = () => {};
  const { node } = client.walk("/file");
  expect(share.open(node, { ...plain, write: true, sync: true }).file).toBeUndefined();
});

test("a new session finds nothing open of the one before", () => {
  const { share, client } = mount();
  const made = client.create(root, "x");
  client.server.reset();
  expect(share.held).toEqual({ inodes: 1, descriptors: 0, handles: 0 });
  expect(() => client.read(made.node, made.handle, 0, 10)).toThrow("EIO");
});

test.skipIf(!linux)(
  "no race leads out: links are put in the places of directories and files without pause",
  async () => {
    mkdirSync(join(shared, "dir", "victim"));
    writeFileSync(join(shared, "dir", "victim", "secret"), "inside");
    symlinkSync(join(folder, "outside"), join(shared, "link-dir"));
    symlinkSync(join(folder, "outside"), join(shared, "dir", "link-victim"));
    symlinkSync(join(folder, "outside", "secret"), join(shared, "link-file"));
    const modes = {
      secret: statSync(join(folder, "outside", "secret")).mode & 0o777,
      outside: statSync(join(folder, "outside")).mode & 0o777,
    };
    // The guest knows these; with few descriptors they are got again all the time, which is where a race could be lost.
    const { client } = mount({ maxDescriptors: 4 });
    const victim = client.walk("dir/victim");
    const file = client.walk("file");
    const others = Array.from({ length: 4 }, (_, n) => client.mkdir(root, `other-${n}`));
    const swapper = new Worker(new URL("../testing/symlink-swapper.ts", import.meta.url), {
      workerData: [
        [join(shared, "dir"), join(shared, "link-dir")],
        [join(shared, "dir", "victim"), join(shared, "dir", "link-victim")],
        [join(shared, "file"), join(shared, "link-file")],
      ],
    });
    await new Promise((resolve) => swapper.once("message", resolve));
    const outcomes = { fine: 0, refused: 0 };
    const attempt = (use: () => void): void => {
      try {
        for (const { node } of others) client.list(node);
        use();
        outcomes.fine++;
      } catch (error) {
        if ((error as { code?: string }).code === undefined) throw error;
        outcomes.refused++;
      }
    };
    // A busy host gets less done in its time.
    const [least, most] = [Date.now() + 3000, Date.now() + 30_000];
    for (let n = 0; Date.now() < least || (outcomes.fine <= 100 && Date.now() < most); n++) {
      attempt(() => expect(client.lookup(victim.node, "secret").size).toBe("inside".length));
      attempt(() => expect(client.list(victim.node)).toContain("secret"));
      attempt(() => client.release(0, client.create(victim.node, `made-${n}`, 2).handle));
      attempt(() => client.unlink(victim.node, `made-${n}`));
      attempt(() => client.release(0, client.open(file.node, 0o1002).handle));
      attempt(() => void client.setattr(file.node, setFlag.mode, { mode: 0o600 }));
      attempt(() => void client.setattr(victim.node, setFlag.mode, { mode: 0o700 }));
      attempt(() => void client.mkdir(victim.node, "d"));
      attempt(() => client.rmdir(victim.node, "d"));
      attempt(() => client.rename(victim.node, "secret", victim.node, "secret"));
      attempt(() => expect(["", "hello"]).toContain(readAll(client, "file")));
    }
    await swapper.terminate();
    expect(outcomes.fine).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(0);
    // Nothing outside was made, changed or removed.
    expect(readdirSync(join(folder, "outside"))).toEqual(["secret"]);
    expect(readFileSync(join(folder, "outside", "secret"), "utf8")).toBe("secret");
    expect(statSync(join(folder, "outside", "secret")).mode & 0o777).toBe(modes.secret);
    expect(statSync(join(folder, "outside")).mode & 0o777).toBe(modes.outside);
  },
  60_000,
);
