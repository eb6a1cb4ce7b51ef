/** The client of the repository format against an archive that the test makes, signs and serves on loopback. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as openpgp from "openpgp";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { debOf, moduleOf } from "../../images/archive/fixtures.ts";
import { hasApt } from "./apt.ts";
import { listImages, openImage, type PrepareOptions, prepareImage, removeImage } from "./index.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const day = 24 * 3600 * 1000;

interface Archive {
  /** What the server has, by path; a test may spoil it. */
  readonly files: Map<string, Uint8Array>;
  release: Record<string, string>;
}

const folder = "lib/modules/6.1-test";
const packages = new Map([
  [
    "linux-image-6.1-test",
    debOf([
      { path: "./boot/vmlinuz-6.1-test", data: "kernel".repeat(1000) },
      { path: `./${folder}/modules.builtin`, data: "" },
      { path: `./${folder}/kernel/drivers/virtio/virtio_pci.ko`, data: moduleOf(["vermagic=6.1", "depends="]) },
    ]),
  ],
  ["linux-image-cloud-amd64", debOf([])],
  ["busybox-static", debOf([{ path: "./bin/busybox", data: "busybox", mode: 0o755 }])],
  ["tool", debOf([{ path: "./usr/bin/tool", data: "#!/bin/sh\n", mode: 0o755 }])],
]);

function makeArchive(): Archive {
  const files = new Map<string, Uint8Array>();
  const stanzas = [...packages].map(([name, deb]) => {
    files.set(`/debian/pool/${name}_1+2~3_amd64.deb`, deb);
    const depends = name === "linux-image-cloud-amd64" ? "Depends: linux-image-6.1-test (= 1+2~3)\n" : "";
    return `Package: ${name}\nVersion: 1+2~3\nArchitecture: amd64\n${depends}Filename: pool/${name}_1+2~3_amd64.deb\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`;
  });
  files.set(list, gzipSync(stanzas.join("\n")));
  const inDays = (days: number): string => new Date(Date.now() + days * day).toUTCString();
  return {
    files,
    release: {
      Suite: "oldstable",
      Codename: "bookworm",
      Architectures: "amd64",
      Components: "main",
      Date: inDays(-1),
      "Valid-Until": inDays(7),
    },
  };
}

const listName = "main/binary-amd64/Packages.gz";
const list = `/debian/dists/bookworm/${listName}`;
const inRelease = "/debian/dists/bookworm/InRelease";
const kernelPath = "/debian/pool/linux-image-6.1-test_1+2~3_amd64.deb";

let key: openpgp.PrivateKey;
let otherKey: openpgp.PrivateKey;
let server: Server;
let archive: Archive;
let cache: string;
let options: PrepareOptions;
/** Paths that were asked for, with the range if there was one. */
let asked: string[];
/** Cuts the first answer for this path off half-way. */
let cutOnce = "";

async function sign(by = key): Promise<void> {
  const bytes = archive.files.get(list) ?? new Uint8Array(0);
  const fields = Object.entries(archive.release).map(([name, value]) => `${name}: ${value}`);
  // apt wants the plain list's checksum as well, although it fetches the packed one.
  const sums = [bytes, gunzipSync(bytes)].map(
    (each, i) => ` ${sha256(each)} ${each.length} ${listName.slice(0, i ? -3 : undefined)}`,
  );
  const text = [...fields, "SHA256:", ...sums, ""].join("\n");
  const message = await openpgp.createCleartextMessage({ text });
  archive.files.set(inRelease, Buffer.from(await openpgp.sign({ message, signingKeys: by })));
}

function serve(): Server {
  return createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    asked.push(range ? `${path} from ${range}` : path);
    const bytes = archive.files.get(path);
    if (!bytes) return void response.writeHead(404).end();
    const from = Number(range ?? 0);
    if (from >= bytes.length && from > 0) return void response.writeHead(416).end();
    response.writeHead(range ? 206 : 200, { "content-length": bytes.length - from });
    if (path !== cutOnce) return void response.end(bytes.subarray(from));
    cutOnce = "";
    response.write(bytes.subarray(from, from + 2048), () => setTimeout(() => response.destroy(), 20));
  });
}

beforeAll(async () => {
  const make = async (name: string) =>
    (await openpgp.generateKey({ type: "rsa", rsaBits: 2048, userIDs: [{ name }], format: "object" })).privateKey;
  key = await make("archive");
  otherKey = await make("stranger");
  server = serve();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

beforeEach(async () => {
  archive = makeArchive();
  asked = [];
  cutOnce = "";
  cache = await mkdtemp(join(tmpdir(), "memvisor-images-"));
  const keyring = join(cache, "keyring.gpg");
  await writeFile(keyring, key.toPublic().write());
  const { port } = server.address() as AddressInfo;
  options = { cache, keyring, mirror: `http://127.0.0.1:${port}/debian`, through: "http" };
});

afterEach(() => rm(cache, { recursive: true, force: true }));

const prepare = (more: PrepareOptions = {}) => prepareImage("debian-12-cloud", { ...options, ...more });

async function failure(more: PrepareOptions = {}): Promise<string> {
  return prepare(more).then(
    () => "no failure",
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  );
}

test("a signed archive gives an image, which is listed, opened and removed", async () => {
  await sign();
  const phases = new Set<string>();
  const image = await prepare({ onProgress: ({ phase }) => phases.add(phase) });
  expect(image).toMatchObject({ name: "debian-12-cloud", kernelVersion: "6.1-test", unchanged: false });
  expect([...phases]).toEqual(["index", "download", "unpack", "write"]);
  expect(await readFile(image.kernelPath, "utf8")).toBe("kernel".repeat(1000));
  expect((await readFile(image.initrdPath)).subarray(0, 6).toString()).toBe("070701");
  expect((await openImage("debian-12-cloud", { cache })).initrdPath).toBe(image.initrdPath);
  expect((await listImages({ cache })).map(({ image }) => image?.kernelVersion ?? "-")).toEqual([
    "6.1-test",
    "-",
    "-",
    "-",
  ]);
  expect(await removeImage("debian-12-cloud", { cache })).toBe(true);
  expect(await removeImage("debian-12-cloud", { cache })).toBe(false);
  expect(await readdir(join(cache, "packages"))).toEqual([]);
  await expect(openImage("debian-12-cloud", { cache })).rejects.toThrow("memvisor image prepare debian-12-cloud");
});

test("an image that is current is not made again, and packages asked for are added to those it has", async () => {
  await sign();
  await prepare();
  asked = [];
  expect((await prepare()).unchanged).toBe(true);
  expect(asked.filter((path) => path.includes("/pool/"))).toEqual([]);
  expect((await prepare({ with: ["tool"], inMemory: true })).extras).toEqual(["tool"]);
  expect((await prepare()).extras).toEqual(["tool"]);
  expect(asked.filter((path) => path.includes("/pool/"))).toEqual(["/debian/pool/tool_1+2~3_amd64.deb"]);
});

test("a download that was cut off goes on where it stopped", async () => {
  await sign();
  cutOnce = kernelPath;
  await prepare();
  expect(asked.filter((path) => path.startsWith(kernelPath))).toEqual([kernelPath, `${kernelPath} from 2048`]);
});

test("the part that an earlier run left is used where it fits, and fetched anew where it does not", async () => {
  await sign();
  await prepare();
  await removeImage("debian-12-cloud", { cache });
  const deb = packages.get("linux-image-6.1-test") ?? new Uint8Array(0);
  const part = join(cache, "packages", `${sha256(deb)}.part`);
  for (const [bytes, expected] of [
    [deb.subarray(0, 1000), [`${kernelPath} from 1000`]],
    [deb.subarray(0, 1000).map((byte) => byte ^ 1), [`${kernelPath} from 1000`, kernelPath]],
    [new Uint8Array(deb.length + 9), [kernelPath]],
  ] as const) {
    await writeFile(part, bytes);
    asked = [];
    await prepare();
    expect(asked.filter((path) => path.startsWith(kernelPath))).toEqual(expected);
    await removeImage("debian-12-cloud", { cache });
  }
});

test("a list that is not what was signed is refused", async () => {
  await sign();
  const bytes = archive.files.get(list) ?? new Uint8Array(0);
  archive.files.set(
    list,
    bytes.map((byte, i) => (i === 30 ? byte ^ 1 : byte)),
  );
  expect(await failure()).toMatch(/^corrupt-index: .*not what the archive signed/);
  archive.files.set(list, Buffer.concat([bytes, bytes]));
  expect(await failure()).toMatch(/^corrupt-index/);
});

test("a package that is not what its list says is refused, and the next run fetches it again", async () => {
  await sign();
  const good = archive.files.get(kernelPath) ?? new Uint8Array(0);
  archive.files.set(
    kernelPath,
    good.map((byte, i) => (i === 500 ? byte ^ 1 : byte)),
  );
  expect(await failure()).toMatch(/^corrupt-package: .*linux-image-6.1-test has a wrong checksum/);
  archive.files.set(kernelPath, good);
  expect(await failure()).toBe("no failure");
});

test("a package kept from an earlier run that rotted on the disk is fetched again", async () => {
  await sign();
  await prepare();
  await rm(join(cache, "images"), { recursive: true });
  for (const name of await readdir(join(cache, "packages"))) await writeFile(join(cache, "packages", name), "rot");
  expect(await failure()).toBe("no failure");
});

test("a text changed behind its signature, and one without a signature, are refused", async () => {
  await sign();
  const text = Buffer.from(archive.files.get(inRelease) ?? []).toString();
  archive.files.set(inRelease, Buffer.from(text.replace("oldstable", "newstable")));
  expect(await failure()).toMatch(/^bad-signature/);
  archive.files.set(inRelease, Buffer.from("Suite: oldstable\nCodename: bookworm\n"));
  expect(await failure()).toMatch(/^bad-signature/);
});

test("what stands around the signed text is not believed", async () => {
  await sign();
  const text = Buffer.from(archive.files.get(inRelease) ?? []).toString();
  archive.files.set(
    inRelease,
    Buffer.from(`Codename: trixie\nSHA256:\n ${"0".repeat(64)} 1 main/binary-amd64/Packages.gz\n\n${text}`),
  );
  expect(await failure()).toMatch(/^(no failure|bad-signature)/);
});

test("a key that the keyring does not have is refused by name", async () => {
  await sign(otherKey);
  expect(await failure()).toMatch(/^unknown-key: .*--keyring FILE/);
});

test("lists that have expired, come from the future or are another suite's are refused", async () => {
  const good = archive.release;
  archive.release = { ...good, "Valid-Until": new Date(Date.now() - day).toUTCString() };
  await sign();
  expect(await failure()).toMatch(/^expired: the lists of bookworm were good until/);
  archive.release = { ...good, Date: new Date(Date.now() + 3 * day).toUTCString() };
  await sign();
  expect(await failure()).toMatch(/^expired: .*from the future/);
  archive.release = { ...good, Codename: "bullseye" };
  await sign();
  expect(await failure()).toMatch(/^corrupt-index: .*"bookworm" with the lists of "bullseye"/);
});

test("without a keyring, or with a file that is none, nothing is fetched", async () => {
  await sign();
  expect(await failure({ keyring: join(cache, "absent") })).toMatch(
    /^no-keyring: .*absent is not there.*--keyring FILE/,
  );
  await writeFile(join(cache, "words"), "words");
  expect(await failure({ keyring: join(cache, "words") })).toMatch(/^no-keyring/);
  expect(asked.filter((path) => path !== inRelease)).toEqual([]);
});

test("a mirror without the suite, or one that does not answer, is named with what to pass", async () => {
  expect(await failure()).toMatch(/^network: there is no bookworm at .*--mirror URL/);
  const gone = serve().listen(0, "127.0.0.1");
  await once(gone, "listening");
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  expect(await failure({ mirror: `http://127.0.0.1:${port}/debian` })).toMatch(
    /^network: .*ECONNREFUSED.*--mirror URL/,
  );
});

test("two that prepare at once take turns, and a lock whose process is gone counts for nothing", async () => {
  await sign();
  const phases: string[] = [];
  const [first, second] = await Promise.all([prepare(), prepare({ onProgress: ({ phase }) => phases.push(phase) })]);
  expect([first.unchanged, second.unchanged].sort()).toEqual([false, true]);
  await writeFile(
    join(cache, "lock"),
    JSON.stringify({ pid: 2 ** 22 + 1, host: (await import("node:os")).hostname() }),
  );
  expect((await prepare()).unchanged).toBe(true);
});

test("an interruption leaves no half an image, and the next run makes it", async () => {
  await sign();
  const stop = new AbortController();
  const message = await failure({ signal: stop.signal, onProgress: ({ phase }) => phase === "unpack" && stop.abort() });
  expect(message).toMatch(/^cancelled/);
  await expect(openImage("debian-12-cloud", { cache })).rejects.toThrow("not here yet");
  expect(await failure()).toBe("no failure");
});

describe.skipIf(!(await hasApt()))("through the host's apt", () => {
  beforeEach(() => {
    options = { ...options, through: "apt" };
  });

  test("the same archive gives the same image as through our own client", async () => {
    await sign();
    const other = await mkdtemp(join(tmpdir(), "memvisor-images-"));
    const [byApt, byHttp] = [
      await prepare({ with: ["tool"], inMemory: true }),
      await prepare({ with: ["tool"], inMemory: true, through: "http", cache: other }),
    ];
    expect((await readFile(byApt.initrdPath)).equals(await readFile(byHttp.initrdPath))).toBe(true);
    expect(byApt.packages).toEqual(byHttp.packages);
    await rm(other, { recursive: true });
  });

  test("what our own client refuses, apt refuses, and the message has the same name", async () => {
    await sign();
    const text = Buffer.from(archive.files.get(inRelease) ?? []).toString();
    archive.files.set(inRelease, Buffer.from(text.replace("oldstable", "newstable")));
    expect(await failure()).toMatch(/^bad-signature/);
    await sign(otherKey);
    expect(await failure()).toMatch(/^unknown-key/);
    archive.release = { ...archive.release, "Valid-Until": new Date(Date.now() - day).toUTCString() };
    await sign();
    // A host may be set to believe old lists; then apt does.
    expect(await failure()).toMatch(/^(expired|no failure)/);
  });

  test("a spoilt list and a spoilt package are refused", async () => {
    await sign();
    const [goodList, goodDeb] = [archive.files.get(list), archive.files.get(kernelPath)].map(
      (each) => each ?? new Uint8Array(0),
    );
    archive.files.set(list, gzipSync("Package: other\n"));
    expect(await failure()).toMatch(/^(corrupt-index|network)/);
    archive.files.set(list, goodList);
    archive.files.set(
      kernelPath,
      goodDeb.map((byte, i) => (i === 500 ? byte ^ 1 : byte)),
    );
    expect(await failure()).toMatch(/^corrupt-/);
    archive.files.set(kernelPath, goodDeb);
    expect(await failure()).toBe("no failure");
  });
});
