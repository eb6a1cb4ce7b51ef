export { MachineServer, type Reserved, reserve } from "./server.ts";
export { listMachines, RemoteMachine } from "./client.ts";
export { logOf, openFolder } from "./folder.ts";
export type { MachineInfo } from "./wire.ts";
