export type { RelayChannel } from "./protocol.ts";
export { RelayServer } from "./server.ts";
export { relayPolicy } from "./relay-policy.ts";
export { connectRelay } from "./web-socket.ts";
