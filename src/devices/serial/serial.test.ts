import { beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../manual-clock.ts";
import { Serial } from "./device.ts";

let clock: ManualClock;
let serial: Serial;
let irq: boolean;
let edges: number;
let sent: string;
let offers: number;
let onOffer: () => void;
const out = (register: number, value: number): void => serial.writePort(0x3f8 + register, 1, value);
const inp = (register: number): number => serial.readPort(0x3f8 + register, 1);
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

beforeEach(() => {
  clock = new ManualClock();
  irq = false;
  edges = 0;
  sent = "";
  offers = 0;
  onOffer = () => {};
  serial = new Serial(
    clock,
    {
      set: (level) => {
        if (level && !irq) edges++;
        irq = level;
      },
    },
    {
      onTransmit: (chunk) => {
        sent += String.fromCharCode(...chunk);
      },
      onReceiveSpace: () => {
        offers++;
        onOffer();
      },
    },
  );
});

/** As a driver opens it: FIFOs with trigger 8, DTR, RTS, OUT2. */
const open = (enable: number): void => {
  out(2, 0x87);
  out(4, 0x0b);
  out(1, enable);
};

describe("probing", () => {
  test("looks like a 16550A with FIFOs, not one of its successors", () => {
    out(2, 0xe1);
    expect(inp(2)).toBe(0xc1);
    out(2, 0);
    expect(inp(2)).toBe(0x01);
    out(1, 0xff);
    expect(inp(1)).toBe(0x0f);
    out(7, 0xa5);
    expect(inp(7)).toBe(0xa5);
  });

  test("loopback shows the modem outputs at the inputs and sends nothing out", () => {
    out(4, 0x1a);
    expect(inp(6) & 0xf0).toBe(0x90);
    out(0, 0x41);
    serial.flush();
    expect([inp(5) & 1, inp(0), sent]).toEqual([1, 0x41, ""]);
  });

  test("the divisor latch hides data and interrupt enable", () => {
    out(3, 0x83);
    out(0, 1);
    out(1, 2);
    expect([inp(0), inp(1)]).toEqual([1, 2]);
    out(3, 0x03);
    expect(inp(1)).toBe(0);
  });
});

describe("sending", () => {
  test("bytes come out in order as bursts, at the latest a millisecond later", () => {
    open(0);
    for (const byte of bytes("hello")) out(0, byte);
    expect([inp(5) & 0x60, sent]).toEqual([0x60, ""]);
    clock.advance(1_000_000);
    expect(sent).toBe("hello");
  });

  test("enabling the transmit interrupt raises it each time, reading IIR ends it, a byte raises it again", () => {
    open(2);
    expect([irq, inp(2), irq, inp(2)]).toEqual([true, 0xc2, false, 0xc1]);
    out(0, 0x41);
    expect(irq).toBe(true);
    out(1, 0);
    out(1, 2);
    expect([irq, inp(2)]).toEqual([true, 0xc2]);
    expect(edges).toBe(3);
  });

  test("held by the host it fills its FIFO and waits, and goes on when released", () => {
    open(2);
    inp(2);
    serial.hold(true);
    for (const byte of bytes("0123456789abcdefXYZ")) out(0, byte);
    expect([irq, inp(5) & 0x20]).toEqual([false, 0]);
    serial.hold(false);
    serial.flush();
    expect([irq, inp(5) & 0x20, sent]).toEqual([true, 0x20, "0123456789abcdef"]);
  });
});

describe("receiving", () => {
  test("nothing is taken before the driver asserts RTS, then as much as the FIFO holds", () => {
    expect(serial.receive(bytes("x"))).toBe(0);
    open(1);
    expect(serial.receive(bytes("0123456789abcdefgh"))).toBe(16);
    expect([irq, inp(2)]).toEqual([true, 0xc4]);
    let text = "";
    while ((inp(5) & 1) !== 0) text += String.fromCharCode(inp(0));
    expect([text, irq]).toEqual(["0123456789abcdef", false]);
  });

  test("fewer bytes than the trigger level arrive as a timeout", () => {
    open(1);
    serial.receive(bytes("ab"));
    expect(inp(2)).toBe(0xcc);
  });

  test("a handler that empties the FIFO is given more, 256 bytes in all, then after it has seen that nothing is pending", () => {
    open(1);
    clock.advance(10);
    onOffer = () => void serial.receive(bytes("0123456789abcdef"));
    serial.receive(bytes("0123456789abcdef"));
    let taken = 0;
    for (; (inp(5) & 1) !== 0; taken++) inp(0);
    expect([taken, irq]).toEqual([256, false]);
    inp(2);
    expect([irq, inp(5) & 1]).toEqual([true, 1]);
  });

  test("a polling driver is offered more at its first empty poll", () => {
    open(0);
    clock.advance(10);
    offers = 0;
    inp(5);
    expect(offers).toBe(1);
  });

  test("dropping RTS stops the input, raising it asks for more", () => {
    open(1);
    clock.advance(10);
    out(4, 0x09);
    expect(serial.receive(bytes("x"))).toBe(0);
    offers = 0;
    out(4, 0x0b);
    clock.advance(10);
    expect(offers).toBe(1);
  });

  test("a break is a zero byte with its flag in the line status", () => {
    open(5);
    serial.sendBreak();
    expect([inp(2), inp(5) & 0x11, inp(0)]).toEqual([0xc6, 0x11, 0]);
  });
});

test("a restored UART goes on where it was", () => {
  open(1);
  serial.receive(bytes("abc"));
  inp(0);
  const saved = serial.save();
  inp(0);
  serial.restore(saved);
  expect([inp(0), inp(0), inp(5) & 1]).toEqual([0x62, 0x63, 0]);
});
