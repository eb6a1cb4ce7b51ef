import { expect, test } from "vitest";
import { isNear } from "./near.ts";

const mounts = [
  "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
  "23 22 0:21 / /proc rw - proc proc rw",
  "30 22 0:40 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw",
  "31 30 254:1 / /home/local rw - xfs /dev/vdb rw",
  "32 22 0:41 / /srv/two\\040words rw - fuse.sshfs other: rw",
  "33 22 0:42 / /mnt rw - nfs4 server:/mnt rw",
  "34 33 254:2 / /mnt rw - ext4 /dev/vdc rw",
  "",
].join("\n");

test("a directory of a local file system is near, one of another host's is not", () => {
  const near = (path: string): boolean => isNear(path, mounts);
  expect([near("/usr/share"), near("/home/me"), near("/home"), near("/home/local/me")]).toEqual([
    true,
    false,
    false,
    true,
  ]);
  expect(near("/homes")).toBe(true);
});

test("what is mounted within counts, whatever its name", () => {
  expect([isNear("/", mounts), isNear("/srv", mounts), isNear("/srv/two words", mounts)]).toEqual([
    false,
    false,
    false,
  ]);
  expect(isNear("/srv/two", mounts)).toBe(true);
});

test("of two that are mounted in one place the later one counts", () => {
  expect(isNear("/mnt/x", mounts)).toBe(true);
});

test("without a word of what is mounted nothing is near", () => {
  expect(isNear("/usr", "")).toBe(false);
});
