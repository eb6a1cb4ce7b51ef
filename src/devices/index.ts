export type { AccessSize, Alarm, DeviceClock, IrqLine, MmioDevice, PortDevice } from "./bus.ts";
