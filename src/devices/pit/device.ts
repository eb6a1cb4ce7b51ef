/**
 * The 8254 timer and the port that gates its third channel (port 0x61, with the speaker).
 *
 * Channel 0 drives IRQ 0, by an alarm at each edge that matters; the other channels are only ever looked at.
 * Law: IRQ 0 has an edge for each terminal count, but ticks that a slow host missed are not made up for.
 */
import type { AccessSize, Alarm, DeviceClock, IrqLine, PortDevice } from "../bus.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { nsOf, PitChannel, ticksIn } from "./channel.ts";
import { newPitState, type PitState } from "./persist.ts";

const pitPort = 0x40;
const controlPort = 0x43;
const speakerPort = 0x61;

export const pitPorts = [
  [pitPort, 4],
  [speakerPort, 1],
] as const;

/** The shortest time between two interrupts, whatever count the guest loads. */
const minPeriodNs = 20_000;
/** DRAM refresh toggles bit 4 of port 0x61 every 15 us; old delay loops wait for that. */
const refreshNs = 15_085;

export class Pit implements PortDevice, Stateful<PitState> {
  readonly #state: PitState = newPitState();
  readonly #channels = [
    new PitChannel(this.#state, 0),
    new PitChannel(this.#state, 1),
    new PitChannel(this.#state, 2),
  ] as const;
  readonly #clock: DeviceClock;
  readonly #irq: IrqLine;
  readonly #alarm: Alarm;

  constructor(clock: DeviceClock, irq: IrqLine) {
    this.#clock = clock;
    this.#irq = irq;
    this.#alarm = clock.alarm(() => this.#edge());
  }

  readPort(port: number, size: AccessSize): number {
    if (size !== 1) return 0xffff_ffff;
    if (port === speakerPort) return this.#readSpeaker();
    if (port === controlPort) return 0xff;
    return this.#channels[port & 3].read(this.#clock.now());
  }

  writePort(port: number, _size: AccessSize, value: number): void {
    const now = this.#clock.now();
    const byte = value & 0xff;
    if (port === speakerPort) {
      this.#state.speaker = byte & 3;
      this.#channels[2].setGate((byte & 1) !== 0, now);
    } else if (port === controlPort) this.#control(byte, now);
    else if (this.#channels[port & 3].write(byte, now) && port === pitPort) this.#restart(now);
  }

  save(): PitState {
    return copyState(this.#state);
  }

  restore(saved: PitState): void {
    restoreState(this.#state, saved);
    this.#arm(this.#state.edgeNs);
  }

  #readSpeaker(): number {
    const now = this.#clock.now();
    const refresh = Math.floor(now / refreshNs) & 1;
    return this.#state.speaker | (refresh << 4) | (this.#channels[2].output(now) ? 0x20 : 0);
  }

  #control(value: number, now: number): void {
    if (value >> 6 === 3) {
      for (let n = 0; n < 3; n++) {
        if ((value & (2 << n)) !== 0) this.#channels[n].readBack((value & 0x20) === 0, (value & 0x10) === 0, now);
      }
      return;
    }
    this.#channels[value >> 6].control(value, now);
    if (value >> 6 === 0 && (value & 0x30) !== 0) {
      // The output takes its resting level and counts no more until a count is loaded.
      this.#irq.set(this.#channels[0].output(now));
      this.#arm(-1);
    }
  }

  #restart(now: number): void {
    const channel = this.#channels[0];
    if (channel.mode === 0 || channel.mode === 4) this.#irq.set(channel.mode === 4);
    // Modes 1 and 5 wait for a gate that channel 0 has not.
    if (channel.mode === 1 || channel.mode === 5) {
      this.#arm(-1);
      return;
    }
    this.#arm(now + nsOf(channel.period));
  }

  #edge(): void {
    const channel = this.#channels[0];
    if (this.#state.edgeNs < 0) return;
    this.#irq.set(false);
    this.#irq.set(true);
    if (!channel.periodic) {
      this.#arm(-1);
      return;
    }
    const from = Math.max(this.#clock.now(), this.#state.edgeNs) + 1;
    const earliest = nsOf(channel.period) < minPeriodNs ? from + minPeriodNs : from;
    const periods = Math.floor(ticksIn(earliest - channel.startNs) / channel.period) + 1;
    this.#arm(Math.max(channel.startNs + nsOf(periods * channel.period), from));
  }

  #arm(atNs: number): void {
    this.#state.edgeNs = atNs;
    this.#alarm.set(atNs < 0 ? undefined : atNs);
  }
}
