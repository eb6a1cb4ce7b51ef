/**
 * Connections to a server of the host: memvisor, and QEMU's translator with virtio-net and its own user-mode network, on the same
 * kernel and initramfs.
 *
 *   npm run bench:net -- --rounds 5
 *
 * Neither needs a right on the host, and each passes the guest's TCP on to the host's sockets. Rounds are interleaved. Processor time
 * is the contender's, the server's apart.
 */
import { parseArgs } from "node:util";
import { compare, deviceOptions, deviceUsage, inFolder, report } from "./device-bench.ts";
import { netServer } from "./net-server.ts";
import { fail } from "./programs.ts";

const usage = `npm run bench:net -- [options]
  --rows NAMES    some of the rows (default all)
  --seconds S     of each row (default 5), after --warm S of the same that are not counted (default 4)
${deviceUsage}`;

const { values } = parseArgs({
  options: {
    ...deviceOptions,
    rows: { type: "string" },
    seconds: { type: "string", default: "5" },
    warm: { type: "string", default: "4" },
  },
});

const badNumber = ["warm", "seconds"].find((name) => !(Number(values[name as "warm" | "seconds"]) >= 0));
if (values.help) console.log(usage);
else if (badNumber !== undefined) fail(`--${badNumber} takes a number of seconds`);
else await inFolder("net", main);

async function main(folder: string): Promise<number> {
  const server = await netServer();
  const { names, outcomes } = await compare(folder, values, {
    program: "net.c",
    script: (rows) => `ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
/bench/program ${server.port} ${values.warm} ${values.seconds} ${rows}`,
    device: () => ({
      memvisor: `--allow localhost:${server.port}`,
      qemu: ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"],
    }),
  });
  server.close();
  return report("microseconds a MiB, a question or a connection", names, outcomes, values, ["tcp-out", "tcp-in"]);
}
