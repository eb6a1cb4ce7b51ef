/**
 * The two buses a vCPU reaches devices by: port I/O and memory-mapped I/O.
 *
 * A device claims ranges; an access is passed to the device that claims its first byte. Values are unsigned
 * numbers of at most 32 bits; a 64-bit MMIO access arrives as two 32-bit ones, low half first.
 * Unclaimed: reads give all ones, writes are dropped, as on a PC.
 */
export type AccessSize = 1 | 2 | 4;

export interface PortDevice {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
}

export interface MmioDevice {
  /** `offset` counts from the start of the claimed range. */
  readMmio(offset: number, size: AccessSize): number;
  writeMmio(offset: number, size: AccessSize, value: number): void;
}

/** An interrupt line into the interrupt controllers. Level-triggered unless the controller says otherwise. */
export interface IrqLine {
  set(level: boolean): void;
}

/**
 * Time as devices know it: nanoseconds of guest time since the machine was made, and alarms on it.
 * In deterministic mode it advances with retired instructions, else with the host's clock.
 */
export interface DeviceClock {
  /** Nanoseconds, a safe integer. */
  now(): number;
  /** Calls `ring` once at or after guest time `atNs`. A new call for the same alarm replaces the old one. */
  alarm(ring: () => void): Alarm;
}
export interface Alarm {
  /** Nanoseconds of guest time; undefined disarms. */
  set(atNs: number | undefined): void;
}
