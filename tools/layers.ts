/**
 * Which folder of src/ may import which: the table, and what reads it over all files.
 *
 * Law: an arrow points to a row above, so folders are never in a circle. A folder may import what its row names and what
 * those may import in turn. Other folders are entered by their door (`#folder`), one's own files by a relative path; tests
 * may import any file. `outside` names the packages, and whether a folder may use Node.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

interface Layer {
  readonly mayImport: readonly string[];
  /** Packages; "node:" stands for all of Node. */
  readonly outside?: readonly string[];
}

const layers: Readonly<Record<string, Layer>> = {
  base: { mayImport: [] },
  address: { mayImport: ["base"] },
  x86: { mayImport: ["address"] },
  // Made into Wasm by itself; its constants come from the generated layout.
  runtime: { mayImport: [] },
  // Made into a program for guests by itself.
  agent: { mayImport: [] },
  wasm: { mayImport: ["base"] },
  memory: { mayImport: ["address"] },
  // The network that a guest's card is plugged into: frames in, the host's sockets out. Knows nothing of machines.
  net: { mayImport: ["base"] },
  // There is no folder mmu: page walks and TLB fills are part of the runtime, their layouts of memory and vcpu.
  vcpu: { mayImport: ["x86", "memory"] },
  // Reads and writes of state are operands by field name, and the names are the vCPU record's.
  ir: { mayImport: ["base", "vcpu"] },
  jit: { mayImport: ["x86", "ir", "wasm", "vcpu"] },
  engine: { mayImport: ["jit", "vcpu", "memory"] },
  // The network device speaks the words of the network that it is plugged into.
  devices: { mayImport: ["memory", "net"] },
  // Disks for the block device's service, on files of whatever host.
  disk: { mayImport: ["devices"] },
  // A bzImage's gzip payload is unpacked by fflate, which browsers can run too.
  vm: { mayImport: ["engine", "devices"], outside: ["fflate"] },
  introspect: { mayImport: ["vm"] },
  snapshot: { mayImport: ["vm"] },
  // Makes files of packages; knows nothing of the machine that boots them.
  images: { mayImport: [] },
  control: { mayImport: ["introspect", "snapshot", "vm"] },
  // Implements what control, disks and images ask of a host.
  host: { mayImport: ["control", "disk", "images"], outside: ["node:", "openpgp", "ws"] },
  // The command puts control, images and this host together.
  cli: { mayImport: ["control", "images", "host"], outside: ["node:", "commander", "cli-progress"] },
  // The page, bundled; its threads/ are the browser's half of what host is in Node.
  web: {
    mayImport: ["control", "disk", "images", "net"],
    outside: ["@xterm/xterm", "@xterm/addon-fit", "fflate", "uplot"],
  },
  // src/index.ts: the library in Node.
  ".": { mayImport: ["control", "images", "host"] },
};

const root = fileURLToPath(new URL("../", import.meta.url));

/** What is wrong, a line each. */
export function checkLayers(): string[] {
  return [...checkTable(), ...sourceFiles("src").flatMap(checkFile), ...sourceFiles("src").flatMap(checkDoor)];
}

function checkTable(): string[] {
  const rows = Object.keys(layers);
  const folders = readdirSync(join(root, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [
    ...rows.flatMap((from, at) =>
      layers[from].mayImport
        .filter((to) => rows.indexOf(to) >= at || !(to in layers))
        .map((to) => `${from} -> ${to} points down or nowhere`),
    ),
    ...folders
      .filter(({ name }) => !(name in layers) && sourceFiles(`src/${name}`).length > 0)
      .map(({ name }) => `src/${name} has no row in tools/layers.ts`),
  ];
}

function checkFile(file: string): string[] {
  if (isTest(file)) return [];
  const from = folderOf(file);
  const allowed = reach(from);
  const outside = layers[from]?.outside ?? [];
  return importsOf(file).flatMap((specifier) => {
    const wrong = (why: string): string[] => [`${file}: "${specifier}": ${why}`];
    if (specifier.startsWith(".")) {
      const to = folderOf(posix.join(dirname(file), specifier));
      return to === from ? [] : wrong(`another folder is entered by its door, "#${to}"`);
    }
    if (specifier.startsWith("#")) {
      const to = specifier.slice(1).split("/")[0];
      if (to === from) return wrong("files of one folder import each other by a relative path");
      return allowed.has(to) ? [] : wrong(`${from} may not import ${to}`);
    }
    const good = outside.some((each) => (each === "node:" ? specifier.startsWith(each) : specifier === each));
    return good ? [] : wrong(`${from} may not use this package`);
  });
}

/** A door names what it gives; the runtime's helpers are a list of nothing else. */
function checkDoor(file: string): string[] {
  if (["agent", "runtime"].includes(folderOf(file))) return [];
  return /^export \*/m.test(read(file)) ? [`${file}: export * hides what a folder gives`] : [];
}

/** What a folder may import, and what that may in turn. */
function reach(from: string): Set<string> {
  const found = new Set<string>();
  const visit = (folder: string): void => {
    for (const to of layers[folder]?.mayImport ?? []) {
      if (found.has(to)) continue;
      found.add(to);
      visit(to);
    }
  };
  visit(from);
  return found;
}

function importsOf(file: string): string[] {
  const text = read(file);
  const statements = /^(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...text.matchAll(statements)].map((match) => match[1] ?? match[2] ?? match[3]);
}

const isTest = (file: string): boolean => file.endsWith(".test.ts") || file.includes("/testing/");

/** "." for the files of src itself. */
function folderOf(file: string): string {
  const parts = file.split("/");
  return parts.length > 2 ? parts[1] : ".";
}

const read = (file: string): string => readFileSync(join(root, file), "utf8");

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const found = checkLayers();
  for (const line of found) console.log(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
