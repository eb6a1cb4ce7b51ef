/**
 * A guest on each memory backing whose pages are evicted at random while stress-ng writes patterns over memory and verifies them.
 * The image has stress-ng: memvisor image prepare IMAGE --with stress-ng --in-memory
 */
import { join } from "node:path";
import { VirtualMachine } from "#host";
import { openImage } from "#host/images";
import { table } from "../../bench/table.ts";

export interface BackingsSoak {
  readonly image: string;
  readonly cpus: number;
  readonly seed: number;
  readonly seconds: number;
  /** For backings in files. */
  readonly folder: string;
  say(line: string): void;
}

const backingsIn = (folder: string): readonly string[] => [
  "plain",
  "compressed",
  "encrypted",
  "shared",
  `file:${join(folder, "file")}`,
  "shared:compressed",
  `encrypted:file:${join(folder, "encrypted")}`,
  `compressed:encrypted:file:${join(folder, "compressed")}`,
];

/** How many went wrong. */
export async function soakBackings(soak: BackingsSoak): Promise<number> {
  const rows = [["backing", "verdict", "evicted", "brought back", "kept", "of the host's memory"]];
  let wrong = 0;
  for (const backing of backingsIn(soak.folder)) {
    const { good, text, cells } = await stress(backing, soak);
    if (!good) {
      wrong++;
      soak.say(text);
    }
    soak.say(`${backing}: ${good ? "verified" : "wrong"}`);
    rows.push([backing.replace(`${soak.folder}/`, ""), good ? "verified" : "wrong", ...cells]);
  }
  console.log(table(rows));
  return wrong;
}

async function stress(memoryBacking: string, { image: name, cpus, seed, seconds }: BackingsSoak) {
  const image = await openImage(name);
  const memoryMib = 384;
  await using vm = await VirtualMachine.start({
    kernel: image.kernelPath,
    initrd: image.initrdPath,
    memoryBytes: memoryMib << 20,
    cpus,
    memoryBacking,
    evictionSeed: seed,
  });
  const words = `--vm ${cpus} --vm-bytes ${Math.floor(96 / cpus)}M --vm-method all --verify --timeout ${seconds}s`;
  const ran = await vm.exec(`stress-ng ${words}`, { timeoutMs: (600 + 10 * seconds) * 1000 }).catch(String);
  if (typeof ran === "string") return { good: false, text: ran, cells: [] };
  const { status, stdout, stderr } = ran;
  const { swap } = await vm.stats();
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const kept = swap?.backing.pagesHeld ?? 0;
  return {
    // A run without evictions has looked at nothing.
    good: status === 0 && (swap?.in ?? 0) > 1000,
    text: stdout.text() + stderr.text(),
    cells: [`${swap?.out ?? 0} pages`, `${swap?.in ?? 0} pages`, mib(kept * 4096), mib(swap?.backing.hostBytes ?? 0)],
  };
}
