export { assert, assertNever, Bug } from "./assert.ts";
export { allocateByteRing, ByteRingReader, ByteRingWriter } from "./byte-ring.ts";
export { allocateMessageRing, MessageReceiver, MessageSender } from "./message-ring.ts";
