/**
 * What presses on a machine's memory, what is done about it, and when the machine stands still because nothing helps.
 *
 *   its own limit                frames over it go to the memory backing
 *   the arena of its family      the same, where machines of a room have used nearly all frames there are
 *   the host                     it says what each machine may have; as the last resort one is chosen to stand still
 *
 * Laws: what cannot be evicted stays where it is, and a machine that would need more than there is has no turn until there is
 * more: pages are never dropped, and nobody ends for want of memory. Standing still it does what its owner asks, and goes on trying.
 */
import { type Pressure, PressureGauge, type Reclaimer, worse } from "#memory";

/** As its owner is told. */
export interface MemoryPressure {
  readonly level: Pressure;
  /** Whose frames are short, where any are. */
  readonly of?: PressureSource;
  /** Why the machine stands still, where it does: a line for a person. */
  readonly paused?: string;
}

export type PressureSource = "machine" | "family" | "host";

/** What the host tells a machine. */
export interface HostPressure {
  readonly level: Pressure;
  /** Frames that the machine is to have at most, for now; undefined: it may have what it has. */
  readonly limitFrames?: number;
  /** This machine is the one that is to stand still. */
  readonly chosen: boolean;
}

/** Frames of a family's arena, as one of its machines sees them. */
export interface FamilyFrames {
  /** How many the machines together are to free; 0 where there are enough. */
  readonly short: number;
  /** There are so few that no machine can have a turn. */
  readonly exhausted: boolean;
  /** It is this machine's turn to stand still: no other one that runs has more frames. */
  readonly givesWay: boolean;
}

export interface PressureParts {
  /** Of the machine. */
  frames(): number;
  family(): FamilyFrames;
  host(): HostPressure;
  /** Takes some of what is cold, where the machine is to do without; `asked`: the host is short of memory. */
  takeCold(asked: boolean): void;
  /** Makes one where there is none. */
  needReclaimer(): Taker;
  /** The one there is. */
  reclaimer(): Taker | undefined;
  /** It has changed. */
  tell(pressure: MemoryPressure, before: MemoryPressure): void;
}

type Taker = Pick<Reclaimer, "refusal" | "takeOldest">;

/** Below the limit, so that the next page does not call at once. */
const marginPart = 1 / 64;
const nearLimit = 7 / 8;
/** Pages at a time: the guest stands still meanwhile. As many as it can come to touch between two looks. */
const mostPages = 4096;
/** And of one that stands still in any case. */
const somePages = 256;
/** A vCPU that waits in the middle of an instruction keeps all pages where they are, for a moment. */
const patienceNs = 500e6;
/** Where nothing can be taken somebody looks again each so often. */
const retryNs = 100e6;

export class PressureWatch {
  readonly #parts: PressureParts;
  readonly #gauge = new PressureGauge();
  #told: MemoryPressure = { level: "none" };
  #paused: string | undefined;
  /** Since when nothing could be taken. */
  #stuckNs: number | undefined;
  #nextTryNs = 0;
  #source: PressureSource | undefined;
  /** Frames that the machine may have. */
  limitFrames: number | undefined;

  constructor(parts: PressureParts, limitFrames: number | undefined) {
    this.#parts = parts;
    this.limitFrames = limitFrames;
  }

  get state(): MemoryPressure {
    return this.#told;
  }

  /** What is to go next is of interest: the machine has nearly all it may have, or others need it. */
  get isClose(): boolean {
    const near = this.limitFrames !== undefined && this.#parts.frames() > nearLimit * this.limitFrames;
    return near || this.#gauge.level !== "none";
  }

  /** The machine has no turn. */
  get isPaused(): boolean {
    return this.#paused !== undefined;
  }

  /** Takes what is to go at `nowNs`, and decides whether the machine stands still. */
  look(nowNs: number): void {
    const host = this.#parts.host();
    const family = this.#parts.family();
    const over = this.#over(this.limitFrames);
    const short = Math.max(over, family.short, this.#over(host.limitFrames));
    const own = short > 0 ? this.#free(short, nowNs) : "none";
    if (short === 0) this.#parts.takeCold(host.level !== "none");
    if (host.chosen) this.#parts.needReclaimer().takeOldest(somePages);
    const stuck = this.#isStuck(own === "critical", nowNs);
    this.#paused = this.#reason(over, family, host, stuck);
    this.#gauge.read(worse(own === "critical" && !stuck ? "high" : own, host.level), nowNs);
    if (over > 0) this.#source = "machine";
    else if (family.short > 0) this.#source = "family";
    else if (host.level !== "none") this.#source = "host";
    this.#tell();
  }

  /** Frames that are too many; 0 where there is no limit. */
  #over(limit: number | undefined): number {
    const frames = this.#parts.frames();
    if (limit === undefined || frames <= limit) return 0;
    return frames - limit + Math.ceil(limit * marginPart);
  }

  /** How hard it was. */
  #free(short: number, nowNs: number): Pressure {
    if (nowNs < this.#nextTryNs) return "critical";
    const reclaimer = this.#parts.needReclaimer();
    const { pressure } = reclaimer.takeOldest(Math.min(short, mostPages));
    // A backing that refuses has some pages still, which would go and come back on and on.
    if (pressure !== "critical" && reclaimer.refusal === undefined) return pressure;
    this.#nextTryNs = nowNs + retryNs;
    return "critical";
  }

  #isStuck(now: boolean, nowNs: number): boolean {
    if (!now) this.#stuckNs = undefined;
    else this.#stuckNs ??= nowNs;
    return this.#stuckNs !== undefined && nowNs - this.#stuckNs >= patienceNs;
  }

  #reason(over: number, family: FamilyFrames, host: HostPressure, stuck: boolean): string | undefined {
    if (over > 0 && (stuck || this.isPaused))
      return `it has more than its limit of ${mibOf(this.limitFrames ?? 0)} MiB, and ${this.#why()}`;
    if (family.short > 0 && (family.exhausted || (stuck && family.givesWay) || this.isPaused))
      return `the machines that share its memory have used all there is, and ${this.#why()}`;
    return host.chosen ? "the host is out of memory, and of its machines this one has the most" : undefined;
  }

  /** Nothing goes. */
  #why(): string {
    const refusal = this.#parts.reclaimer()?.refusal;
    return refusal === undefined ? "none of its pages can be taken" : `its pages cannot be kept elsewhere (${refusal})`;
  }

  #tell(): void {
    const { level } = this.#gauge;
    const now: MemoryPressure = {
      level,
      ...(level !== "none" && this.#source && { of: this.#source }),
      ...(this.#paused !== undefined && { paused: this.#paused }),
    };
    const before = this.#told;
    if (now.level === before.level && now.of === before.of && now.paused === before.paused) return;
    this.#told = now;
    this.#parts.tell(now, before);
  }
}

const mibOf = (frames: number): number => Math.round(frames / 256);
