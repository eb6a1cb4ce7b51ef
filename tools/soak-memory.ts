/**
 * Looks for what moving a machine's memory could break: snapshots taken at random instants of a guest that writes checksummed
 * files, each restored and verified, from time to time by killing whoever writes one.
 *
 *   npm run soak:memory -- --snapshots 1000
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { VirtualMachine } from "#host";
import { openImage } from "#host/images";
import { median } from "../bench/table.ts";
import { virtualMachine } from "./machine-setup.ts";
import { soakBackings } from "./soak/backings.ts";
import { judgeByCopy, judgeKnownStores } from "./soak/dirty-log.ts";

const usage = `npm run soak:memory -- [options]
  --snapshots N   how many are taken, restored and verified (default 100)
  --kills N       savers that are killed on the way; the snapshot of before must be whole (default 10)
  --image NAME    default debian-12-cloud
  --cpus N        vCPUs (default 1)
  --stores N      of a guest whose stores are known, against the dirty log (default 100000000)
  --boots N       boots, with one vCPU and with two on threads, of which a copy is kept by the dirty log (default 1)
  --seed N        of the instants (default 1)
  --backings      run stress-ng in a guest on each memory backing instead, its pages evicted at random
  --seconds N     how long on each (default 20)`;

const { values } = parseArgs({
  options: {
    snapshots: { type: "string", default: "100" },
    kills: { type: "string", default: "10" },
    image: { type: "string", default: "debian-12-cloud" },
    cpus: { type: "string", default: "1" },
    stores: { type: "string", default: "100000000" },
    boots: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    backings: { type: "boolean" },
    seconds: { type: "string", default: "20" },
    /** Of this tool itself: restores the file named and saves it again, until it is killed. */
    saver: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

/** Files whose names are their checksums: renamed when whole, so that what has such a name is right at any instant. */
const writer = `mkdir -p /tmp/w; cd /tmp/w; n=0
while :; do
  n=$((n+1))
  head -c $((n * 7919 % 300000)) /dev/urandom >.new
  mv .new $n.$(md5sum <.new | cut -c1-32)
  rm -f $((n-30)).*
done`;
const verifier = `cd /tmp/w; good=0
for f in *.*; do
  [ "$(md5sum <$f 2>/dev/null | cut -c1-32)" = "\${f#*.}" ] && good=$((good+1)) || { [ -e $f ] && echo "wrong: $f"; }
done
echo good $good`;

let random = Number(values.seed);
/** A number from 0 to 1 (xorshift32). */
function next(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) / 2 ** 32;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

if (values.help) console.log(usage);
else if (values.saver !== undefined) await saveForEver(values.saver);
else process.exitCode = (await (values.backings ? onBackings() : soak())) === 0 ? 0 : 1;

async function onBackings(): Promise<number> {
  const { image, cpus, seed, seconds } = values;
  const folder = await mkdtemp(join(tmpdir(), "memvisor-soak-"));
  try {
    return await soakBackings({
      ...{ image, folder, say },
      ...{ cpus: Number(cpus), seed: Number(seed), seconds: Number(seconds) },
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** How many went wrong. */
async function soak(): Promise<number> {
  const logged = (await knownStores()) + bootCopies();
  if (Number(values.snapshots) === 0 && Number(values.kills) === 0) return logged;
  const folder = await mkdtemp(join(tmpdir(), "memvisor-soak-"));
  try {
    await using vm = await bootImage();
    await vm.spawn("sh", ["-c", writer]);
    const wrong = await snapshots(vm, folder);
    const torn = await kills(vm, folder);
    return logged + wrong + torn;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function knownStores(): Promise<number> {
  const wanted = Number(values.stores);
  if (wanted === 0) return 0;
  const { stores, harvests, pages, missed, spurious } = await judgeKnownStores(wanted, next);
  console.log(
    `dirty log, ${stores} known stores: ${harvests} harvests of ${pages} pages, ${missed} missed, ${spurious} spurious`,
  );
  return missed + spurious;
}

function bootCopies(): number {
  let wrong = 0;
  for (let n = 0; n < Number(values.boots); n++) {
    for (const cpus of [1, 2]) {
      const config = virtualMachine({ image: values.image, memory: "256", cpus: String(cpus), seed: String(n + 1) });
      const { harvests, pages, missed } = judgeByCopy(
        { ...config, clock: cpus === 1 ? "virtual" : "wall", engine: {} },
        next,
      );
      console.log(`dirty log, a boot with ${cpus} vCPUs: ${harvests} harvests of ${pages} pages, ${missed} missed`);
      wrong += missed;
    }
  }
  return wrong;
}

async function bootImage(): Promise<VirtualMachine> {
  const image = await openImage(values.image);
  const vm = await VirtualMachine.start({
    kernel: image.kernelPath,
    initrd: image.initrdPath,
    cpus: Number(values.cpus),
  });
  await vm.exec("true");
  return vm;
}

async function snapshots(vm: VirtualMachine, folder: string): Promise<number> {
  const path = join(folder, "a.snapshot");
  const times: { save: number; restore: number }[] = [];
  let wrong = 0;
  for (let n = 1; n <= Number(values.snapshots); n++) {
    await pause(next() * 300);
    const begun = performance.now();
    await vm.snapshot(path);
    const saved = performance.now();
    const verdict = await verify(path);
    times.push({ save: saved - begun, restore: verdict.restoreMs });
    if (!verdict.good) {
      wrong++;
      say(`snapshot ${n}: ${verdict.text}`);
    }
    if (n % 10 === 0) say(`${n} of ${values.snapshots} snapshots, ${wrong} wrong`);
  }
  const of = (each: "save" | "restore"): string => median(times.map((time) => time[each])).toFixed(0);
  console.log(
    `${times.length} snapshots: ${wrong} wrong; medians: saved in ${of("save")} ms, restored to a first exec in ${of("restore")} ms`,
  );
  return wrong;
}

async function verify(path: string): Promise<{ good: boolean; text: string; restoreMs: number }> {
  const begun = performance.now();
  await using copy = await VirtualMachine.restore(path, { timeoutMs: 120_000 });
  await copy.exec("true");
  const restoreMs = performance.now() - begun;
  const text = (await copy.exec(verifier)).stdout.text().trim();
  return { good: /^good \d+$/.test(text), text, restoreMs };
}

/** A process that saves over and over to one file is killed at random instants: what lies there is always whole. */
async function kills(vm: VirtualMachine, folder: string): Promise<number> {
  const path = join(folder, "b.snapshot");
  await vm.snapshot(path);
  let torn = 0;
  for (let n = 1; n <= Number(values.kills); n++) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--saver", path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await pause(next() * 1000);
    child.kill("SIGKILL");
    await once(child, "exit");
    const verdict = await verify(path);
    if (!verdict.good) torn++;
  }
  console.log(`${values.kills} savers killed: ${torn} snapshots torn`);
  return torn;
}

async function saveForEver(path: string): Promise<void> {
  const vm = await VirtualMachine.restore(path);
  console.log("saving");
  for (;;) await vm.snapshot(path);
}
