import { expect, test } from "vitest";
import { allocateMessageRing, MessageReceiver, MessageSender } from "./message-ring.ts";

function ring(capacity: number) {
  const shared = allocateMessageRing(capacity);
  const woken = { receiver: 0, sender: 0 };
  return {
    shared,
    woken,
    sender: new MessageSender(shared, () => woken.receiver++),
    receiver: new MessageReceiver(shared, () => woken.sender++),
  };
}
const bytes = (...values: number[]) => Uint8Array.from(values);

test("messages come whole and in order, the empty one too", () => {
  const { sender, receiver } = ring(64);
  sender.send(bytes(1, 2, 3));
  sender.send();
  sender.send(bytes(4), bytes(5, 6));
  expect([receiver.receive(), receiver.receive(), receiver.receive(), receiver.receive()]).toEqual([
    bytes(1, 2, 3),
    bytes(),
    bytes(4, 5, 6),
    undefined,
  ]);
});

test("where there is no room nothing is sent, and the sender is woken when there is", () => {
  const { sender, receiver, woken } = ring(64);
  expect([sender.send(new Uint8Array(40)), sender.send(new Uint8Array(30)), woken.sender]).toEqual([true, false, 0]);
  receiver.receive();
  expect([woken.sender, sender.send(new Uint8Array(30))]).toEqual([1, true]);
});

test("the sender is woken when half of the ring is free, not before", () => {
  const { sender, receiver, woken } = ring(64);
  while (sender.send(new Uint8Array(12)));
  const after = [0, 1, 2, 3].map(() => {
    receiver.receive();
    return woken.sender;
  });
  expect(after).toEqual([0, 1, 1, 1]);
});

test("a receiver is woken once for all that waits", () => {
  const { sender, receiver, woken } = ring(64);
  sender.send(bytes(1));
  sender.send(bytes(2));
  expect(woken.receiver).toBe(1);
  receiver.receive();
  sender.send(bytes(3));
  expect(woken.receiver).toBe(1);
  while (receiver.receive() !== undefined);
  sender.send(bytes(4));
  expect(woken.receiver).toBe(2);
});

test("what is received is what was sent, across the end of the buffer and of the counts", () => {
  const { shared, sender, receiver } = ring(256);
  new Int32Array(shared, 0, 2).fill(-1000);
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const waiting: Uint8Array[] = [];
  for (let n = 0; n < 5000; n++) {
    const message = Uint8Array.from({ length: random(100) }, () => random(256));
    if (random(2) === 0 && sender.send(message.subarray(0, 7), message.subarray(7))) waiting.push(message);
    else expect(receiver.receive()).toEqual(waiting.shift());
  }
});

test("a message that is not taken stays the next one, and its room is taken", () => {
  const { sender, receiver, woken } = ring(64);
  const seen: number[][] = [];
  const look = (taken: boolean) => receiver.receiveInPlace((message) => seen.push([...message]) > 0 && taken);
  sender.send(bytes(1, 2));
  sender.send(new Uint8Array(52));
  expect([sender.send(bytes(3)), look(false), sender.send(bytes(3)), woken.sender]).toEqual([false, false, false, 0]);
  expect([look(true), look(true), woken.sender, look(true)]).toEqual([true, true, 1, false]);
  expect(seen).toEqual([[1, 2], [1, 2], [...new Uint8Array(52)]]);
});

test("a message that lies across the end is seen whole", () => {
  const { sender, receiver } = ring(64);
  for (let n = 0; n < 20; n++) {
    const message = Uint8Array.from({ length: 21 }, (_, i) => n + i);
    sender.send(message);
    let seen: number[] = [];
    receiver.receiveInPlace((each) => (seen = [...each]).length > 0);
    expect(seen).toEqual([...message]);
  }
});
