/**
 * What the guest's other tasks come to while one waits for pages that are far away: one touches memory that was evicted to page servers whose
 * answers take long, the other one counts. Once with a kernel that is told to do without asynchronous page faults, once with them; one vCPU.
 *
 *   npm run bench:async-faults -- --latency 20
 */
import { parseArgs } from "node:util";
import { VirtualMachine } from "#host";
import { latePageServers, limitBytes, putAway, sumOf } from "../test/late-page-servers.ts";

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "debian-12-cloud" },
    latency: { type: "string", default: "20" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(`npm run bench:async-faults -- [options]
  --image NAME    a prepared image (default debian-12-cloud)
  --latency MS    what an answer of a page server takes (default 20)`);
  process.exit(0);
}

/** The counter's speed, of what it comes to alone. */
const goal = 0.8;
const latencyMs = Number(values.latency);
const mib = 1 << 20;
/** So many kilobytes are far away. */
const lines = 3000;
const counter = (until: string): string => `n=0; touch /tmp/go; until [ -s ${until} ]; do n=$((n + 1)); done; echo $n`;
const alone = `(sleep 4; echo >/tmp/enough) & ${counter("/tmp/enough").replace("touch /tmp/go; ", "")}`;

interface Figures {
  readonly part: number;
  readonly seconds: number;
  readonly pages: number;
  readonly deferred: number;
}

async function measure(backing: string, words: string): Promise<Figures> {
  await using vm = await VirtualMachine.start({
    image: values.image,
    memoryBytes: 256 * mib,
    memoryBacking: backing,
    memoryLimitBytes: limitBytes,
    commandLine: `console=ttyS0 panic=-1 memvisor.exec=1 ${words}`,
  });
  const shell = async (command: string): Promise<string> => (await vm.exec(command)).stdout.text().trim();
  const speed = async (command: string): Promise<{ perSecond: number; seconds: number }> => {
    const begun = performance.now();
    const count = Number(await shell(command));
    const seconds = (performance.now() - begun) / 1000;
    return { perSecond: count / seconds, seconds };
  };
  for (const command of putAway(lines)) await shell(command);
  const before = (await vm.stats()).swap;
  const { perSecond, seconds } = await speed(counter("/tmp/sum"));
  const after = (await vm.stats()).swap;
  const sum = Number(await shell("cat /tmp/sum"));
  // Afterwards: what counts is compiled by then.
  const free = await speed(alone);
  if (sum !== sumOf(lines)) throw new Error(`the guest's memory is not what it was: it sums up to ${sum}`);
  return {
    part: perSecond / free.perSecond,
    seconds,
    pages: (after?.in ?? 0) - (before?.in ?? 0),
    deferred: (after?.deferred ?? 0) - (before?.deferred ?? 0),
  };
}

await using servers = await latePageServers(latencyMs);
console.log(`pages come back after ${latencyMs} ms; the counter's speed, of what it comes to alone:`);
for (const [name, words] of [
  ["waiting", "no-kvmapf"],
  ["asynchronous", ""],
] as const) {
  const { part, seconds, pages, deferred } = await measure(servers.backing, words);
  const judged = words === "" ? ` (goal ${goal}: ${part >= goal ? "pass" : "loses"})` : "";
  console.log(
    `  ${name.padEnd(13)} ${part.toFixed(2)}${judged}; ${pages} pages came back in ${seconds.toFixed(1)} s, ${deferred} of them not waited for`,
  );
}
