/** Two machines of one configuration that run in two ways, kept at the same instruction. */
import { type EngineOptions, Machine, type MachineConfig } from "#vm";
import { quietHost } from "../machine-setup.ts";

/** After `from` instructions both agree, after `to` they do not. */
export interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}

/** A way to run from its name; undefined where there is none. */
export function parseWay(text: string): EngineOptions | undefined {
  const [, name, number] = /^(interpreter|compiled|chaos)(?::(\d+))?$/.exec(text) ?? [];
  switch (name) {
    case "interpreter":
      return { interpreterOnly: true };
    case "compiled":
      return number === undefined ? {} : { hotThreshold: Number(number) };
    case "chaos":
      return { chaosSeed: Number(number ?? 1) };
    default:
      return undefined;
  }
}

export class Pair {
  readonly a: Machine;
  readonly b: Machine;

  constructor(config: Omit<MachineConfig, "engine">, a: EngineOptions, b: EngineOptions) {
    this.a = new Machine({ ...config, engine: a }, quietHost());
    this.b = new Machine({ ...config, engine: b }, quietHost());
  }

  /** Runs both to `icount`; whether they agree there, or have ended in the same way. */
  advance(icount: bigint): boolean {
    const a = this.a.runUntil(icount);
    const b = this.b.runUntil(icount);
    return a?.reason === b?.reason && JSON.stringify(this.a.digest()) === JSON.stringify(this.b.digest());
  }

  get ended(): boolean {
    return this.a.runUntil(0n) !== undefined;
  }
}
