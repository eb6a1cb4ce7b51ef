/** The port that firmware and small test guests print to: a byte written is a byte out, without any protocol. */
import type { AccessSize, PortDevice } from "../bus.ts";

/** 0x402 as SeaBIOS writes it; reading it gives the port's low byte 0xe9 to say it is there. */
export const debugPorts = [[0x402, 1]] as const;

export class DebugPort implements PortDevice {
  readonly #onByte: (byte: number) => void;

  constructor(onByte: (byte: number) => void) {
    this.#onByte = onByte;
  }

  readPort(_port: number, _size: AccessSize): number {
    return 0xe9;
  }

  writePort(_port: number, _size: AccessSize, value: number): void {
    this.#onByte(value & 0xff);
  }
}
