export type { FarLine } from "./line.ts";
export { MemoryPageStore, type PageStore } from "./page-store.ts";
export { idBytes, type KeptPage, type Sign } from "./protocol.ts";
export { RemotePages } from "./remote-pages.ts";
export type { ReplicaEvent } from "./replicas.ts";
export { type ClientChannel, PageServer } from "./server.ts";
export type { LinkHost, ServerAddress } from "./server-link.ts";
export { RemoteMemoryError, RemoteMemoryService } from "./service.ts";
