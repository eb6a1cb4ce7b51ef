export { FilePageStore, PageStoreError } from "./file-page-store.ts";
export { readSecret, SecretError } from "../secret.ts";
export { type PageServerOptions, type RunningPageServer, startPageServer } from "./page-server.ts";
