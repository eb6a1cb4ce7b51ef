import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { DiskConfig, ServicePort } from "#devices";
import { blockOperation } from "#devices";
import { nodeDiskHost } from "../host/disk-files.ts";
import { openDisk } from "./open.ts";
import { openBlockService } from "./service.ts";

const folder = mkdtempSync(join(tmpdir(), "memvisor-disk-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let names = 0;
function newDisk(bytes = 8192, ending = "img"): string {
  const name = join(folder, `${names++}.${ending}`);
  writeFileSync(name, new Uint8Array(bytes).fill(1));
  return name;
}
const open = (config: DiskConfig) => openDisk(config, nodeDiskHost);

test("a raw disk is its file, filled up to a whole sector", () => {
  const disk = open({ file: newDisk(700) });
  const bytes = new Uint8Array(1024).fill(9);
  disk.read(0, [bytes]);
  disk.close();
  expect([disk.sizeBytes, bytes[699], bytes[700], bytes[1023]]).toEqual([1024, 1, 0, 0]);
});

test("a file is one machine's at a time, for reading several's", () => {
  const file = newDisk();
  const one = open({ file });
  expect(() => open({ file })).toThrow(/another machine uses this disk/);
  expect(() => open({ file, readOnly: true })).toThrow(/another machine/);
  one.close();
  const readers = [open({ file, readOnly: true }), open({ file, overlay: true })];
  expect(() => open({ file })).toThrow(/another machine/);
  for (const each of readers) each.close();
  open({ file }).close();
});

test("what is written to a temporary overlay is gone at the end", () => {
  const file = newDisk();
  const disk = open({ file, overlay: true });
  disk.write(512, [new Uint8Array(512).fill(7)]);
  const bytes = new Uint8Array(1536);
  disk.read(0, [bytes]);
  disk.close();
  expect([bytes[511], bytes[512], bytes[1023], bytes[1024]]).toEqual([1, 7, 7, 1]);
  expect(readFileSync(file).every((byte) => byte === 1)).toBe(true);
});

test("an overlay file keeps what is written, over its own base alone", () => {
  const file = newDisk();
  const overlay = join(folder, "top.qcow2");
  const disk = open({ file, overlay });
  disk.write(0, [new Uint8Array(512).fill(7)]);
  disk.close();
  const again = open({ file, overlay });
  const bytes = new Uint8Array(1024);
  again.read(0, [bytes]);
  again.close();
  expect([bytes[0], bytes[512]]).toEqual([7, 1]);
  expect(() => open({ file: newDisk(), overlay })).toThrow(/was made over/);
});

const missing = join(folder, "missing.img");
const wrong: [name: string, config: () => DiskConfig, message: RegExp][] = [
  ["no file", () => ({ file: missing }), /missing\.img: no such file: make one/],
  ["a folder", () => ({ file: folder, readOnly: true }), /no regular file/],
  ["an empty file", () => ({ file: newDisk(0) }), /is empty: give it a size/],
  ["an unknown format", () => ({ file: newDisk(), format: "vmdk" as "raw" }), /vmdk: use raw or qcow2/],
  ["a qcow2 file that is none", () => ({ file: newDisk(8192, "qcow2") }), /no qcow2 file/],
];
for (const [name, config, message] of wrong) {
  test(`${name} is refused with a word of advice`, () => expect(() => open(config())).toThrow(message));
}

test("a qcow2 file is never taken for one by what is in it", () => {
  const file = newDisk();
  writeFileSync(file, Buffer.from("QFI\xfb", "latin1"));
  truncateSync(file, 8192);
  expect(() => open({ file })).toThrow(/say format=qcow2/);
  open({ file, format: "raw" }).close();
});

test("zeros that need no room are punched, or written where the host cannot", async () => {
  const file = newDisk(4 << 20);
  const disk = open({ file });
  await disk.writeZeroes(1 << 20, 2 << 20, true);
  await disk.writeZeroes(512, 512, true);
  await disk.discard(3 << 20, 4096);
  await disk.flush();
  disk.close();
  const bytes = readFileSync(file);
  expect([bytes[511], bytes[512], bytes[1024], bytes[(1 << 20) - 1], bytes[1 << 20], bytes[(3 << 20) - 1]]).toEqual([
    1, 0, 1, 1, 0, 0,
  ]);
});

/** Requests to a service as the device sends them, by one place in the arena. */
function serve(config: DiskConfig) {
  const answers: number[][] = [];
  const port: ServicePort = {
    arena: new Uint8Array(65536),
    send: (message) => void answers.push([...new Uint32Array(Uint8Array.from(message ?? []).buffer)]),
    congested: false,
    room: () => Promise.resolve(),
  };
  const service = openBlockService(config, port, nodeDiskHost);
  const send = (tag: number, operation: number, offset: number, length: number, hpa?: number): void => {
    const view = new DataView(new ArrayBuffer(hpa === undefined ? 24 : 32));
    view.setUint32(0, tag, true);
    view.setUint32(4, operation, true);
    view.setFloat64(8, offset, true);
    view.setFloat64(16, length, true);
    if (hpa !== undefined) {
      view.setUint32(24, hpa, true);
      view.setUint32(28, length, true);
    }
    void service.receive(new Uint8Array(view.buffer));
  };
  return { service, port, answers, send };
}

test("the service moves bytes between file and arena, and closes when all is done", async () => {
  const file = newDisk();
  const { service, port, answers, send } = serve({ file });
  port.arena.fill(5, 4096, 4608);
  send(1, blockOperation.write, 512, 512, 4096);
  send(2, blockOperation.read, 0, 1024, 8192);
  send(3, blockOperation.flush, 0, 0);
  await service.close();
  expect(answers).toEqual([
    [1, 0],
    [2, 0],
    [3, 0],
  ]);
  expect([port.arena[8192], port.arena[8192 + 512]]).toEqual([1, 5]);
  expect(readFileSync(file)[512]).toBe(5);
});

test("the host's trouble is an answer", async () => {
  const file = newDisk();
  const { service, answers, send } = serve({ file, readOnly: true });
  send(1, blockOperation.write, 0, 512, 0);
  expect(answers).toEqual([[1, 1]]);
  await service.close();
});
