/** The judges, with how much each is given: the runs of a tool that have to find nothing. */
import { passNames } from "#jit";

export interface Amounts {
  /** Random cases on the real CPU and in compiled code, and in interpreted code. */
  readonly compiled: number;
  readonly interpreted: number;
  /** Cases for each pass that is left out. */
  readonly withoutEach: number;
  /** Of each image. */
  readonly boots: number;
  /** Of each stressor. */
  readonly seconds: number;
}

export interface Judge {
  readonly name: string;
  readonly looksAt: string;
  readonly runs: readonly { readonly tool: string; readonly args: readonly string[] }[];
}

/** Cases of one process, which has its own seed. */
const casesAtOnce = 50_000;

const chaosSeeds = 3;

export function judges(amounts: Amounts, seed: number): readonly Judge[] {
  const { compiled, interpreted, withoutEach, boots, seconds } = amounts;
  const chaos = Array.from({ length: chaosSeeds }, (_, n) => seed + n);
  const stress = ["--stress", "--together", "--cpus", "2", "--seconds", String(seconds)];
  return [
    { name: "compiled", looksAt: `${compiled} cases`, runs: oracle("compiled", compiled, seed) },
    { name: "interpreted", looksAt: `${interpreted} cases`, runs: oracle("interpreter", interpreted, seed) },
    {
      name: "without-pass",
      looksAt: `${withoutEach} cases each`,
      runs: passNames.flatMap((pass, n) => oracle(`without-${pass}`, withoutEach, seed + 1000 * (n + 1))),
    },
    {
      name: "loaded-numbers",
      looksAt: `${withoutEach} cases, compiled and interpreted`,
      runs: ["loaded-numbers", "interpreter-loaded-numbers"].flatMap((name) => oracle(name, withoutEach, seed)),
    },
    {
      name: "digests",
      looksAt: "each pass, chaos",
      runs: ["1", "2"].map((cpus) => ({
        tool: "digests",
        args: ["--cpus", cpus, "--chaos", chaos.join(","), "--each-pass-off"],
      })),
    },
    {
      name: "boots",
      looksAt: `${boots} of each image`,
      runs: ["1", "2"].map((cpus) => ({ tool: "soak", args: ["--times", String(boots), "--cpus", cpus] })),
    },
    { name: "stress", looksAt: "2 vCPUs", runs: [{ tool: "soak", args: stress }] },
    {
      name: "stress-chaos",
      looksAt: `2 vCPUs, ${chaos.length} seeds`,
      runs: chaos.map((each) => ({ tool: "soak", args: [...stress, "--timeout", "600", `--run=--chaos ${each}`] })),
    },
    {
      name: "stress-passes",
      looksAt: `2 vCPUs, ${passNames.length} passes`,
      runs: [{ tool: "soak", args: [...stress, "--each-pass-off"] }],
    },
  ];
}

function oracle(executor: string, cases: number, seed: number): Judge["runs"] {
  return Array.from({ length: Math.ceil(cases / casesAtOnce) }, (_, n) => ({
    tool: "oracle",
    args: [
      "--executors",
      executor,
      "--cases",
      String(Math.min(casesAtOnce, cases - n * casesAtOnce)),
      "--seed",
      String(seed + n),
    ],
  }));
}
