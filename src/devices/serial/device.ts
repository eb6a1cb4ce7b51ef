/**
 * A 16550A UART at the end of a cable that is the host's.
 *
 * Out: the line is infinitely fast. A byte written is sent at once and the transmitter is empty again; bytes gather
 * into bursts for `onTransmit`. While the host holds the line (`hold`), the FIFO fills and the guest waits.
 * In: `receive` fills the FIFO while the guest asserts RTS. More is asked for (`onReceiveSpace`) when the guest has emptied it: an
 * interrupt of 16 bytes costs ten times what reading them does. But when it has read `handlerBytes`, only after it has seen that no
 * interrupt is pending, so that no handler runs without end under fast input; a guest that polls is asked at its first empty poll.
 *
 * Law: the IRQ line is high exactly while an enabled cause is pending and OUT2 connects it.
 */
import type { AccessSize, Alarm, DeviceClock, IrqLine, PortDevice } from "../bus.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { fifoSize, newSerialState, type SerialState } from "./persist.ts";
import { fcr, ier, iir, lcr, lsr, mcr, modemLines, triggerLevels, uart } from "./registers.ts";

export interface SerialHost {
  /** Bytes the guest sent. The array is the callee's to keep. */
  onTransmit(bytes: Uint8Array): void;
  /** `receive` would take bytes now. Called from within the guest's access: answer at once or later. */
  onReceiveSpace?(): void;
}

/** A burst goes out when it is this long, or this old. */
const burstBytes = 1024;
const burstNs = 1_000_000;
/** As many as Linux's driver takes in one go (serial8250_rx_chars). */
const handlerBytes = 256;
/** A guest that neither polls nor takes interrupts is offered more after this long. */
const offerNs = 2_000_000;

export class Serial implements PortDevice, Stateful<SerialState> {
  readonly #state: SerialState = newSerialState();
  readonly #clock: DeviceClock;
  readonly #irq: IrqLine;
  readonly #host: SerialHost;
  readonly #burst = new Uint8Array(burstBytes);
  #burstLength = 0;
  readonly #burstAlarm: Alarm;
  readonly #offerAlarm: Alarm;
  #held = false;

  constructor(clock: DeviceClock, irq: IrqLine, host: SerialHost) {
    this.#clock = clock;
    this.#irq = irq;
    this.#host = host;
    this.#burstAlarm = clock.alarm(() => this.flush());
    this.#offerAlarm = clock.alarm(() => this.#offerSpace());
  }

  // The host's end.

  /** Gives the guest as many of `bytes` as its FIFO has room for; the number taken, 0 while it drops RTS. */
  receive(bytes: Uint8Array): number {
    const s = this.#state;
    if ((s.mcr & mcr.rts) === 0 || (s.mcr & mcr.loop) !== 0) return 0;
    const count = Math.min(bytes.length, this.#capacity - s.rxCount);
    for (let i = 0; i < count; i++) this.#pushRx(bytes[i]);
    if (count > 0) {
      s.rxSinceIdle += count;
      this.#offerAlarm.set(undefined);
    }
    this.#update();
    return Math.max(count, 0);
  }

  /** A break condition on the line, as SysRq wants it. */
  sendBreak(): void {
    const s = this.#state;
    if (s.rxCount >= this.#capacity) return;
    this.#pushRx(0);
    s.lsrErrors |= lsr.break;
    this.#update();
  }

  /** While held, what the guest sends stays in its FIFO. */
  hold(held: boolean): void {
    this.#held = held;
    const s = this.#state;
    if (held || s.txCount === 0) return;
    for (let i = 0; i < s.txCount; i++) this.#transmit(s.tx[i]);
    s.txCount = 0;
    s.thrEmptied = 1;
    this.#update();
  }

  /** Hands out the burst gathered so far. */
  flush(): void {
    this.#burstAlarm.set(undefined);
    if (this.#burstLength === 0) return;
    const bytes = this.#burst.slice(0, this.#burstLength);
    this.#burstLength = 0;
    this.#host.onTransmit(bytes);
  }

  // The guest's end.

  readPort(port: number, size: AccessSize): number {
    if (size !== 1) return 0xffff_ffff;
    const s = this.#state;
    const dlab = (s.lcr & lcr.dlab) !== 0;
    switch (port & 7) {
      case uart.data:
        return dlab ? s.divisor & 0xff : this.#popRx();
      case uart.ier:
        return dlab ? s.divisor >> 8 : s.ier;
      case uart.iirFcr:
        return this.#readIir();
      case uart.lcr:
        return s.lcr;
      case uart.mcr:
        return s.mcr;
      case uart.lsr:
        return this.#readLsr();
      case uart.msr:
        return this.#readMsr();
      default:
        return s.scratch;
    }
  }

  writePort(port: number, _size: AccessSize, value: number): void {
    const s = this.#state;
    const byte = value & 0xff;
    const dlab = (s.lcr & lcr.dlab) !== 0;
    switch (port & 7) {
      case uart.data:
        if (dlab) s.divisor = (s.divisor & 0xff00) | byte;
        else this.#write(byte);
        break;
      case uart.ier:
        if (dlab) s.divisor = (s.divisor & 0xff) | (byte << 8);
        else this.#writeIer(byte & 0xf);
        break;
      case uart.iirFcr:
        this.#writeFcr(byte);
        break;
      case uart.lcr:
        s.lcr = byte;
        break;
      case uart.mcr:
        this.#writeMcr(byte & 0x1f);
        break;
      case uart.scratch:
        s.scratch = byte;
        break;
      default:
        break;
    }
    this.#update();
  }

  save(): SerialState {
    this.flush();
    return copyState(this.#state);
  }

  restore(saved: SerialState): void {
    restoreState(this.#state, saved);
    const s = this.#state;
    s.rxHead &= fifoSize - 1;
    s.rxCount = Math.min(Math.max(s.rxCount, 0), fifoSize);
    s.txCount = Math.min(Math.max(s.txCount, 0), fifoSize);
    // The line's level is in the records of the interrupt controllers.
    if (s.rxCount === 0) this.#offerAlarm.set(this.#clock.now() + offerNs);
  }

  get #fifos(): boolean {
    return (this.#state.fcr & fcr.enable) !== 0;
  }

  get #capacity(): number {
    return this.#fifos ? fifoSize : 1;
  }

  #write(byte: number): void {
    const s = this.#state;
    s.thrEmptied = 0;
    if ((s.mcr & mcr.loop) !== 0) {
      if (s.rxCount < this.#capacity) this.#pushRx(byte);
      else s.lsrErrors |= lsr.overrun;
    } else if (this.#held) {
      if (s.txCount < this.#capacity) s.tx[s.txCount++] = byte;
      return;
    } else this.#transmit(byte);
    s.thrEmptied = 1;
  }

  #transmit(byte: number): void {
    if (this.#burstLength === 0) this.#burstAlarm.set(this.#clock.now() + burstNs);
    this.#burst[this.#burstLength++] = byte;
    if (this.#burstLength === burstBytes) this.flush();
  }

  /** Switching the interrupt on while the transmitter is empty raises it: drivers start sending so. */
  #writeIer(value: number): void {
    const s = this.#state;
    if ((value & ier.thrEmpty) !== 0 && (s.ier & ier.thrEmpty) === 0 && s.txCount === 0) s.thrEmptied = 1;
    s.ier = value;
  }

  #writeFcr(value: number): void {
    const s = this.#state;
    const toggled = ((value ^ s.fcr) & fcr.enable) !== 0;
    if (toggled || (value & (fcr.enable | fcr.clearRx)) === (fcr.enable | fcr.clearRx)) this.#clearRx();
    if (toggled || (value & (fcr.enable | fcr.clearTx)) === (fcr.enable | fcr.clearTx)) {
      if (s.txCount > 0) s.thrEmptied = 1;
      s.txCount = 0;
    }
    s.fcr = (value & fcr.enable) !== 0 ? value & 0xc1 : 0;
  }

  #clearRx(): void {
    const s = this.#state;
    if (s.rxCount > 0) this.#offerAlarm.set(this.#clock.now() + offerNs);
    s.rxCount = 0;
    s.lsrErrors = 0;
  }

  #writeMcr(value: number): void {
    const s = this.#state;
    const before = this.#modemLines();
    const couldReceive = (s.mcr & (mcr.rts | mcr.loop)) === mcr.rts;
    s.mcr = value;
    this.#noteModem(before);
    const canReceive = (value & (mcr.rts | mcr.loop)) === mcr.rts;
    if (canReceive && !couldReceive && s.rxCount === 0) this.#offerAlarm.set(this.#clock.now() + 1);
  }

  /** CTS, DSR, RI, DCD: our cable, or in loopback the outputs RTS, DTR, OUT1, OUT2. */
  #modemLines(): number {
    const m = this.#state.mcr;
    if ((m & mcr.loop) === 0) return modemLines;
    return ((m & mcr.rts) << 3) | ((m & mcr.dtr) << 5) | ((m & mcr.out1) << 4) | ((m & mcr.out2) << 4);
  }

  #noteModem(before: number): void {
    const after = this.#modemLines();
    const changed = (before ^ after) >> 4;
    // RI counts only when it ends.
    const ringEnded = (before & 0x40) !== 0 && (after & 0x40) === 0 ? 4 : 0;
    this.#state.msrDelta |= (changed & 0xb) | ringEnded;
  }

  #readMsr(): number {
    const s = this.#state;
    const value = this.#modemLines() | s.msrDelta;
    s.msrDelta = 0;
    this.#update();
    return value;
  }

  #pushRx(byte: number): void {
    const s = this.#state;
    s.rx[(s.rxHead + s.rxCount) & (fifoSize - 1)] = byte;
    s.rxCount++;
  }

  #popRx(): number {
    const s = this.#state;
    if (s.rxCount === 0) return 0;
    const byte = s.rx[s.rxHead];
    s.rxHead = (s.rxHead + 1) & (fifoSize - 1);
    s.rxCount--;
    if (s.rxCount === 0) this.#emptied();
    this.#update();
    return byte;
  }

  #emptied(): void {
    const s = this.#state;
    if (s.rxSinceIdle + fifoSize <= handlerBytes) this.#offerSpace();
    if (s.rxCount === 0) this.#offerAlarm.set(this.#clock.now() + offerNs);
  }

  #readLsr(): number {
    const s = this.#state;
    // A break is told when its zero byte is next to be read, which here is at once.
    const value = (s.rxCount > 0 ? lsr.dataReady : 0) | s.lsrErrors | (s.txCount === 0 ? lsr.thrEmpty | lsr.idle : 0);
    s.lsrErrors = 0;
    this.#update();
    if (s.rxCount === 0 && (s.ier & ier.received) === 0) this.#idle();
    return value;
  }

  #readIir(): number {
    const s = this.#state;
    const cause = this.#cause();
    if (cause === iir.thrEmpty) {
      s.thrEmptied = 0;
      this.#update();
    }
    if (cause === iir.none && s.rxCount === 0) this.#idle();
    return cause | (this.#fifos ? iir.fifos : 0);
  }

  /** The pending enabled cause of highest priority, as IIR names it. */
  #cause(): number {
    const s = this.#state;
    if ((s.ier & ier.lineStatus) !== 0 && s.lsrErrors !== 0) return iir.lineStatus;
    if ((s.ier & ier.received) !== 0 && s.rxCount > 0) {
      // Below the trigger level the data sheet waits four characters' time; on an infinitely fast line none.
      return !this.#fifos || s.rxCount >= triggerLevels[s.fcr >> 6] ? iir.received : iir.timeout;
    }
    if ((s.ier & ier.thrEmpty) !== 0 && s.thrEmptied !== 0) return iir.thrEmpty;
    if ((s.ier & ier.modemStatus) !== 0 && s.msrDelta !== 0) return iir.modemStatus;
    return iir.none;
  }

  /** The guest has seen that there is nothing. */
  #idle(): void {
    this.#state.rxSinceIdle = 0;
    this.#offerSpace();
  }

  #offerSpace(): void {
    const s = this.#state;
    this.#offerAlarm.set(undefined);
    if ((s.mcr & (mcr.rts | mcr.loop)) === mcr.rts && s.rxCount < this.#capacity) this.#host.onReceiveSpace?.();
  }

  #update(): void {
    const connected = (this.#state.mcr & (mcr.out2 | mcr.loop)) === mcr.out2;
    this.#irq.set(connected && this.#cause() !== iir.none);
  }
}
