import { expect, test } from "vitest";
import { type ByteStream, collect } from "./archive/byte-source.ts";
import { readLinkNeeds, readModinfo } from "./archive/elf.ts";
import { bytesOf, debOf, linkedAgainst, type Member, moduleOf } from "./archive/fixtures.ts";
import { buildImage, isCurrent, type PackageSource } from "./build.ts";
import { PackageIndex } from "./debian/package-index.ts";
import { contentOf } from "./disk/disk-tree.ts";
import { bootOrder, modulesAlias, modulesDep, selectModules } from "./modules.ts";
import { parseReference } from "./reference.ts";

interface Package {
  readonly name: string;
  readonly depends?: string;
  readonly section?: string;
  readonly files?: readonly Member[];
}

/** An archive in memory. A package's checksum is its name: nothing here looks at it. */
function archiveOf(packages: readonly Package[]) {
  const index = new PackageIndex();
  const stanza = (each: Package): string =>
    `Package: ${each.name}\nVersion: 1\nSection: ${each.section ?? "utils"}\nDepends: ${each.depends ?? ""}\nSHA256: ${each.name}`;
  index.add(packages.map(stanza).join("\n\n"), "memory");
  const fetched: string[] = [];
  const source: PackageSource = {
    archives: [],
    fetchAll: async () => {},
    refresh: async () => index,
    fetch: async ({ name }) => {
      fetched.push(name);
      return debOf(packages.find((each) => each.name === name)?.files ?? []);
    },
  };
  const decompress = async function* (_: string, bytes: Uint8Array) {
    yield bytes;
  };
  const keep = async (body: ByteStream) => contentOf(await collect(body));
  const rest = { agent: new Uint8Array(0), keep, md5: () => "", onProgress: () => {} };
  return { fetched, workshop: { source, index, decompress, ...rest } };
}

const inMemory = (extras: readonly string[]) => ({ extras, disk: false });

const folder = "lib/modules/6.1-test";
const kernel: Package[] = [
  { name: "linux-image-cloud-amd64", depends: "linux-image-6.1-test (= 1)" },
  {
    name: "linux-image-6.1-test",
    depends: "kmod, linux-base",
    files: [
      { path: "./boot/vmlinuz-6.1-test", data: "kernel" },
      { path: `./${folder}/modules.builtin`, data: "kernel/fs/built.ko\n" },
      {
        path: `./${folder}/kernel/drivers/virtio/virtio_pci.ko`,
        data: moduleOf(["vermagic=6.1", "depends=virtio_ring,virtio", "alias=pci:v1AF4"]),
      },
      { path: `./${folder}/kernel/drivers/virtio/virtio_ring.ko`, data: moduleOf(["vermagic=6.1", "depends=virtio"]) },
      { path: `./${folder}/kernel/drivers/virtio/virtio.ko`, data: moduleOf(["vermagic=6.1", "depends="]) },
      { path: `./${folder}/kernel/sound/snd.ko`, data: moduleOf(["vermagic=6.1", "depends="]) },
    ],
  },
  { name: "busybox-static", files: [{ path: "./bin/busybox", data: "busybox", mode: 0o755 }] },
];

const reference = parseReference("debian-12-cloud");

/** The paths of a cpio archive. */
function pathsOf(cpio: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(cpio);
  const paths: string[] = [];
  for (let at = 0; text.startsWith("070701", at); ) {
    const [size, nameSize] = [at + 54, at + 94].map((from) => Number.parseInt(text.slice(from, from + 8), 16));
    paths.push(text.slice(at + 110, at + 110 + nameSize - 1));
    at = ((at + 110 + nameSize + 3) & ~3) + ((size + 3) & ~3);
  }
  return paths;
}

test("an image is the kernel, busybox, init and the modules that are wanted, with what they need", async () => {
  const { workshop, fetched } = archiveOf(kernel);
  const image = await buildImage(reference, inMemory([]), workshop);
  expect(fetched).toEqual(["linux-image-6.1-test", "busybox-static"]);
  expect(new TextDecoder().decode(image.kernel)).toBe("kernel");
  expect(image.record).toMatchObject({ kernelVersion: "6.1-test", reference: "debian-12-cloud", extras: [] });
  const paths = pathsOf(image.initrd);
  expect(paths).toEqual(
    expect.arrayContaining([
      "bin",
      "init",
      "usr/bin/busybox",
      "dev/console",
      "etc/passwd",
      `usr/${folder}/kernel/drivers/virtio/virtio.ko`,
    ]),
  );
  expect(paths.filter((path) => path.includes("snd"))).toEqual([]);
  for (const path of paths.slice(0, -1)) {
    const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
    if (parent) expect(paths.indexOf(parent)).toBeLessThan(paths.indexOf(path));
  }
});

test("the same packages give the same bytes, and an image knows when the archive has newer ones", async () => {
  const [a, b] = [archiveOf(kernel).workshop, archiveOf(kernel).workshop];
  const image = await buildImage(reference, inMemory([]), a);
  expect((await buildImage(reference, inMemory([]), b)).initrd).toEqual(image.initrd);
  expect(isCurrent(image.record, reference, inMemory([]), a.index)).toBe(true);
  expect(isCurrent(image.record, reference, inMemory(["tree"]), a.index)).toBe(false);
  a.index.add("Package: busybox-static\nVersion: 2\nSHA256: newer\n", "memory");
  expect(isCurrent(image.record, reference, inMemory([]), a.index)).toBe(false);
});

test("an extra package comes whole; of libraries comes what something is linked against, and no more is fetched", async () => {
  const { workshop, fetched } = archiveOf([
    ...kernel,
    {
      name: "tool",
      depends: "libfoo1, libc6 (>= 1), debconf (>= 0.5) | debconf-2.0, data | other-data",
      files: [
        { path: "./usr/bin/tool", data: linkedAgainst(["libfoo.so.1", "libc.so.6"], "/lib64/ld.so.2"), mode: 0o755 },
        { path: "./usr/share/doc/tool/readme", data: "words" },
      ],
    },
    { name: "other-data", files: [{ path: "./usr/share/tool/data", data: "data" }] },
    {
      name: "libfoo1",
      section: "libs",
      depends: "libc6, libdeep1, libhuge1",
      files: [
        { path: "./usr/lib/x86_64-linux-gnu/libfoo.so.1", type: "2", target: "libfoo.so.1.2" },
        { path: "./usr/lib/x86_64-linux-gnu/libfoo.so.1.2", data: linkedAgainst(["libdeep.so.1"]) },
        { path: "./usr/lib/x86_64-linux-gnu/libfoo-more.so.1", data: linkedAgainst(["libhuge.so.1"]) },
      ],
    },
    {
      name: "libdeep1",
      section: "libs",
      files: [{ path: "./usr/lib/x86_64-linux-gnu/deep/libdeep.so.1", data: linkedAgainst([]) }],
    },
    { name: "libhuge1", section: "libs" },
    {
      name: "libc6",
      section: "libs",
      depends: "libfoo1",
      files: [
        { path: "./lib/x86_64-linux-gnu/libc.so.6", data: linkedAgainst(["ld.so.2"]) },
        { path: "./lib/x86_64-linux-gnu/ld.so.2", data: linkedAgainst([]) },
        { path: "./lib64/ld.so.2", type: "2", target: "/lib/x86_64-linux-gnu/ld.so.2" },
      ],
    },
  ]);
  const paths = pathsOf((await buildImage(reference, inMemory(["tool"]), workshop)).initrd);
  const libraries = paths.filter((path) => path.includes(".so"));
  expect(libraries.sort()).toEqual([
    "usr/lib/x86_64-linux-gnu/deep/libdeep.so.1",
    "usr/lib/x86_64-linux-gnu/ld.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libdeep.so.1",
    "usr/lib/x86_64-linux-gnu/libfoo.so.1",
    "usr/lib/x86_64-linux-gnu/libfoo.so.1.2",
    "usr/lib64/ld.so.2",
  ]);
  expect(paths).toEqual(expect.arrayContaining(["usr/bin/tool", "usr/share/tool/data"]));
  expect(paths).not.toContain("usr/share/doc/tool/readme");
  expect(fetched).not.toContain("libhuge1");
});

test("a package that is not in the archive, or lacks a library, is named", async () => {
  const { workshop } = archiveOf([
    ...kernel,
    { name: "tool", files: [{ path: "usr/bin/tool", data: linkedAgainst(["libno.so.1"]) }] },
  ]);
  await expect(buildImage(reference, inMemory(["absent"]), workshop)).rejects.toThrow('no package "absent"');
  await expect(buildImage(reference, inMemory(["tool"]), workshop)).rejects.toThrow("libno.so.1");
  await expect(buildImage(reference, inMemory([]), archiveOf([]).workshop)).rejects.toThrow("linux-image-cloud-amd64");
});

test("modules load behind what they depend on, and modprobe's files say so", async () => {
  const files = new Map(
    (kernel[1].files ?? []).flatMap(({ path, data }) =>
      path.endsWith(".ko") ? [[path.slice(`./${folder}/`.length), data as Uint8Array]] : [],
    ),
  );
  const set = await selectModules(files.keys(), async (path) => files.get(path) ?? bytesOf(""));
  const at = "kernel/drivers/virtio";
  expect(bootOrder(set)).toBe(`${at}/virtio.ko\n${at}/virtio_ring.ko\n${at}/virtio_pci.ko\n`);
  expect(modulesDep(set)).toBe(
    `${at}/virtio.ko:\n${at}/virtio_ring.ko: ${at}/virtio.ko\n${at}/virtio_pci.ko: ${at}/virtio_ring.ko ${at}/virtio.ko\n`,
  );
  expect(modulesAlias(set)).toBe("alias pci:v1AF4 virtio_pci\n");
});

test("any bytes at all into the ELF readers give something back", () => {
  let seed = 3;
  const samples = [moduleOf(["vermagic=6", "depends=a"]), linkedAgainst(["libc.so.6"], "/lib64/ld.so")];
  for (let i = 0; i < 4000; i++) {
    const file = samples[i & 1].slice();
    for (let j = 0; j < 3; j++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      file[8 + (seed % (file.length - 8))] = seed >>> 24;
    }
    readModinfo(file.subarray(0, 20 + (seed % file.length)));
    readLinkNeeds(file);
  }
});
